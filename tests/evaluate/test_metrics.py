"""Figures, checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from streamaffect.evaluate import metrics
from streamaffect.evaluate.figures import tests as paired_tests
from streamaffect.evaluate.played import Played, Truth
from streamaffect.methods.distributions import kl

Y = np.array([0, 0, 0, 1])
P = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]], np.float32)


def played(y: np.ndarray, p: np.ndarray, trial: np.ndarray | None = None, shares: np.ndarray | None = None) -> Played:
    n = len(y)
    names = np.full(n, "t") if trial is None else trial
    ends = np.arange(1, n + 1) * 30.0
    truth = Truth(y, names, shares)
    return Played("s", ends, p, np.full(n, "", "<U9"), truth, np.zeros(n, np.int64), np.ones(n, np.bool_))


def test_scores_of_a_person() -> None:
    found = metrics.scores(Y, P)
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert found["auroc"] == 1.0
    assert found["brier"] == pytest.approx(2 * np.mean([0.1**2, 0.4**2, 0.7**2, 0.2**2]), abs=1e-6)
    gaps = [0.1, 0.4, -0.7, 0.2]  # a bin each
    assert found["ece"] == pytest.approx(np.mean(np.abs(gaps)), abs=1e-6)


def test_one_class_has_no_balanced_accuracy() -> None:
    found = metrics.scores(Y[:3], P[:3])
    assert found["balanced_accuracy"] is None
    assert found["auroc"] is None
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert set(metrics.scores(Y[:0], P[:0]).values()) == {None}


def test_risk_falls_where_the_doubtful_are_left_out() -> None:
    y = np.zeros(10, np.int64)
    sure = np.linspace(0.95, 0.55, 10)
    p = np.stack([sure, 1 - sure], axis=1)
    p[-2:] = p[-2:, ::-1]  # the two least sure are wrong
    assert [entry["risk"] for entry in metrics.selective(y, p)] == pytest.approx([0.2, 1 / 9, 0, 0])


def test_confusion_counts_truth_by_row() -> None:
    assert metrics.confusion(Y, P) == [[2, 1], [0, 1]]


def test_spread_is_over_people_and_over_seeds() -> None:
    found = metrics.spread({"a": [0.5, 0.7], "b": [0.9, 0.9], "c": [None, None]})
    assert found["per_subject"] == {"a": pytest.approx(0.6), "b": pytest.approx(0.9), "c": None}
    assert found["mean"] == pytest.approx(0.75)
    assert found["std"] == pytest.approx(0.15)
    assert found["std_over_seeds"] == pytest.approx(0.05)


def test_minutes_count_what_was_right_with_and_without() -> None:
    rows = metrics.by_minute([played(Y, P)], [played(Y, P[:, ::-1])])
    assert rows == [
        {"minute": 0, "n": 2, "with": 1.0, "without": 0.0},
        {"minute": 1, "n": 2, "with": 0.5, "without": 0.5},
    ]


def test_every_trial_of_a_distribution_counts_the_same() -> None:
    shares = np.array([[0.5, 0.5]] * 4, np.float32)
    one = played(np.zeros(4, np.int64), P, np.array(["a", "a", "a", "b"]), shares)
    each = kl(shares.astype(float), P.astype(float))
    assert metrics.of_person(one)["kl"] == pytest.approx((each[:3].mean() + each[3]) / 2, rel=1e-5)


def test_comparisons_are_corrected_for_their_number() -> None:
    people = [f"s{i}" for i in range(8)]

    def row(values: np.ndarray) -> dict:
        return {"per_subject": dict(zip(people, values.tolist(), strict=True))}

    base = np.linspace(0.5, 0.7, 8)
    out = {"adapts": True, "balanced_accuracy": row(base + np.linspace(0.1, 0.2, 8)), "zscore": row(base)}
    out |= {"source_only": row(base[::-1]), "without_adaptation": out["balanced_accuracy"]}
    found = {test["b"]: test for test in paired_tests(out, "balanced_accuracy")}
    assert found["zscore"]["difference"] == pytest.approx(0.15)
    assert found["zscore"]["p"] == pytest.approx(2 / 2**8)
    assert found["without_adaptation"]["p"] == 1.0
    assert found["zscore"]["q"] == pytest.approx(min(3 * found["zscore"]["p"], 1.5 * found["source_only"]["p"]))
    assert all(test["q"] >= test["p"] for test in found.values())
