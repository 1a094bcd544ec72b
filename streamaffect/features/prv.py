"""Pulse rate variability and the pulse's own shape: what a light on the wrist tells of heart and vessels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamaffect.features.ppg import SHAPE_S, find_pulses
from streamaffect.features.rhythm import BANDS_OF, Rhythm
from streamaffect.signals import Float32, Float64, Window

Places = npt.NDArray[np.intp]
PRV_FEATURES = (
    "hr",
    "hr_low",
    "hr_high",
    "hr_slope",
    "ln_sdnn",
    "ln_rmssd",
    "ln_sd2_sd1",
    "ln_step",
    "pnn50",
    "plausible",
    "ln_height",
    "height_spread",
    "rise_s",
    "fall_s",
)
_MIN_INTERVALS = 8
_ALIKE = 0.7  # of 0.5 (noise) to 1; at 0.8 a tenth of the windows of stress_predict have too few left
_BEFORE_S, _AFTER_S = 0.4, 0.5  # of a peak: where its foot and its flanks are sought


def features(bands: str) -> tuple[str, ...]:
    """Names of what :func:`prv` makes: with ``bands`` "hf" or "lf+hf" the powers come last."""
    return (*PRV_FEATURES, *(f"ln_{band}" for band in BANDS_OF[bands]))


def prv(window: Window, bands: str) -> Float32:
    """Pulse rate variability (14 + bands,) of the first channel: :func:`features`; NaN with fewer than ``_MIN_INTERVALS``
    plausible intervals or three pulses that are whole.

    Mean rate, 5th and 95th percentile [1/min] and slope [1/min a minute]; logs of SDNN, RMSSD [ms], SD2/SD1 and the typical
    step [ms]; share of steps over 50 ms; share of intervals that are plausible, between pulses alike; log of the median
    pulse height (foot to peak) and the heights' interquartile range relative to it, capped at 2; median time from half
    the height to the peak and from it to half the height [s] of the band-passed wave; log powers [ms^2].
    Pulse rate variability is not heart rate variability: the pulse's travel adds to RMSSD above all (Schaefer & Vagedes,
    Int. J. Cardiol. 166(1), 2013).
    """
    lead, rate = window.samples[0], window.spec.rate
    beats = find_pulses(lead, rate)
    waves, alike = _waves(lead, beats.times_s, rate)
    rhythm = Rhythm.of(beats, alike)
    if rhythm.rr_ms.size < _MIN_INTERVALS or waves.shape[0] < 3:
        return np.full(len(features(bands)), np.nan, np.float32)
    height, rise, fall = _shape(waves, round(_BEFORE_S * rate), rate)
    level = max(1e-3, float(np.median(height)))
    values = (
        *rhythm.rates(),
        rhythm.slope(),
        *rhythm.ln_variability(),
        rhythm.ln_typical_step(),
        rhythm.over(50.0),
        rhythm.rr_ms.size / (beats.times_s.size - 1),
        np.log(level),
        min(2.0, float(np.subtract(*np.percentile(height, (75, 25)))) / level),
        np.median(rise),
        np.median(fall),
        *rhythm.ln_power(BANDS_OF[bands]),
    )
    return np.asarray(values, np.float32)


def _waves(lead: Float32, times_s: Float64, rate: float) -> tuple[Float64, npt.NDArray[np.bool_]]:
    """(k, samples): what lies about the peaks of pulses that are whole and alike; and which of all (pulses,) they are.

    Alike: the systolic wave correlates by ``_ALIKE`` or more with the median one. A moving wrist makes peaks in the pulse's
    band that are plausible in time.
    """
    before, after, half = round(_BEFORE_S * rate), round(_AFTER_S * rate), round(SHAPE_S * rate)
    peaks = np.rint(times_s * rate).astype(np.intp)
    good = (peaks >= before) & (peaks + after < lead.size)
    waves = np.full((peaks.size, before + after + 1), np.nan)
    waves[good] = lead[peaks[good, None] + np.arange(-before, after + 1)]
    good &= np.isfinite(waves).all(axis=1)
    if good.any():
        shapes = waves[good, before - half : before + half + 1]
        shapes = shapes - shapes.mean(axis=1, keepdims=True)
        template = np.median(shapes, axis=0)
        norms = np.sqrt(np.sum(shapes**2, axis=1) * np.sum(template**2))
        good[good] = np.sum(shapes * template, axis=1) >= _ALIKE * np.maximum(norms, 1e-12)
    return waves[good], good


def _shape(waves: Float64, at: int, rate: float) -> tuple[Float64, Float64, Float64]:
    """Height above the foot, and times [s] from half of it to the peak and back, (pulses,) each, of waves that peak at ``at``.

    Half the height and not the foot: below narrow pulses the filter leaves a long trough.
    """
    rows = np.arange(waves.shape[0])
    low = waves[:, : at + 1].min(axis=1)
    height = waves[:, at] - low
    above = waves > (low + height / 2)[:, None]
    up = at - np.where(above[:, at::-1].all(axis=1), at, (~above[:, at::-1]).argmax(axis=1))
    down = at + np.where(above[:, at:].all(axis=1), waves.shape[1] - 1 - at, (~above[:, at:]).argmax(axis=1))
    half = low + height / 2
    rise = at - up - _beyond(waves, rows, up, half, 1)
    fall = down - at - _beyond(waves, rows, down, half, -1)
    return height, rise / rate, fall / rate


def _beyond(waves: Float64, rows: Places, column: Places, half: Float64, towards: int) -> Float64:
    """How far (0..1 samples) from ``column``, the first sample not above half height, the flank crosses it."""
    outer, inner = waves[rows, column], waves[rows, np.clip(column + towards, 0, waves.shape[1] - 1)]
    rise = inner - outer
    return np.asarray(np.clip(np.divide(half - outer, rise, out=np.zeros_like(rise), where=rise > 0), 0.0, 1.0))
