"""Empatica wristbands: one folder a session as exported, an E4's CSV files (zipped or not) or an EmbracePlus's Avro files.

E4 (``info.txt`` of each export): ``BVP.csv EDA.csv TEMP.csv ACC.csv``, first row the start in UTC, second row the rate;
ACC in 1/64 g; ``IBI.csv`` and ``tags.csv`` (presses of the button, UTC). A ``trials.csv`` beside them names the trials, in
seconds from the start; without one, each press begins a trial that is not labelled. EmbracePlus: see :mod:`.embrace`.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from streamaffect.datasets import embrace, trials
from streamaffect.datasets.files import first_line, folder_of
from streamaffect.datasets.npz import natural
from streamaffect.errors import DatasetError
from streamaffect.signals import Float64, Modality, Recording, Signal, StreamSpec, Trial

# file -> stream, modality, channels, unit, factor to it
SENSORS: dict[str, tuple[str, Modality, tuple[str, ...], str, float]] = {
    "BVP.csv": ("bvp", Modality.PPG, ("BVP",), "au", 1.0),
    "EDA.csv": ("eda", Modality.EDA, ("EDA",), "uS", 1.0),
    "TEMP.csv": ("temp", Modality.TEMP, ("TEMP",), "degC", 1.0),
    "ACC.csv": ("acc", Modality.ACC, ("x", "y", "z"), "g", 1 / 64),
}
TRIALS = "trials.csv"
Read = Callable[[str], str | None]  # the text of a file of the session, None where it is not there


@dataclass(frozen=True, slots=True)
class Empatica:
    """Sessions under a folder; the folder may be a session itself. A subject is the name of a session's folder."""

    name: str = "empatica"
    about: str = "Empatica E4 exports (folder or .zip of CSV) and EmbracePlus raw data (Avro)"

    def recognises(self, folder: Path) -> bool:
        return next(self._sessions(folder), None) is not None

    def subjects(self, root: Path | None) -> list[str]:
        folder = folder_of(root, self.name, self.recognises, "sessions")
        return sorted({subject for subject, _ in self._sessions(folder)}, key=natural)

    def load(self, root: Path | None, subject: str) -> Recording:
        folder = folder_of(root, self.name, self.recognises, "sessions")
        for name, path in self._sessions(folder):
            if name == subject:
                return self.read(path)
        raise DatasetError(f"{folder}: holds no session {subject!r}: check --subject")

    def takes(self, path: Path) -> bool:
        return path.suffix.lower() == ".zip"

    def read(self, path: Path) -> Recording:
        """One session: an E4's zip or folder, or an EmbracePlus's folder of Avro files."""
        if any(path.glob("*.avro")):
            return embrace.read(path, _subject(path))
        with _opened(path) as read:
            return _e4(path, read)

    def _sessions(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Subject and path of every session in ``folder``, or of the one that it is."""
        if _is_e4(folder):
            yield folder.name, folder
            return
        for path in sorted(folder.iterdir()):
            if (path.is_dir() and _is_e4(path)) or (path.suffix == ".zip" and _holds_e4(path)):
                yield path.stem if path.is_file() else path.name, path
        found = sorted({file.parent for file in folder.glob("**/raw_data/*/*.avro")})
        names = [_subject(path) for path in found]
        for path, name in zip(found, names, strict=True):
            # The same wearer on several days: participant_data/DATE/NAME/raw_data/v6
            yield (name if names.count(name) == 1 else f"{path.parents[2].name}_{name}"), path


def _subject(avro: Path) -> str:
    return avro.parents[1].name if avro.parent.name == "raw_data" else avro.name


def _is_e4(folder: Path) -> bool:
    return sum((folder / name).is_file() for name in SENSORS) >= 1 and not (folder / "raw_data").exists()


def _holds_e4(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(Path(name).name in SENSORS for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return True  # damaged: named when it is read


@contextmanager
def _opened(path: Path) -> Iterator[Read]:
    """The session's files by name, out of a folder or a zip."""
    try:
        if path.is_dir():
            yield lambda name: (path / name).read_text("utf-8-sig") if (path / name).is_file() else None
            return
        with zipfile.ZipFile(path) as archive:
            inside = {Path(name).name: name for name in archive.namelist()}
            yield lambda name: archive.read(inside[name]).decode("utf-8-sig") if name in inside else None
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such recording") from None
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise DatasetError(f"{path}: truncated or damaged .zip archive: fetch it again") from None
    except (RuntimeError, NotImplementedError) as error:
        raise DatasetError(f"{path}: cannot be unpacked ({first_line(error)}): unpack it to a folder") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path}: not the files of an E4, which are plain text: fetch the session again") from None


