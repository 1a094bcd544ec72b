"""Skin temperature: level, drift and spread of a window, and which samples can be skin at all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamaffect.signals import Float32, Float64, Window

TEMP_FEATURES = ("level", "slope", "ln_spread")
RANGE_DEGC = (15.0, 45.0)  # of skin; an Empatica E4 in stress_predict shows 21.1 to 36.4
STEEPEST_DEGC_PER_S = 2.0  # what is faster is a loose contact: a real wrist changes by hundredths
_LEAST = 0.5  # of the window must be skin
_FLOOR_DEGC = 0.005  # of the spread: a quarter of an E4's step


def plausible(x: Float32, rate: float) -> npt.NDArray[np.bool_]:
    """Which samples of ``x`` (n,) [degC] can be skin: finite, within ``RANGE_DEGC``, on no flank steeper than
    ``STEEPEST_DEGC_PER_S``."""
    with np.errstate(invalid="ignore", over="ignore"):
        good = (x >= RANGE_DEGC[0]) & (x <= RANGE_DEGC[1])
        steep = np.abs(np.diff(x)) * rate > STEEPEST_DEGC_PER_S
    good[1:] &= ~steep
    good[:-1] &= ~steep
    return np.asarray(good)


def line(t: Float64, x: Float64) -> tuple[float, float]:
    """Mean of ``x`` (n,) and its slope over ``t`` (n,), least squares; the slope is 0 where all ``t`` are one."""
    centred = t - t.mean()
    squares = float(np.sum(centred**2))
    return float(x.mean()), float(np.sum(centred * x)) / squares if squares > 0 else 0.0


def stats(window: Window) -> Float32:
    """Skin temperature (3,) of the first channel: ``TEMP_FEATURES``; NaN where less than half of the window can be skin.

    Mean [degC]; slope [degC/min], which falls as the skin's vessels narrow under stress (Vinkers et al., The effect of stress
    on core and peripheral body temperature in humans, Stress 16(5), 2013); log of the spread about the slope's line [degC].
    """
    rate = window.spec.rate
    good = plausible(window.samples[0], rate)
    if good.mean() < _LEAST or good.sum() < 4:
        return np.full(len(TEMP_FEATURES), np.nan, np.float32)
    minutes = np.flatnonzero(good) / rate / 60
    x = window.samples[0, good].astype(np.float64)
    level, slope = line(minutes, x)
    spread = float((x - level - slope * (minutes - minutes.mean())).std())
    return np.asarray((level, slope, np.log(max(_FLOOR_DEGC, spread))), np.float32)
