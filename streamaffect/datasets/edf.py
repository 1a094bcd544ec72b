"""EDF, EDF+ and BDF files: mne reads samples and annotations, the header is read here.

mne brings all channels of a file to the highest rate among them, and continues a truncated file with what is there. So the
header (Kemp et al., Electroencephalography and Clinical Neurophysiology 82(5), 1992; www.edfplus.info) is read first: each
rate is then asked of mne for itself, and a file shorter than its header says is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from streamaffect import units
from streamaffect.datasets import channels, trials
from streamaffect.datasets.files import FileDataset, first_line, package
from streamaffect.errors import DatasetError
from streamaffect.signals import Float64, Modality, Recording, Signal, StreamSpec, Trial

_FIXED = 256  # bytes of the header, and of each signal's part of it
_WIDTHS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)  # of a signal's fields: label, transducer, unit, ranges, filter, samples, reserved
_LABEL, _UNIT, _SAMPLES = 0, 2, 8
_BYTES = {".edf": 2, ".bdf": 3}  # a sample
_TO_VOLT = {"uV": 1e-6, "µV": 1e-6, "μV": 1e-6, "mV": 1e-3}  # mne gives these in volts, all else in the file's own unit
_NO_TRIAL = ("BAD", "EDGE", "RECORDING STARTS", "RECORDING ENDS")  # annotations about the recording, not the person


@dataclass(frozen=True, slots=True)
class Channel:
    """One signal of the file as its header has it: ``rate`` in Hz, ``unit`` as written."""

    label: str
    unit: str
    rate: float

    def factor(self, modality: Modality, path: Path) -> float:
        """From what mne gives to the canonical unit. Raises DatasetError for a unit that is not one of ``modality``."""
        if (found := units.factor(modality, self.unit)) is None:
            known = ", ".join(units.spellings(modality))
            raise DatasetError(f"{path}: channel {self.label!r} is in {self.unit!r}, no unit of {modality} ({known})")
        return found / _TO_VOLT.get(self.unit, 1.0)


def header(path: Path) -> list[Channel]:
    """The channels but for annotations. Raises DatasetError for a file of another kind, discontinuous or truncated."""
    try:
        with path.open("rb") as file:
            fixed = file.read(_FIXED)
            count = _number(fixed[252:256])
            fields = _fields(file.read(_FIXED * count), count)
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such recording") from None
    except ValueError:
        kind = path.suffix[1:].upper()
        raise DatasetError(f"{path}: not an {kind} file, or its header is damaged: fetch it again") from None
    _check(path, fixed, fields)
    seconds = float(fixed[244:252])
    found = (Channel(each[_LABEL], each[_UNIT], int(each[_SAMPLES]) / seconds) for each in fields)
    return [channel for channel in found if not channel.label.endswith("Annotations")]


def _number(text: bytes) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(number)
    return number


def _fields(raw: bytes, count: int) -> list[tuple[str, ...]]:
    """The header keeps the first field of all signals, then the second of all, and so on."""
    if len(raw) < _FIXED * count:
        raise ValueError("short")
    columns, at = [], 0
    for width in _WIDTHS:
        columns.append([raw[at + i * width : at + (i + 1) * width].decode("latin-1").strip() for i in range(count)])
        at += width * count
    for text in columns[_SAMPLES]:
        _number(text.encode())
    return list(zip(*columns, strict=True))


def _check(path: Path, fixed: bytes, fields: list[tuple[str, ...]]) -> None:
    try:
        records, seconds = int(fixed[236:244]), float(fixed[244:252])
    except ValueError:
        raise DatasetError(f"{path}: its header does not say how long it is: fetch it again") from None
    if fixed[192:197] in (b"EDF+D", b"BDF+D"):
        raise DatasetError(f"{path}: is discontinuous (EDF+D), which is not read: export it as continuous EDF+C")
    if not seconds > 0:
        raise DatasetError(f"{path}: holds annotations alone, no signals")
    record = _BYTES.get(path.suffix.lower(), 2) * sum(int(each[_SAMPLES]) for each in fields)
    expected, there = _FIXED * (1 + len(fields)) + max(records, 0) * record, path.stat().st_size
    if records < 1 or there < expected:
        share = f"{there:,} of {expected:,} bytes are there" if records > 0 else "the recorder never finished it"
        raise DatasetError(f"{path}: truncated, {share}: fetch it again")


def samples(path: Path, wanted: Sequence[Channel]) -> Float64:
    """(channels, n) of channels of one rate, as mne gives them: times :meth:`Channel.factor` they are in our unit."""
    raw = _open(path, [channel.label for channel in wanted])
    rows = {name: row for row, name in enumerate(raw.ch_names)}
    return np.asarray(raw.get_data(picks=[rows[channel.label] for channel in wanted], verbose="error"))


def _open(path: Path, labels: list[str]) -> Any:
    """mne's Raw of these channels alone."""
    io = package("mne.io", "EDF and BDF files")
    reader = io.read_raw_bdf if path.suffix.lower() == ".bdf" else io.read_raw_edf
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on dates and filters, which are not used here
            return reader(path, include=labels, stim_channel=None, preload=False, encoding="latin-1", verbose="error")
    except (ValueError, RuntimeError, KeyError, IndexError, UnicodeDecodeError, NotImplementedError) as error:
        raise DatasetError(f"{path}: cannot be read ({first_line(error)})") from error


