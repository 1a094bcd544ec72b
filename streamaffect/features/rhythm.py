"""The rhythm of beats, be they an ECG's or a pulse's: variability in time, in the Poincare plot and in frequency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from streamaffect.features.ecg import Beats, intervals
from streamaffect.signals import Float64

# Bands [Hz] of the Task Force of the ESC and NASPE, Heart rate variability, Circulation 93(5), 1996.
LF_HZ, HF_HZ = (0.04, 0.15), (0.15, 0.4)
# The Task Force asks for a minute of HF and two of LF, ten periods of the lowest frequency or so. Half of that shows a steady
# rhythm well enough: of simulated bodies, HF of 30 s is within 10 % of that of five minutes (one standard deviation), LF of
# 60 s within 8 %. Real rhythms are less steady; below these a view refuses the band.
LEAST_S = {"hf": 30.0, "lf": 60.0}
BANDS_OF = {"none": (), "hf": ("hf",), "lf+hf": ("lf", "hf")}
_FLOOR_MS = 1.0
_OVERSAMPLE = 4  # frequencies for each that a whole window tells apart


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Plausible beat-to-beat intervals: ``times_s`` (k,) when each ends, ``rr_ms`` (k,), ``steps_ms`` (j,) the differences
    between neighbours; what stands on either side of a missed beat or a hole is no neighbour."""

    times_s: Float64
    rr_ms: Float64
    steps_ms: Float64

    @classmethod
    def of(cls, beats: Beats, trusted: npt.NDArray[np.bool_] | None = None) -> Self:
        """Of ``beats`` (b,); with ``trusted`` (b,) only the intervals between two beats that are."""
        times, rr = intervals(beats)
        if trusted is not None:
            both = trusted[1:] & trusted[:-1]
            kept = both[np.searchsorted(beats.times_s[1:], times)]
            times, rr = times[kept], rr[kept]
        adjacent = np.abs(times[1:] - times[:-1] - rr[1:]) < 1e-6
        return cls(times, 1e3 * rr, 1e3 * np.diff(rr)[adjacent])

    def rates(self) -> tuple[float, float, float]:
        """Mean heart rate and its 5th and 95th percentiles [1/min]: a single false interval makes no extreme."""
        low, high = np.percentile(self.rr_ms, (5, 95))
        return 6e4 / float(self.rr_ms.mean()), 6e4 / float(high), 6e4 / float(low)

    def slope(self) -> float:
        """Slope of the heart rate [1/min a minute]."""
        centred = (self.times_s - self.times_s.mean()) / 60
        squares = float(np.sum(centred**2))
        return float(np.sum(centred * 6e4 / self.rr_ms)) / squares if squares > 0 else 0.0

    def ln_variability(self) -> tuple[float, float, float]:
        """Logs of SDNN [ms], of RMSSD [ms] and of SD2/SD1 of the Poincare plot; no less than ``_FLOOR_MS`` is believed.

        SD1 = RMSSD / sqrt 2 and SD1^2 + SD2^2 = 2 SDNN^2 (Brennan et al., IEEE TBME 48(11), 2001).
        """
        sdnn = max(_FLOOR_MS, float(self.rr_ms.std(ddof=1)))
        rmssd = max(_FLOOR_MS, float(np.sqrt(np.mean(self.steps_ms**2))) if self.steps_ms.size else 0.0)
        sd1 = rmssd / np.sqrt(2)
        sd2 = np.sqrt(max(_FLOOR_MS**2, 2 * sdnn**2 - sd1**2))
        return float(np.log(sdnn)), float(np.log(rmssd)), float(np.log(sd2 / sd1))

    def ln_typical_step(self) -> float:
        """Log of the median step times 1.4826 [ms]: RMSSD where steps are normal, and deaf to the few that are false."""
        return float(np.log(max(_FLOOR_MS, 1.4826 * float(np.median(np.abs(self.steps_ms))) if self.steps_ms.size else 0.0)))

    def over(self, limit_ms: float) -> float:
        """Share of the steps over ``limit_ms``: pNN20, pNN50."""
        return float(np.mean(np.abs(self.steps_ms) > limit_ms)) if self.steps_ms.size else 0.0

    def ln_power(self, bands: tuple[str, ...]) -> list[float]:
        """Log of the power [ms^2] in each of ``bands``, ``lf`` or ``hf``, by Lomb and Scargle's :func:`periodogram` of the
        intervals less their line: they come as they come, and resampling them would take from HF what it gives to LF
        (Clifford & Tarassenko, IEEE TBME 52(4), 2005). HF above half the heart rate is not seen, below 48 beats a minute."""
        t, x = levelled(self.times_s, self.rr_ms)
        limits = {"lf": LF_HZ, "hf": HF_HZ}
        return [float(np.log(max(_FLOOR_MS**2, power(t, x, *limits[band])))) for band in bands]


def levelled(t: Float64, x: Float64) -> tuple[Float64, Float64]:
    """``t`` (n,) less its mean and ``x`` (n,) less its least-squares line."""
    t, x = t - t.mean(), x - x.mean()
    squares = float(np.sum(t**2))
    return t, x - t * (float(np.sum(t * x)) / squares if squares > 0 else 0.0)


def power(t: Float64, x: Float64, low_hz: float, high_hz: float) -> float:
    """Power of ``x`` (n,), of mean 0, at times ``t`` (n,) [s], between two frequencies; a sine of amplitude a has a^2/2."""
    return float(periodogram(t, x, low_hz, high_hz)[1].sum())


def periodogram(t: Float64, x: Float64, low_hz: float, high_hz: float) -> tuple[Float64, Float64]:
    """Frequencies [Hz] and the power at each of ``x`` (n,), of mean 0, sampled at ``t`` (n,) [s], whose sum is a band's power.

    Lomb, Astrophys. Space Sci. 39, 1976, with Scargle's tau, on a grid ``_OVERSAMPLE`` times as fine as 1 / duration.
    """
    span = float(t[-1] - t[0]) * t.size / max(1, t.size - 1) if t.size else 0.0
    if span <= 0:
        return np.asarray([low_hz]), np.zeros(1)
    step = 1.0 / (_OVERSAMPLE * span)
    frequency = np.arange(low_hz + step / 2, high_hz, step)
    phase = 2 * np.pi * frequency[:, None] * t
    cosine, sine = np.cos(phase), np.sin(phase)
    # 2 w tau, by the double angles' sums, halved; then the waves turned by it.
    turn = np.arctan2(2 * (sine * cosine).sum(axis=1), (cosine**2 - sine**2).sum(axis=1))[:, None] / 2
    c, s = cosine * np.cos(turn) + sine * np.sin(turn), sine * np.cos(turn) - cosine * np.sin(turn)
    # At tau the sine may vanish at every t; the cosine, of which it is a quarter behind, never does.
    sines = np.maximum((s**2).sum(axis=1), 1e-12)
    p = 0.5 * ((c * x).sum(axis=1) ** 2 / (c**2).sum(axis=1) + (s * x).sum(axis=1) ** 2 / sines)
    return frequency, np.asarray(p * (2.0 / t.size) / _OVERSAMPLE)
