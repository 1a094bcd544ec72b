"""Three sets from one wristband (Empatica E4: BVP 64 Hz, EDA 4 Hz, skin temperature 4 Hz, acceleration 32 Hz).

``wesad_wrist``: Schmidt et al., Introducing WESAD, ICMI 2018, CC BY 4.0. Labels are the conditions: baseline, stress,
amusement, meditation. ``stress_predict``: Iqbal et al., Sensors 22(21), 8135, 2022, MIT. ``induced_stress``: Hongn et
al., PhysioNet 2025, doi:10.13026/zzf8-xv61, ODC-BY. The labels of these two are rest and stress, by the sets' own
``seg_stress``; the trial keeps the stage's name (stroop, interview, ...). Between the trials nothing is labelled.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from streamaffect.datasets.npz import Arrays, NpzDataset, details, physical, text
from streamaffect.signals import Modality, Recording, Signal, StreamSpec, Trial

# field -> modality, channels, unit (the E4's blood volume pulse has no physical unit)
SENSORS: dict[str, tuple[Modality, tuple[str, ...], str]] = {
    "bvp": (Modality.PPG, ("BVP",), "au"),
    "eda": (Modality.EDA, ("EDA",), "uS"),
    "temp": (Modality.TEMP, ("TEMP",), "degC"),
    "acc": (Modality.ACC, ("x", "y", "z"), "g"),
}
# One wearer's band never left its dock: the light-based sensor and the thermometer measured plastic.
INVALID_WITHOUT = {"bvp_temp_valid": ("bvp", "temp")}


def _signals(arrays: Arrays) -> tuple[Signal, ...]:
    invalid = {field for flag, fields in INVALID_WITHOUT.items() if flag in arrays and not arrays[flag] for field in fields}
    signals = []
    for field, (modality, channels, unit) in SENSORS.items():
        if field in invalid:
            continue
        samples = physical(arrays[field].T, arrays[f"{field}_scale"])
        spec = StreamSpec(field, modality, channels, float(arrays[f"{field}_fs"]), unit)
        if samples.shape[0] != len(channels):
            raise ValueError(f"{field} has {samples.shape[0]} channels, expected {len(channels)}")
        signals.append(Signal(spec, np.ascontiguousarray(samples)))
    return tuple(signals)


def _trials(arrays: Arrays, labels: list[str]) -> tuple[Trial, ...]:
    """In the order of the file. A stage held twice gets a number (meditation, meditation-2): trials are units."""
    seen: Counter[str] = Counter()
    trials = []
    for stage, label, start, end in zip(arrays["seg_name"], labels, arrays["seg_start_s"], arrays["seg_end_s"], strict=True):
        seen[str(stage)] += 1
        number = seen[str(stage)]
        trials.append(Trial(f"{stage}-{number}" if number > 1 else str(stage), label, float(start), float(end)))
    return tuple(trials)


def _rest_or_stress(arrays: Arrays) -> list[str]:
    return ["stress" if flag else "rest" for flag in arrays["seg_stress"]]


def _recording(dataset: str, arrays: Arrays, trials: tuple[Trial, ...], meta: dict[str, str | float]) -> Recording:
    in_time = tuple(sorted(trials, key=lambda trial: trial.start_s))
    return Recording(dataset, text(arrays, "subject"), _signals(arrays), in_time, MappingProxyType(meta))


def _ratings(trials: tuple[Trial, ...], scale: str, values: npt.NDArray[np.generic]) -> dict[str, str | float]:
    """One number a trial, under ``<trial>/<scale>``; a trial not rated (NaN) is left out."""
    pairs = zip(trials, np.asarray(values, dtype=np.float64), strict=True)
    return {f"{trial.name}/{scale}": float(value) for trial, value in pairs if np.isfinite(value)}


def _shares(items: npt.NDArray[np.generic], scores: npt.NDArray[np.float32]) -> dict[str, float]:
    """Item -> its share in the sum of the scores, 1..5 each (HeLo, section 4.1); items not rated (NaN) are left out."""
    rated = np.isfinite(scores)
    total = float(scores[rated].sum(dtype=np.float64))
    return {str(item): float(score) / total for item, score in zip(items[rated], scores[rated], strict=True)}


def _wesad(arrays: Arrays) -> Recording:
    """Self-reports after each condition go to ``meta``: ``stress/panas.afraid`` 1..5, ``stress/sam.valence`` 1..9.

    The trials carry PANAS as a distribution too: ``panas`` over the items, ``angry`` and ``irritated`` after stress alone.
    """
    items, scores = arrays["panas_items"], np.asarray(arrays["panas"], np.float32)
    trials = tuple(
        replace(trial, distributions=MappingProxyType({"panas": MappingProxyType(_shares(items, row))}))
        for trial, row in zip(_trials(arrays, [str(name) for name in arrays["seg_name"]]), scores, strict=True)
    )
    meta: dict[str, str | float] = {"licence": "CC BY 4.0", **details(arrays, "info_age", "info_gender")}
    for column, item in enumerate(arrays["panas_items"]):
        meta |= _ratings(trials, f"panas.{item}", arrays["panas"][:, column])
    for axis in ("valence", "arousal"):
        meta |= _ratings(trials, f"sam.{axis}", arrays[f"sam_{axis}"])
    return _recording("wesad_wrist", arrays, trials, meta)


def _stress_predict(arrays: Arrays) -> Recording:
    meta: dict[str, str | float] = {"licence": "MIT"}
    return _recording("stress_predict", arrays, _trials(arrays, _rest_or_stress(arrays)), meta)


def _induced_stress(arrays: Arrays) -> Recording:
    """The wearer's own 0..10 rating of each stage goes to ``meta`` as ``<stage>/stress``; ``protocol`` is V1 or V2."""
    trials = _trials(arrays, _rest_or_stress(arrays))
    meta = {"licence": "ODC-BY", **details(arrays, "protocol", "gender", "age")}
    return _recording("induced_stress", arrays, trials, meta | _ratings(trials, "stress", arrays["seg_self_report"]))


WESAD_WRIST = NpzDataset(
    "wesad_wrist",
    frozenset({"bvp", "eda", "seg_name", "panas"}),
    _wesad,
    "WESAD's wristband: baseline, stress, amusement, meditation, with PANAS and SAM",
)
INDUCED_STRESS = NpzDataset(
    "induced_stress",
    frozenset({"bvp", "eda", "seg_stress", "seg_self_report"}),
    _induced_stress,
    "wristband at rest and under five stressors, with the wearers' own ratings",
)
STRESS_PREDICT = NpzDataset(
    "stress_predict",
    frozenset({"bvp", "eda", "seg_name", "seg_stress"}),
    _stress_predict,
    "wristband at rest and in Stroop, interview and hyperventilation",
)
