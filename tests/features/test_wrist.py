"""Pulse and skin conductance: what they measure in signals of known content, and how far they are trusted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt

from streamaffect import datasets
from streamaffect.datasets import simulated
from streamaffect.features import eda, ppg, views
from streamaffect.features.extract import Extractor, windows_of
from streamaffect.features.quality import USABLE, quality
from streamaffect.signals import Modality, StreamSpec, Window

PPG = StreamSpec("bvp", Modality.PPG, ("BVP",), 64.0, "au")
EDA = StreamSpec("eda", Modality.EDA, ("EDA",), 4.0, "uS")
BAND = butter(2, (0.5, 8.0), "bandpass", fs=64.0, output="sos")


def window(x: npt.ArrayLike, spec: StreamSpec) -> Window:
    samples = np.atleast_2d(np.asarray(x, np.float32))
    return Window(spec, 0.0, samples.shape[1] / spec.rate, samples, samples, np.isfinite(samples).all(axis=0))


def pulses(rr_s: npt.NDArray[np.float64], height: float = 40.0) -> Window:
    """Band-passed pulses, their feet ``rr_s`` apart from 3 s on."""
    feet = 3.0 + np.concatenate([[0], np.cumsum(rr_s)])
    t = np.arange(round((feet[-1] + 0.6) * 64)) / 64
    x = height * np.exp(-0.5 * ((t[:, None] - feet - 0.2) / 0.07) ** 2).sum(axis=1)
    return window(sosfilt(BAND, x + np.random.default_rng(0).normal(0, 0.1, t.size))[128:], PPG)


def test_pulse_of_known_beats() -> None:
    rr = 0.8 + 0.04 * np.sin(2 * np.pi * 0.25 * np.arange(38) * 0.8)
    hr, ln_sdnn, ln_rmssd, slope, _ = ppg.pulse(pulses(rr))
    assert hr == pytest.approx(60 / rr.mean(), abs=0.5)
    assert np.exp(ln_sdnn) == pytest.approx(1e3 * rr.std(ddof=1), rel=0.12)
    assert np.exp(ln_rmssd) == pytest.approx(1e3 * np.sqrt(np.mean(np.diff(rr) ** 2)), rel=0.12)
    assert abs(slope) < 2


def test_regular_pulses_have_no_variability_of_the_grid_s_making() -> None:
    """At 64 Hz whole samples would make an RMSSD of some 8 ms."""
    assert np.exp(ppg.pulse(pulses(np.full(38, 0.777)))[2]) < 3


def test_height_is_the_pulse_s() -> None:
    rr = np.full(38, 0.8)
    low, high = (ppg.pulse(pulses(rr, height))[4] for height in (20.0, 60.0))
    assert high - low == pytest.approx(np.log(3), abs=0.02)


def test_pulse_agrees_with_the_ecg_of_the_same_person() -> None:
    person = simulated.person("person-4", duration_s=120, modalities=[Modality.ECG, Modality.PPG])
    extractor = Extractor((views.ecg_hrv(), views.ppg_pulse()), {})
    seen = [f for f in windows_of(person, extractor, 5.0) if f.whole]
    assert len(seen) > 15
    for features in seen:
        assert features.plain["ppg.pulse"][0] == pytest.approx(features.plain["ecg.hrv"][0], rel=0.01)
        assert features.quality[Modality.PPG] > 0.9


@pytest.mark.parametrize("colour", ["white", "brown"])
@pytest.mark.parametrize("seed", range(5))
def test_noise_in_the_pulse_s_band_is_no_pulse(colour: str, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 50, 40 * 64)
    x = sosfilt(BAND, noise if colour == "white" else noise.cumsum())[-30 * 64 :]
    assert ppg.find_pulses(x.astype(np.float32), 64.0).times_s.size > 10  # the detector believes in it
    assert quality(window(x, PPG)) < USABLE


def test_too_few_pulses_are_not_a_number() -> None:
    assert np.isnan(ppg.pulse(pulses(np.full(7, 0.8)))).all()
    assert np.isfinite(ppg.pulse(pulses(np.full(8, 0.8)))).all()


def skin(seconds: float = 60.0, level: float = 2.0, slope: float = 0.0, rises: tuple[float, ...] = ()) -> np.ndarray:
    """A level [uS] with a slope [uS/min] and a response at every 8 s, each as high as told."""
    t = np.arange(round(seconds * 4)) / 4
    x = level + slope * t / 60
    for i, height in enumerate(rises):
        since = np.clip(t - 4 - 8 * i, 0, None)
        shape = np.exp(-since / 4) - np.exp(-since / 0.8)
        x = x + height * shape / 0.535  # the shape's own top
    return x


def test_level_and_slope_of_a_ramp() -> None:
    ln_level, slope, rate, ln_sum, _ = eda.stats(window(skin(level=2.0, slope=-0.5), EDA))
    assert np.exp(ln_level) == pytest.approx(1.75, abs=0.01)
    assert slope == pytest.approx(-0.5 / 1.75, rel=0.02)
    assert rate == 0
    assert ln_sum == pytest.approx(np.log(0.01))


def test_responses_are_counted_and_measured() -> None:
    heights = (0.2, 0.4, 0.3, 0.3)
    found = eda.responses(skin(rises=heights), 4.0)
    assert found == pytest.approx(heights, rel=0.25)  # each rises from the tail of the one before
    _, _, rate, ln_sum, _ = eda.stats(window(skin(rises=heights), EDA))
    assert rate == pytest.approx(4)
    assert np.exp(ln_sum) == pytest.approx(0.01 + found.sum(), rel=1e-3)
    assert eda.responses(skin(rises=(0.02, 0.02)), 4.0).size == 0  # too low
    assert eda.responses(skin(slope=6.0), 4.0).size == 0  # a rise, but none of seconds


def test_response_with_a_hole_in_it_is_left_out() -> None:
    x = skin(rises=(0.2, 0.4, 0.3, 0.3))
    x[round(4.5 * 4) : round(5.5 * 4)] = np.nan
    assert eda.responses(x, 4.0) == pytest.approx((0.4, 0.3, 0.3), rel=0.25)


def test_what_cannot_be_skin_is_left_out_or_not_a_number() -> None:
    off = np.full(240, 0.01)
    assert quality(window(off, EDA)) == 0.0
    assert np.isnan(eda.stats(window(off, EDA))).all()
    jerk = skin(slope=0.3)
    clean = eda.stats(window(jerk, EDA))
    jerk[100:110] += 20.0  # edges of 80 uS/s
    assert quality(window(jerk, EDA)) == pytest.approx(236 / 240)
    jerk[100:110] = 80.0
    spoilt = window(jerk, EDA)
    assert quality(spoilt) == pytest.approx(228 / 240)
    assert eda.stats(spoilt)[:2] == pytest.approx(clean[:2], abs=1e-2)
    half = skin()
    half[:130] = 0.0
    assert np.isnan(eda.stats(window(half, EDA))).all()
    assert quality(window(half, EDA)) < USABLE


@given(
    st.sampled_from(["noise", "square", "spikes", "ramp", "steps", "huge", "tiny", "flat"]),
    st.floats(0, 1),
    st.integers(0, 1000),
    st.sampled_from([(PPG, 64.0), (PPG, 256.0), (EDA, 4.0), (EDA, 32.0)]),
)
@settings(max_examples=80, deadline=None)
def test_no_signal_makes_a_wrist_extractor_raise(kind: str, lost: float, seed: int, what: tuple[StreamSpec, float]) -> None:
    spec, rate = what
    rng = np.random.default_rng(seed)
    n = round(30 * rate)
    t = np.arange(n)
    x = {
        "noise": rng.normal(0, 50, n),
        "square": np.where(t // rng.integers(3, 400) % 2, 1.0, -1.0),
        "spikes": (rng.random(n) < 0.01) * 1e4,
        "ramp": t * 0.01,
        "steps": rng.normal(0, 1, n).cumsum().round(),
        "huge": rng.normal(0, 1e30, n),
        "tiny": rng.normal(0, 1e-30, n),
        "flat": np.full(n, 3.0),
    }[kind]
    start = int(rng.integers(0, n))
    x[start : start + int(lost * n)] = np.nan
    spoilt = window(x, replace(spec, rate=rate))
    assert 0 <= quality(spoilt) <= 1
    values = (ppg.pulse if spec is PPG else eda.stats)(spoilt)
    assert np.isfinite(values).all() or np.isnan(values).all()


def test_wrist_features_are_the_same_bits_for_any_chunk() -> None:
    person = simulated.person("person-2", duration_s=60, modalities=[Modality.PPG, Modality.EDA])

    def run(chunk_s: float) -> list[bytes]:
        seen = windows_of(person, Extractor((views.ppg_pulse(), views.eda_stats()), {}), 5.0, chunk_s)
        return [f.plain[key].tobytes() for f in seen for key in ("ppg.pulse", "eda.stats")]

    assert run(0.11) == run(1.0) == run(29.0)


def test_skin_and_heart_know_stress_in_real_recordings(data_root: Path) -> None:
    """More responses and a faster pulse under stress than at rest, in most of the people."""
    rises = []
    for person in list(datasets.open("wesad_wrist", data_root))[:6]:
        extractor = Extractor((views.ppg_pulse(), views.eda_stats()), {})
        seen = {"baseline": [], "stress": []}
        for f in windows_of(person, extractor, 15.0, 20.0):
            label = [t.label for t in person.trials if t.start_s <= f.t_end_s - 30 and f.t_end_s <= t.end_s]
            if f.whole and label and label[0] in seen:
                seen[label[0]].append([f.plain["ppg.pulse"][0], f.plain["eda.stats"][2]])
        calm, stressed = (np.mean(seen[label], axis=0) for label in ("baseline", "stress"))
        rises.append(stressed > calm)
    assert (np.mean(rises, axis=0) >= 0.8).all()