def _e4(path: Path, read: Read) -> Recording:
    starts: list[float] = []
    parts: list[tuple[StreamSpec, Float64]] = []
    for name, (stream, modality, channels, unit, factor) in SENSORS.items():
        if (content := read(name)) is not None:
            start_utc, rate, samples = _table(path / name, content, len(channels))
            starts.append(start_utc)
            parts.append((StreamSpec(stream, modality, channels, rate, unit), samples * factor))
    if not parts:
        raise DatasetError(f"{path}: no session of an E4, it has none of {', '.join(SENSORS)}")
    origin = min(starts)
    signals = tuple(
        Signal(spec, np.ascontiguousarray(samples, np.float32), start - origin)
        for start, (spec, samples) in zip(starts, parts, strict=True)
    )
    end_s = max(signal.end_s for signal in signals)
    meta: dict[str, str | float] = {"start_utc": origin, **_ibi(path / "IBI.csv", read("IBI.csv"))}
    subject = path.stem if path.is_file() else path.name
    return Recording("empatica", subject, signals, _trials(path, read, origin, end_s), MappingProxyType(meta))


def _table(path: Path, content: str, columns: int) -> tuple[float, float, Float64]:
    """Start in UTC, rate, (columns, n). Raises DatasetError with what is wrong with the file."""
    cells = _cells(content)
    if len(cells) < 3:
        raise DatasetError(f"{path}: holds no samples: fetch the session again, or take the file away")
    try:
        rows = np.array(cells, np.float64)
    except ValueError:
        raise DatasetError(f"{path}: not a CSV file of an E4 ({_odd(cells, columns)}): fetch the session again") from None
    if rows.shape[1] != columns:
        raise DatasetError(f"{path}: has {rows.shape[1]} columns, an E4 writes {columns}: fetch the session again")
    start_utc, rate = rows[0, 0], rows[1, 0]
    if not (start_utc > 1e8 and 0 < rate <= 1024):
        raise DatasetError(f"{path}: begins with {start_utc:g} and {rate:g}, no start in UTC and no rate: is it an E4's?")
    return float(start_utc), float(rate), rows[2:].T


def _cells(content: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.rstrip(", ").split(",")] for line in content.splitlines() if line.strip()]


def _odd(cells: list[list[str]], columns: int) -> str:
    """The first line that is not as many numbers as there are columns."""
    for number, parts in enumerate(cells, 1):
        if len(parts) != columns or not all(_is_number(part) for part in parts):
            return f"line {number} is {','.join(parts)[:40]!r}"
    return "lines differ in length"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _ibi(path: Path, content: str | None) -> dict[str, str | float]:
    """How many beats the band was sure of, and their mean distance; the file is empty where there are none."""
    if len(cells := _cells(content or "")) < 2:
        return {}
    try:
        lengths = [float(cell[1]) for cell in cells[1:]]
    except (ValueError, IndexError):
        raise DatasetError(f"{path}: not the IBI.csv of an E4: fetch the session again, or take the file away") from None
    return {"ibi_count": float(len(lengths)), "ibi_mean_s": float(np.mean(lengths))}


def _trials(path: Path, read: Read, origin: float, end_s: float) -> tuple[Trial, ...]:
    if (path / TRIALS).is_file() or path.with_suffix(f".{TRIALS}").is_file():
        table = path / TRIALS if path.is_dir() else path.with_suffix(f".{TRIALS}")
        return trials.within(trials.from_table(table), end_s)
    try:
        presses = [float(cell[0]) - origin for cell in _cells(read("tags.csv") or "")]
    except ValueError:
        raise DatasetError(f"{path / 'tags.csv'}: not the tags.csv of an E4, its lines must be UTC seconds") from None
    return trials.within(trials.from_presses(presses, end_s), end_s)


EMPATICA = Empatica()
