"""The body of a simulated person: a rhythm of beats, and the waves that sensors would see of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from streamaffect.signals import Float32, Float64

STATE_RATE = 10.0  # Hz at which state and heart rate are laid out
LAG_S = 4.0  # the body follows the mind with this time constant
MAYER_HZ = 0.1  # the slow blood-pressure wave
REFRACTORY_S = 0.3
# P Q R S T of a lead II beat: height [mV], time after the R peak [s at 60 bpm], width [s]. The five Gaussians are those
# of McSharry et al., A dynamical model for generating synthetic ECG signals, IEEE TBME 50(3), 2003, taken in steady
# state, where their sum is the solution; times stretch with sqrt(RR) as the QT interval does (Bazett).
WAVES = ((0.12, -0.17, 0.025), (-0.10, -0.035, 0.010), (1.0, 0.0, 0.011), (-0.20, 0.035, 0.012), (0.28, 0.27, 0.045))
# theta, alpha, beta: band [Hz], typical amplitude [uV], factor under load at full effect (mental arithmetic: frontal
# theta up, alpha down).
BANDS = ((4.0, 7.0, 4.0, 1.5), (8.0, 12.5, 8.0, 0.55), (14.0, 30.0, 3.0, 1.35))


@dataclass(frozen=True, slots=True)
class Person:
    """What stays the same from session to session."""

    heart_rate: float  # at rest, beats a minute
    load_rise: float  # beats a minute more under load
    breath_hz: float
    sinus_arrhythmia: float  # beats a minute up and down with the breath, at rest
    mayer: float  # the same of the slow wave
    wave_heights: Float64  # (5,) factors on WAVES
    alpha_shift_hz: float
    load_response: float  # 0.6 .. 1.2: how far the EEG bands go
    skin_level: float  # uS
    skin_temperature: float  # degC

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        return cls(
            heart_rate=rng.uniform(56.0, 80.0),
            load_rise=rng.uniform(8.0, 18.0),
            breath_hz=rng.uniform(0.2, 0.3),
            sinus_arrhythmia=rng.uniform(2.0, 5.0),
            mayer=rng.uniform(1.0, 2.5),
            wave_heights=rng.uniform(0.7, 1.3, 5) * rng.uniform(0.6, 1.2),
            alpha_shift_hz=rng.uniform(-0.8, 0.8),
            load_response=rng.uniform(0.6, 1.2),
            skin_level=rng.uniform(1.0, 8.0),
            skin_temperature=rng.uniform(31.0, 35.0),
        )


@dataclass(frozen=True, slots=True)
class Body:
    """A person in one session: ``state`` (n,) at STATE_RATE, lagged, 0 .. 1; ``beats`` (k,) R peaks [s]."""

    person: Person
    seed: int
    state: Float64
    beats: Float64

    @classmethod
    def of(cls, seed: int, intended: Float64) -> Self:
        """``intended``: the schedule's state (n,) at STATE_RATE. ``seed`` is the person."""
        from scipy.signal import lfilter

        person = Person.draw(np.random.default_rng([seed, 0]))
        decay = np.exp(-1.0 / (LAG_S * STATE_RATE))
        state, _ = lfilter([1.0 - decay], [1.0, -decay], intended, zi=[decay * intended[0]])
        return cls(person, seed, state, _beats(person, state, np.random.default_rng([seed, 1])))

    def at(self, t: Float64) -> Float64:
        """The state at times (n,) [s]."""
        return np.interp(t, np.arange(self.state.size) / STATE_RATE, self.state)

    def ecg(self, t: Float64) -> Float32:
        """(1, n) uV: the beats' waves, wander with the breath, a little muscle and mains noise."""
        rng = np.random.default_rng([self.seed, 2])
        waves = [(height * own, at, width) for (height, at, width), own in zip(WAVES, self.person.wave_heights, strict=True)]
        millivolts = _per_beat(t, self.beats, waves)
        millivolts += 0.04 * np.sin(2 * np.pi * self.person.breath_hz * t)
        millivolts += rng.normal(0.0, 0.01, t.size) + 0.003 * np.sin(2 * np.pi * 50.0 * t)
        return _float32(1000.0 * millivolts)

    def ppg(self, t: Float64) -> Float32:
        """(1, n): pulse and its reflection 0.2 s after the beat; vessels narrow under load."""
        rng = np.random.default_rng([self.seed, 3])
        pulse = _per_beat(t, self.beats, [(60.0, 0.22, 0.07), (25.0, 0.45, 0.09)])
        return _float32(pulse * (1.0 - 0.35 * self.at(t)) + rng.normal(0.0, 1.0, t.size) - 20.0)

    def eeg(self, t: Float64, sites: tuple[str, ...]) -> Float32:
        """(sites, n) uV: 1/f background and three bands whose power moves with the state.

        Alpha is strongest at the back of the head, theta at the front.
        """
        rng = np.random.default_rng([self.seed, 4])
        state = self.at(t) * self.person.load_response
        out = np.empty((len(sites), t.size), np.float32)
        for row, site in enumerate(sites):
            wave = _coloured(rng, t, 0.7, 45.0, 6.0, slope=1.0)
            for low, high, amplitude, factor in BANDS:
                alpha = low == BANDS[1][0]
                shift = self.person.alpha_shift_hz if alpha else 0.0
                place = 1.6 if (alpha and site[0] in "PO") or (low < 5.0 and site[0] == "F") else 1.0
                gain = amplitude * place * np.maximum(1.0 + (factor - 1.0) * state, 0.1)
                wave += gain * _coloured(rng, t, low + shift, high + shift, 1.0)
            out[row] = rng.uniform(0.8, 1.25) * wave
        return out

    def eda(self, t: Float64) -> Float32:
        """(1, n) uS: a level that rises under load, and responses: about 2 a minute at rest, 8 under load."""
        rng = np.random.default_rng([self.seed, 5])
        level = self.person.skin_level * (1.0 + 0.25 * self.at(t)) + 0.02 * np.sin(2 * np.pi * t / 90.0)
        step_s = 1.0 / STATE_RATE
        happens = rng.random(self.state.size) < (2.0 + 6.0 * self.state) / 60.0 * step_s
        for onset in np.flatnonzero(happens) * step_s:
            since = np.clip(t - onset, 0.0, None)
            level += rng.uniform(0.1, 0.5) * (np.exp(-since / 4.0) - np.exp(-since / 0.8))
        return _float32(level + rng.normal(0.0, 0.005, t.size))

    def temperature(self, t: Float64) -> Float32:
        """(1, n) degC, quantised as the sensor does (0.02 degC); cools a little under load."""
        rng = np.random.default_rng([self.seed, 6])
        slow = _coloured(rng, t, 0.002, 0.02, 0.15)
        return _float32(np.round((self.person.skin_temperature + slow - 0.2 * self.at(t)) / 0.02) * 0.02)

    def acceleration(self, t: Float64) -> Float32:
        """(3, n) g: a resting arm, the breath and sensor noise; it knows nothing of the state."""
        rng = np.random.default_rng([self.seed, 7])
        direction = rng.normal(size=3)
        sway = 0.004 * np.sin(2 * np.pi * self.person.breath_hz * t)
        still = (direction / np.linalg.norm(direction))[:, None]
        return np.asarray(still * (1.0 + sway) + rng.normal(0.0, 0.008, (3, t.size)), dtype=np.float32)


