"""EEGMAT as PhysioNet publishes it: ``Subject00_1.edf`` (rest), ``Subject00_2.edf`` (arithmetic), ``subject-info.csv``.

The same recording as :mod:`.eegmat` makes of its ``.npz``, but for the rate: 500 Hz. Source and licence: see there.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamaffect.datasets import edf
from streamaffect.datasets.eegmat import RUNS, join
from streamaffect.datasets.files import folder_of
from streamaffect.datasets.npz import natural
from streamaffect.errors import DatasetError
from streamaffect.signals import Float32, Modality, Recording

ENDINGS = dict(zip(RUNS, ("_1", "_2"), strict=True))
INFO = "subject-info.csv"
# The columns of INFO that are kept, and what our .npz calls them.
COLUMNS = {"Age": "age", "Gender": "gender", "Number of subtractions": "n_subtractions", "Count quality": "count_quality"}


@dataclass(frozen=True, slots=True)
class EegmatEdf:
    """A folder of pairs of EDF files. ``subject-info.csv`` may be missing: age, gender and counting are then not known."""

    name: str = "eegmat_edf"
    about: str = "EEGMAT as published: 19-channel EEG and ECG at rest and in mental arithmetic, two .edf a subject"

    def recognises(self, folder: Path) -> bool:
        return any(folder.glob("Subject*_1.edf"))

    def subjects(self, root: Path | None) -> list[str]:
        folder = folder_of(root, self.name, self.recognises, "Subject*_1.edf files")
        return sorted((path.stem.removesuffix("_1") for path in folder.glob("Subject*_1.edf")), key=natural)

    def load(self, root: Path | None, subject: str) -> Recording:
        folder = folder_of(root, self.name, self.recognises, "Subject*_1.edf files")
        runs, layouts = {}, {}
        for run, ending in ENDINGS.items():
            path = folder / f"{subject}{ending}.edf"
            (sites, rates), runs[run] = _run(path)
            layouts[path] = sites, rates
        (sites, rates), other = layouts.values()
        if (sites, rates) != other:
            raise DatasetError(f"{path}: channels or rates are others than those of the rest before: fetch both again")
        return join(subject, sites, rates, runs, _info(folder / INFO, subject))


Layout = tuple[tuple[str, ...], tuple[float, float]]


def _run(path: Path) -> tuple[Layout, tuple[Float32, Float32]]:
    """Sites and the rates of EEG and ECG; the samples of both."""
    signals, _ = edf.streams(path, edf.header(path))
    found = {signal.spec.modality: signal for signal in signals}
    if missing := [str(modality) for modality in (Modality.EEG, Modality.ECG) if modality not in found]:
        raise DatasetError(f"{path}: no file of EEGMAT, it has no {' nor '.join(missing)}: check --root")
    eeg, ecg = found[Modality.EEG], found[Modality.ECG]
    return (eeg.spec.channels, (eeg.spec.rate, ecg.spec.rate)), (eeg.samples, np.ascontiguousarray(ecg.samples[:1]))


def _info(path: Path, subject: str) -> dict[str, str | float]:
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        row = next((row for row in csv.DictReader(file) if row.get("Subject") == subject), None)
    if row is None:
        raise DatasetError(f"{path}: has no line of {subject!r}: fetch it again, or take it away")
    return {ours: _value(row[theirs]) for theirs, ours in COLUMNS.items() if row.get(theirs)}


def _value(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


EEGMAT_EDF = EegmatEdf()
