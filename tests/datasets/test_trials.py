"""Marks, columns and tables as trials."""

from __future__ import annotations

import numpy as np
import pytest

from streamaffect.datasets import trials
from streamaffect.signals import Trial


def _told(found: tuple[Trial, ...]) -> list[tuple[str, str | None, float, float]]:
    return [(trial.name, trial.label, trial.start_s, trial.end_s) for trial in found]


def test_a_mark_lasts_until_the_next_and_the_last_to_the_end() -> None:
    found = trials.from_marks([(5.0, "load"), (1.0, "rest"), (9.0, "rest")], 12.0)
    assert _told(found) == [("rest", "rest", 1.0, 5.0), ("load", "load", 5.0, 9.0), ("rest-2", "rest", 9.0, 12.0)]


@pytest.mark.parametrize("end", ["end", "END", "stop", "film end", "film_end", "film/stop", ""])
def test_an_end_begins_nothing(end: str) -> None:
    assert _told(trials.from_marks([(1.0, "film"), (4.0, end)], 9.0)) == [("film", "film", 1.0, 4.0)]


@pytest.mark.parametrize("begin", ["film start", "film_begin", "film/onset", " film "])
def test_a_begin_is_the_label_alone(begin: str) -> None:
    assert _told(trials.from_marks([(1.0, begin)], 9.0)) == [("film", "film", 1.0, 9.0)]


@pytest.mark.parametrize("word", ["weekend", "nonstop", "startle"])
def test_words_that_only_look_like_ends_are_labels(word: str) -> None:
    assert [trial.label for trial in trials.from_marks([(0.0, word)], 3.0)] == [word]


def test_marks_at_the_same_time_and_none() -> None:
    assert _told(trials.from_marks([(1.0, "a"), (1.0, "b")], 3.0)) == [("b", "b", 1.0, 3.0)]
    assert trials.from_marks([], 3.0) == ()


def test_runs_of_a_column_are_trials() -> None:
    found = trials.from_columns(np.arange(6) / 2, ["a", "a", "", "b", "a", "a"], None, 0.5)
    assert _told(found) == [("a", "a", 0.0, 1.0), ("b", "b", 1.5, 2.0), ("a-2", "a", 2.0, 3.0)]


def test_a_trial_without_a_label_is_unlabelled() -> None:
    assert _told(trials.from_columns(np.arange(4.0), None, ["", "t1", "t1", ""], 1.0)) == [("t1", None, 1.0, 3.0)]


def test_trials_are_cut_to_the_recording() -> None:
    found = trials.within((Trial("a", None, -1.0, 2.0), Trial("b", None, 8.0, 12.0), Trial("c", None, 10.0, 11.0)), 10.0)
    assert _told(found) == [("a", None, 0.0, 2.0), ("b", None, 8.0, 10.0)]
