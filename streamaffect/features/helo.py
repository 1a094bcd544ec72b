"""The features of HeLo's experiments (Heterogeneous multi-modal fusion with label correlation for emotion distribution
learning, appendix A, tables 6 and 7), in windows of five seconds: to compare with, not to prefer.

The tables name features and count them; they do not define them. What each function had to resolve stands in its docstring.
Signals are as the sensor sent them, less what a hole took.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamaffect.features.ecg import find_beats, intervals
from streamaffect.features.tonic import responses
from streamaffect.signals import Float32, Float64, Window

_TIME = ("median", "mean", "std", "min", "max", "min_ratio", "max_ratio")
_FFT = ("fft_median", "fft_mean", "fft_std", "fft_max", "fft_min", "fft_range")
WAVE_FEATURES = (*(f"{order}.{name}" for order in ("raw", "d1", "d2") for name in _TIME), *_FFT)  # PPG, table 6
GSR_FEATURES = (*WAVE_FEATURES, "psd_0_2hz")
_SERIES = ("mean", "median", "std", "min", "max", "range")
ECG_FEATURES = tuple(f"{series}.{name}" for series in ("ibi", "hr", "hrv") for name in _SERIES)
EDA_FEATURES = ("mean", "std", "scr_count", "scr_mean")
# fmt: off
EMG_FEATURES = (
    "mean", "std", "range", "integral", "median", "p10", "p90", "peak_hz", "psd",
    "peaks", "peak_mean", "peak_std", "peak_sum", "peak_sum_a_second",
)
ACC_FEATURES = (
    "std.x", "std.y", "std.z", "std.all", "integral.x", "integral.y", "integral.z", "integral.all",
    "peak_hz.x", "peak_hz.y", "peak_hz.z", "peak_hz.all",
)
# fmt: on
_LEAST = 0.5  # of the window must be there
_EMG_LOW_HZ = 50.0


def _whole(x: Float32) -> Float64 | None:
    """``x`` (..., n) with holes bridged; None where less than half of it, or fewer than 4 samples, are there."""
    there = np.isfinite(x).reshape(-1, x.shape[-1]).all(axis=0)
    if there.mean() < _LEAST or there.sum() < 4:
        return None
    t = np.arange(x.shape[-1])
    rows = [np.interp(t, t[there], row[there].astype(np.float64)) for row in x.reshape(-1, x.shape[-1])]
    return np.asarray(rows).reshape(x.shape)


def _nan(names: tuple[str, ...]) -> Float32:
    return np.full(len(names), np.nan, np.float32)


def _vector(values: Sequence[float]) -> Float32:
    """All of ``values``, or all NaN where one is beyond float32: no sensor's are."""
    x = np.asarray(values, np.float64)
    return np.asarray(x if np.abs(x).max() < np.finfo(np.float32).max else np.full_like(x, np.nan), np.float32)


def _in_time(x: Float64) -> list[float]:
    """``_TIME`` of ``x`` (n,). The "ratios of minimum and maximum", which nothing there explains, we take for the shares of the
    samples that are local minima and maxima."""
    step = np.diff(x)
    turns = np.diff(np.sign(step[step != 0]))
    low, high = float(np.sum(turns > 0)) / x.size, float(np.sum(turns < 0)) / x.size
    return [float(np.median(x)), float(x.mean()), float(x.std()), float(x.min()), float(x.max()), low, high]


def _wave(x: Float64, rate: float) -> list[float]:
    d1 = np.diff(x) * rate
    size = np.abs(np.fft.rfft(x - x.mean()))[1:]
    spectrum = (np.median(size), size.mean(), size.std(), size.max(), size.min(), np.ptp(size))
    return [*_in_time(x), *_in_time(d1), *_in_time(np.diff(d1) * rate), *(float(v) for v in spectrum)]


def gsr(window: Window) -> Float32:
    """``GSR_FEATURES`` (28,) of table 6: 7 statistics of the signal [uS], its first and second derivative; 6 of the size of
    its Fourier transform without the constant; mean power density from 0 to 2 Hz [uS^2/Hz]."""
    x = _whole(window.raw[0])
    if x is None:
        return _nan(GSR_FEATURES)
    density = _density(x, window.spec.rate)
    inside = np.fft.rfftfreq(x.size, 1 / window.spec.rate) <= 2.0 + 1e-9
    return _vector([*_wave(x, window.spec.rate), float(density[inside].mean())])


