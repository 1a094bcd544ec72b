"""WESAD: chest strap and wristband of 15 people at rest, under stress, amused and in meditation; the synchronised files.

Schmidt et al., Introducing WESAD, a Multimodal Dataset for Wearable Stress and Affect Detection, ICMI 2018,
doi:10.1145/3242969.3242985; UCI 465, CC BY 4.0.

Known from wesad_readme.pdf: ``S2/S2.pkl`` .. ``S17`` (not 12), written by Python 2: ``subject``; ``label`` (n,) at 700 Hz: 1
baseline, 2 stress, 3 amusement, 4 meditation, the rest to be ignored; ``signal``: ``chest`` (RespiBAN, 700 Hz) with ``ACC``
(n, 3) [g], ``ECG``, ``EMG`` [mV], ``EDA`` [uS], ``Temp`` [degC], ``Resp`` [%], each (n, 1); ``wrist`` (Empatica E4) with
``ACC`` [1/64 g] 32 Hz, ``BVP`` 64 Hz, ``EDA`` [uS] and ``TEMP`` [degC] 4 Hz. ``S2/S2_quest.csv``: the conditions in their
``# ORDER``, and for each of these, in that order, a row ``# PANAS`` (items 1 to 5), ``# STAI`` (1 to 4), ``# DIM``
(self-assessment manikins: valence, arousal, 1 to 9); ``# SSSQ`` after stress alone. Inferred: that both devices' arrays
start together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from streamaffect.datasets import pickles
from streamaffect.datasets.npz import natural
from streamaffect.datasets.published import Distributions, Published, folder, layout, rows, shares
from streamaffect.errors import DatasetError
from streamaffect.signals import Modality, Recording, Signal, StreamSpec, Trial

LABEL_RATE = 700.0
CONDITIONS = {1: "baseline", 2: "stress", 3: "amusement", 4: "meditation"}
IN_ORDER = {"Base": "baseline", "TSST": "stress", "Fun": "amusement", "Medi 1": "meditation", "Medi 2": "meditation"}
# The last two were asked after stress alone.
PANAS = (
    *("active", "distressed", "interested", "inspired", "annoyed", "strong", "guilty", "scared", "hostile", "excited"),
    *("proud", "irritable", "enthusiastic", "ashamed", "alert", "nervous", "determined", "attentive", "jittery", "afraid"),
    *("stressed", "frustrated", "happy", "sad", "angry", "irritated"),
)
STAI = ("at ease", "nervous", "jittery", "relaxed", "worried", "pleasant")
DIM = ("valence", "arousal")
_RATED = {"PANAS": PANAS, "STAI": STAI, "DIM": DIM, "SSSQ": tuple(str(i) for i in range(1, 7))}
_SLACK_S = 5.0  # by which the devices' ends may differ

# (device, field) -> stream, and what its samples are multiplied by
_CHEST: dict[tuple[str, str], tuple[StreamSpec, float]] = {
    ("chest", "ECG"): (StreamSpec("chest-ecg", Modality.ECG, ("ECG",), LABEL_RATE, "uV"), 1000.0),
    ("chest", "EDA"): (StreamSpec("chest-eda", Modality.EDA, ("EDA",), LABEL_RATE, "uS"), 1.0),
    ("chest", "EMG"): (StreamSpec("chest-emg", Modality.EMG, ("EMG",), LABEL_RATE, "uV"), 1000.0),
    ("chest", "Resp"): (StreamSpec("chest-resp", Modality.RESP, ("Resp",), LABEL_RATE, "%"), 1.0),
    ("chest", "Temp"): (StreamSpec("chest-temp", Modality.TEMP, ("TEMP",), LABEL_RATE, "degC"), 1.0),
    ("chest", "ACC"): (StreamSpec("chest-acc", Modality.ACC, ("x", "y", "z"), LABEL_RATE, "g"), 1.0),
}
_WRIST: dict[tuple[str, str], tuple[StreamSpec, float]] = {
    ("wrist", "BVP"): (StreamSpec("wrist-bvp", Modality.PPG, ("BVP",), 64.0, "au"), 1.0),
    ("wrist", "EDA"): (StreamSpec("wrist-eda", Modality.EDA, ("EDA",), 4.0, "uS"), 1.0),
    ("wrist", "TEMP"): (StreamSpec("wrist-temp", Modality.TEMP, ("TEMP",), 4.0, "degC"), 1.0),
    ("wrist", "ACC"): (StreamSpec("wrist-acc", Modality.ACC, ("x", "y", "z"), 32.0, "g"), 1 / 64),
}

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Wesad(Published):
    """Both devices in one recording. Whoever takes the first stream of a modality (training does) gets EDA, temperature and
    acceleration from the device that ``streams`` names first: ``wesad`` the chest, ``wesad_e4`` the wrist.

    Trials, distributions and ``meta`` are those of :mod:`.wrist`: ``stress/panas.afraid``, ``stress/sam.valence``,
    ``stress/stai.nervous``, ``stress/sssq.1``. Without a questionnaire there are none, and ``meta`` says so.
    """

    name: str = "wesad"
    about: str = "ECG, EMG, EDA, RESP, TEMP, ACC at 700 Hz, wristband; baseline, stress, amusement, meditation; PANAS"
    streams: Mapping[tuple[str, str], tuple[StreamSpec, float]] = field(default_factory=lambda: {**_CHEST, **_WRIST})

    def subjects(self, root: Path | None) -> list[str]:
        there = (path.stem for path in self._folder(root).glob("S*/S*.pkl") if path.stem == path.parent.name)
        return sorted(there, key=natural)

    def load(self, root: Path | None, subject: str) -> Recording:
        path = self._folder(root) / subject / f"{subject}.pkl"
        content = pickles.load(path)
        with layout(path, self.name):
            if content["subject"] != subject:
                raise ValueError(f"it says to be of {content['subject']!r}")
            signals = tuple(self._signals(content["signal"]))
            trials = _trials(np.asarray(content["label"]).ravel())
            _check_ends(signals, len(content["label"]))
        return self._reported(path.with_name(f"{subject}_quest.csv"), Recording(self.name, subject, signals, trials))

    def _folder(self, root: Path | None) -> Path:
        return folder(self.name, root, ("WESAD",), "S*/S*.pkl")

    def _signals(self, devices: Any) -> Iterator[Signal]:
        for (device, sensor), (spec, gain) in self.streams.items():
            samples = rows(devices[device].pop(sensor), len(spec.channels), f"{device} {sensor}")
            yield Signal(spec, samples if gain == 1 else samples * np.float32(gain))

    def _reported(self, path: Path, recording: Recording) -> Recording:
        meta: dict[str, str | float] = {"licence": "CC BY 4.0"}
        if not path.exists():
            return replace(recording, meta=MappingProxyType({**meta, "questionnaire": f"missing: {path.name}"}))
        with layout(path, self.name):
            answers = questionnaire(path.read_text("latin-1"))
        trials = []
        for trial in recording.trials:
            if trial.name not in answers:
                raise DatasetError(f"{path}: its order of conditions lacks {trial.name}: is it {recording.subject}'s?")
            trials.append(replace(trial, distributions=_panas(answers[trial.name]["PANAS"])))
            meta |= _meta(trial.name, answers[trial.name])
        return replace(recording, trials=tuple(trials), meta=MappingProxyType(meta))


def _panas(scores: Scores) -> Distributions:
    """Each item's share, those that were answered; nothing where none was."""
    answered = {item: float(score) for item, score in zip(PANAS, scores, strict=True) if np.isfinite(score)}
    return MappingProxyType({"panas": MappingProxyType(shares(answered))} if answered else {})


