"""ECG: heart-rate variability in time, in the Poincare plot and in frequency, and the breath in the height of the R-waves."""

from __future__ import annotations

import numpy as np

from streamaffect.features.ecg import find_beats
from streamaffect.features.rhythm import BANDS_OF, Rhythm, levelled, periodogram
from streamaffect.signals import Float32, Float64, Window

HRVFREQ_FEATURES = (
    "hr",
    "hr_low",
    "hr_high",
    "hr_slope",
    "ln_sdnn",
    "ln_rmssd",
    "ln_sd2_sd1",
    "ln_step",
    "pnn50",
    "ln_edr",
    "breath_hz",
)
_MIN_INTERVALS = 8
_QRS_S = 0.06  # to each side of the R peak
BREATH_HZ = (0.1, 0.5)  # 6 to 30 breaths a minute


def features(bands: str) -> tuple[str, ...]:
    """Names of what :func:`hrv` makes: with ``bands`` "hf" or "lf+hf" the powers come last."""
    return (*HRVFREQ_FEATURES, *(f"ln_{band}" for band in BANDS_OF[bands]))


def hrv(window: Window, bands: str) -> Float32:
    """Heart-rate variability (11 + bands,) of the first lead: :func:`features`; NaN with fewer than ``_MIN_INTERVALS``
    plausible intervals or R-waves that are whole.

    Mean rate, 5th and 95th percentile [1/min] and slope [1/min a minute]; logs of SDNN, RMSSD [ms], SD2/SD1 and the typical
    step [ms]; share of steps over 50 ms; log of the spread of the R-waves' heights relative to their median and the
    frequency [Hz] at which most of it lies within ``BREATH_HZ``; log powers [ms^2]. The electrodes move with the chest, so
    R-waves swell with the breath (Moody et al., Derivation of respiratory signals from multi-lead ECGs, Computers in
    Cardiology 12, 1985). Steps are those between neighbours, where ``ecg.hrv/1`` steps over what it left out.
    """
    lead, rate = window.samples[0], window.spec.rate
    beats = find_beats(lead, rate)
    rhythm = Rhythm.of(beats)
    times, heights = r_waves(lead, beats.times_s, rate)
    if rhythm.rr_ms.size < _MIN_INTERVALS or heights.size < _MIN_INTERVALS:
        return np.full(len(features(bands)), np.nan, np.float32)
    t, swell = levelled(times, heights / max(1e-9, float(np.median(heights))))
    frequency, density = periodogram(t, swell, *BREATH_HZ)
    values = (
        *rhythm.rates(),
        rhythm.slope(),
        *rhythm.ln_variability(),
        rhythm.ln_typical_step(),
        rhythm.over(50.0),
        np.log(max(1e-3, float(swell.std()))),
        frequency[density.argmax()],
        *rhythm.ln_power(BANDS_OF[bands]),
    )
    return np.asarray(values, np.float32)


def r_waves(lead: Float32, times_s: Float64, rate: float) -> tuple[Float64, Float64]:
    """Times [s] and heights (k,), highest less lowest point within ``_QRS_S`` of the peak; those cut off or with a hole are
    left out. So an inverted lead does as well."""
    half = max(1, round(_QRS_S * rate))
    peaks = np.rint(times_s * rate).astype(np.intp)
    inside = (peaks >= half) & (peaks < lead.size - half)
    waves = lead[peaks[inside, None] + np.arange(-half, half + 1)].astype(np.float64)
    heights = waves.max(axis=1) - waves.min(axis=1)
    whole = np.isfinite(heights)
    return times_s[inside][whole], heights[whole]
