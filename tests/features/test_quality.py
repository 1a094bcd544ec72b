"""How far windows are trusted: simulated faults, and the real ECG that is there and that is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamaffect import datasets
from streamaffect.datasets import simulated
from streamaffect.features import ecg, views
from streamaffect.features.extract import Extractor, windows_of
from streamaffect.features.quality import USABLE, quality, stuck_share
from streamaffect.signals import Modality, StreamSpec, Window

ECG = StreamSpec("ecg", Modality.ECG, ("I",), 256.0, "uV")
EEG = StreamSpec("eeg", Modality.EEG, ("Cz", "Pz", "Oz", "Fz"), 128.0, "uV")
N = 2560


def window(x: npt.ArrayLike, spec: StreamSpec = ECG) -> Window:
    samples = np.atleast_2d(np.asarray(x, np.float32))
    mask = np.isfinite(samples).all(axis=0)
    return Window(spec, 0.0, samples.shape[1] / spec.rate, samples, samples, mask)


@pytest.fixture(scope="module")
def heart() -> npt.NDArray[np.float32]:
    person = simulated.person(duration_s=20, modalities=[Modality.ECG])
    return person.signals[0].samples[0, 2 * 256 :][:N]


def test_a_beating_heart_is_trusted(heart: npt.NDArray[np.float32]) -> None:
    assert quality(window(heart)) > 0.9


@pytest.mark.parametrize("seed", range(5))
def test_white_noise_is_not_a_heart(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 100, N)
    assert ecg.find_beats(noise.astype(np.float32), 256).times_s.size > 10  # the detector believes in it
    assert quality(window(noise)) < 0.2


def test_flat_missing_and_all_but_missing_leads_are_worth_nothing(heart: npt.NDArray[np.float32]) -> None:
    gone = np.full(N, np.nan)
    scraps = np.where(np.arange(N) % 512 < 400, np.nan, heart)  # no stretch of 3 s
    for x in (np.zeros(N), np.full(N, 512.0), gone, scraps):
        assert quality(window(x)) == 0.0


def test_a_lead_that_is_flat_until_the_last_moment_is_worth_nothing() -> None:
    late = np.zeros(N)
    late[-10:] = 1.0
    assert quality(window(late)) == 0.0


def test_clipping_costs_as_much_as_it_lasts(heart: npt.NDArray[np.float32]) -> None:
    clipped = heart.copy()
    clipped[256:1280] = 5000.0
    assert stuck_share(window(clipped)) == pytest.approx(0.4, abs=0.01)
    assert quality(window(clipped)) < 0.6
    assert stuck_share(window(heart)) == 0.0


def test_half_a_window_is_judged_by_what_was_observed(heart: npt.NDArray[np.float32]) -> None:
    half = heart.copy()
    half[: N // 2] = np.nan
    assert quality(window(half)) > 0.8


def test_eeg_counts_channels_that_are_alive() -> None:
    x = np.random.default_rng(0).normal(0, 20, (4, 512))
    x[1] = 0.0
    x[2] *= 100
    assert quality(window(x, EEG)) == 0.5
    x[:, 100:200] = np.nan
    assert quality(window(x, EEG)) == 0.5
    assert quality(window(np.full((4, 512), np.nan), EEG)) == 0.0


@pytest.mark.parametrize("modality", list(Modality))
def test_every_modality_has_a_quality_between_0_and_1(modality: Modality) -> None:
    spec = StreamSpec("s", modality, ("a", "b", "c"), 64.0)
    x = np.random.default_rng(0).normal(0, 20, (3, 640))
    assert 0 <= quality(window(x, spec)) <= 1


@given(
    st.sampled_from(["noise", "square", "spikes", "ramp", "steps", "huge", "tiny"]),
    st.floats(0, 1),
    st.integers(0, 1000),
    st.sampled_from([64.0, 130.0, 256.0, 1000.0]),
)
@settings(max_examples=80, deadline=None)
def test_no_signal_makes_an_ecg_extractor_raise(kind: str, lost: float, seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    n = round(10 * rate)
    t = np.arange(n)
    x = {
        "noise": rng.normal(0, 50, n),
        "square": np.where(t // rng.integers(3, 400) % 2, 1.0, -1.0),
        "spikes": (rng.random(n) < 0.01) * 1e4,
        "ramp": t * 1.0,
        "steps": rng.normal(0, 1, n).cumsum().round(),
        "huge": rng.normal(0, 1e30, n),
        "tiny": rng.normal(0, 1e-30, n),
    }[kind]
    start = int(rng.integers(0, n))
    x[start : start + int(lost * n)] = np.nan
    spoilt = window(x, replace(ECG, rate=rate))
    assert 0 <= quality(spoilt) <= 1
    for compute in (ecg.hrv, lambda w: ecg.raw(w, 128.0, 10.0)):
        values = compute(spoilt)
        assert np.isfinite(values).all() or np.isnan(values).all()


@pytest.mark.parametrize(
    ("subject", "trial", "good"),
    [
        ("Subject13", "rest", False),
        ("Subject20", "arithmetic", False),
        ("Subject35", "arithmetic", False),
        ("Subject13", "arithmetic", True),
        ("Subject20", "rest", True),
        ("Subject05", "rest", True),
        ("Subject05", "arithmetic", True),
    ],
)
def test_real_ecg_is_told_from_a_lead_that_was_not_on(eegmat: Path, subject: str, trial: str, good: bool) -> None:
    recording = datasets.read(eegmat / f"{subject}.npz")
    [stretch] = [t for t in recording.trials if t.name == trial]
    extractor = Extractor([views.ecg_raw()], {})
    seen = [
        features.quality[Modality.ECG] or 0.0
        for features in windows_of(recording, extractor, 5.0, chunk_s=20)
        if features.t_end_s - 10 >= stretch.start_s and features.t_end_s <= stretch.end_s
    ]
    assert len(seen) > 5
    if good:
        assert np.median(seen) > 0.8
        assert np.mean(np.asarray(seen) >= USABLE) > 0.95
    else:
        assert max(seen) < 0.5
