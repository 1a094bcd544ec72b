"""AMIGOS: EEG, ECG and skin response of 40 people who watched 16 short and 4 long videos and rated each.

Miranda-Correa et al., AMIGOS: A Dataset for Affect, Personality and Mood Research on Individuals and Groups, IEEE TAFFC
12(2), 2021; www.eecs.qmul.ac.uk/mmv/datasets/amigos, by agreement.

Known: ``Data_Preprocessed_P01.mat`` .. ``P40`` (each packed in a folder of its name), with 1x20 cells ``VideoIDs``,
``joined_data`` (samples, 17) at 128 Hz: EEG 1-14, ECG right and left arm 15-16, skin response 17;
``labels_selfassessment`` (1, 12): arousal, valence, dominance, liking, familiarity 1 to 9 and seven emotions 0 or 1;
``labels_ext_annotation``. The first 5 s of each video are its baseline. People 8, 24, 28 saw no long videos (and 32 rated
none): their cells are empty; some signals are NaN. Inferred: EEG in microvolts, ECG in millivolts as the Shimmer driver
calibrates. The unit of the skin response is not documented: it is kept as it is, without a unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from streamaffect.datasets import matlab
from streamaffect.datasets.dreamer import SITES
from streamaffect.datasets.npz import natural
from streamaffect.datasets.published import (
    Clip,
    Distributions,
    Published,
    Threshold,
    folder,
    joined,
    layout,
    rows,
    shares,
)
from streamaffect.errors import DatasetError
from streamaffect.signals import Float32, Modality, Recording, StreamSpec

RATE = 128.0
LEAD_S = 5.0
VIDEOS = 20
SCALES = ("arousal", "valence", "dominance", "liking", "familiarity")
EMOTIONS = ("neutral", "disgust", "happiness", "surprise", "anger", "fear", "sadness")
SPECS = (
    StreamSpec("eeg", Modality.EEG, SITES, RATE, "uV"),
    StreamSpec("ecg", Modality.ECG, ("ECG right", "ECG left"), RATE, "uV"),
    StreamSpec("eda", Modality.EDA, ("GSR",), RATE),
)
_COLUMNS = (slice(0, 14), slice(14, 16), slice(16, 17))
_GAIN = (1.0, 1000.0, 1.0)
_PLACES = ("data_preprocessed", "AMIGOS/data_preprocessed", "AMIGOS")
_PATTERNS = ("Data_Preprocessed_P*.mat", "Data_Preprocessed_P*/Data_Preprocessed_P*.mat")


@dataclass(frozen=True, slots=True)
class Amigos(Published):
    """``scale`` gives the labels, "low" or "high" by ``threshold``; all ratings go to ``meta`` (``v01/valence``), the emotions
    that were ticked to the distribution ``emotions``. Videos that were not seen are not there; one that was not rated is
    unlabelled. NaN stays NaN, which is a hole downstream.
    """

    name: str
    scale: str = "valence"
    threshold: Threshold = Threshold(5.0)  # noqa: RUF009 -- frozen

    @property
    def about(self) -> str:
        return f"EEG, ECG, skin response 128 Hz; 20 videos, low and high {self.scale}, emotions"

    def subjects(self, root: Path | None) -> list[str]:
        return sorted(self._files(root), key=natural)

    def load(self, root: Path | None, subject: str) -> Recording:
        files = self._files(root)
        if subject not in files:
            raise DatasetError(f"{root}: no Data_Preprocessed_{subject}.mat: there are {', '.join(sorted(files, key=natural))}")
        content = matlab.load(files[subject], "joined_data", "labels_selfassessment", "VideoIDs")
        with layout(files[subject], self.name):
            return self._recording(subject, content)

    def _files(self, root: Path | None) -> dict[str, Path]:
        place = folder(self.name, root, _PLACES, *_PATTERNS)
        found = (path for pattern in _PATTERNS for path in sorted(place.glob(pattern)))
        return {match[1]: path for path in found if (match := re.fullmatch(r"Data_Preprocessed_(P\d+)", path.stem))}

    def _recording(self, subject: str, content: dict[str, Any]) -> Recording:
        data, marks, ids = (content[key].ravel() for key in ("joined_data", "labels_selfassessment", "VideoIDs"))
        if not len(data) == len(marks) == len(ids) == VIDEOS:
            raise ValueError(
                f"joined_data, labels and VideoIDs have {len(data)}, {len(marks)}, {len(ids)} videos, not {VIDEOS}"
            )
        ratings = [_ratings(cell) for cell in marks]
        signals, trials = joined(SPECS, self._clips(data, ratings))
        meta: dict[str, str | float] = {"label": self.scale}
        for i, rating in enumerate(ratings):
            if data[i].size:
                meta |= {f"{_name(i)}/video": str(ids[i].item()) if ids[i].size else ""}
                meta |= {f"{_name(i)}/{scale}": rating[scale] for scale in SCALES if np.isfinite(rating[scale])}
        return Recording(self.name, subject, signals, trials, MappingProxyType(meta))

    def _clips(self, data: Any, ratings: list[dict[str, float]]) -> Iterator[Clip]:
        for i, rating in enumerate(ratings):
            if data[i].size:
                emotions = shares({emotion: rating[emotion] for emotion in EMOTIONS})
                distributions: Distributions = {"emotions": MappingProxyType(emotions)} if emotions else {}
                label = self.threshold(rating[self.scale])
                yield Clip(_name(i), label, _samples(data[i], i), LEAD_S, MappingProxyType(distributions))


def _name(i: int) -> str:
    return f"v{i + 1:02d}"


def _ratings(cell: Any) -> dict[str, float]:
    """By name; NaN where the cell is empty."""
    names = (*SCALES, *EMOTIONS)
    values = np.asarray(cell, np.float64).ravel() if cell.size else np.full(len(names), np.nan)
    if len(values) != len(names):
        raise ValueError(f"a self-assessment has {len(values)} values, expected {len(names)}")
    return dict(zip(names, values.tolist(), strict=True))


def _samples(video: Any, i: int) -> tuple[Float32, ...]:
    whole = rows(video, 17, f"video {i + 1}")
    return tuple(whole[part] * np.float32(gain) for part, gain in zip(_COLUMNS, _GAIN, strict=True))


AMIGOS = tuple(
    Amigos("amigos" if scale == "valence" else f"amigos-{scale}", scale) for scale in ("valence", "arousal", "dominance")
)
