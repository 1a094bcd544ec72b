"""DMER: EEG, skin response and pulse of people who watched 32 clips and reported mixed emotions: distributions.

Yang et al., A Multimodal Dataset for Mixed Emotion Recognition, Scientific Data 11, 847, 2024,
doi:10.1038/s41597-024-03676-4; Zenodo 7385297, by request. HeLo and EmotionDict are evaluated on it.

The layout of the published archive could not be established from public sources. This reads what the authors' own code reads
(github.com/shinyfang/EmotionDict, utils/extract_feas.py), known from there: ``MixedEmoR/1/datas.mat``, a folder a person, with
``eeg_datas`` (18 channels and the clip's number, samples) at 300 Hz, ``gsr_datas`` (2, samples) at 4 Hz, ``ppg_datas`` (2,
samples) at 100 Hz, the last row each time the number, 0 to 31, 40 or more being rest; ``dis_label`` (32, classes).
Inferred: ten classes are those of HeLo's figure 4, in its order; EEG in microvolts. Not known: the electrodes' names (they
are numbered here) and the unit of the skin response (none is given). The features of that code (``datas_all_fea_1.mat``)
are shuffled across clips and cannot be split by trial: not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from streamaffect.datasets import matlab
from streamaffect.datasets.npz import natural
from streamaffect.datasets.published import Published, columns, folder, layout, shares
from streamaffect.signals import Float32, Modality, Recording, Signal, StreamSpec, Trial

CLIPS = 32
CLASSES = ("inspired", "alert", "excited", "enthusiastic", "determined", "afraid", "upset", "nervous", "scared", "distressed")
SPECS = {
    "eeg_datas": StreamSpec("eeg", Modality.EEG, tuple(f"EEG{i}" for i in range(1, 19)), 300.0, "uV"),
    "gsr_datas": StreamSpec("eda", Modality.EDA, ("GSR",), 4.0),
    "ppg_datas": StreamSpec("ppg", Modality.PPG, ("PPG",), 100.0, "au"),
}
_SLACK_S = 2.0  # by which the streams' ends may differ


@dataclass(frozen=True, slots=True)
class Dmer(Published):
    """One recording a person, as it was recorded. Trials ``v01`` .. ``v32`` carry the distribution ``emotions``; their label is
    its strongest emotion, the first of equals."""

    name: str = "dmer"
    about: str = "EEG 300 Hz, PPG 100 Hz, skin response 4 Hz; 32 clips with distributions over ten emotions"

    def subjects(self, root: Path | None) -> list[str]:
        return sorted((path.parent.name for path in self._folder(root).glob("*/datas.mat")), key=natural)

    def load(self, root: Path | None, subject: str) -> Recording:
        path = self._folder(root) / subject / "datas.mat"
        content = matlab.load(path, *SPECS, "dis_label")
        with layout(path, self.name):
            signals, number = _signals(content)
            trials = _trials(number, _distributions(content["dis_label"]))
        return Recording(self.name, subject, signals, trials)

    def _folder(self, root: Path | None) -> Path:
        return folder(self.name, root, ("MixedEmoR", "DMER/MixedEmoR"), "*/datas.mat")


def _signals(content: Mapping[str, Any]) -> tuple[tuple[Signal, ...], Float32]:
    """The streams, and the clip's number at each sample of the EEG."""
    whole = {key: columns(content[key], len(spec.channels) + 1, key) for key, spec in SPECS.items()}
    signals = tuple(Signal(spec, np.ascontiguousarray(whole[key][:-1])) for key, spec in SPECS.items())
    ends = [signal.end_s for signal in signals]
    if max(ends) - min(ends) > _SLACK_S:
        raise ValueError(f"EEG, GSR and PPG end at {', '.join(f'{end:.1f}' for end in ends)} s")
    return signals, whole["eeg_datas"][-1]


def _distributions(label: Any) -> list[dict[str, float]]:
    if label.shape != (CLIPS, len(CLASSES)):
        raise ValueError(f"dis_label has shape {label.shape}, expected ({CLIPS}, {len(CLASSES)})")
    known = [shares(dict(zip(CLASSES, row.tolist(), strict=True))) for row in label]
    if not all(known):
        raise ValueError("dis_label has a row that is no distribution: negative, missing or all 0")
    return known


def _trials(number: Float32, distributions: list[dict[str, float]]) -> tuple[Trial, ...]:
    rate = SPECS["eeg_datas"].rate
    edges = np.flatnonzero(np.diff(number, prepend=-1, append=-1))
    seen: Counter[int] = Counter()
    trials = []
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        clip = int(number[start])
        if 0 <= clip < CLIPS:
            seen[clip] += 1
            name = f"v{clip + 1:02d}" + (f"-{seen[clip]}" if seen[clip] > 1 else "")
            emotions = distributions[clip]
            strongest = max(emotions, key=lambda emotion: emotions[emotion])
            trials.append(
                Trial(name, strongest, start / rate, end / rate, MappingProxyType({"emotions": MappingProxyType(emotions)}))
            )
    if missing := [str(clip + 1) for clip in range(CLIPS) if clip not in seen]:
        raise ValueError(f"clip {', '.join(missing)} of {CLIPS} was not recorded")
    return tuple(trials)


DMER = Dmer()
