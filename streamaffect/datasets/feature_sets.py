"""Extracted features of several modalities, as Amanda learns from: one ``.npz`` a corpus, every sample of all its speakers.

Amanda (the paper in :mod:`streamaffect.methods.amanda`) adapts between IEMOCAP, MSP-IMPROV, CMU-MOSEI and MELD by features of
sound, sight and words (appendix: 64 x 768 of APViT; n x 2304 each of Wav2Vec2 and BERT), promised but not published with it.
So the layout is ours:

``x.acoustic``, ``x.visual``, ``x.lexical``, ... (any names): (n, d) vectors or (n, t, d) sequences, padded with zeros;
``label`` (n,): class names, or whole numbers into ``classes``, below 0 unlabelled; ``subject`` (n,): the speaker; ``trial``
(n,): the dialogue or clip, optional (then every sample is its own). Samples of a subject are in order of time.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, ClassVar

import numpy as np
import numpy.typing as npt

from streamaffect.datasets.files import folder_of
from streamaffect.datasets.npz import keys_of, natural
from streamaffect.errors import DatasetError
from streamaffect.signals import FeatureTable, Float32

PREFIX = "x."
_BLOCK = 1 << 24  # bytes read at a time: a corpus is gigabytes, a speaker is not
Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FeatureSets:
    """A folder of corpora; with several, subjects are ``CORPUS:SUBJECT``. One subject's rows are in memory at a time."""

    kind: ClassVar[str] = "features"
    name: str = "amanda"
    about: str = "multimodal feature sets, one .npz a corpus: x.MODALITY vectors or sequences, label, subject"

    def recognises(self, folder: Path) -> bool:
        return any(True for _ in self._corpora(folder))

    def subjects(self, root: Path | None) -> list[str]:
        return sorted((name for name, *_ in self._people(root)), key=natural)

    def load(self, root: Path | None, subject: str) -> FeatureTable:
        for name, path, person in self._people(root):
            if name == subject:
                return _table(path, person, name)
        raise DatasetError(f"{root}: holds no subject {subject!r}: check --subject")

    def _people(self, root: Path | None) -> Iterator[tuple[str, Path, str]]:
        folder = folder_of(root, self.name, self.recognises, "feature sets (.npz with x.MODALITY, label and subject)")
        corpora = list(self._corpora(folder))
        for path in corpora:
            for person in dict.fromkeys(_texts(path, "subject")):
                yield (f"{path.stem}:{person}" if len(corpora) > 1 else person), path, person

    @staticmethod
    def _corpora(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.glob("*.npz")):
            keys = keys_of(path)
            if {"label", "subject"} <= keys and any(key.startswith(PREFIX) for key in keys):
                yield path


def _table(path: Path, person: str, subject: str) -> FeatureTable:
    who = np.array(_texts(path, "subject"))
    rows: Rows = who == person
    names = sorted(key.removeprefix(PREFIX) for key in keys_of(path) if key.startswith(PREFIX))
    x = {name: _rows(path, PREFIX + name, rows) for name in names}
    label = _labels(path, rows)
    if "trial" in keys_of(path):
        trial = np.array(_texts(path, "trial", rows.size))[rows]
    else:
        trial = np.flatnonzero(rows).astype(np.str_)
    meta: dict[str, str | float] = {"corpus": path.stem}
    return FeatureTable("amanda", subject, MappingProxyType(x), label, trial, None, meta=MappingProxyType(meta))


def _labels(path: Path, rows: Rows) -> npt.NDArray[np.str_]:
    values = _array(path, "label", rows.size)[rows]
    if values.dtype.kind == "U":
        return values.astype(np.str_)
    if values.dtype.kind not in "iu":
        raise DatasetError(f"{path}: label must be names or whole numbers, is {values.dtype}")
    classes = _texts(path, "classes") if "classes" in keys_of(path) else [str(i) for i in range(int(values.max(initial=0)) + 1)]
    if values.max(initial=-1) >= len(classes):
        raise DatasetError(f"{path}: label {int(values.max())} is beyond its {len(classes)} classes")
    return np.array(["" if value < 0 else classes[value] for value in values.tolist()], np.str_)


def _texts(path: Path, key: str, size: int | None = None) -> list[str]:
    return [str(value) for value in _array(path, key, size).tolist()]


def _array(path: Path, key: str, size: int | None = None) -> npt.NDArray[np.generic]:
    """A small array, whole. Raises DatasetError where it is not there or not (``size``,)."""
    with _member(path, key) as (file, shape, dtype):
        if len(shape) != 1 or size not in (None, shape[0]):
            raise DatasetError(f"{path}: {key} is {shape}, expected ({size if size is not None else 'n'},)")
        return np.frombuffer(_exactly(file, shape[0] * dtype.itemsize), dtype)


def _rows(path: Path, key: str, rows: Rows) -> Float32:
    """Those rows of an array (n, ...), read block by block."""
    with _member(path, key) as (file, shape, dtype):
        if len(shape) < 2 or shape[0] != rows.size or dtype.kind != "f":
            raise DatasetError(f"{path}: {key} is {dtype} {shape}, expected floats ({rows.size}, d) or ({rows.size}, t, d)")
        out = np.empty((int(rows.sum()), *shape[1:]), np.float32)
        each = int(np.prod(shape[1:])) * dtype.itemsize
        step, filled = max(1, _BLOCK // max(each, 1)), 0
        for start in range(0, rows.size, step):
            wanted = rows[start : start + step]
            block = np.frombuffer(_exactly(file, wanted.size * each), dtype).reshape(wanted.size, *shape[1:])
            out[filled : filled + int(wanted.sum())] = block[wanted]
            filled += int(wanted.sum())
    return out


@contextmanager
def _member(path: Path, key: str) -> Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype[np.generic]]]:
    """An array within the archive: its bytes, shape and type. Pickled objects are refused."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
            if dtype.hasobject or (fortran and len(shape) > 1):
                raise DatasetError(f"{path}: {key} must be a plain array in C order: save it with numpy.ascontiguousarray")
            yield file, shape, dtype
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such feature set") from None
    except KeyError:
        raise DatasetError(f"{path}: lacks {key}: a feature set has x.MODALITY, label and subject") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError):
        raise DatasetError(f"{path}: {key} is truncated or damaged: fetch it again") from None


def _exactly(file: IO[bytes], count: int) -> bytes:
    content = file.read(count)
    if len(content) != count:
        raise EOFError
    return content


AMANDA = FeatureSets()
