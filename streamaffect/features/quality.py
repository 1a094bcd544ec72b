"""How far a window can be trusted, 0..1, from the signal alone."""

from __future__ import annotations

import numpy as np

from streamaffect.features.acc import FULL_SCALE_G
from streamaffect.features.ecg import RR_RANGE_S, find_beats, finite_spans, intervals
from streamaffect.features.eda import plausible
from streamaffect.features.ppg import find_pulses
from streamaffect.features.resp import breathing
from streamaffect.features.temp import plausible as can_be_warm_skin
from streamaffect.signals import Float32, Modality, Window

USABLE = 0.5  # below it a window abstains and stays out of the coreset
_EEG_RANGE_UV = (0.2, 200.0)  # a channel's standard deviation: dead below, movement or a bad electrode above
_BEAT_TRUST = (0.4, 0.8)  # shape correlation (see ecg.Beats) that maps to 0 and 1: white noise gives .3 to .5, real beats > .9
# The same of pulses. With the share of plausible intervals (see _ppg), noise of the pulse's band, white or brown, gives .0 to
# .5 in 30 s, nine in ten windows of a wrist at rest or under stress (wesad_wrist, stress_predict, induced_stress) more.
_PULSE_TRUST = (0.6, 0.8)
_STUCK_BELT_S = 1.0  # a belt at the end of its range; between breaths a chest is as good as still for less
_EMG_RANGE_UV = (0.2, 5000.0)  # standard deviation of a second: amplifier noise alone below, no surface EMG above
_HUM = 0.8  # of the power at the mains' frequency: the electrode is off
_HUM_SPANS = 5
# Share of breath in the variance of breath and white noise that maps to 0 and 1: white noise at 25 Hz or more gives < .1
_BREATH_SHARE = (0.3, 0.7)
_FROZEN_S = 20.0
_WEIGHTLESS_G = 0.1  # a resting axis of a calibrated sensor reads up to 1, the worst of the wrists' here .26 in all
_STUCK_S = 0.25  # a fast sensor that repeats one value this long is flat or clipped


def stuck_share(window: Window, seconds: float = _STUCK_S) -> float:
    """Share of the window in which a channel repeats one value for ``seconds`` or longer (the worst channel's)."""
    length = max(3, round(seconds * window.spec.rate))
    worst = 0.0
    for channel in window.raw:
        same = np.concatenate(([False], np.diff(channel) == 0.0, [False]))
        edges = np.flatnonzero(np.diff(same.astype(np.int8)))
        runs = edges[1::2] - edges[::2] + 1
        worst = max(worst, float(runs[runs >= length].sum()) / channel.size)
    return worst


def quality(window: Window) -> float:
    """Quality of one window; 0 for one without samples. Holes are not its business: they are ``coverage``."""
    if not window.mask.any():
        return 0.0
    match window.spec.modality:
        case Modality.ECG:
            return _ecg(window)
        case Modality.EEG:
            return _eeg(window)
        case Modality.PPG:
            return _ppg(window)
        case Modality.EDA:
            return float(plausible(window.raw[0], window.spec.rate)[window.mask].mean())
        case Modality.EMG:
            return _emg(window)
        case Modality.RESP:
            return _resp(window)
        case Modality.TEMP:
            return _temp(window)
        case Modality.ACC:
            return _acc(window)


def _ecg(window: Window) -> float:
    beats = find_beats(window.samples[0], window.spec.rate)
    if beats.times_s.size < 3:
        return 0.0
    low, high = _BEAT_TRUST
    shape = np.clip((beats.trust - low) / (high - low), 0.0, 1.0)
    rr = np.diff(beats.times_s)
    plausible = float(np.mean((rr > RR_RANGE_S[0]) & (rr < RR_RANGE_S[1])))
    return float(shape * plausible * (1.0 - stuck_share(window)))


def _ppg(window: Window) -> float:
    pulses = find_pulses(window.samples[0], window.spec.rate)
    if pulses.times_s.size < 3:
        return 0.0
    low, high = _PULSE_TRUST
    shape = np.clip((pulses.trust - low) / (high - low), 0.0, 1.0)
    regular = intervals(pulses)[1].size / (pulses.times_s.size - 1)
    return float(shape * regular * (1.0 - stuck_share(window)))


def _temp(window: Window) -> float:
    """Share of the samples that can be skin; 0 for a thermometer that says the same all along: an E4 never does in
    ``_FROZEN_S``."""
    x = window.raw[0, window.mask]
    if x.size > _FROZEN_S * window.spec.rate and np.ptp(x) == 0:
        return 0.0
    return float(can_be_warm_skin(window.raw[0], window.spec.rate)[window.mask].mean())


def _acc(window: Window) -> float:
    """Share of the samples that a wearable can have measured; 0 where no axis feels gravity. An arm may lie still for
    minutes, so that repeated values are no fault."""
    x = window.raw[:, window.mask]
    possible = (np.abs(x) <= FULL_SCALE_G).all(axis=0)
    if not possible.any() or float(np.abs(x[:, possible]).max()) < _WEIGHTLESS_G:
        return 0.0
    return float(possible.mean())


def _emg(window: Window) -> float:
    """How little of it is stuck (clipped, flat); 0 for a lead that is dead, swamped or hums. Noise like a muscle's own cannot
    be told from it."""
    spans = finite_spans(window.samples[0], round(window.spec.rate))
    if not spans:
        return 0.0
    seconds = [window.samples[0, s.stop - round(window.spec.rate) : s.stop] for s in spans[-_HUM_SPANS:]]
    spread = float(np.median([part.astype(np.float64).std() for part in seconds]))
    if not _EMG_RANGE_UV[0] < spread < _EMG_RANGE_UV[1] or max(_hum(part) for part in seconds) > _HUM:
        return 0.0
    return 1.0 - stuck_share(window)


def _hum(second: Float32) -> float:
    """Share of the power of one second within 1 Hz of 50 or of 60 Hz."""
    power = np.abs(np.fft.rfft(second.astype(np.float64) - second.mean(dtype=np.float64))) ** 2
    total = float(power[1:].sum())
    return max(float(power[hz - 1 : hz + 2].sum()) for hz in (50, 60)) / total if total > 0 else 0.0


def _resp(window: Window) -> float:
    """How much of the signal's steps from sample to sample is breath, and how little is stuck: noise is all steps."""
    wave = breathing(window.raw[0], window.spec.rate)
    if wave is None or not (spread := float(wave.std())) > 0:
        return 0.0
    rest = window.raw[0].astype(np.float64) - wave
    finite = np.isfinite(rest)
    rough = float(np.std(np.diff(rest[finite]))) / np.sqrt(2) if finite.sum() > 2 else np.inf
    share = spread**2 / (spread**2 + rough**2)
    low, high = _BREATH_SHARE
    return float(np.clip((share - low) / (high - low), 0.0, 1.0)) * (1.0 - stuck_share(window, _STUCK_BELT_S))


def _eeg(window: Window) -> float:
    """Share of the channels that are alive and not swamped by movement."""
    finite = np.isfinite(window.samples).all(axis=0)
    if finite.sum() < 2:
        return 0.0
    with np.errstate(over="ignore"):  # what no electrode sends is inf, and none of the channels alive
        spread = window.samples[:, finite].std(axis=1)
    return float(np.mean((spread > _EEG_RANGE_UV[0]) & (spread < _EEG_RANGE_UV[1])))
