"""R-peaks of an ECG lead: Pan & Tompkins' detector (1985), walked from one local maximum to the next."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfiltfilt

from streamaffect.signals import Float64

_BAND_HZ = (5.0, 30.0)
_LEARNING_S = 2.0
_INTEGRATION_S = 0.15
_REFRACTORY_S = 0.2
_T_WAVE_S = 0.36  # what comes this soon after a beat is one only if it rises at least half as steeply
_REGULAR = (0.92, 1.16)  # times the mean interval
_MISSED = 1.66  # times the mean interval without a beat, and lower peaks are searched
_HALVINGS = 15  # of the thresholds in that search


def find_r_peaks(lead: Float64, rate: float) -> npt.NDArray[np.intp]:
    """Sample numbers (k,) of the R-peaks of ``lead`` (n,), finite and not flat, of a second or more at ``rate`` > 60 Hz.

    J. Pan and W. J. Tompkins, "A real-time QRS detection algorithm", 1985, with what sleepecg (Hofer et al.) made of it: the
    filter has no delay, a search also begins where no beat comes in the first second or in 1.5 s after the only one, and it
    goes on halving the thresholds. That package is not called itself: its C code leaves its arrays where a lead is short or its
    peaks are dense, which ends the process. What else is ours: the thresholds are learnt on all pieces of 2 s of the lead, by
    their upper quartile, since by the first, in which an electrode is put on or an amplifier settles, T-waves are beats from
    then on; a T-wave does not raise the height of a beat; what a search finds counts with its own height; and a search that
    found a T-wave goes on behind it.
    """
    filtered, energy = _filtered(lead, rate)
    pieces = max(1, lead.size // int(_LEARNING_S * rate))
    height, power = _Threshold(filtered, pieces), _Threshold(energy, pieces)
    maxima = 1 + np.flatnonzero((filtered[1:-1] > filtered[:-2]) & (filtered[1:-1] > filtered[2:]))
    places = [*maxima.tolist(), lead.size - 2]  # the end, which is no peak, so that a beat missing before it is searched
    heights = [*filtered[maxima].tolist(), -math.inf]
    powers = [*energy[maxima].tolist(), -math.inf]
    refractory, t_wave = int(_REFRACTORY_S * rate), int(_T_WAVE_S * rate)
    beats: list[int] = []
    rhythm = _Rhythm()
    due = rate  # the sample by which the next beat should have come

    def missed(start: int, stop: int) -> int | None:
        """The highest of the maxima ``start`` to ``stop`` over thresholds that are halved no more often than it takes."""
        for halvings in range(1, _HALVINGS + 1):
            low, faint = height.value / 2**halvings, power.value / 2**halvings
            over = [
                i
                for i in range(start, stop)
                if heights[i] > low and powers[i] > faint and (heights[i] < height.value or powers[i] < power.value)
            ]
            if over:
                return max(over, key=heights.__getitem__)
        return None

    searched = k = 0  # the maxima before ``k`` were held against the thresholds; a search goes back to ``searched``
    while k < len(places):
        found = k
        if late := places[k] > due:
            lower = missed(searched, k)
            if lower is None:
                lower = missed(k, k + 1)
            if lower is None:
                searched = k = k + 1
                continue
            found = lower
        elif heights[k] <= height.value or powers[k] <= power.value:
            height.noise(heights[k])
            power.noise(powers[k])
            k += 1
            continue
        at = places[found]
        if beats and at - beats[-1] < t_wave and _steepest(filtered, at) < _steepest(filtered, beats[-1]) / 2:
            height.noise(heights[found])
            power.noise(powers[found])
            searched = found + 1
            k = max(k, searched)
            continue
        weight = 0.25 if late else 0.125
        height.beat(heights[found], weight)
        power.beat(powers[found], weight)
        if beats and not rhythm.regular_with(at - beats[-1]):
            height.value /= 2
            power.value /= 2
        due = at + (_MISSED * rhythm.mean if beats else 1.5 * rate)
        beats.append(at)
        searched = k = bisect_right(places, at + refractory)
    return np.asarray(beats, np.intp)


class _Threshold:
    """A quarter of the way from the running height of the peaks that are noise to that of those that are beats."""

    __slots__ = ("_beat", "_noise", "value")

    def __init__(self, x: Float64, pieces: int) -> None:
        starts = np.arange(pieces) * x.size // pieces
        sizes = np.diff(starts, append=x.size)
        self._beat = _upper_quartile(np.maximum.reduceat(x, starts))
        self._noise = _upper_quartile(np.add.reduceat(x, starts) / sizes)
        self.value = self._noise + 0.25 * (self._beat - self._noise)

    def beat(self, height: float, weight: float) -> None:
        self._beat = weight * height + (1 - weight) * self._beat
        self.value = self._noise + 0.25 * (self._beat - self._noise)

    def noise(self, height: float) -> None:
        self._noise = 0.125 * height + 0.875 * self._noise
        self.value = self._noise + 0.25 * (self._beat - self._noise)


def _upper_quartile(x: Float64) -> float:
    """As numpy's, which takes longer than the detector for so few numbers."""
    ranked: list[float] = sorted(x.tolist())
    i, share = divmod(0.75 * (len(ranked) - 1), 1)
    low, high = ranked[int(i)], ranked[min(int(i) + 1, len(ranked) - 1)]
    return low + share * (high - low)


class _Rhythm:
    """Mean of the last eight intervals [samples] that are regular, of the last 64."""

    __slots__ = ("_intervals", "mean")

    def __init__(self) -> None:
        self._intervals: deque[int] = deque(maxlen=64)
        self.mean = math.nan

    def regular_with(self, interval: int) -> bool:
        """Take one more interval in; whether none since the oldest of the eight is off the mean so far."""
        mean = self.mean if self._intervals else interval
        self._intervals.append(interval)
        regular: list[int] = []
        steady = True
        for past in reversed(self._intervals):
            if _REGULAR[0] * mean < past < _REGULAR[1] * mean:
                regular.append(past)
                if len(regular) == 8:
                    break
            else:
                steady = False
        if regular:
            self.mean = sum(regular) / len(regular)
        return steady


def _filtered(lead: Float64, rate: float) -> tuple[Float64, Float64]:
    """The lead between 5 and 30 Hz (n,), and the energy of its slope around each sample (n,)."""
    x = sosfiltfilt(_band(rate), lead)
    slope = np.correlate(x, [-1.0, -2.0, 0.0, 2.0, 1.0], "same")
    width = int(_INTEGRATION_S * rate)
    ends = np.arange(x.size) + (width + 1) // 2
    total = np.concatenate(([0.0], np.cumsum(slope**2)))
    return x, total[np.minimum(ends, x.size)] - total[np.maximum(ends - width, 0)]


@lru_cache
def _band(rate: float) -> Float64:
    return np.asarray(butter(2, _BAND_HZ, "bandpass", fs=rate, output="sos"))


def _steepest(x: Float64, peak: int) -> float:
    """The largest step up on the rise to ``peak``."""
    start = peak
    while start > 0 and x[start - 1] <= x[start]:
        start -= 1
    return float(np.diff(x[start : peak + 1]).max(initial=-1.0))
