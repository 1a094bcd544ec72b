"""The average over neighbouring windows that is served."""

from __future__ import annotations

import numpy as np

from streamaffect.runtime.smoothing import Smoother, both_ways

REST, LOAD = np.array([0.8, 0.2], np.float32), np.array([0.3, 0.7], np.float32)


def test_without_seconds_every_window_stands_alone() -> None:
    smoother = Smoother(0.0)
    assert np.array_equal(smoother(REST, 5.0), REST)
    assert np.array_equal(smoother(LOAD, 10.0), LOAD)
    assert np.array_equal(both_ways(np.stack([REST, LOAD]), np.array([5.0, 10.0]), 0.0), [REST, LOAD])


def test_one_odd_window_does_not_turn_the_answer_a_lasting_change_does() -> None:
    smoother = Smoother(20.0)
    said = [smoother(p, 5.0 * i) for i, p in enumerate([REST] * 6 + [LOAD] + [REST] * 6 + [LOAD] * 12)]
    assert all(p.argmax() == 0 for p in said[:13])
    assert said[-1].argmax() == 1
    assert np.allclose([p.sum() for p in said], 1.0, atol=1e-6)


def test_temperature_commutes_with_smoothing() -> None:
    def cooled(p: np.ndarray) -> np.ndarray:
        q = p.astype(np.float64) ** (1 / 2.5)
        return (q / q.sum()).astype(np.float32)

    before, after = Smoother(15.0), Smoother(15.0)
    for i, p in enumerate([REST, LOAD, LOAD, REST]):
        assert np.allclose(before(cooled(p), 5.0 * i), cooled(after(p, 5.0 * i)), atol=1e-5)


def test_what_was_long_ago_counts_for_nothing() -> None:
    smoother = Smoother(10.0)
    smoother(REST, 5.0)
    assert np.allclose(smoother(LOAD, 1000.0), LOAD, atol=1e-5)


def test_begins_anew_when_the_sender_s_clock_goes_back() -> None:
    smoother = Smoother(30.0)
    smoother(REST, 500.0)
    assert np.allclose(smoother(LOAD, 5.0), LOAD, atol=1e-5)


def test_a_certain_zero_is_forgotten() -> None:
    smoother = Smoother(5.0)
    smoother(np.array([1.0, 0.0], np.float32), 0.0)
    for i in range(1, 30):
        said = smoother(np.array([0.05, 0.95], np.float32), 5.0 * i)
    assert said[1] > 0.9


def test_looking_both_ways_is_the_same_backwards() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet([2.0, 1.0, 1.0], 40).astype(np.float32)
    t = np.cumsum(rng.uniform(1.0, 9.0, 40))
    forth, back = both_ways(p, t, 20.0), both_ways(p[::-1], -t[::-1], 20.0)
    assert np.allclose(forth, back[::-1], atol=1e-5)
    assert np.allclose(forth.sum(axis=1), 1.0, atol=1e-5)
    changes = [int((np.diff(said.argmax(axis=1)) != 0).sum()) for said in (p, forth)]
    assert changes[1] < changes[0]
