"""The nouns that pass between the stages: frozen, slotted dataclasses, numpy only.

Arrays are ``(channels, n)`` float32. Times ending in ``_s`` are seconds on the LSL clock, unless the noun is a
:class:`Recording`, whose clock starts at 0 with its first sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


class Modality(StrEnum):
    """What a sensor measures."""

    ECG = "ecg"
    EEG = "eeg"
    EDA = "eda"
    PPG = "ppg"
    EMG = "emg"
    ACC = "acc"
    RESP = "resp"
    TEMP = "temp"


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """One regularly sampled stream: ``rate`` in Hz; ``unit`` such as ``uV``, ``mV``, ``uS``, ``degC``, ``g``."""

    name: str
    modality: Modality
    channels: tuple[str, ...]
    rate: float
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.channels or len(set(self.channels)) != len(self.channels):
            raise ValueError(f"stream {self.name!r}: channel names must be distinct and at least one, got {self.channels}")
        if not self.rate > 0:
            raise ValueError(f"stream {self.name!r}: rate must be positive, got {self.rate}")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Samples as they arrived: ``timestamps`` (n,) LSL clock [s], strictly increasing; ``samples`` (channels, n)."""

    timestamps: Float64
    samples: Float32


@dataclass(frozen=True, slots=True)
class Window:
    """One modality's last seconds, [t_start_s, t_end_s), on the sample grid.

    ``samples`` (channels, n) float32, filtered, NaN in a hole; ``raw`` the same as the sensor sent them; ``mask`` (n,)
    True where a sample was really observed; ``coverage`` is the mask's mean. ``warming_up`` says the stream is younger
    than the window.
    """

    spec: StreamSpec
    t_start_s: float
    t_end_s: float
    samples: Float32
    raw: Float32
    mask: npt.NDArray[np.bool_]
    warming_up: bool = False

    @property
    def coverage(self) -> float:
        return float(self.mask.mean()) if self.mask.size else 0.0

    def last(self, seconds: float) -> Window:
        """The same window cut to its last ``seconds``; itself where it is no longer than that."""
        n = round(seconds * self.spec.rate)
        if n >= self.samples.shape[1]:
            return self
        t_start_s = self.t_end_s - n / self.spec.rate
        samples, raw, mask = self.samples[:, -n:], self.raw[:, -n:], self.mask[-n:]
        return replace(self, t_start_s=t_start_s, samples=samples, raw=raw, mask=mask)


@dataclass(frozen=True, slots=True)
class Observation:
    """The windows of one hop across modalities, ending together. ``seq`` rises by one each hop, never reused.

    ``windows`` lacks a modality that is not there.
    """

    seq: int
    t_start_s: float
    t_end_s: float
    windows: Mapping[Modality, Window]


@dataclass(frozen=True, slots=True)
class Signal:
    """One stream of a recording, whole: ``samples`` (channels, n), the first at ``start_s`` of the recording's clock."""

    spec: StreamSpec
    samples: Float32
    start_s: float = 0.0

    @property
    def end_s(self) -> float:
        return float(self.start_s + self.samples.shape[1] / self.spec.rate)


@dataclass(frozen=True, slots=True)
class Trial:
    """A labelled stretch [start_s, end_s) of a recording: the unit by which data are split. ``label`` None: unlabelled.

    ``distributions``: labels that do not exclude each other, by the name of what they measure: name -> {class: share}, the
    shares of each summing to 1, such as ``panas`` -> {"active": 0.03, ...}.
    """

    name: str
    label: str | None
    start_s: float
    end_s: float
    distributions: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: MappingProxyType({}), hash=False)


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded session of one person: what datasets yield, replay plays and training windows."""

    dataset: str
    subject: str
    signals: tuple[Signal, ...]
    trials: tuple[Trial, ...]
    meta: Mapping[str, str | float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def duration_s(self) -> float:
        ends = [signal.end_s for signal in self.signals]
        return max(ends) if ends else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """Features of one person as a data set publishes them, in order of time, where it publishes no samples.

    ``x`` {name: (n, ...) float32}; ``label`` (n,), '' where unlabelled; ``trial`` (n,), the unit by which data are split;
    ``t_end_s`` (n,), where each row ends in seconds from the start of its trial, or None where the set does not tell;
    ``distributions`` as those of a :class:`Trial`, by row: name -> {class: (n,) shares}.
    """

    dataset: str
    subject: str
    x: Mapping[str, Float32]
    label: npt.NDArray[np.str_]
    trial: npt.NDArray[np.str_]
    t_end_s: Float64 | None
    distributions: Mapping[str, Mapping[str, Float32]] = field(default_factory=lambda: MappingProxyType({}))
    meta: Mapping[str, str | float] = field(default_factory=lambda: MappingProxyType({}))
