"""Skin conductance in two parts: the tonic level that drifts, and the phasic responses that stand on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamaffect.features.eda import plausible
from streamaffect.features.temp import line
from streamaffect.signals import Float32, Float64, Window

TONIC_FEATURES = ("ln_tonic", "tonic_slope", "scr_rate", "ln_scr_mean", "rise_s", "recovery_s", "ln_phasic", "ln_driver")
_LEAST = 0.5  # of the window must be skin
_CUT_HZ = 0.05  # responses lie above, drift below (Boucsein, Electrodermal Activity, 2nd ed., 2012)
_ASYMMETRY = 0.02  # weight of a sample above the level; one below weighs the rest
_ROUNDS = 6
_SMOOTH_S = 0.75  # of the phasic part before peaks are sought: three samples at 4 Hz
_SCR_US = 0.02
_RISE_S = (0.5, 5.0)
_DECAY_S = 3.0  # of a response's tail
# With no response in sight rise and recovery are these (Boucsein 2012), and each seen one counts beside one such.
_TYPICAL_S = (1.5, 4.0)
_FLOOR_US = 1e-3


@dataclass(frozen=True, slots=True)
class Response:
    """A skin conductance response: ``height_us`` and ``rise_s`` from trough to peak; ``recovery_s`` from the peak to half of
    the height, None where the next response or the window's end comes first."""

    height_us: float
    rise_s: float
    recovery_s: float | None


def tonic_level(x: Float64, good: npt.NDArray[np.bool_], rate: float) -> Float64:
    """(n,) [uS]: the smooth line below the responses of ``x`` (n,), drawn through ``good`` samples alone.

    Asymmetric least squares (Eilers & Boelens, Baseline correction with asymmetric least squares smoothing, Leiden 2005):
    minimise sum w (x - z)^2 + l sum (second difference of z)^2 with w small where x lies above z, in ``_ROUNDS`` rounds.
    l sets the cut-off to ``_CUT_HZ`` whatever the rate. A pentadiagonal solve a round: 0.1 ms, where cvxEDA takes a second.
    """
    from scipy.linalg import solveh_banded

    n = x.size
    stiff = (rate / (2 * np.pi * _CUT_HZ)) ** 4
    bands = np.zeros((3, n))  # D'D of the second difference, upper form
    bands[0, 2:] = 1.0
    bands[1, 1:] = -4.0
    bands[1, [1, -1]] = -2.0
    bands[2] = 6.0
    bands[2, [0, -1]], bands[2, [1, -2]] = 1.0, 5.0
    bands *= stiff
    diagonal = bands[2].copy()
    seen = np.where(good, x, 0.0)
    weight = np.where(good, 1.0, 0.0)
    for _ in range(_ROUNDS):
        bands[2] = diagonal + weight
        level = solveh_banded(bands, weight * seen, check_finite=False)
        weight = np.where(good, np.where(seen > level, _ASYMMETRY, 1.0 - _ASYMMETRY), 0.0)
    return np.asarray(level)


def responses(phasic: Float64, rate: float) -> list[Response]:
    """Responses in ``phasic`` (n,) [uS], NaN in holes: rises of ``_SCR_US`` or more within ``_RISE_S``; those with a hole in
    the rise are left out."""
    n = max(1, round(_SMOOTH_S * rate))
    smooth = np.convolve(phasic, np.full(n, 1.0 / n), mode="valid")
    rising = np.concatenate(([False], np.diff(smooth) > 0, [False]))  # False beside a NaN
    edges = np.flatnonzero(np.diff(rising.astype(np.int8)))
    troughs, peaks = edges[::2], edges[1::2]
    heights, took_s = smooth[peaks] - smooth[troughs], (peaks - troughs) / rate
    kept = np.flatnonzero((heights >= _SCR_US) & (took_s >= _RISE_S[0]) & (took_s <= _RISE_S[1]))
    ends = [*troughs[kept[1:]], smooth.size][: kept.size]
    found = []
    for i, end in zip(kept, ends, strict=True):
        below = np.flatnonzero(smooth[peaks[i] : end] <= smooth[peaks[i]] - heights[i] / 2)
        found.append(Response(float(heights[i]), float(took_s[i]), float(below[0] / rate) if below.size else None))
    return found


def driver(phasic: Float64, rate: float) -> Float64:
    """(n - 1,) [uS]: what the sweat glands are told, were each response a step that decays with ``_DECAY_S``: the inverse of
    that one-pole filter, negative values as 0 (Benedek & Kaernbach, J. Neurosci. Methods 190(1), 2010, with one exponential
    for two: at 4 Hz the fast one is two samples)."""
    decay = np.exp(-1.0 / (_DECAY_S * rate))
    return np.asarray(np.maximum(0.0, phasic[1:] - decay * phasic[:-1]) / (1.0 - decay))


def parts(window: Window) -> Float32:
    """Tonic and phasic conductance (8,) of the first channel: ``TONIC_FEATURES``; NaN where less than half of the window can
    be skin.

    Log of the mean tonic level [uS]; its slope relative to it [1/min]; responses a minute; log of their mean height [uS],
    0.01 with none; mean rise time and half-recovery time [s], drawn by one typical response towards ``_TYPICAL_S``; log of
    the mean phasic part and of its mean driver [uS]. Sees the window alone: the level near its end is drawn with less to go
    by than a whole recording would give.
    """
    x, rate = window.samples[0].astype(np.float64), window.spec.rate
    good = plausible(window.samples[0], rate)
    if good.mean() < _LEAST or good.sum() < 4:
        return np.full(len(TONIC_FEATURES), np.nan, np.float32)
    level = tonic_level(x, good, rate)
    mean, slope = line(np.flatnonzero(good) / rate / 60, level[good])
    mean = max(mean, _FLOOR_US)
    phasic = np.where(good, x - level, np.nan)
    found = responses(phasic, rate)
    driven = driver(phasic, rate)
    driven = driven[np.isfinite(driven)]
    values = (
        np.log(mean),
        slope / mean,
        len(found) / (float(good.sum()) / rate / 60),
        np.log(np.mean([r.height_us for r in found])) if found else np.log(0.01),
        np.mean([_TYPICAL_S[0], *(r.rise_s for r in found)]),
        np.mean([_TYPICAL_S[1], *(r.recovery_s for r in found if r.recovery_s is not None)]),
        np.log(_FLOOR_US + max(0.0, float(np.nanmean(phasic)))),
        np.log(_FLOOR_US + (float(driven.mean()) if driven.size else 0.0)),
    )
    return np.asarray(values, np.float32)
