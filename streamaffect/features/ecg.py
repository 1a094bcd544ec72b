"""ECG: heartbeats and how far to trust them, heart-rate variability of a short window, the raw lead."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from streamaffect.signals import Float32, Float64, Window

RR_RANGE_S = (0.3, 2.0)  # 200 to 30 beats a minute
HRV_FEATURES = ("hr", "ln_sdnn", "ln_rmssd", "ln_sd2_sd1", "hr_slope", "pnn20")
_MIN_BEATS = 6


@dataclass(frozen=True, slots=True)
class Beats:
    """R-peaks of one lead: ``times_s`` (k,) from the window's start, and ``trust`` 0..1.

    ``trust`` is the mean correlation of each beat's shape with the median shape, negative ones as 0: real beats look alike,
    what a detector finds in white noise does not.
    """

    times_s: Float64
    trust: float


NO_BEATS = Beats(np.empty(0), 0.0)


def finite_spans(lead: Float32, least: int) -> list[slice]:
    """Stretches of ``lead`` (n,) without NaN, of ``least`` samples or more."""
    finite = np.concatenate(([False], np.isfinite(lead), [False]))
    edges = np.flatnonzero(np.diff(finite.astype(np.int8)))
    return [slice(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= least]


def find_beats(lead: Float32, rate: float) -> Beats:
    """R-peaks of ``lead`` (n,), each finite stretch by itself; a flat or all but missing lead has no beats."""
    return beats_of(np.asarray(lead, np.float32).tobytes(), rate)


@lru_cache(maxsize=8)
def beats_of(samples: bytes, rate: float) -> Beats:
    """:func:`find_beats`, remembered: the quality of a window asks for its beats, and its views ask again."""
    from streamaffect.features.rpeaks import find_r_peaks

    lead = np.frombuffer(samples, np.float32)
    found = []
    for span in finite_spans(lead, round(3 * rate)):
        part = np.asarray(lead[span], np.float64)
        # A flat start or end, an electrode not yet or no longer on, would lower the thresholds.
        start = max(int((part != part[0]).argmax()) - 1, 0)
        stop = part.size - max(int((part[::-1] != part[-1]).argmax()) - 1, 0)
        if stop - start > rate and np.ptp(part) > 1e-6 * max(1.0, float(np.abs(part).max())):
            found.append(find_r_peaks(part[start:stop], rate) + start + span.start)
    peaks = np.concatenate(found).astype(np.intp) if found else np.empty(0, np.intp)
    if peaks.size < 3:
        return NO_BEATS
    trust = shape_trust(lead, peaks, round(0.12 * rate))
    return NO_BEATS if trust is None else Beats(peaks / rate, trust)


def shape_trust(lead: Float32, peaks: npt.NDArray[np.intp], half: int) -> float | None:
    """Mean correlation, negative ones as 0, of what surrounds each peak by ``half`` samples with the median of them all;
    None with fewer than three that are whole."""
    inside = peaks[(peaks >= half) & (peaks < lead.size - half)]
    shapes = lead[inside[:, None] + np.arange(-half, half + 1)].astype(np.float64)
    shapes = shapes[np.isfinite(shapes).all(axis=1)]
    if shapes.shape[0] < 3:
        return None
    shapes -= shapes.mean(axis=1, keepdims=True)
    template = np.median(shapes, axis=0)
    norms = np.linalg.norm(shapes, axis=1) * np.linalg.norm(template)
    correlation = shapes @ template / np.where(norms > 0, norms, np.inf)
    return float(np.clip(correlation, 0.0, 1.0).mean())


def intervals(beats: Beats) -> tuple[Float64, Float64]:
    """Times [s] and lengths [s] of the beat-to-beat intervals that are plausible.

    Left out: those outside ``RR_RANGE_S``, and those more than 25 % off the median of the five around them (missed and extra
    beats). A hole between two stretches makes one long interval, which goes the same way.
    """
    rr = np.diff(beats.times_s)
    if rr.size == 0:
        return np.empty(0), np.empty(0)
    padded = np.pad(rr, 2, mode="reflect") if rr.size > 2 else np.pad(rr, 2, mode="edge")
    local = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    good = (rr > RR_RANGE_S[0]) & (rr < RR_RANGE_S[1]) & (np.abs(rr - local) < 0.25 * local)
    return beats.times_s[1:][good], rr[good]


def hrv(window: Window) -> Float32:
    """Heart-rate variability (6,) of the first lead: ``HRV_FEATURES``; NaN with fewer than ``_MIN_BEATS`` intervals.

    Mean heart rate [1/min]; log of SDNN, RMSSD [ms] and SD2/SD1 (Poincare); slope of the heart rate over the window
    [1/min a window]; share of successive differences over 20 ms. Logs because the raw measures are log-normal over people.
    """
    times, rr = intervals(find_beats(window.samples[0], window.spec.rate))
    if rr.size < _MIN_BEATS:
        return np.full(len(HRV_FEATURES), np.nan, np.float32)
    rr_ms = 1e3 * rr
    steps = np.diff(rr_ms)
    sdnn = max(1.0, float(rr_ms.std(ddof=1)))
    rmssd = max(1.0, float(np.sqrt(np.mean(steps**2))))
    sd1_sq = rmssd**2 / 2
    sd2 = np.sqrt(max(1.0, 2 * sdnn**2 - sd1_sq))
    centred = times - times.mean()
    slope = float(centred @ (60 / rr) / (centred @ centred)) * window.samples.shape[1] / window.spec.rate
    values = (60 / rr.mean(), np.log(sdnn), np.log(rmssd), np.log(sd2 / np.sqrt(sd1_sq)), slope, np.mean(np.abs(steps) > 20))
    return np.asarray(values, np.float32)


def raw(window: Window, rate: float, seconds: float) -> Float32:
    """The first lead at ``rate`` [Hz]: (1, rate * seconds), standardised over the window (dynAmiC, section 4), holes 0.

    A window with nothing observed, or a flat one, is NaN.
    """
    lead = window.samples[0].astype(np.float64)
    finite = np.isfinite(lead)
    n = round(rate * seconds)
    if not finite.any() or (spread := float(lead[finite].std())) < 1e-9:
        return np.full((1, n), np.nan, np.float32)
    lead = np.where(finite, (lead - lead[finite].mean()) / spread, 0.0)
    return resample(lead, window.spec.rate, rate, n)[None, :]


def resample(x: Float64, rate_in: float, rate_out: float, n: int) -> Float32:
    """``x`` (m,) at another rate, cut or padded to ``n`` samples: polyphase, zero beyond the ends."""
    from fractions import Fraction

    from scipy.signal import resample_poly

    ratio = Fraction(rate_out / rate_in).limit_denominator(1000)
    y = x if ratio == 1 else resample_poly(x, ratio.numerator, ratio.denominator)
    out = np.zeros(n, np.float32)
    out[: min(n, y.size)] = y[:n]
    return out
