"""The running statistics against their formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamaffect.features.normalise import Normaliser, Prior
from streamaffect.signals import Float32

PRIOR = Prior(np.array([1.0, -2.0, 50.0]), np.array([2.0, 0.5, 8.0]), np.array([1.0, 3.0, 10.0]), 2.0, 40.0)


def windows(n: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, 3)) * [3, 1, 9] + [5, 0, 70]).astype(np.float32)


@given(st.integers(0, 60), st.floats(0.1, 50), st.floats(0.1, 200), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_location_and_scale_are_means_with_the_prior_s_windows(n: int, a: float, b: float, seed: int) -> None:
    prior = Prior(PRIOR.location, PRIOR.scale, PRIOR.spread, a, b)
    x = windows(n, seed)
    normaliser = Normaliser(prior)
    for row in x:
        normaliser.update(row)
    exact = x.astype(np.float64)
    location = (a * prior.location + exact.sum(axis=0)) / (a + n)
    squares = ((exact - exact.mean(axis=0)) ** 2).sum(axis=0) if n else 0.0
    scale = np.sqrt((b * prior.scale**2 + squares) / (b + n))
    assert np.allclose(normaliser.location, location, rtol=1e-10)
    assert np.allclose(normaliser.scale, scale, rtol=1e-10)
    row = x[-1] if n else np.ones(3, np.float32)
    level = (location - prior.location) / prior.spread
    expected = np.clip(np.concatenate([(row - location) / scale, level]), -10, 10)
    assert np.allclose(normaliser(row), expected, atol=1e-5)


def test_without_windows_a_person_is_average() -> None:
    normaliser = Normaliser(PRIOR)
    assert not normaliser(PRIOR.location.astype(np.float32)).any()


def test_statistics_are_causal() -> None:
    x = windows(30)

    def play(rows: np.ndarray) -> np.ndarray:
        normaliser, out = Normaliser(PRIOR), []
        for row in rows:
            normaliser.update(row)
            out.append(normaliser(row))
        return np.stack(out)

    changed = x.copy()
    changed[20:] = 1e3
    assert np.array_equal(play(changed)[:20], play(x)[:20])
    assert np.array_equal(play(x[:7]), play(x)[:7])


def test_windows_with_nan_do_not_count() -> None:
    x = windows(20)
    spoilt = np.insert(x, [3, 9, 20], [[np.nan, 1, 1], [np.inf, 0, 0], [1, 1, np.nan]], axis=0)
    a, b = Normaliser(PRIOR), Normaliser(PRIOR)
    for row in x:
        a.update(row)
    for row in spoilt:
        b.update(row)
    assert a.n == b.n == 20
    assert np.array_equal(a(x), b(x))


def test_nan_stays_nan_and_the_rest_is_clipped() -> None:
    out = Normaliser(PRIOR)(np.array([np.nan, 1e6, 50.0], np.float32))
    assert np.isnan(out[0])
    assert out[1:3].tolist() == [10.0, 0.0]
    assert out.dtype == np.float32


def test_prior_without_level_keeps_the_width() -> None:
    prior = Prior(PRIOR.location, PRIOR.scale, PRIOR.spread, level=False)
    assert Normaliser(prior)(windows(4)).shape == (4, 3)
    assert (prior.width, PRIOR.width) == (3, 6)


def test_prior_weighs_people_not_windows() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.normal(0, 1, (50, 2)), rng.normal(10, 3, (5000, 2))
    x = np.concatenate([few, many, [[np.nan, 0]]]).astype(np.float32)
    subject = np.array(["a"] * 50 + ["b"] * 5000 + ["c"])
    prior = Prior.fit(x, subject, location_weight=3.0)
    assert np.allclose(prior.location, [5, 5], atol=0.3)
    assert np.allclose(prior.scale, np.sqrt((1 + 9) / 2), rtol=0.1)
    assert np.allclose(prior.spread, 5, atol=0.3)
    assert prior.location_weight == 3.0
    with pytest.raises(TypeError):
        Prior.fit(x, subject, weight=1.0)


def _played(prior: Prior, rows: Float32) -> Float32:
    normaliser = Normaliser(prior)
    out = []
    for row in rows:
        normaliser.update(row)
        out.append(normaliser(row))
    return np.stack(out)


def test_blocks_follow_each_other_as_width_says() -> None:
    plain = Prior(np.zeros(3), np.ones(3), np.ones(3), level=False)
    every = replace(plain, level=True, middle=True, extremes=True)
    assert (plain.width, replace(plain, extremes=True).width, every.width) == (3, 9, 15)
    rows = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    assert np.array_equal(_played(every, rows)[:, :3], _played(plain, rows))
    assert _played(every, rows).shape == (20, 15)


def test_middle_and_extremes_mean_the_same_however_long_each_state_lasted() -> None:
    """The wearer is low, then high; before, the low state lasted 20 or 200 windows."""
    prior = Prior(np.zeros(1), np.ones(1), np.ones(1), level=False, middle=True, extremes=True)
    low, high = np.full((200, 1), -1.0, np.float32), np.full((30, 1), 1.0, np.float32)
    short, long = (_played(prior, np.concatenate([low[:n], high]))[-1] for n in (20, 200))
    assert np.allclose(short[1:], long[1:], atol=1e-5)
    assert abs(short[0] - long[0]) > 0.3  # the mean has followed the longer state
    middle, above_low, above_high = short[1:]
    assert middle > 0.45
    assert above_low > 1.9
    assert abs(above_high) < 0.05


def test_one_odd_window_is_no_extreme() -> None:
    prior = Prior(np.zeros(1), np.ones(1), np.ones(1), level=False, extremes=True, inertia=8.0)
    calm = np.zeros((40, 1), np.float32)
    odd = calm.copy()
    odd[20] = 5.0
    reached = _played(prior, odd)[-1, 2]
    assert -0.7 < reached < 0.0
