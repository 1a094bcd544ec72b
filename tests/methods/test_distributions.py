import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamaffect.methods import distributions
from streamaffect.methods.distributions import from_scores, label_correlation, measures


def by_loops(truth, predicted):
    """The definitions of PyLDL's ``metrics``, label by label; it clips at eps where this leaves 0/0 out."""
    totals = dict.fromkeys(distributions.MEASURES, 0.0)
    for d, p in zip(truth.tolist(), predicted.tolist(), strict=True):
        largest = clark = canberra = kl = dot = dd = pp = difference = 0.0
        for a, b in zip(d, p, strict=True):
            largest = max(largest, abs(a - b))
            difference += abs(a - b)
            dot, dd, pp = dot + a * b, dd + a * a, pp + b * b
            if a + b > 0:
                clark += (a - b) ** 2 / (a + b) ** 2
                canberra += abs(a - b) / (a + b)
            if a > 0:
                kl += a * (math.log(a) - math.log(b))
        row = {
            "chebyshev": largest,
            "clark": math.sqrt(clark),
            "canberra": canberra,
            "kl": kl,
            "cosine": dot / math.sqrt(dd) / math.sqrt(pp),
            "intersection": 1 - 0.5 * difference,
        }
        for name, value in row.items():
            totals[name] += value / len(truth)
    return totals


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 20), labels=st.integers(2, 10))
def test_measures_are_those_of_label_distribution_learning(seed, n, labels):
    rng = np.random.default_rng(seed)
    truth, predicted = rng.dirichlet(np.ones(labels), n), rng.dirichlet(np.ones(labels), n)
    assert measures(truth, predicted) == pytest.approx(by_loops(truth, predicted), abs=1e-9)


def test_truth_without_a_label_is_compared_without_dividing_by_zero():
    truth, predicted = np.array([[1.0, 0, 0], [0, 0.5, 0.5]]), np.array([[0.5, 0.5, 0], [0.2, 0.4, 0.4]])
    assert measures(truth, predicted) == pytest.approx(by_loops(truth, predicted), abs=1e-9)


def test_the_truth_itself_is_the_best_prediction():
    truth = np.random.default_rng(0).dirichlet(np.ones(5), 30)
    best = measures(truth, truth)
    assert best == pytest.approx({name: float(name in distributions.LARGER_IS_BETTER) for name in best}, abs=1e-12)


def test_wrongly_excluded_label_costs_much_but_not_infinity():
    cost = measures([[1.0, 0.0]], [[0.0, 1.0]])
    assert cost["kl"] == pytest.approx(8 * math.log(10))
    assert (cost["canberra"], cost["clark"], cost["intersection"]) == pytest.approx((2, math.sqrt(2), 0))


def test_subjects_count_alike_whatever_their_number_of_windows():
    rng = np.random.default_rng(1)
    truth, predicted = rng.dirichlet(np.ones(4), 30), rng.dirichlet(np.ones(4), 30)
    subject = np.repeat(["a", "b", "c"], [3, 7, 20])
    each = [measures(truth[subject == s], predicted[subject == s]) for s in "abc"]
    assert measures(truth, predicted, subject) == pytest.approx({name: np.mean([e[name] for e in each]) for name in each[0]})


def test_correlation_of_labels_is_the_cosine_of_their_columns():
    y = np.random.default_rng(2).dirichlet(np.ones(4), 50)
    expected = np.empty((4, 4))
    for i in range(4):
        for j in range(4):
            expected[i, j] = sum(y[:, i] * y[:, j]) / math.sqrt(sum(y[:, i] ** 2)) / math.sqrt(sum(y[:, j] ** 2))
    np.testing.assert_allclose(label_correlation(y), expected, atol=1e-12)
    np.testing.assert_array_equal(label_correlation(np.eye(3)[[0, 0, 1]]), np.eye(3))  # class labels, one never seen


def test_ratings_become_distributions():
    np.testing.assert_allclose(from_scores([[1, 1, 2], [5, 0, 0]]), [[0.25, 0.25, 0.5], [1, 0, 0]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: measures([[0.5, 0.5]], [[0.2, 0.3, 0.5]]), "one shape"),
        (lambda: measures([[0.5, 0.6]], [[0.5, 0.5]]), "truth must be"),
        (lambda: measures([[0.5, 0.5]], [[np.nan, 1]]), "predicted must be"),
        (lambda: measures([[0.5, 0.5]], [[0.5, 0.5]], ["a", "b"]), "one id a window"),
        (lambda: from_scores([[0, 0]]), "a positive one"),
        (lambda: label_correlation([1, 0]), r"\(n, C\)"),
    ],
)
def test_what_is_no_distribution_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
