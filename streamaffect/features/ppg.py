"""Blood volume pulse of the wrist: pulses and how far to trust them, rate, variability and height of a short window."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamaffect.features.ecg import NO_BEATS, Beats, finite_spans, intervals, shape_trust
from streamaffect.signals import Float32, Float64, Window

PULSE_FEATURES = ("hr", "ln_sdnn", "ln_rmssd", "hr_slope", "ln_height")
SHAPE_S = 0.25  # to each side of a peak: the systolic wave, not the next one's
_MIN_INTERVALS = 8
# Elgendi et al., Systolic peak detection in acceleration photoplethysmograms, PLoS ONE 8(10), e76585, 2013
_PEAK_S, _BEAT_S, _OFFSET = 0.111, 0.667, 0.02
_REFRACTORY_S = 0.3


def find_pulses(lead: Float32, rate: float) -> Beats:
    """Systolic peaks of ``lead`` (n,), band-passed to 0.5 to 8 Hz, each finite stretch by itself (Elgendi et al. 2013):
    where the mean square of a ninth of a second exceeds that of a beat. Times are those of the parabola through each peak
    and its neighbours: at 64 Hz the grid alone would make a variability of 5 ms.
    """
    found = [_peaks(lead[span].astype(np.float64), rate) + span.start for span in finite_spans(lead, round(3 * rate))]
    peaks = np.concatenate(found).astype(np.intp) if found else np.empty(0, np.intp)
    trust = shape_trust(lead, peaks, round(SHAPE_S * rate)) if peaks.size >= 3 else None
    return NO_BEATS if trust is None else Beats((peaks + _vertex(lead, peaks)) / rate, trust)


def _peaks(x: Float64, rate: float) -> npt.NDArray[np.intp]:
    power = np.square(np.maximum(x, 0.0))
    threshold = _mean(power, _BEAT_S * rate) + _OFFSET * power.mean()
    high = np.concatenate(([False], _mean(power, _PEAK_S * rate) > threshold, [False]))
    edges = np.flatnonzero(np.diff(high.astype(np.int8)))
    blocks = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= _PEAK_S * rate]
    peaks: list[int] = []
    for a, b in blocks:
        peak = a + int(x[a:b].argmax())
        if not 0 < peak < x.size - 1:  # cut off: where its top would be is not seen
            continue
        if peaks and peak - peaks[-1] < _REFRACTORY_S * rate:
            peaks[-1] = max(peaks[-1], peak, key=lambda at: float(x[at]))
        else:
            peaks.append(peak)
    return np.asarray(peaks, np.intp)


def _mean(x: Float64, width: float) -> Float64:
    """Moving average over an odd number of about ``width`` samples, centred."""
    n = 2 * round((width - 1) / 2) + 1
    return np.asarray(np.convolve(x, np.full(n, 1.0 / n), mode="same")[: x.size])


def _vertex(lead: Float32, peaks: npt.NDArray[np.intp]) -> Float64:
    """(k,) where between -0.5 and 0.5 samples from its peak each parabola has its vertex."""
    before, at, after = (lead[peaks + step].astype(np.float64) for step in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = np.divide(before - after, 2 * bend, out=np.zeros_like(at), where=bend < 0)
    return np.asarray(np.clip(np.nan_to_num(shift), -0.5, 0.5))


def pulse(window: Window) -> Float32:
    """Pulse (5,) of the first channel: ``PULSE_FEATURES``; NaN with fewer than ``_MIN_INTERVALS`` plausible intervals.

    Mean rate [1/min]; log of SDNN and RMSSD of the intervals [ms], which of a wrist are noisier than an ECG's; slope of the
    rate over the window [1/min a window]; log of the median height of a pulse above the lowest point of the 0.4 s before
    it, which falls as vessels narrow.
    """
    lead, rate = window.samples[0], window.spec.rate
    beats = find_pulses(lead, rate)
    times, rr = intervals(beats)
    if rr.size < _MIN_INTERVALS:
        return np.full(len(PULSE_FEATURES), np.nan, np.float32)
    rr_ms = 1e3 * rr
    sdnn = max(1.0, float(rr_ms.std(ddof=1)))
    rmssd = max(1.0, float(np.sqrt(np.mean(np.diff(rr_ms) ** 2))))
    centred = times - times.mean()
    slope = float(centred @ (60 / rr) / (centred @ centred)) * lead.size / rate
    values = (60 / rr.mean(), np.log(sdnn), np.log(rmssd), slope, np.log(_height(lead, beats, rate)))
    return np.asarray(values, np.float32)


def _height(lead: Float32, beats: Beats, rate: float) -> float:
    reach = round(0.4 * rate)
    peaks = np.rint(beats.times_s * rate).astype(np.intp)
    peaks = peaks[peaks >= reach]
    before = lead[peaks[:, None] - np.arange(reach)]
    return max(1e-3, float(np.nanmedian(before[:, 0] - np.nanmin(before, axis=1))))
