"""Recordings played by the real engine: causal, deterministic, and blind to labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamaffect.bundle.bundle import Bundle
from streamaffect.evaluate import online
from streamaffect.evaluate.bundle_on import Settings, bundle_on
from streamaffect.evaluate.online import rotated
from streamaffect.evaluate.played import Played
from streamaffect.features.extract import chunks_of, specs_of
from streamaffect.runtime.adaptation import AdaptationSettings
from streamaffect.runtime.engine import Engine
from streamaffect.runtime.river import River
from streamaffect.runtime.trigger import Schedule
from streamaffect.signals import Modality, Recording, Signal, StreamSpec, Trial


@pytest.fixture(scope="session")
def mild(shipped: Bundle) -> AdaptationSettings:
    """One step of the bundle's own method, as soon as there are 16 windows, and once."""
    schedule = Schedule(first=16, min_gap_s=1e9, interval_s=None)
    params = {**shipped.manifest.params, "adapt_epochs": 1}
    return AdaptationSettings("dynamic", params, schedule, minimum=16, budget_s=None, device="cpu")


@pytest.fixture(scope="session")
def adapted(shipped: Bundle, recording: Recording, mild: AdaptationSettings, tmp_path_factory) -> Played:
    return online.play(shipped, recording, mild, tmp_path_factory.mktemp("work"), delay_s=20.0)


@pytest.fixture(scope="session")
def plain(shipped: Bundle, recording: Recording) -> Played:
    return bundle_on(shipped, recording, None, Settings("online"))


def test_what_is_said_is_what_the_river_says(shipped: Bundle, recording: Recording, plain: Played) -> None:
    specs = specs_of(recording, shipped.views)
    river = River(Engine(shipped), specs)
    said = [d for modality, chunk in chunks_of(recording, specs, 0.25) for d in river.push(modality, chunk)[0]]
    assert np.array_equal(plain.probabilities, np.stack([d.probabilities for d in said]))
    assert plain.reason.tolist() == [d.reason or "" for d in said]
    assert "warming_up" in plain.reason


def test_candidate_serves_from_the_delay_on_and_not_before(adapted: Played, plain: Played) -> None:
    kinds = [event.kind for event in adapted.events]
    assert kinds == ["adaptation_triggered", "adaptation_deployed"], adapted.events
    triggered_s = adapted.events[0].t_s
    served = adapted.version == 1
    assert np.array_equal(served, adapted.t_end_s >= triggered_s + 20.0 - 1e-6)
    assert np.array_equal(adapted.probabilities[~served], plain.probabilities[~served])
    assert not np.array_equal(adapted.probabilities[served], plain.probabilities[served])


def test_a_window_does_not_know_the_future_nor_any_label(
    shipped: Bundle, recording: Recording, mild: AdaptationSettings, adapted: Played, tmp_path: Path
) -> None:
    """One play that has other labels, and other signals after a while, says the same until then, adaptation included."""
    until_s = adapted.events[0].t_s + 30.0
    ecg = recording.signals[0]
    changed = ecg.samples.copy()
    changed[:, round(until_s * ecg.spec.rate) :] *= -3
    rng = np.random.default_rng(0)
    garbage = tuple(replace(trial, label=str(rng.choice(["rest", "load"]))) for trial in recording.trials)
    other = replace(recording, signals=(Signal(ecg.spec, changed),), trials=garbage)
    played = online.play(shipped, other, mild, tmp_path, delay_s=20.0)
    before = played.t_end_s <= until_s
    assert (played.version[before] == 1).any()
    assert np.array_equal(played.probabilities[before], adapted.probabilities[before])
    assert not np.array_equal(played.probabilities[~before], adapted.probabilities[~before])
    assert not np.array_equal(played.truth.label, adapted.truth.label)


def test_a_method_that_fails_leaves_the_model_serving_and_is_counted(
    shipped: Bundle, recording: Recording, plain: Played, tmp_path: Path
) -> None:
    hasty = Schedule(first=8, min_gap_s=0.0, interval_s=10.0)
    settings = AdaptationSettings("zscore", {}, hasty, budget_s=None, device="cpu")
    played = online.play(shipped, recording, settings, tmp_path)
    assert played.count("adaptation_failed") == 3
    assert played.events[-1].kind == "adaptation_disabled"
    assert np.array_equal(played.probabilities, plain.probabilities)


def test_only_settled_labelled_and_spoken_windows_count(plain: Played) -> None:
    assert (plain.t_end_s[plain.counted] > 120).all()
    assert (plain.truth.label[plain.counted] >= 0).all()
    assert plain.asked.sum() == plain.counted.sum() == len(plain.y)
    in_two_trials = (plain.t_end_s % 60 > 0) & (plain.t_end_s % 60 < 30)
    assert (plain.truth.label[in_two_trials] == -1).all()


def test_rotation_moves_signals_and_trials_together(recording: Recording) -> None:
    turned = rotated(recording)
    assert turned is not None
    assert [t.label for t in turned.trials] == ["load", "rest", "load", "rest", "rest"]
    assert turned.trials[-1].name == "rest-1"
    ecg, before = turned.signals[0], recording.signals[0]
    assert ecg.samples.shape == before.samples.shape
    for trial in turned.trials:
        old = next(t for t in recording.trials if t.name == trial.name)
        now, then = (s.samples[:, round(t.start_s * 256) : round(t.end_s * 256)] for s, t in ((ecg, trial), (before, old)))
        assert np.array_equal(now, then)


def test_rotation_keeps_streams_together_where_one_began_late_or_ended_early() -> None:
    """Each sample carries its own time: after the rotation all streams still agree on it."""
    a = StreamSpec("a", Modality.ECG, ("a",), 10.0)
    b = StreamSpec("b", Modality.EDA, ("b",), 4.0)
    first = Signal(a, np.arange(0, 1000, dtype=np.float32)[None] / 10)
    second = Signal(b, 2 + np.arange(0, 360, dtype=np.float32)[None] / 4, start_s=2.0)  # until 92 s
    trials = (Trial("x", "rest", 5, 30), Trial("across", None, 30, 50), Trial("y", "load", 40, 90))
    turned = rotated(Recording("made", "up", (first, second), trials))
    assert turned is not None
    assert [(t.name, t.start_s, t.end_s) for t in turned.trials] == [("y", 0, 50), ("x", 65, 90)]
    for signal in turned.signals:
        times = signal.start_s + np.arange(signal.samples.shape[1]) / signal.spec.rate
        truth = (times + 40) % 100
        there = np.isfinite(signal.samples[0])
        assert np.allclose(signal.samples[0, there], truth[there], atol=0.26)
        assert there.mean() > 0.85


def test_what_has_one_label_cannot_be_rotated(recording: Recording) -> None:
    assert rotated(replace(recording, trials=recording.trials[:1])) is None


def test_a_play_survives_the_disk(adapted: Played) -> None:
    again = Played.of_arrays(adapted.subject, adapted.arrays())
    assert again.events == adapted.events
    assert all(np.array_equal(value, adapted.arrays()[key]) for key, value in again.arrays().items())
