"""Electrodermal activity: level, slope and responses of a short window, and which samples can be skin at all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamaffect.signals import Float32, Float64, Window

EDA_FEATURES = ("ln_level", "slope", "scr_rate", "ln_scr_sum", "ln_spread")
# What skin does not do: Kleckner et al., Simple, transparent, and flexible automated quality assessment procedures for
# ambulatory electrodermal activity data, IEEE TBME 65(7), 1460-1467, 2018.
RANGE_US = (0.05, 60.0)
STEEPEST_US_PER_S = 10.0
_SCR_US = 0.03  # a rise from trough to peak of this much is a response
_RISE_S = (0.5, 5.0)  # and takes so long
_SMOOTH_S = 1.0
_LEAST = 0.5  # of the window must be skin


def plausible(x: Float32, rate: float) -> npt.NDArray[np.bool_]:
    """Which samples of ``x`` (n,) [uS] can be skin: finite, within ``RANGE_US``, on no flank steeper than
    ``STEEPEST_US_PER_S``."""
    with np.errstate(invalid="ignore"):
        good = (x >= RANGE_US[0]) & (x <= RANGE_US[1])
        steep = np.abs(np.diff(x)) * rate > STEEPEST_US_PER_S
    good[1:] &= ~steep
    good[:-1] &= ~steep
    return np.asarray(good)


def stats(window: Window) -> Float32:
    """Skin conductance (5,) of the first channel: ``EDA_FEATURES``; NaN where less than half of the window can be skin.

    Log of the mean level [uS]; slope relative to it [1/min]; responses a minute; log of the sum of their heights a minute
    [uS]; log of the spread about the slope's line [uS]. Logs because conductance is log-normal over people.
    """
    x, rate = window.samples[0].astype(np.float64), window.spec.rate
    good = plausible(window.samples[0], rate)
    if good.mean() < _LEAST or good.sum() < 4:
        return np.full(len(EDA_FEATURES), np.nan, np.float32)
    minutes = np.arange(x.size) / rate / 60
    slope, offset = np.polyfit(minutes[good], x[good], 1)
    level = float(x[good].mean())
    spread = float((x[good] - slope * minutes[good] - offset).std())
    heights = responses(np.where(good, x, np.nan), rate)
    seen = float(good.sum()) / rate / 60
    values = (
        np.log(level),
        slope / level,
        heights.size / seen,
        np.log(0.01 + heights.sum() / seen),
        np.log(max(1e-3, spread)),
    )
    return np.asarray(values, np.float32)


def responses(x: Float64, rate: float) -> Float64:
    """Heights (k,) [uS] of the skin conductance responses in ``x`` (n,): rises, of the moving average of a second, of
    ``_SCR_US`` or more within ``_RISE_S``; those with a hole (NaN) in them are left out."""
    n = max(1, round(_SMOOTH_S * rate))
    smooth = np.convolve(x, np.full(n, 1.0 / n), mode="valid")
    rising = np.concatenate(([False], np.diff(smooth) > 0, [False]))  # False beside a NaN
    edges = np.flatnonzero(np.diff(rising.astype(np.int8)))
    troughs, peaks = edges[::2], edges[1::2]
    heights, took_s = smooth[peaks] - smooth[troughs], (peaks - troughs) / rate
    return np.asarray(heights[(heights >= _SCR_US) & (took_s >= _RISE_S[0]) & (took_s <= _RISE_S[1])])
