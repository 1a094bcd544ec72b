"""DREAMER: EEG and ECG of 23 people who watched 18 film clips and rated each.

Katsigiannis & Ramzan, DREAMER: A Database for Emotion Recognition Through EEG and ECG Signals From Wireless Low-cost
Off-the-Shelf Devices, IEEE JBHI 22(1), 2018; Zenodo, doi:10.5281/zenodo.546113, on request.

Known from the set's readme: one file ``DREAMER.mat``, a struct with ``Data`` {1x23 cell}, a person each: ``Age``,
``Gender``, ``EEG`` and ``ECG`` with ``baseline`` and ``stimuli`` {18x1 cell} of (samples, 14) and (samples, 2), and
``ScoreValence``, ``ScoreArousal``, ``ScoreDominance`` (18, 1), 1 to 5; EEG at 128 Hz, ECG at 256 Hz. Inferred: EEG in
microvolts with the EPOC's offset, and ECG in counts of the Shimmer2's converter (12 bit, 3 V, gain 175), for the readme
names no unit: the ECG's scale is a guess, its shape is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from streamaffect.datasets import matlab
from streamaffect.datasets.published import Clip, Published, Threshold, folder, joined, layout, rows
from streamaffect.errors import DatasetError
from streamaffect.signals import Float32, Modality, Recording, StreamSpec

FILE = "DREAMER.mat"
CLIPS = 18
SCALES = ("valence", "arousal", "dominance")
SITES = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")
SPECS = (
    StreamSpec("eeg", Modality.EEG, SITES, 128.0, "uV"),
    StreamSpec("ecg", Modality.ECG, ("ECG1", "ECG2"), 256.0, "uV"),
)
_ECG_UV_PER_COUNT = 3.0e6 / 4095 / 175  # Shimmer ECG user guide: 0..3 V in 12 bits after a gain of 175


@dataclass(frozen=True, slots=True)
class Dreamer(Published):
    """``scale`` gives the labels, "low" or "high" by ``threshold``; all three ratings go to ``meta`` (``c01/valence``).

    Before each clip ``c01`` lies the neutral film before it, trial ``c01-before``, unlabelled.
    """

    name: str
    scale: str = "valence"
    threshold: Threshold = Threshold(3.0)  # noqa: RUF009 -- frozen

    @property
    def about(self) -> str:
        return f"EEG 128 Hz, ECG 256 Hz; 18 film clips, low and high {self.scale}"

    def subjects(self, root: Path | None) -> list[str]:
        count = matlab.cells(folder(self.name, root, ("DREAMER",), FILE) / FILE, "DREAMER", "Data")
        return [str(number) for number in range(1, count + 1)]

    def load(self, root: Path | None, subject: str) -> Recording:
        path = folder(self.name, root, ("DREAMER",), FILE) / FILE
        if not subject.isdecimal():
            raise DatasetError(f"{path}: {self.name!r} numbers its people, there is no {subject!r}: give 1, 2, ...")
        person = matlab.cell(path, "DREAMER", "Data", int(subject) - 1)
        with layout(path, self.name):
            return self._recording(subject, person[0, 0])

    def _recording(self, subject: str, person: Any) -> Recording:
        ratings = {scale: _ratings(person, scale) for scale in SCALES}
        signals, trials = joined(SPECS, self._clips(person, ratings[self.scale]))
        meta: dict[str, str | float] = {"label": self.scale}
        meta |= {key.lower(): str(person[key].item()) for key in ("Age", "Gender")}
        meta |= {f"{_name(i)}/{scale}": float(score) for scale, scores in ratings.items() for i, score in enumerate(scores)}
        return Recording(self.name, subject, signals, trials, MappingProxyType(meta))

    def _clips(self, person: Any, ratings: Float32) -> Iterator[Clip]:
        for i in range(CLIPS):
            yield Clip(f"{_name(i)}-before", None, _samples(person, "baseline", i))
            yield Clip(_name(i), self.threshold(float(ratings[i])), _samples(person, "stimuli", i))


def _name(i: int) -> str:
    return f"c{i + 1:02d}"


def _ratings(person: Any, scale: str) -> Float32:
    scores = np.asarray(person[f"Score{scale.capitalize()}"], np.float32).ravel()
    if scores.shape != (CLIPS,) or not ((scores >= 1) & (scores <= 5)).all():
        raise ValueError(f"Score{scale.capitalize()} must be {CLIPS} ratings from 1 to 5")
    return scores


def _samples(person: Any, part: str, i: int) -> tuple[Float32, ...]:
    cells = [person[kind][0, 0][part].ravel() for kind in ("EEG", "ECG")]
    if any(len(clips) != CLIPS for clips in cells):
        raise ValueError(f"{part} has {len(cells[0])} and {len(cells[1])} clips, expected {CLIPS}")
    eeg, ecg = (rows(clips[i], len(spec.channels), f"{part} {i + 1}") for clips, spec in zip(cells, SPECS, strict=True))
    return eeg, ecg * np.float32(_ECG_UV_PER_COUNT)


DREAMER = tuple(Dreamer("dreamer" if scale == "valence" else f"dreamer-{scale}", scale) for scale in SCALES)
