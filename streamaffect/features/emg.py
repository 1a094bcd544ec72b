"""EMG: how strongly a muscle is at work, in what bursts, at what frequencies."""

from __future__ import annotations

import numpy as np

from streamaffect.features.ecg import finite_spans
from streamaffect.signals import Float32, Float64, Window

EMG_FEATURES = ("ln_rms", "ln_rest", "ln_burst", "ln_length", "crossings_hz", "median_hz", "ln_spectral_spread")
_PIECE_S = 0.25
_LEAST = 8  # pieces
_FLOOR_UV = 0.01


def pieces(x: Float32, rate: float) -> Float64:
    """(k, n): quarters of a second of ``x`` without a hole, each less its mean; no two overlap."""
    n = max(8, round(_PIECE_S * rate))
    found = [x[s.start : s.start + (s.stop - s.start) // n * n].reshape(-1, n) for s in finite_spans(x, n)]
    cut = np.concatenate(found).astype(np.float64) if found else np.empty((0, n))
    return np.asarray(cut - cut.mean(axis=1, keepdims=True))


def stats(window: Window) -> Float32:
    """Muscle activity (7,) of the first channel: ``EMG_FEATURES``; NaN with fewer than ``_LEAST`` quarters of a second.

    Log of the root mean square [uV], whose double is the log variance; log of that of the quietest tenth of the quarters, the
    tone at rest; log of the loudest tenth's over the median one's, the bursts; log of the waveform's length a second [uV/s];
    zero crossings a second; median frequency of the power [Hz], which falls as the muscle tires; log of the octaves between
    its quartiles. Hudgins et al., A new strategy for multifunction myoelectric control, IEEE TBME 40(1), 1993; De Luca, J.
    Applied Biomechanics 13(2), 1997.
    """
    rate = window.spec.rate
    x = pieces(window.samples[0], rate)
    if x.shape[0] < _LEAST:
        return np.full(len(EMG_FEATURES), np.nan, np.float32)
    rms = np.maximum(_FLOOR_UV, np.sqrt(np.mean(x**2, axis=1)))
    quiet, median, loud = np.percentile(rms, (10, 50, 90))
    low, middle, high = quartiles(x, rate)
    values = (
        0.5 * np.log(np.mean(rms**2)),
        np.log(quiet),
        np.log(loud / median),
        np.log(max(_FLOOR_UV, float(np.abs(np.diff(x, axis=1)).mean()) * rate)),
        float(np.mean(np.signbit(x[:, 1:]) != np.signbit(x[:, :-1]))) * rate,
        middle,
        np.log(max(1e-2, float(np.log2(high / low)))),
    )
    return np.asarray(values, np.float32)


def quartiles(x: Float64, rate: float) -> tuple[float, float, float]:
    """Frequencies [Hz] below which a quarter, a half and three quarters lie of the power of ``x`` (k, n), tapered."""
    n = x.shape[1]
    power = np.sum(np.abs(np.fft.rfft(x * np.hanning(n + 1)[:-1], axis=1)) ** 2, axis=0)
    power[0] = 0.0
    total = np.cumsum(power)
    if not total[-1] > 0:
        return 1.0, 1.0, 1.0
    edges = (np.arange(total.size) + 0.5) * rate / n  # a bin's power lies about its frequency
    low, middle, high = np.interp(np.asarray((0.25, 0.5, 0.75)) * total[-1], total, edges)
    return float(low), float(middle), float(high)
