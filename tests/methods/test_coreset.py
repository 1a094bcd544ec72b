import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streamaffect.methods import coreset

POOL = np.random.default_rng(0).normal(size=(300, 8)) + 0.5


def brute_force(x, k=10, weights=(1, 1, 1), signs=(1, 1, 1)):
    centre = x.mean(axis=0)
    diversity = np.array([np.sqrt(((row - centre) ** 2).sum()) for row in x])
    difficulty = np.array([-(row @ centre) / np.sqrt((row @ row) * (centre @ centre)) for row in x])
    density = []
    for i, row in enumerate(x):
        distances = sorted(np.sqrt(((row - other) ** 2).sum()) for j, other in enumerate(x) if i != j)
        density.append(np.mean(distances[:k]))
    terms = [(t - np.mean(t)) / np.std(t) for t in (diversity, difficulty, np.array(density))]
    return sum(w * s * t for w, s, t in zip(weights, signs, terms, strict=True))


@pytest.mark.parametrize(("weights", "signs"), [((1, 1, 1), (1, 1, 1)), ((0.5, 2, 1), (1, 1, -1)), ((0, 0, 1), (1, 1, 1))])
def test_score_is_that_of_plain_loops(weights, signs):
    expected = brute_force(POOL, weights=weights, signs=signs)
    np.testing.assert_allclose(coreset.score(POOL, weights=weights, signs=signs), expected, atol=1e-4)
    assert coreset.select(POOL, weights=weights, signs=signs).tolist() == np.argsort(-expected)[:64].tolist()


def test_blocks_and_references_agree_where_all_rows_are_references():
    x = np.random.default_rng(1).normal(size=(1100, 5))
    np.testing.assert_allclose(coreset.score(x, references=None), brute_force(x[:, :]), atol=1e-3)


def test_sampled_neighbours_choose_nearly_the_same():
    x = np.random.default_rng(2).standard_t(4, size=(4000, 16))
    exact, sampled = coreset.select(x, references=None), coreset.select(x, references=1000)
    assert len(np.intersect1d(exact, sampled)) >= 58


def test_size_is_a_fraction_but_at_least_the_minimum():
    assert len(coreset.select(POOL, fraction=0.5)) == 150
    assert len(coreset.select(POOL, fraction=0.01)) == 64
    assert coreset.select(POOL[:64]).tolist() == list(range(64))
    assert coreset.select(POOL[:1]).tolist() == [0]


def test_equal_windows_are_taken_in_order():
    assert coreset.select(np.ones((100, 4)), minimum=5).tolist() == [0, 1, 2, 3, 4]
    assert coreset.select(np.zeros((100, 4)), minimum=5, scale="rank").tolist() == [0, 1, 2, 3, 4]


def test_outliers_come_first_by_design_and_last_with_turned_signs():
    x = POOL.copy()
    x[17] -= 30
    assert coreset.select(x, minimum=5)[0] == 17
    assert 17 not in coreset.select(x, minimum=5, signs=(-1, -1, -1))


def test_ranks_are_not_moved_by_how_far_an_outlier_lies():
    near, far = POOL.copy(), POOL.copy()
    near[3] += 100
    far[3] += 110
    np.testing.assert_allclose(coreset.score(near, scale="rank")[3], coreset.score(far, scale="rank")[3])


def test_greedy_spreads_the_choice():
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(size=(400, 4)), 9 + 0.01 * rng.normal(size=(12, 4))])  # twelve near copies, far out
    alone = (1, 0, 0)
    top = coreset.select(x, minimum=10, weights=alone)
    greedy = coreset.select(x, minimum=10, weights=alone, strategy="greedy")
    assert (top >= 400).sum() >= 9
    assert (greedy >= 400).sum() <= 2
    assert greedy[0] == top[0]


@settings(max_examples=40, deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(1, 90), st.integers(1, 5)), elements=st.floats(-1e3, 1e3, width=32)),
    st.integers(1, 30),
    st.sampled_from(["top", "greedy"]),
    st.sampled_from(["zscore", "rank"]),
)
def test_choice_is_distinct_in_range_and_repeatable(x, minimum, strategy, scale):
    chosen = coreset.select(x, minimum=minimum, strategy=strategy, scale=scale)
    assert len(chosen) == min(len(x), max(minimum, int(np.ceil(0.01 * len(x)))))
    assert len(set(chosen.tolist())) == len(chosen)
    assert chosen.min() >= 0
    assert chosen.max() < len(x)
    assert chosen.tolist() == coreset.select(x, minimum=minimum, strategy=strategy, scale=scale).tolist()


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(80)))
def test_order_of_the_pool_does_not_matter(order):
    chosen = coreset.select(POOL[:80][order], minimum=10)
    assert {order[i] for i in chosen} == set(coreset.select(POOL[:80], minimum=10).tolist())


@pytest.mark.parametrize(
    ("x", "params", "message"),
    [
        (POOL[0], {}, r"x must be \(n, d\)"),
        (POOL[:0], {}, "not empty"),
        (np.where(POOL > 3, np.nan, POOL), {}, "NaN or infinity"),
        (POOL, {"fraction": 0.0}, "fraction must lie in"),
        (POOL, {"minimum": 0}, "minimum be 1 or more"),
        (POOL, {"k": 0}, "k must be 1 or more"),
        (POOL, {"strategy": "random"}, "strategy must be"),
        (POOL, {"scale": "minmax"}, "scale must be"),
        (POOL, {"weights": (1, 1)}, "three finite numbers"),
    ],
)
def test_bad_input_is_refused(x, params, message):
    with pytest.raises(ValueError, match=message):
        coreset.select(x, **params)
