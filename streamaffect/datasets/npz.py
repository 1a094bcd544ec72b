"""Recordings kept as one ``.npz`` a subject: integers with a scale, opened without pickle."""

from __future__ import annotations

import itertools
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamaffect.errors import DatasetError, UsageError
from streamaffect.signals import Recording

Arrays = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class NpzDataset:
    """A folder of ``SUBJECT.npz``. ``keys`` tell the layout from others; ``parser`` makes arrays a Recording."""

    name: str
    keys: frozenset[str]
    parser: Callable[[Arrays], Recording]
    about: str = ""

    def fits(self, arrays: Arrays) -> bool:
        return self.keys <= arrays.keys()

    def recognises(self, folder: Path) -> bool:
        """By the keys of its first archive that can be opened; nothing else is read."""
        return any(self.keys <= keys for keys in itertools.islice(filter(None, map(keys_of, folder.glob("*.npz"))), 1))

    def subjects(self, root: Path | None) -> list[str]:
        return sorted((path.stem for path in self._folder(root).glob("*.npz")), key=natural)

    def load(self, root: Path | None, subject: str) -> Recording:
        path = self._folder(root) / f"{subject}.npz"
        arrays = load_arrays(path)
        if not self.fits(arrays):
            missing = ", ".join(sorted(self.keys - arrays.keys()))
            raise DatasetError(f"{path}: not a recording of {self.name!r}, it lacks {missing}: check --root")
        return self.parse(path, arrays)

    def parse(self, path: Path, arrays: Arrays) -> Recording:
        """Raises DatasetError where a field is missing or of a shape or kind that the layout does not have."""
        try:
            return self.parser(arrays)
        except KeyError as error:
            raise DatasetError(f"{path}: layout {self.name!r} needs the field {error}: fetch the file again") from None
        except (ValueError, TypeError, IndexError) as error:
            reason = str(error).splitlines()[0]
            raise DatasetError(f"{path}: a field is not as layout {self.name!r} has it ({reason})") from error

    def _folder(self, root: Path | None) -> Path:
        if root is None:
            raise UsageError(f"data set {self.name!r} needs the folder of its recordings: pass --root DIR")
        for folder in (root / self.name, root):
            if any(folder.glob("*.npz")):
                return folder
        raise DatasetError(f"{root}: holds no .npz recordings of {self.name!r}, nor does {root / self.name}: check --root")


def load_arrays(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """Every array of the archive, read through (so that a truncated one shows here). Raises DatasetError."""
    try:
        with path.open("rb") as file:  # ours, for numpy leaves it open where the archive is damaged
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                raise DatasetError(f"{path}: a single array, not an .npz archive of a recording")
            return {key: loaded[key] for key in loaded.files}
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such recording") from None
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise DatasetError(f"{path}: truncated or damaged .npz archive: fetch it again") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError:
        raise DatasetError(f"{path}: not an .npz archive of plain arrays (pickled content is never loaded)") from None


def keys_of(path: Path) -> frozenset[str]:
    """The names of the arrays in an archive; none where it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return frozenset(name.removesuffix(".npy") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return frozenset()


def text(arrays: Arrays, key: str) -> str:
    return str(arrays[key])


def physical(integers: npt.NDArray[np.generic], scale: npt.NDArray[np.generic], factor: float = 1.0) -> npt.NDArray[np.float32]:
    """(channels, n) float32 of integers (channels, n) times the scale of each channel (channels,) or one of all."""
    gain = np.asarray(scale, dtype=np.float64) * factor
    rows = np.atleast_2d(np.asarray(integers, dtype=np.float64))
    return (rows * (gain[:, None] if gain.ndim else gain)).astype(np.float32)


def details(arrays: Arrays, *keys: str) -> dict[str, str | float]:
    """The scalars among ``keys`` that are there, as text or number."""
    found: dict[str, str | float] = {}
    for key in keys:
        if key in arrays:
            value = arrays[key].item()
            found[key] = value if isinstance(value, str) else float(value)
    return found


def natural(stem: str) -> list[tuple[int, str]]:
    """S2 before S13."""
    return [(int(digits or 0), other) for digits, other in re.findall(r"(\d+)|(\D+)", stem)]
