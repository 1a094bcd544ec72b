"""A recording as a device would send it, and what faults do to it. Pure: no LSL, no clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from streamaffect.errors import SourceError, UsageError
from streamaffect.signals import Float32, Float64, Recording, Signal, StreamSpec
from streamaffect.sources.channels import site
from streamaffect.sources.devices import GENERIC, DeviceProfile, StreamProfile

MAX_RATIO = 1000  # largest numerator or denominator of a change of rate
WINDOW = ("kaiser", 8.0)  # images 80 dB down
STEP_S = 1e-6  # least distance of two jittered time stamps


def as_device(recording: Recording, device: DeviceProfile = GENERIC) -> Recording:
    """The recording with the device's streams, channels, labels and rates: what a replay sends, sample for sample.

    Rates are changed by polyphase filtering; sample 0 keeps its time. ``generic`` keeps everything as recorded. Units
    are the pipeline's (uV, uS, ...), not the device's own, so that no rounding comes between file and pipeline.
    Raises SourceError where the recording lacks what the device sends.
    """
    if device.name == GENERIC.name:
        streams = device.streams
        wanted = {profile.modality for profile in streams}
        signals = tuple(_named(signal, device) for signal in recording.signals if signal.spec.modality in wanted)
    else:
        signals = tuple(signal for profile in device.streams if (signal := _played(recording, profile, device)) is not None)
    if not signals:
        has = ", ".join(sorted({signal.spec.modality for signal in recording.signals}))
        wants = ", ".join(sorted({profile.modality for profile in device.streams}))
        what = f"{recording.dataset} {recording.subject} cannot play as {device.name!r}"
        raise SourceError(f"{what}: it has {has or 'no signals'}, the device sends {wants}")
    return replace(recording, signals=signals)


def _named(signal: Signal, device: DeviceProfile) -> Signal:
    return replace(signal, spec=replace(signal.spec, name=f"{device.name}-{signal.spec.modality}"))


def _played(recording: Recording, profile: StreamProfile, device: DeviceProfile) -> Signal | None:
    """The recording's signal as the device's stream; None where an optional one is not recorded."""
    signal = next((s for s in recording.signals if s.spec.modality is profile.modality), None)
    what = f"{recording.dataset} {recording.subject} cannot play as {device.name!r}"
    if signal is None:
        if profile.optional:
            return None
        has = ", ".join(sorted({s.spec.modality for s in recording.signals})) or "no signals"
        raise SourceError(f"{what}: it has {has}, the device sends {profile.modality}")
    rows, names = _rows(signal, profile, what)
    rate = profile.rate or signal.spec.rate
    spec = StreamSpec(f"{device.name}-{profile.modality}", profile.modality, names, rate, signal.spec.unit)
    return Signal(spec, resample(signal.samples[rows], signal.spec.rate, rate), signal.start_s)


def _rows(signal: Signal, profile: StreamProfile, what: str) -> tuple[list[int], tuple[str, ...]]:
    labels = signal.spec.channels
    if profile.by_label:
        there = {site(label): row for row, label in enumerate(labels)}
        if missing := [label for label in profile.channels if site(label) not in there]:
            raise SourceError(f"{what}: no channel {', '.join(missing)}; play it as 'generic' (it has {', '.join(labels)})")
        return [there[site(label)] for label in profile.channels], profile.channels
    if len(labels) < profile.fewest:
        raise SourceError(f"{what}: {len(labels)} {profile.modality} channels, the device sends {profile.fewest}")
    taken = min(len(labels), len(profile.channels)) if profile.channels else len(labels)
    return list(range(taken)), labels[:taken]


def resample(samples: Float32, rate: float, wanted: float) -> Float32:
    """(channels, n) at ``rate`` to (channels, ceil(n * wanted / rate)) at ``wanted`` Hz; itself where they agree.

    The mean is put aside while filtering (scipy's default filter lets 0.07 % of an offset through as a ripple), the ends
    are continued along the line through first and last sample.
    """
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly

    ratio = Fraction(wanted / rate).limit_denominator(MAX_RATIO)
    if ratio.numerator > MAX_RATIO or abs(float(ratio) * rate / wanted - 1.0) > 1e-6:
        raise UsageError(f"cannot resample {rate:g} Hz to {wanted:g} Hz: no ratio of whole numbers up to {MAX_RATIO}")
    mean = samples.mean(axis=1, keepdims=True, dtype=np.float64)
    up, down = ratio.numerator, ratio.denominator
    out = mean + resample_poly(samples - mean, up, down, axis=1, padtype="line", window=WINDOW)
    return np.ascontiguousarray(out, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong: a share of samples lost at random, time stamps noisy, the sender gone now and then."""

    drop: float = 0.0  # 0 .. 1, each sample by itself
    jitter_s: float = 0.0  # standard deviation of the time stamps' noise
    disconnect: tuple[float, float] | None = None  # every so many seconds, for so many; the first after `every`
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.drop < 1.0:
            raise UsageError(f"drop must be a share from 0 up to but not 1, got {self.drop:g}")
        if not 0.0 <= self.jitter_s < 10.0:
            raise UsageError(f"jitter must be seconds from 0 up to 10, got {self.jitter_s:g}")
        if self.disconnect is not None:
            every_s, for_s = self.disconnect
            if not 0.0 < for_s < every_s:
                raise UsageError(f"disconnect EVERY/FOR needs 0 < FOR < EVERY seconds, got {every_s:g}/{for_s:g}")

    def connected(self, at_s: float) -> bool:
        """Whether the sender is there at this time of the recording."""
        if self.disconnect is None:
            return True
        every_s, for_s = self.disconnect
        return at_s < every_s or at_s % every_s >= for_s

    def next_change(self, after_s: float) -> float:
        """When ``connected`` changes next; infinity for never."""
        if self.disconnect is None:
            return float("inf")
        every_s, for_s = self.disconnect
        start_s = after_s - after_s % every_s
        if after_s >= every_s and after_s < start_s + for_s:
            return start_s + for_s
        return start_s + every_s


@dataclass(frozen=True, slots=True)
class Track:
    """One pass over one signal: ``due_s`` (n,) when each sample is sent, ``stamps_s`` (n,) what its stamp says."""

    spec: StreamSpec
    samples: Float32
    due_s: Float64
    stamps_s: Float64
    keep: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, signal: Signal, faults: Faults, index: int, number: int, offset_s: float, end_s: float) -> Track:
        """``index`` of the stream and ``number`` of the pass seed the faults; the pass starts ``offset_s`` late."""
        n = int(np.count_nonzero(np.arange(signal.samples.shape[1]) / signal.spec.rate + signal.start_s < end_s))
        due_s = offset_s + signal.start_s + np.arange(n) / signal.spec.rate
        rng = np.random.default_rng([faults.seed, index, number])
        keep = rng.random(n) >= faults.drop
        stamps_s = jittered(due_s, faults.jitter_s, rng)
        return cls(signal.spec, signal.samples[:, :n], due_s, stamps_s, keep)

    def between(self, start_s: float, stop_s: float) -> slice:
        """The samples due in [start_s, stop_s)."""
        first, last = np.searchsorted(self.due_s, (start_s, stop_s)).tolist()
        return slice(first, last)


def jittered(due_s: Float64, jitter_s: float, rng: np.random.Generator) -> Float64:
    """The times with Gaussian noise, sorted: samples stay in order, as they do in a device with a noisy clock."""
    if jitter_s == 0.0:
        return due_s
    noisy = np.sort(due_s + rng.normal(0.0, jitter_s, due_s.size))
    ramp = STEP_S * np.arange(noisy.size)
    return np.asarray(np.maximum.accumulate(noisy - ramp) + ramp)