def _beats(person: Person, state: Float64, rng: np.random.Generator) -> Float64:
    """R peaks [s]: where the integral of the heart rate passes a whole number (integral pulse modulation)."""
    t = np.arange(state.size) / STATE_RATE
    calm = 1.0 - 0.5 * state  # variability shrinks under load
    breath = 2 * np.pi * np.cumsum(person.breath_hz * (1.0 + 0.15 * state)) / STATE_RATE
    rate = person.heart_rate + person.load_rise * state
    rate = rate + calm * person.sinus_arrhythmia * np.sin(breath)
    rate = rate + calm * person.mayer * np.sin(2 * np.pi * MAYER_HZ * t + rng.uniform(0.0, 2 * np.pi))
    rate = rate + _coloured(rng, t, 0.005, 0.04, 1.0)
    phase = np.concatenate([[0.0], np.cumsum(np.maximum(rate, 30.0)[:-1]) / 60.0 / STATE_RATE]) + rng.random()
    beats = np.interp(np.arange(1.0, np.floor(phase[-1]) + 1.0), phase, t)
    jittered = np.sort(beats + rng.normal(0.0, 0.004, beats.size))
    return np.asarray(jittered[np.concatenate([[True], np.diff(jittered) > REFRACTORY_S])])


def _per_beat(t: Float64, beats: Float64, waves: list[tuple[float, float, float]]) -> Float64:
    """Sum of Gaussians (height, time after the beat, width), their times stretched with the square root of RR.

    A sample sees the beats next to it: one ahead (its P wave) and two behind.
    """
    out = np.zeros(t.size)
    if beats.size < 2:
        return out
    stretch = np.sqrt(np.append(np.diff(beats), np.diff(beats)[-1]))
    nearest = np.searchsorted(beats, t)
    for neighbour in (-2, -1, 0, 1):
        index = nearest + neighbour
        there = (index >= 0) & (index < beats.size)
        beat = np.clip(index, 0, beats.size - 1)
        since = t - beats[beat]
        for height, after, width in waves:
            out += there * height * np.exp(-0.5 * ((since - after * stretch[beat]) / width) ** 2)
    return out


def _coloured(rng: np.random.Generator, t: Float64, low_hz: float, high_hz: float, sd: float, slope: float = 0.0) -> Float64:
    """(n,) Gaussian noise between two frequencies, power as 1/f**slope there, of standard deviation ``sd``."""
    n = t.size
    frequency = np.fft.rfftfreq(n, t[1] - t[0] if n > 1 else 1.0)
    inside = (frequency >= low_hz) & (frequency <= high_hz)
    if not inside.any():
        return np.zeros(n)
    spectrum: npt.NDArray[np.complex128] = np.zeros(frequency.size, np.complex128)
    k = int(inside.sum())
    spectrum[inside] = (rng.normal(size=k) + 1j * rng.normal(size=k)) * frequency[inside] ** (-slope / 2.0)
    wave = np.fft.irfft(spectrum, n)
    scale = wave.std()
    return wave * (sd / scale) if scale > 0 else wave


def _float32(row: Float64) -> Float32:
    return row[None].astype(np.float32)
