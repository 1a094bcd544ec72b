"""Pickles of published sets, read without running anything in them: numbers, text, containers, numpy arrays, nothing else.

A pickle is a program: ``pickle.load`` of a foreign file may do what it likes. Here the names a pickle may ask for are
those by which numpy writes arrays, and even these are played by stand-ins: numpy's own ``__setstate__`` is never fed.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
import numpy.typing as npt

from streamaffect.errors import DatasetError

# What a program in pieces comes to
_DAMAGE = (
    *(pickle.UnpicklingError, struct.error, EOFError, ValueError, TypeError),
    *(AttributeError, LookupError, OverflowError, MemoryError),
)
_DTYPE = re.compile(r"[biuf][1248]")
_DEPTH = 6  # containers within containers: the sets have three


class ForeignPickleError(DatasetError):
    """It asks for what no recording needs."""


def load(path: Path) -> Any:
    """The object in the file. Floating-point arrays become float32. Raises DatasetError."""
    try:
        with path.open("rb") as file:
            return _read(file, str(path))
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such recording") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error


def loads(pickled: bytes, where: str) -> Any:
    """The object in these bytes, as :func:`load`; ``where`` names them in errors."""
    return _read(io.BytesIO(pickled), where)


def _read(file: BinaryIO, where: str) -> Any:
    try:
        # latin1: Python 2 wrote the bytes of arrays as text
        return _plain(_Unpickler(file, encoding="latin1").load(), {}, _DEPTH)
    except ForeignPickleError as error:
        raise ForeignPickleError(f"{where}: {error}: refused, nothing of it was run. Fetch the set's own file") from None
    except _DAMAGE as error:
        reason = (str(error).splitlines() or [""])[0]
        raise DatasetError(f"{where}: truncated or damaged, no pickle of arrays ({reason}): fetch it again") from error


class _Dtype:
    """Plays ``numpy.dtype``: plain numbers alone."""

    __slots__ = ("numpy",)

    def __init__(self, code: str, *_: object) -> None:
        if not (isinstance(code, str) and _DTYPE.fullmatch(code)):
            raise ForeignPickleError(f"holds an array of {code!r}, where a recording has numbers")
        self.numpy = np.dtype(code)

    def __setstate__(self, state: tuple[object, ...]) -> None:
        _, order, *rest = state
        if any(part is not None for part in rest[:3]):
            raise ForeignPickleError("holds an array of records, where a recording has numbers")
        self.numpy = self.numpy.newbyteorder(">" if order == ">" else "<")


class _Array:
    """Plays ``numpy.ndarray``, filled once its state is read."""

    __slots__ = ("numpy",)

    def __init__(self) -> None:
        self.numpy: npt.NDArray[np.generic] = np.empty(0, np.float32)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        shape, dtype, fortran, raw = state[-4:]
        self.numpy = _array(raw, dtype, shape, "F" if fortran else "C")


def _array(raw: object, dtype: object, shape: object, order: object) -> npt.NDArray[np.generic]:
    content = raw.encode("latin1") if isinstance(raw, str) else raw
    if not (isinstance(content, bytes | bytearray) and isinstance(dtype, _Dtype) and isinstance(shape, tuple)):
        raise ForeignPickleError("holds an array of objects, where a recording has numbers")
    expected = math.prod(shape) * dtype.numpy.itemsize
    if min(shape, default=0) < 0 or expected != len(content):
        raise ValueError(f"an array of shape {shape} needs {expected} bytes, it has {len(content)}")
    values = np.frombuffer(content, dtype.numpy).reshape(shape, order="F" if order == "F" else "C")
    with np.errstate(over="ignore", invalid="ignore"):  # what does not fit float32 is infinite
        return values.astype(np.float32) if values.dtype.kind == "f" else values.copy()


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _scalar(dtype: object, raw: object) -> object:
    return _array(raw, dtype, (1,), "C")[0].item()


def _from_buffer(raw: object, dtype: object, shape: object, order: object) -> _Array:
    made = _Array()
    made.numpy = _array(raw, dtype, shape, order)
    return made


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise ForeignPickleError(f"asks for the encoding {encoding!r}")
    return text.encode("latin1")


def _no_bytes(*content: object) -> bytes:
    """How an empty array is written before protocol 3."""
    if content:
        raise ForeignPickleError("asks for bytes in a way that no array is written")
    return b""


_CORES = ("numpy.core", "numpy._core")  # the name until numpy 1, and since numpy 2
_STAND_INS: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
    **{(f"{core}.multiarray", "_reconstruct"): _reconstruct for core in _CORES},
    **{(f"{core}.multiarray", "scalar"): _scalar for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): _from_buffer for core in _CORES},
}


# What numbers, text, containers and numpy's reductions are written with. Not among them: instances of classes (INST, OBJ,
# NEWOBJ), extension codes, persistent ids, buffers from outside.
_OPCODES = (
    *(pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.POP, pickle.POP_MARK, pickle.DUP),
    *(pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE, pickle.GET, pickle.BINGET, pickle.LONG_BINGET),
    *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.INT, pickle.BININT, pickle.BININT1, pickle.BININT2),
    *(pickle.LONG, pickle.LONG1, pickle.LONG4, pickle.FLOAT, pickle.BINFLOAT, pickle.STRING, pickle.BINSTRING),
    *(pickle.SHORT_BINSTRING, pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BINBYTES8, pickle.BYTEARRAY8, pickle.UNICODE),
    *(pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE8, pickle.DICT, pickle.EMPTY_DICT, pickle.SETITEM),
    *(pickle.SETITEMS, pickle.LIST, pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.TUPLE, pickle.EMPTY_TUPLE),
    *(pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.REDUCE, pickle.BUILD),
)


# The one in Python: there are some dozens of steps in a recording, and the one in C makes room for whatever is announced.
_InPython: Any = pickle._Unpickler


class _Unpickler(_InPython):  # type: ignore[misc]
    dispatch: ClassVar[dict[int, Any]] = {code[0]: _InPython.dispatch[code[0]] for code in _OPCODES}

    def find_class(self, module: str, name: str) -> Any:
        if not name:
            raise EOFError("ends within a name")
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise ForeignPickleError(f"asks for {module}.{name}, which no recording needs") from None

    def load_bytearray(self) -> None:
        self.append(self.read(int.from_bytes(self.read(8), "little")))

    def load_build(self) -> None:
        if not isinstance(self.stack[-2], _Array | _Dtype):
            raise ForeignPickleError("changes what is no array")
        super().load_build()

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray
    dispatch[pickle.BUILD[0]] = load_build


def _plain(value: object, done: dict[int, object], depth: int) -> object:
    """``value`` with the stand-ins replaced by their arrays, each shared object once."""
    if isinstance(value, _Array):
        return value.numpy
    if not isinstance(value, dict | list | tuple):
        return value
    if depth == 0:
        raise ForeignPickleError("nests deeper than any recording")
    if id(value) not in done:
        if isinstance(value, dict):
            done[id(value)] = {key: _plain(item, done, depth - 1) for key, item in value.items()}
        else:
            done[id(value)] = [_plain(item, done, depth - 1) for item in value]
    return done[id(value)]
