"""EmbracePlus raw data: the Avro files of one session's ``raw_data/v6``, some minutes each, as one recording.

The schema is in the files (record ``rawData``: ``accelerometer``, ``eda``, ``temperature``, ``bvp``, ``tags``; each signal has
``timestampStart`` [us, UTC], ``samplingFrequency`` and its values). Acceleration comes in counts: before schema 6.5.0
``imuParams`` tells physical and digital range, since then a ``conversionFactor`` to g. Gyroscope, steps and systolic peaks
are not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from streamaffect.datasets import lattice, trials
from streamaffect.datasets.files import first_line, package
from streamaffect.datasets.npz import natural
from streamaffect.errors import DatasetError
from streamaffect.signals import Float64, Modality, Recording, Signal, StreamSpec

# record -> stream, modality, channels, unit
SENSORS: dict[str, tuple[str, Modality, tuple[str, ...], str]] = {
    "bvp": ("bvp", Modality.PPG, ("BVP",), "au"),
    "eda": ("eda", Modality.EDA, ("EDA",), "uS"),
    "temperature": ("temp", Modality.TEMP, ("TEMP",), "degC"),
    "accelerometer": ("acc", Modality.ACC, ("x", "y", "z"), "g"),
}
TRIALS = "trials.csv"
Session = Mapping[str, Any]


def read(folder: Path, subject: str) -> Recording:
    """All files of ``folder`` on one clock; NaN between them where the band was off. Trials as an E4's."""
    files = sorted(folder.glob("*.avro"), key=lambda path: natural(path.stem))
    sessions = [_session(path) for path in files]
    parts = {key: [_part(path, session, key) for path, session in zip(files, sessions, strict=True)] for key in SENSORS}
    there = {key: [part for part in found if part[1].size] for key, found in parts.items()}
    starts = [float(stamps[0]) for found in there.values() for stamps, _, _ in found]
    if not starts:
        raise DatasetError(f"{folder}: its {len(files)} .avro files hold no samples")
    origin = min(starts)
    signals = tuple(_signal(folder, key, found, origin) for key, found in there.items() if found)
    end_s = max(signal.end_s for signal in signals)
    presses = [micros / 1e6 - origin for session in sessions for micros in session["rawData"]["tags"]["tagsTimeMicros"]]
    table = folder / TRIALS
    found = trials.from_table(table) if table.is_file() else trials.from_presses(presses, end_s)
    meta: dict[str, str | float] = {"start_utc": origin, "files": float(len(files))}
    return Recording("empatica", subject, signals, trials.within(found, end_s), MappingProxyType(meta))


def _session(path: Path) -> Session:
    """The one record of a file."""
    fastavro = package("fastavro", "an EmbracePlus's .avro files")
    try:
        with path.open("rb") as file:
            session: Session = next(iter(fastavro.reader(file)))
            _ = session["rawData"]["tags"]["tagsTimeMicros"]
    except (KeyError, TypeError):
        raise DatasetError(f"{path}: an Avro file, but none of an EmbracePlus: it has no rawData with tags") from None
    except (ValueError, EOFError, StopIteration, IndexError, OverflowError) as error:
        raise DatasetError(f"{path}: truncated, damaged or no Avro file ({first_line(error)}): fetch it again") from error
    return session


def _part(path: Path, session: Session, key: str) -> tuple[Float64, Float64, float]:
    """Stamps (n,) [s, UTC], values (channels, n) and rate of one signal of one file; empty where it was off."""
    try:
        record = session["rawData"][key]
        columns: Sequence[Sequence[float]] = (
            [record["x"], record["y"], record["z"]] if key == "accelerometer" else [record["values"]]
        )
        values, rate = np.array(columns, np.float64), float(record["samplingFrequency"])
        if values.shape[1] and not rate > 0:
            raise DatasetError(f"{path}: {key} has samples, but a rate of {rate:g} Hz: fetch it again")
        if key == "accelerometer" and values.shape[1]:
            values *= _g_per_count(session, record["imuParams"])
        start_s = record["timestampStart"] / 1e6
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: {key} is not as an EmbracePlus writes it ({first_line(error)})") from error
    return start_s + np.arange(values.shape[1]) / max(rate, 1e-9), values, rate


def _g_per_count(session: Session, imu: Mapping[str, float]) -> float:
    version = tuple(session["schemaVersion"][part] for part in ("major", "minor", "patch"))
    if version >= (6, 5, 0):
        return float(imu["conversionFactor"])
    return float((imu["physicalMax"] - imu["physicalMin"]) / (imu["digitalMax"] - imu["digitalMin"]))


def _signal(folder: Path, key: str, parts: list[tuple[Float64, Float64, float]], origin: float) -> Signal:
    stream, modality, channels, unit = SENSORS[key]
    stamps, values = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts], axis=1)
    # Each file tells the rate as measured (64.0012 Hz): the grid is that of the device.
    rate = float(round(float(np.median([part[2] for part in parts])), 1))
    try:
        start_s, samples = lattice.on_grid(stamps, values, rate)
    except ValueError as error:
        raise DatasetError(f"{folder}: {key} {error}") from None
    return Signal(StreamSpec(stream, modality, channels, rate, unit), samples, start_s - origin)