def ppg(window: Window) -> Float32:
    """``WAVE_FEATURES`` (27,) of table 6: those of GSR without the power density ("raw GSR signal" there is the pulse)."""
    x = _whole(window.raw[0])
    return _nan(WAVE_FEATURES) if x is None else _vector(_wave(x, window.spec.rate))


def _density(x: Float64, rate: float) -> Float64:
    """One-sided power density of ``x`` (..., n) by one Hann-tapered segment: Welch's of five seconds has no more."""
    n = x.shape[-1]
    taper = np.hanning(n + 1)[:-1]
    power = np.abs(np.fft.rfft((x - x.mean(axis=-1, keepdims=True)) * taper, axis=-1)) ** 2
    return np.asarray(2 * power / (rate * np.sum(taper**2)))


def ecg(window: Window) -> Float32:
    """``ECG_FEATURES`` (18,) after table 7: statistics of the inter-beat intervals [s], of the heart rate [1/min] and of the
    successive differences of the intervals [ms], which we take for its "HRV time series"; NaN with fewer than three
    intervals. Table 7 counts 73 and does not say which: these are not all of them."""
    rr = intervals(find_beats(window.samples[0], window.spec.rate))[1]
    if rr.size < 3:
        return _nan(ECG_FEATURES)
    values = [
        value
        for s in (rr, 60 / rr, 1e3 * np.abs(np.diff(rr)))
        for value in (s.mean(), np.median(s), s.std(), s.min(), s.max(), np.ptp(s))
    ]
    return np.asarray(values, np.float32)


def eda(window: Window) -> Float32:
    """``EDA_FEATURES`` (4,) of table 7: mean and standard deviation [uS], number and mean height of the responses, 0 with
    none (a response: see :func:`tonic.responses`)."""
    x = _whole(window.raw[0])
    if x is None:
        return _nan(EDA_FEATURES)
    found = [r.height_us for r in responses(x, window.spec.rate)]
    return _vector((float(x.mean()), float(x.std()), len(found), float(np.mean(found)) if found else 0.0))


def emg(window: Window) -> Float32:
    """``EMG_FEATURES`` (14,) of table 7 [uV]: the first nine of the high-passed signal, the integral being that of its absolute
    value [uV s] and the power density summed over all frequencies [uV^2]; the peaks, positive ones, of the signal below 50 Hz
    (Schmidt et al., Introducing WESAD, ICMI 2018, from which the list is); their sum "normalized" by the seconds."""
    from scipy.signal import butter, sosfilt

    rate = window.spec.rate
    x, slow = _whole(window.samples[0]), _whole(window.raw[0])
    if x is None or slow is None:
        return _nan(EMG_FEATURES)
    slow = slow - slow.mean()
    if rate > 2.2 * _EMG_LOW_HZ:
        slow = np.asarray(sosfilt(butter(4, _EMG_LOW_HZ, fs=rate, output="sos"), slow))
    tops = slow[1:-1][(slow[1:-1] > slow[:-2]) & (slow[1:-1] >= slow[2:]) & (slow[1:-1] > 0)]
    seconds = x.size / rate
    density = _density(x, rate)
    low, median, high = np.percentile(x, (10, 50, 90))
    peaks = (tops.size, tops.mean(), tops.std(), tops.sum(), tops.sum() / seconds) if tops.size else (0.0,) * 5
    values = (
        *(x.mean(), x.std(), np.ptp(x), np.abs(x).mean() * seconds, median, low, high),
        *(density.argmax() / seconds, density.sum() / seconds, *peaks),
    )
    return _vector([float(value) for value in values])


def acc(window: Window) -> Float32:
    """``ACC_FEATURES`` (12,) of table 7: standard deviation of each axis and their sum [g], integral of each axis' absolute
    value and their sum [g s], frequency of the strongest wave of each axis and of all axes' power [Hz].

    The appendix' text has means too and no peak over all axes, which would be 15; the table's list with one more peak is 12.
    Raises ValueError with fewer than three channels.
    """
    if len(window.spec.channels) < 3:
        raise ValueError(f"stream {window.spec.name!r}: helo.acc needs 3 axes, it has {', '.join(window.spec.channels)}")
    x = _whole(window.raw[:3])
    if x is None:
        return _nan(ACC_FEATURES)
    seconds = x.shape[1] / window.spec.rate
    spread, area = x.std(axis=1), np.abs(x).mean(axis=1) * seconds
    density = _density(x, window.spec.rate)
    peaks = np.append(density.argmax(axis=1), density.sum(axis=0).argmax()) / seconds
    return _vector([*spread, spread.sum(), *area, area.sum(), *peaks])
