"""Acceleration of a limb: how much it moves, how it is held."""

from __future__ import annotations

import numpy as np

from streamaffect.signals import Float32, Float64, Window

ACC_FEATURES = ("x", "y", "z", "ln_movement", "ln_peak", "ln_range", "ln_jerk", "still")
FULL_SCALE_G = 32.0  # no wearable measures more
_FLOOR_G = 1e-3  # below the noise of any of them
_STILL_G = 0.01  # movement in a second below this is none: an E4 counts in 1/64 g
_LEAST_S = 2.0


def movement(x: Float64, rate: float) -> Float64:
    """Root mean square deviation [g], over the axes of ``x`` (axes, n), from the mean posture of each whole second: (seconds,).

    The last second ends with the window; one with a hole is NaN.
    """
    n = max(2, round(rate))
    seconds = x.shape[1] // n
    parts = x[:, x.shape[1] - seconds * n :].reshape(x.shape[0], seconds, n)
    return np.asarray(np.sqrt(parts.var(axis=2).sum(axis=0)))


def stats(window: Window) -> Float32:
    """Acceleration (8,) of the first three channels: ``ACC_FEATURES``; NaN with less than ``_LEAST_S`` of whole seconds.

    Mean of each axis [g], which is posture; log of the root mean square and of the largest movement of a second [g] (see
    :func:`movement`); log of the range of the magnitude, 5th to 95th percentile [g]; log of the root mean square jerk [g/s];
    share of seconds without movement. Raises ValueError with fewer than three channels.
    """
    if len(window.spec.channels) < 3:
        raise ValueError(f"stream {window.spec.name!r}: acc.stats needs 3 axes, it has {', '.join(window.spec.channels)}")
    x, rate = window.samples[:3].astype(np.float64), window.spec.rate
    moved = movement(x, rate)
    moved = moved[np.isfinite(moved)]
    seen = np.asarray(np.isfinite(x).all(axis=0))
    jerk = np.diff(x, axis=1)[:, seen[1:] & seen[:-1]] * rate
    if moved.size < _LEAST_S or jerk.shape[1] == 0:
        return np.full(len(ACC_FEATURES), np.nan, np.float32)
    x = x[:, seen]
    low, high = np.percentile(np.sqrt(np.sum(x**2, axis=0)), (5, 95))
    logs = (np.sqrt(np.mean(moved**2)), moved.max(), high - low, np.sqrt(np.mean(np.sum(jerk**2, axis=0))))
    values = (*x.mean(axis=1), *np.log(np.maximum(_FLOOR_G, logs)), np.mean(moved < _STILL_G))
    return np.asarray(values, np.float32)
