"""EEG: differential entropy in SEED's five bands."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from streamaffect.signals import Float32, Float64, Window

# delta, theta, alpha, beta, gamma [Hz], both ends included (Zheng & Lu 2015)
BANDS = {"delta": (1.0, 3.0), "theta": (4.0, 7.0), "alpha": (8.0, 13.0), "beta": (14.0, 30.0), "gamma": (31.0, 50.0)}


@lru_cache(maxsize=8)
def _taper(n: int) -> Float64:
    from scipy.signal.windows import hann

    taper = np.asarray(hann(n, sym=False), np.float64)
    return np.asarray(taper / np.sqrt(np.mean(taper**2)))


def differential_entropy(window: Window, channels: tuple[str, ...], *, reference: str = "average") -> Float32:
    """Band differential entropy (channels * 5,), channel by channel, each in the order of ``BANDS``.

    0.5 ln(2 pi e v) with v the band's variance in a Hann-tapered second [uV^2] (Duan et al. 2013, Gaussian case), averaged
    over the window's whole seconds, half overlapping; seconds with a hole are left out, and a channel with none left is NaN.
    ``reference``: "average" over the observed ``channels`` of each second, or "none" as recorded.
    """
    rate = window.spec.rate
    n = round(rate)
    rows = [window.spec.channels.index(channel) for channel in channels]
    x = window.samples[rows].astype(np.float64)
    starts = range(x.shape[1] - n, -1, -max(1, n // 2))  # from the end: the newest second always counts
    seconds = np.stack([x[:, s : s + n] for s in starts]) if x.shape[1] >= n else np.full((1, len(rows), n), np.nan)
    if reference == "average":
        seconds = seconds - seconds.mean(axis=1, keepdims=True)
    seconds = (seconds - seconds.mean(axis=2, keepdims=True)) * _taper(n)
    power = np.abs(np.fft.rfft(seconds, axis=2)) ** 2 * (2.0 / n**2)  # sums to the variance over the bins
    frequency = np.fft.rfftfreq(n, 1 / rate)
    bands = [power[..., (frequency >= low - 1e-9) & (frequency <= high + 1e-9)].sum(axis=2) for low, high in BANDS.values()]
    variance = np.stack(bands, axis=-1)  # (seconds, channels, bands)
    entropy = 0.5 * np.log(2 * np.pi * np.e * np.maximum(variance, 1e-6))
    whole = np.isfinite(entropy).all(axis=(1, 2))
    if not whole.any():
        return np.full(len(rows) * len(BANDS), np.nan, np.float32)
    return np.asarray(entropy[whole].mean(axis=0), np.float32).ravel()
