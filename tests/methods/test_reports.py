import numpy as np
import pytest

from streamaffect import methods
from streamaffect.methods.reports import Reports


def reported(*rows):
    """Windows of (person, trial, shares), two of each report."""
    rows = [row for row in rows for _ in range(2)]
    person, trial, shares = zip(*rows, strict=True)
    x = {"view": np.zeros((len(rows), 1))}
    source = methods.LabelledSet(x, np.asarray(shares, float), np.asarray(person), np.asarray(trial))
    return Reports.of(source, np.arange(len(rows)))


def test_trials_that_people_report_the_same_of_are_one_state():
    calm, glad = (0.7, 0.3), (0.3, 0.7)
    rows = [
        (p, trial, shares)
        for p, bias in (("a", 0.06), ("b", 0.0), ("c", -0.06))
        for trial, (one, other) in (("rest", calm), ("clip", glad), ("rest-2", calm))
        for shares in [(one + bias, other - bias)]
    ]
    assert reported(*rows).states() == [frozenset({"clip"}), frozenset({"rest", "rest-2"})]


def test_state_of_one_person_alone_is_no_state_of_its_own_where_it_tells_nothing_of_others():
    rows = [(p, "rest", (0.6, 0.4)) for p in "abc"] + [(p, "clip", (0.2, 0.8)) for p in "abc"] + [("a", "odd", (0.6, 0.4))]
    assert reported(*rows).states() == [frozenset({"clip"}), frozenset({"odd", "rest"})]


def test_mean_report_counts_each_persons_report_the_same_and_rules_nothing_out():
    reports = reported(("a", "clip", (0.2, 0.8, 0.0)), ("b", "clip", (0.4, 0.6, 0.0)), ("b", "rest", (1.0, 0.0, 0.0)))
    mean = reports.mean(frozenset({"clip"}))
    np.testing.assert_allclose(mean, [0.3, 0.7, 0.0], atol=2e-6)
    assert mean.sum() == pytest.approx(1)
    assert mean.min() > 0


def test_reports_are_those_of_the_rows_asked_for():
    source = methods.LabelledSet(
        {"view": np.zeros((6, 1))}, np.full((6, 2), 0.5), np.repeat(["a", "b", "c"], 2), np.tile(["x", "y"], 3)
    )
    assert set(Reports.of(source, np.arange(4)).person) == {"a", "b"}
    with pytest.raises(ValueError, match="1 is too few"):
        Reports.of(source, np.arange(2))
