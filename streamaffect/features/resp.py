"""Breath, as a belt sees the chest: how fast, how deep, how even."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from streamaffect.signals import Float32, Float64, Window

RESP_FEATURES = ("rate", "ln_depth", "depth_spread", "period_spread", "inhale_share", "ln_range")
BAND_HZ = (0.05, 1.0)  # 3 to 60 breaths a minute
_LEAST = 0.7  # of the window must be there; the rest is bridged
_MIN_BREATHS = 3
_SHALLOW = 0.2  # of the median depth: less is no breath but a twitch
_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class Breaths:
    """Whole breaths, (k,) each: ``period_s`` from trough to trough, ``inhale_s`` from trough to peak, ``depth``."""

    period_s: Float64
    inhale_s: Float64
    depth: Float64


@lru_cache(maxsize=8)
def _band(rate: float) -> Float64:
    from scipy.signal import butter

    high = min(BAND_HZ[1], 0.45 * rate)
    return np.asarray(butter(2, (BAND_HZ[0], high), "bandpass", fs=rate, output="sos"))


def breathing(x: Float32, rate: float) -> Float64 | None:
    """``x`` (n,) within ``BAND_HZ``, forwards and backwards, holes bridged; None where less than ``_LEAST`` of it is there."""
    from scipy.signal import sosfiltfilt

    finite = np.isfinite(x)
    if x.size < 5 * rate or finite.mean() < _LEAST:
        return None
    t = np.arange(x.size)
    whole = np.interp(t, t[finite], x[finite].astype(np.float64))
    return np.asarray(sosfiltfilt(_band(rate), whole - whole.mean(), padtype="even", padlen=min(x.size - 1, round(5 * rate))))


def breaths(wave: Float64, rate: float) -> Breaths:
    """Breaths of ``wave`` (n,), of mean 0: a trough and a peak between crossings of 0, those of less than ``_SHALLOW`` of the
    median depth left out."""
    positive = np.concatenate(([False], wave > 0, [False]))
    edges = np.flatnonzero(np.diff(positive.astype(np.int8)))
    ups, downs = edges[::2], edges[1::2]
    peaks = np.asarray([a + int(wave[a:b].argmax()) for a, b in zip(ups, downs, strict=True)], np.intp)
    if peaks.size < 2:
        return Breaths(np.empty(0), np.empty(0), np.empty(0))
    height = wave[peaks]
    peaks = peaks[height > _SHALLOW * np.median(height)]
    troughs = np.asarray([a + int(wave[a:b].argmin()) for a, b in pairwise(peaks)], np.intp)
    tops = peaks[1:-1]  # each with a trough on either side
    return Breaths(np.diff(troughs) / rate, (tops - troughs[:-1]) / rate, wave[tops] - wave[troughs[:-1]])


def stats(window: Window) -> Float32:
    """Breath (6,) of the first channel: ``RESP_FEATURES``; NaN with fewer than ``_MIN_BREATHS`` whole breaths.

    Breaths a minute, by the median period; log of the median depth [the sensor's unit]; spread of the depths and of the
    periods (interquartile range over median, capped at 2), which is irregular breath and sighs; share of the inhale in a
    breath (Boiten et al., Emotions and respiratory patterns, Int. J. Psychophysiology 17(2), 1994); log of the range of the
    band-passed wave.
    """
    rate = window.spec.rate
    wave = breathing(window.samples[0], rate)
    found = None if wave is None else breaths(wave, rate)
    if wave is None or found is None or found.period_s.size < _MIN_BREATHS:
        return np.full(len(RESP_FEATURES), np.nan, np.float32)
    values = (
        60 / np.median(found.period_s),
        np.log(max(_FLOOR, float(np.median(found.depth)))),
        _uneven(found.depth),
        _uneven(found.period_s),
        np.median(found.inhale_s / found.period_s),
        np.log(max(_FLOOR, float(np.ptp(wave)))),
    )
    return np.asarray(values, np.float32)


def _uneven(x: Float64) -> float:
    low, median, high = np.percentile(x, (25, 50, 75))
    return float(min(2.0, (high - low) / max(_FLOOR, float(median))))
