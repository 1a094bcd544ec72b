"""MATLAB 5 files (what ``save`` writes without ``-v7.3``), one variable or one cell in memory at a time."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from streamaffect.errors import DatasetError

# Of the MAT-file format (MathWorks, MAT-File Level 5): data types and array classes.
_MI_INT8, _MI_MATRIX, _MI_COMPRESSED = 1, 14, 15
_CELL, _STRUCT = 1, 2
# What scipy and the walk below come to in a damaged file
_DAMAGE = (zlib.error, struct.error, EOFError, ValueError, TypeError, LookupError, NameError, ArithmeticError, MemoryError)
_HEADER = 128  # bytes
_PIECE = 1 << 20


def variables(path: Path) -> list[str]:
    """The names of the variables, without reading them. Raises DatasetError."""
    from scipy.io import whosmat

    with _opened(path) as file:
        return [name for name, _, _ in whosmat(file)]


def load(path: Path, *names: str) -> dict[str, Any]:
    """Those variables, as scipy makes them: structs and cells are object arrays. Raises DatasetError."""
    from scipy.io import loadmat

    with _opened(path) as file:
        found: dict[str, Any] = loadmat(file, variable_names=list(names), verify_compressed_data_integrity=False)
    if missing := [name for name in names if name not in found]:
        raise DatasetError(f"{path}: lacks the variable {', '.join(missing)}: is it the set's own file?")
    return found


def cells(path: Path, variable: str, field: str) -> int:
    """How many cells the field ``field`` of the struct ``variable`` has. Raises DatasetError."""
    with _opened(path) as file:
        return _cells_of(file, variable, field)[1]


def cell(path: Path, variable: str, field: str, index: int) -> Any:
    """Cell ``index`` of the field ``field`` of the struct ``variable``; what lies before it is passed over, what lies
    behind it is not touched. Raises DatasetError."""
    from scipy.io import loadmat

    with _opened(path) as file:
        content, count = _cells_of(file, variable, field)
        if not 0 <= index < count:
            raise DatasetError(f"{path}: {variable}.{field} has {count} cells, no number {index + 1}")
        for _ in range(index):
            content.skip(_matrix(content))
        body = content.take(_matrix(content))
        file.seek(0)
        whole = file.read(_HEADER) + struct.pack("<II", _MI_MATRIX, len(body)) + _named(body)
        return loadmat(io.BytesIO(whole))["x"]


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    from scipy.io.matlab import MatReadError

    try:
        with path.open("rb") as file:
            head = file.read(_HEADER)
            if b"MATLAB 7.3" in head[:16] or head.startswith(b"\x89HDF"):
                raise DatasetError(f"{path}: a MATLAB 7.3 file, the set has MATLAB 5: fetch it again, or save it with -v7")
            if len(head) < _HEADER or head[126:128] != b"IM":
                raise DatasetError(
                    f"{path}: no MATLAB 5 file: truncated, or a download page saved under its name? Fetch it again"
                )
            file.seek(0)
            yield file
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such recording") from None
    except OSError as error:  # scipy's word for a file that ends too soon, too
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error}): truncated? Fetch it again") from error
    except (MatReadError, *_DAMAGE) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise DatasetError(f"{path}: truncated or damaged MATLAB file ({reason}): fetch it again") from error


class _Content:
    """The bytes of one top-level element, unpacked as they are asked for."""

    def __init__(self, file: BinaryIO, size: int, *, packed: bool) -> None:
        self._file = file
        self._left = size
        self._unpack = zlib.decompressobj() if packed else None

    def take(self, n: int) -> bytes:
        parts = []
        while n:
            part = self._piece(min(n, _PIECE))
            if not part:
                raise EOFError("ends too soon")
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def skip(self, n: int) -> None:
        while n:
            n -= len(self.take(min(n, _PIECE)))

    def _piece(self, n: int) -> bytes:
        if self._unpack is None:
            return self._file.read(n)
        while True:
            packed = self._unpack.unconsumed_tail
            if not packed:
                packed = self._file.read(min(_PIECE, self._left))
                self._left -= len(packed)
            part = self._unpack.decompress(packed, n)
            if part or not packed:
                return part


def _cells_of(file: BinaryIO, variable: str, field: str) -> tuple[_Content, int]:
    """Before the first cell, and how many there are."""
    file.seek(_HEADER)
    while tag := file.read(8):
        kind, size = struct.unpack("<II", tag)
        end = file.tell() + size
        content = _Content(file, size, packed=kind == _MI_COMPRESSED)
        if kind == _MI_COMPRESSED:
            _matrix(content)
        array_class, _, name = _array_header(content)
        if name == variable:
            if array_class != _STRUCT:
                raise ValueError(f"{variable} is no struct")
            return _field(content, variable, field)
        file.seek(end)
    raise ValueError(f"lacks the variable {variable}")


def _field(content: _Content, variable: str, field: str) -> tuple[_Content, int]:
    width = struct.unpack("<i", _element(content))[0]
    packed = _element(content)
    names = [packed[i : i + width].split(b"\0")[0].decode("ascii") for i in range(0, len(packed), width)]
    if field not in names:
        raise ValueError(f"{variable} lacks the field {field}")
    for _ in range(names.index(field)):
        content.skip(_matrix(content))
    _matrix(content)
    array_class, count, _ = _array_header(content)
    if array_class != _CELL:
        raise ValueError(f"{variable}.{field} is no cell array")
    return content, count


def _array_header(content: _Content) -> tuple[int, int, str]:
    """Class, number of elements, name."""
    flags, dimensions, name = _element(content), _element(content), _element(content)
    count = 1
    for size in struct.unpack(f"<{len(dimensions) // 4}i", dimensions):
        count *= size
    return flags[0], count, name.decode("ascii")


def _matrix(content: _Content) -> int:
    """The size [bytes] of the array whose tag comes next."""
    kind, size = struct.unpack("<II", content.take(8))
    if kind != _MI_MATRIX:
        raise ValueError(f"an array was expected, data of type {kind} found")
    return int(size)


def _element(content: _Content) -> bytes:
    """The data of the element that comes next: in its tag where there are up to 4 bytes, else padded to 8."""
    tag = content.take(8)
    kind, size = struct.unpack("<II", tag)
    if kind >> 16:
        return tag[4 : 4 + (kind >> 16)]
    return content.take(size + -size % 8)[:size]


def _named(body: bytes) -> bytes:
    """The array with the name ``x``; cells have none, and scipy does not return what has no name."""
    content = _Content(io.BytesIO(body), len(body), packed=False)
    before = b"".join(_copied(content) for _ in range(2))
    content.take(8)  # the empty name
    return before + struct.pack("<I", _MI_INT8 | 1 << 16) + b"x\0\0\0" + body[len(before) + 8 :]


def _copied(content: _Content) -> bytes:
    tag = content.take(8)
    kind, size = struct.unpack("<II", tag)
    return tag if kind >> 16 else tag + content.take(size + -size % 8)