def streams(path: Path, found: list[Channel]) -> tuple[tuple[Signal, ...], list[str]]:
    """A Signal for each modality and rate, and the labels of channels that none is made of.

    Raises DatasetError where no channel is known by its label, or two of a stream have the same one.
    """
    known = [(*guess, channel) for channel in found if (guess := channels.guess(channel.label))]
    if not known:
        labels = ", ".join(channel.label for channel in found[:8])
        raise DatasetError(f"{path}: no channel is known by its label (it has {labels}): name them like Fp1, ECG, EDA, RESP")
    signals: list[Signal] = []
    order = {modality: place for place, modality in enumerate(Modality)}
    known.sort(key=lambda each: (order[each[0]], -each[2].rate))
    for (modality, rate), group in groupby(known, key=lambda each: (each[0], each[2].rate)):
        members = list(group)
        names = tuple(name for _, name, _ in members)
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DatasetError(f"{path}: has two channels {twice!r}: rename or remove one of them")
        plain = samples(path, [channel for *_, channel in members])
        gains = np.array([channel.factor(modality, path) for *_, channel in members])
        name = str(modality) if all(s.spec.modality is not modality for s in signals) else f"{modality}-{rate:g}"
        spec = StreamSpec(name, modality, names, rate, units.CANONICAL[modality])
        signals.append(Signal(spec, np.ascontiguousarray(plain * gains[:, None], np.float32)))
    taken = {channel.label for *_, channel in known}
    return tuple(signals), [channel.label for channel in found if channel.label not in taken]


def noted(path: Path, label: str, end_s: float) -> tuple[Trial, ...]:
    """Annotations as trials: those with a duration as they are, those without each until the next such one."""
    notes = _open(path, [label]).annotations
    told = [
        (str(text).strip(), float(onset), float(duration))
        for onset, duration, text in zip(notes.onset, notes.duration, notes.description, strict=True)
        if not str(text).strip().upper().startswith(_NO_TRIAL)
    ]
    long = trials.spans((text, text, onset, onset + duration) for text, onset, duration in told if duration > 0 and text)
    marks = trials.from_marks(((onset, text) for text, onset, duration in told if duration <= 0), end_s)
    return trials.within(trials.spans((t.label or t.name, t.label, t.start_s, t.end_s) for t in (*long, *marks)), end_s)


def read(path: Path, dataset: str) -> Recording:
    """Any EDF or BDF file: channel types by label, annotations as trials, the labels left aside in ``meta``."""
    found = header(path)
    signals, unused = streams(path, found)
    meta: dict[str, str | float] = {"unused_channels": ", ".join(unused)} if unused else {}
    end_s = max(signal.end_s for signal in signals)
    return Recording(dataset, path.stem, signals, noted(path, found[0].label, end_s), MappingProxyType(meta))


EDF = FileDataset("edf", (".edf",), lambda path: read(path, "edf"), "EDF and EDF+ files, channel types by their labels")
BDF = FileDataset("bdf", (".bdf",), lambda path: read(path, "bdf"), "BioSemi BDF files, channel types by their labels")