def _check_ends(signals: tuple[Signal, ...], labels: int) -> None:
    ends = {signal.spec.name: signal.end_s for signal in signals} | {"label": labels / LABEL_RATE}
    first, last = min(ends, key=lambda name: ends[name]), max(ends, key=lambda name: ends[name])
    if ends[last] - ends[first] > _SLACK_S:
        raise ValueError(f"{first} ends at {ends[first]:.0f} s, {last} at {ends[last]:.0f} s")


def _trials(label: npt.NDArray[np.generic]) -> tuple[Trial, ...]:
    """The stretches of one condition each; held twice, the second is numbered (meditation-2)."""
    edges = np.flatnonzero(np.diff(label.astype(int), prepend=-1, append=-1))
    seen: Counter[str] = Counter()
    trials = []
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if (condition := CONDITIONS.get(int(label[start]))) is not None:
            seen[condition] += 1
            trials.append(Trial(_numbered(condition, seen), condition, start / LABEL_RATE, end / LABEL_RATE))
    if not trials:
        raise ValueError("label has none of the conditions 1 to 4")
    return tuple(trials)


def _numbered(condition: str, seen: Counter[str]) -> str:
    return condition if seen[condition] == 1 else f"{condition}-{seen[condition]}"


def questionnaire(text: str) -> dict[str, dict[str, Scores]]:
    """Trial name -> form -> scores, NaN where not answered. Raises ValueError where order and answers do not fit."""
    lines = [line.split(";") for line in text.splitlines()]
    by_form: dict[str, list[list[str]]] = {}
    for form, *cells in lines:
        by_form.setdefault(form.removeprefix("#").strip(), []).append([cell.strip() for cell in cells])
    order = [IN_ORDER[name] for name in by_form.get("ORDER", [[]])[0] if name in IN_ORDER]
    seen: Counter[str] = Counter()
    answers: dict[str, dict[str, Scores]] = {}
    for i, condition in enumerate(order):
        seen[condition] += 1
        answers[_numbered(condition, seen)] = {form: _scores(by_form, form, i, len(order)) for form in ("PANAS", "STAI", "DIM")}
    if "stress" in answers and len(by_form.get("SSSQ", [])) == 1:
        answers["stress"]["SSSQ"] = _scores(by_form, "SSSQ", 0, 1)
    return answers


def _scores(by_form: Mapping[str, list[list[str]]], form: str, i: int, expected: int) -> Scores:
    answered, items = by_form.get(form, []), len(_RATED[form])
    if len(answered) != expected:
        raise ValueError(f"{len(answered)} rows # {form} for {expected} conditions")
    cells = (answered[i] + [""] * items)[:items]
    return np.asarray([float(cell) if cell else np.nan for cell in cells], np.float32)


def _meta(trial: str, answers: Mapping[str, Scores]) -> dict[str, str | float]:
    return {
        f"{trial}/{'sam' if form == 'DIM' else form.lower()}.{item}": float(score)
        for form, scores in answers.items()
        for item, score in zip(_RATED[form], scores, strict=True)
        if np.isfinite(score)
    }


WESAD = (Wesad(), Wesad("wesad_e4", "the same, the wristband's streams first", {**_WRIST, **_CHEST}))
