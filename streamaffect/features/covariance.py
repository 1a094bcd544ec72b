"""EEG: the spatial covariance of a window, band by band, as the vector of its logarithm."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from streamaffect.features.eeg import BANDS
from streamaffect.features.spd import logm, to_vector
from streamaffect.signals import Float32, Float64, Window

ALL = "all"
RANGES = {ALL: (1.0, 45.0), **BANDS}  # Hz, both ends included
_FLOOR_UV2 = 1e-6  # of a channel's variance, lest a dead cap have no logarithm


def features(channels: tuple[str, ...], bands: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the elements: the upper triangle row by row, one band after the other."""
    pairs = [(a, b) for i, a in enumerate(channels) for b in channels[i:]]
    return tuple(f"{a}-{b}.{band}" for band in bands for a, b in pairs)


@lru_cache(maxsize=8)
def _hann(n: int) -> Float64:
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    return np.asarray(taper / np.sqrt(np.mean(taper**2)))


def covariances(window: Window, channels: tuple[str, ...], bands: tuple[str, ...], shrink: float, reference: str) -> Float64:
    """(bands, c, c) [uV^2] of ``channels``; NaN where no whole second is there.

    The real part of the cross-spectrum summed over the band: the covariance of the band-passed channels, free of a filter's
    ends. Hann-tapered seconds, half overlapping, those with a hole left out. Shrunk by ``shrink`` towards the multiple of the
    identity of the same trace, so that it is positive definite with ``reference`` "average" (rank c - 1) and few seconds too.
    """
    n = round(window.spec.rate)
    rows = [window.spec.channels.index(channel) for channel in channels]
    x = window.samples[rows].astype(np.float64)
    starts = [s for s in range(x.shape[1] - n, -1, -max(1, n // 2)) if np.isfinite(x[:, s : s + n]).all()]
    c = len(rows)
    if not starts:
        return np.full((len(bands), c, c), np.nan)
    seconds = np.stack([x[:, s : s + n] for s in starts])
    if reference == "average":
        seconds = seconds - seconds.mean(axis=1, keepdims=True)
    seconds = (seconds - seconds.mean(axis=2, keepdims=True)) * _hann(n)
    spectrum = np.fft.rfft(seconds, axis=2).transpose(1, 0, 2)  # (c, seconds, frequencies)
    frequency = np.fft.rfftfreq(n, 1 / window.spec.rate)
    found = np.empty((len(bands), c, c))
    for i, band in enumerate(bands):
        low, high = RANGES[band]
        inside = spectrum[:, :, (frequency >= low - 1e-9) & (frequency <= high + 1e-9)].reshape(c, -1)
        parts = np.concatenate([inside.real, inside.imag], axis=1)
        found[i] = parts @ parts.T * (2.0 / n**2 / len(starts))
    mean = np.trace(found, axis1=1, axis2=2)[:, None, None] / c + _FLOOR_UV2
    return np.asarray((1.0 - shrink) * found + shrink * mean * np.eye(c))


def ln_covariance(window: Window, channels: tuple[str, ...], bands: tuple[str, ...], shrink: float, reference: str) -> Float32:
    """Vector (bands * c (c + 1) / 2,) of the logarithms of the covariances: see :func:`spd.to_vector`; NaN with them.

    Plain Euclidean methods on it are log-Euclidean on the covariances (Arsigny et al. 2006; Barachant et al. 2012).
    """
    found = covariances(window, channels, bands, shrink, reference)
    if not np.isfinite(found).all():
        return np.full(len(bands) * len(channels) * (len(channels) + 1) // 2, np.nan, np.float32)
    return to_vector(logm(found)).astype(np.float32).ravel()
