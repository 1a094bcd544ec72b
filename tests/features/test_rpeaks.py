"""R-peaks: where they are known, beside the package whose detector this is, and where little is there to detect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sleepecg import detect_heartbeats

from streamaffect import datasets
from streamaffect.datasets import simulated
from streamaffect.features.ecg import find_beats
from streamaffect.features.rpeaks import find_r_peaks
from streamaffect.signals import Float64, Modality

RATE = 256.0


def lead(beats_s: npt.ArrayLike, heights: npt.ArrayLike = 1.0, seconds: float = 20.0, t_wave: float = 0.0) -> Float64:
    """(n,) of R-waves 10 ms wide [1 sd], their T-waves 35 ms wide and 300 ms later, in a little noise."""
    t = np.arange(round(seconds * RATE)) / RATE
    r, high = np.broadcast_arrays(np.asarray(beats_s, float), np.asarray(heights, float))
    away = t - r[:, None]
    waves = high[:, None] * (np.exp(-0.5 * (away / 0.01) ** 2) + t_wave * np.exp(-0.5 * ((away - 0.3) / 0.035) ** 2))
    return waves.sum(axis=0) + np.random.default_rng(0).normal(0, 0.005, t.size)


def found(x: Float64) -> Float64:
    return find_r_peaks(x, RATE) / RATE


@pytest.mark.parametrize("interval", [0.35, 0.6, 1.0, 1.4])
def test_beats_are_found_where_they_are(interval: float) -> None:
    beats = np.arange(0.5, 19.5, interval) + np.random.default_rng(1).normal(0, 0.01, np.arange(0.5, 19.5, interval).size)
    assert found(lead(beats)) == pytest.approx(beats, abs=0.005)


def test_t_waves_are_not_beats() -> None:
    beats = np.arange(0.5, 19.5, 0.8)
    x = lead(beats, t_wave=0.9)
    assert found(x) == pytest.approx(beats, abs=0.005)


def test_two_seconds_of_a_settling_amplifier_do_not_set_the_thresholds() -> None:
    """As eegmat's recordings begin: two steps, lower than the T-waves to come, and no beat."""
    beats = np.arange(2.5, 19.5, 0.8)
    x = lead(beats, t_wave=0.6)
    x[: round(1.1 * RATE)] += 0.1
    ours = found(x)
    assert ours[ours > 2.2] == pytest.approx(beats, abs=0.005)
    theirs = detect_heartbeats(x, RATE) / RATE
    assert theirs.size > 1.5 * beats.size


def test_a_beat_lower_than_the_threshold_is_searched() -> None:
    beats = np.arange(0.5, 19.5, 0.8)
    heights = np.ones(beats.size)
    heights[10] = 0.15
    assert found(lead(beats, heights)) == pytest.approx(beats, abs=0.005)


def test_beats_lower_than_the_first_and_missing_before_the_end_are_searched() -> None:
    assert found(lead([0.5, 1.3, 2.1], [1.0, 0.1, 0.1], seconds=3.0)) == pytest.approx([0.5, 1.3, 2.1], abs=0.005)


@pytest.mark.parametrize("rate", [128.0, 250.0, 512.0])
@pytest.mark.parametrize("subject", ["person-1", "person-4", "person-9"])
def test_beats_are_those_of_the_peer(subject: str, rate: float) -> None:
    from scipy.signal import resample_poly

    signal = simulated.person(subject, duration_s=60, modalities=[Modality.ECG]).signals[0]
    x = resample_poly(signal.samples[0].astype(np.float64), int(rate), int(signal.spec.rate))
    for seconds in (5, 10, 60):
        part = x[: round(seconds * rate)]
        assert find_r_peaks(part, rate).tolist() == detect_heartbeats(part, rate).tolist()


def test_beats_of_real_people_are_those_of_the_peer(eegmat: Path) -> None:
    """But at the start, by which it sets its thresholds, and on leads that show no beats."""
    same = []
    for person in datasets.open("eegmat", eegmat):
        [ecg] = [s for s in person.signals if s.spec.modality is Modality.ECG]
        x, rate = ecg.samples[0].astype(np.float64), ecg.spec.rate
        n = round(30 * rate)
        for part in (x[a : a + n] for a in range(n, x.size - n, n)):
            if find_beats(part.astype(np.float32), rate).trust < 0.9:
                continue
            ours, theirs = find_r_peaks(part, rate), detect_heartbeats(part, rate)
            same.append(np.intersect1d(ours, theirs).size / max(ours.size, theirs.size))
    assert len(same) > 60
    assert np.mean(np.array(same) == 1) > 0.9
    assert np.mean(same) > 0.98


@given(st.integers(0, 2**32 - 1), st.floats(1.01, 4.0), st.sampled_from([61.0, 130.0, 256.0]), st.floats(0.19, 0.3))
@settings(max_examples=60, deadline=None)
def test_short_leads_and_dense_peaks_do_no_harm(seed: int, seconds: float, rate: float, period: float) -> None:
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    x = np.where(np.arange(n) % round(period * rate) == 5, 100.0, 0.0) + rng.normal(0, 1, n) * rng.choice([0.01, 1, 30])
    beats = find_r_peaks(x, rate)
    assert ((beats > 0) & (beats < n)).all()
    assert (np.diff(beats) > int(0.2 * rate)).all()


def test_an_electrode_put_on_at_the_last_moment_harms_nothing() -> None:
    """The case on which the peer's C code ends the process: a flat start, then less than the two seconds that it learns on."""
    x = np.zeros(60 * int(RATE), np.float32)
    n = round(1.9 * RATE)
    x[-n:] = 300 * lead([0.4, 1.0, 1.6], seconds=1.9)
    assert find_beats(x, RATE).times_s == pytest.approx([58.5, 59.1, 59.7], abs=0.01)


@pytest.mark.parametrize("alive_s", [8, 12, 20])
def test_an_electrode_that_falls_off_does_not_lower_the_thresholds(alive_s: int) -> None:
    beats = np.arange(0.5, alive_s - 0.7, 0.8)
    x = 300 * lead(beats, t_wave=0.4, seconds=30).astype(np.float32)
    for rest in (np.float32(0.3), x[round(alive_s * RATE)]):
        held = x.copy()
        held[round(alive_s * RATE) :] = rest
        ours = find_beats(held, RATE).times_s
        assert ours[: beats.size] == pytest.approx(beats, abs=0.005)
        assert ours.size <= beats.size + 1  # the step to the flat


@pytest.mark.parametrize("height", [0.15, 0.2, 0.5])
def test_beats_go_on_after_they_became_lower(height: float) -> None:
    """The highest peak of a search may be a T-wave of the last tall beat: the next lower one is what was missed."""
    beats = np.arange(0.5, 29.5, 0.8)
    x = lead(beats, np.where(beats < 17, 1.0, height), seconds=30, t_wave=0.6)
    ours = found(x)
    assert np.abs(ours[:, None] - beats).min(axis=0).max() < 0.01  # none is missed
    assert ours.size <= beats.size + 2
