"""Protocols over sets of windows: parts that share no sample, statistics of the right part, labels unread."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamaffect.bundle.build import Windows, gather
from streamaffect.bundle.bundle import Bundle
from streamaffect.evaluate.baselines import aligned
from streamaffect.evaluate.bundle_on import Settings, bundle_on, recipe_of, windows_on
from streamaffect.evaluate.offline import Learned, parts
from streamaffect.evaluate.played import Truth
from streamaffect.runtime.smoothing import both_ways
from streamaffect.signals import Recording

CONTEXT_S = 30.0


@pytest.fixture(scope="session")
def windows(shipped: Bundle, recording: Recording) -> Windows:
    return gather([recording], recipe_of(shipped))


@given(
    lengths=st.lists(st.floats(20, 200), min_size=1, max_size=20),
    hop_s=st.sampled_from([1.0, 5.0, 7.5]),
    seed=st.integers(0, 9),
)
@settings(max_examples=80, deadline=None)
def test_no_raw_sample_is_in_two_parts(lengths: list[float], hop_s: float, seed: int) -> None:
    bounds = np.concatenate([[0.0], np.cumsum(lengths)])
    ends = np.arange(hop_s, bounds[-1], hop_s)
    trial = np.full(ends.size, "", "<U8")
    for number, (start, end) in enumerate(itertools.pairwise(bounds)):
        trial[(ends - CONTEXT_S >= start) & (ends <= end)] = f"t{number}"
    adapt, score = parts(trial, ends, CONTEXT_S, seed)
    assert not (adapt & score).any()
    assert not (trial[adapt | score] == "").any()
    for a in ends[adapt]:
        assert (np.abs(a - ends[score]) >= CONTEXT_S - 1e-9).all()


def test_rows_without_a_length_are_in_one_part() -> None:
    trial, ends = np.repeat(["a", "b"], 5), np.arange(1.0, 11.0)
    adapt, score = parts(trial, ends, 0.0, 0)
    assert not (adapt & score).any()
    assert (adapt | score).all()


def test_many_trials_are_dealt_whole_few_are_cut() -> None:
    trial, ends = np.repeat([f"t{i}" for i in range(10)], 5), np.tile(np.arange(30.0, 55.0, 5.0), 10)
    ends = ends + np.repeat(np.arange(10) * 100.0, 5)
    adapt, score = parts(trial, ends, CONTEXT_S, 0)
    assert len(set(trial[adapt])) == len(set(trial[score])) == 5
    assert (adapt | score).all()
    long = np.arange(30.0, 200.0, 5.0)
    adapt, score = parts(np.full(long.size, "only"), long, CONTEXT_S, 0)
    assert adapt.any()
    assert score.any()
    assert long[score].min() - long[adapt].max() >= CONTEXT_S


@pytest.mark.parametrize("protocol", ["transductive", "split"])
def test_garbage_labels_change_no_prediction(shipped: Bundle, windows: Windows, protocol: str) -> None:
    asked = Settings(protocol, {**shipped.manifest.params, "adapt_epochs": 1})
    honest = windows_on(Learned.of(shipped), windows, "dynamic", asked)
    garbage = np.where(windows.y >= 0, np.random.default_rng(0).integers(0, 2, len(windows)), -1)
    misled = windows_on(Learned.of(shipped), replace(windows, y=garbage), "dynamic", asked)
    assert np.array_equal(honest.probabilities, misled.probabilities)
    assert not np.array_equal(honest.y, misled.y)
    assert not np.array_equal(honest.probabilities, windows_on(Learned.of(shipped), windows, None, asked).probabilities)


def test_split_knows_nothing_of_the_windows_that_it_scores(shipped: Bundle, windows: Windows) -> None:
    """Another end of the recording changes what is said of it, but not what is said of any other scored window."""
    asked, learned = Settings("split", {}), replace(Learned.of(shipped), smoothing_s=0.0)
    honest = windows_on(learned, windows, None, asked)
    last = np.flatnonzero(honest.scored)[-1]
    changed = {key: value.copy() for key, value in windows.plain.items()}
    changed["ecg.hrv"][last] += 9
    other = windows_on(learned, replace(windows, plain=changed), None, asked)
    rest = np.arange(len(windows)) != last
    assert np.array_equal(other.probabilities[rest], honest.probabilities[rest])
    assert not np.array_equal(other.probabilities[last], honest.probabilities[last])


def test_what_is_scored_is_not_averaged_with_what_was_adapted_on(shipped: Bundle, windows: Windows) -> None:
    asked, learned = Settings("split", {}), replace(Learned.of(shipped), smoothing_s=60.0)
    honest = windows_on(learned, windows, None, asked)
    alone = windows_on(replace(learned, smoothing_s=0.0), windows, None, asked)
    scored = honest.scored
    expected = both_ways(alone.probabilities[scored], alone.t_end_s[scored], 60.0)
    assert np.array_equal(honest.probabilities[scored], expected)
    assert not np.allclose(expected, both_ways(alone.probabilities, alone.t_end_s, 60.0)[scored])


def test_too_little_to_split_is_said(shipped: Bundle, windows: Windows) -> None:
    with pytest.raises(ValueError, match="person-3: too few windows to split"):
        windows_on(Learned.of(shipped), windows.take(np.arange(1)), None, Settings("split"))


def test_windows_that_were_not_trusted_are_there_as_silent(shipped: Bundle, recording: Recording) -> None:
    signal = recording.signals[0]
    flat = signal.samples.copy()
    flat[:, 125 * 256 : 165 * 256] = 0.0
    played = bundle_on(shipped, replace(recording, signals=(replace(signal, samples=flat),)), None, Settings("transductive"))
    assert played.t_end_s.tolist() == np.arange(5.0, 301.0, 5.0).tolist()
    assert played.asked.sum() > played.counted.sum()
    over = (played.t_end_s > 155) & (played.t_end_s <= 165)
    assert (played.reason[over] == "untrusted").all()


def test_truth_is_that_of_training(shipped: Bundle, recording: Recording, windows: Windows) -> None:
    truth = Truth.of(recording, windows.t_end_s, CONTEXT_S, shipped.classes, "label")
    assert np.array_equal(truth.label, windows.y)
    assert np.array_equal(truth.trial, windows.trial)


def test_a_baseline_is_silent_where_it_was_not_asked(shipped: Bundle, recording: Recording, windows: Windows) -> None:
    played = bundle_on(shipped, recording, None, Settings("transductive"))
    some = windows.take(np.arange(len(windows)) % 2 == 0)
    said = np.eye(2, dtype=np.float32)[np.arange(len(some)) % 2]
    beside = aligned(played, some, said)
    spoke = beside.reason == ""
    assert beside.t_end_s[spoke].tolist() == some.t_end_s.tolist()
    assert np.array_equal(beside.probabilities[spoke], said)
