"""The options that ``--recipe auto`` chooses among: a small grid, simplest first on every axis.

What is in it was found by hand on the sets that models ship for (``tools/train_models.py``): on those same sets the grid itself
has seen everybody, however the choice is nested.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from streamaffect.bundle.build import Recipe
from streamaffect.features import views
from streamaffect.features.views import View
from streamaffect.signals import Modality, Recording

At = tuple[int, int, int, int]
"""A point of a grid: the option's index on each axis."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Views that are read together, and the seconds between decisions."""

    views: tuple[View, ...]
    hop_s: float

    @property
    def name(self) -> str:
        return f"{'+'.join(view.key for view in self.views)} {max(view.seconds for view in self.views):g} s"


@dataclass(frozen=True, slots=True)
class Option:
    """Of the normaliser or a method: its name for people, and the parameters."""

    name: str
    params: Mapping[str, Any]
    method: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """The options of each axis, simplest first."""

    readings: tuple[Reading, ...]
    blocks: tuple[Option, ...]
    classifiers: tuple[Option, ...]
    smoothings_s: tuple[float, ...]

    @property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """Of the options on each axis."""
        said = [tuple(option.name for option in axis) for axis in (self.readings, self.blocks, self.classifiers)]
        return (*said, tuple(f"{seconds:g} s" for seconds in self.smoothings_s))

    def recipe(self, at: At, base: Recipe) -> Recipe:
        """``base`` with the options at ``at``."""
        reading = self.readings[at[0]]
        options, smoothing_s = self.blocks[at[1]].params, self.smoothings_s[at[3]]
        return replace(base, views=reading.views, hop_s=reading.hop_s, prior_options=options, smoothing_s=smoothing_s)


_WEIGHTS = {"location_weight": 1, "scale_weight": 4}
_REACHED = {"middle": True, "extremes": True}
BLOCKS = (
    Option("relative", {**_WEIGHTS, "level": False}),
    Option("relative+middle+extremes", {**_WEIGHTS, "level": False, **_REACHED}),
    Option("relative+middle+extremes+level", {**_WEIGHTS, "level": True, **_REACHED}),
)
# As models/ecg-load has it.
_NETWORK = {"lr": 0.003, "weight_decay": 0.03, "dropout": 0.5, "holdout": 0.1, "patience": 40, "epochs": 6}
_ADAPTATION = {"kernel": "multi", "tau": 0.5, "anchor": 0.5, "self_training": True}
CLASSIFIERS = (
    Option("zscore C=0.1", {"C": 0.1, "self_training": True}, "zscore"),
    Option("zscore C=3, consistency 1", {"C": 3, "consistency": 1, "self_training": True}, "zscore"),
    Option("dynamic, small", {**_NETWORK, **_ADAPTATION}, "dynamic"),
)
SMOOTHINGS_S = (0.0, 10.0, 30.0)
# Modalities by what they are asked for, and the seconds between decisions.
_WRIST = (Modality.PPG, Modality.EDA, Modality.TEMP)
_KINDS = MappingProxyType({"ecg": ((Modality.ECG,), 5.0), "eeg": ((Modality.EEG,), 2.0), "wrist": (_WRIST, 10.0)})
KINDS = tuple(_KINDS)


def grid_of(first: Recording, kind: str | None = None, hop_s: float | None = None) -> Grid:
    """The grid for people whose recordings are like ``first``; ``kind``, one of ``KINDS``, leaves the others' views out.

    Raises:
        ValueError: the recording has nothing of that kind.
    """
    channels = {signal.spec.modality: list(signal.spec.channels) for signal in reversed(first.signals)}
    readings = []
    for name in KINDS if kind is None else (kind,):
        wanted, usual_s = _KINDS[name]
        there = [modality for modality in wanted if modality in channels]
        readings += [Reading(tuple(chosen), hop_s or usual_s) for chosen in _views(there, channels)]
    if not readings:
        raise ValueError(f"--recipe auto knows views of {kind or ', '.join(KINDS)}: {first.subject} has {', '.join(channels)}")
    return Grid(tuple(readings), BLOCKS, CLASSIFIERS, SMOOTHINGS_S)


def _views(there: list[Modality], channels: Mapping[Modality, list[str]]) -> list[list[View]]:
    """Those of one kind's modalities, each list to be read together. Seconds are whole, as ``--view`` reads them: a view's
    layout tells 30 from 30.0."""
    if not there:
        return []
    if there == [Modality.ECG]:
        return [[views.ecg_hrv(seconds=seconds)] for seconds in (30, 45)]
    if there == [Modality.EEG]:
        sites = channels[Modality.EEG]
        de = [[views.eeg_de(channels=sites, seconds=seconds)] for seconds in (4, 10)]
        return [*de, [views.eeg_relpower(channels=sites, seconds=10)]]
    of = {
        Modality.PPG: (views.ppg_pulse, views.ppg_prv),
        Modality.EDA: (views.eda_stats, views.eda_tonic),
        Modality.TEMP: (views.temp_stats,),
    }
    return [[make(seconds=seconds) for kind in there for make in of[kind]] for seconds in (30, 60)]
