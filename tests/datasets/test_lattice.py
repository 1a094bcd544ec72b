"""Samples on a grid: losses, jitter, clocks that are a little off."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamaffect.datasets.lattice import on_grid, rate_of

RATE = 128.0


def _numbered(kept: np.ndarray, origin: float = 1000.0) -> tuple[np.ndarray, np.ndarray]:
    """Stamps and samples of the places kept; a sample is its place."""
    places = np.flatnonzero(kept)
    return origin + places / RATE, places[None].astype(np.float64)


@given(
    st.lists(st.booleans(), min_size=1, max_size=400), st.floats(-1e6, 1e6), st.sampled_from([1.0, 4.0, 50.0, 128.0, 1000.0])
)
def test_what_was_kept_comes_back_in_its_place(kept: list[bool], origin: float, rate: float) -> None:
    places = np.flatnonzero([True, *kept, True])
    start, samples = on_grid(origin + places / rate, places[None].astype(np.float64), rate)
    assert start == pytest.approx(origin, abs=1e-3)
    expected = np.full(places[-1] + 1, np.nan)
    expected[places] = places
    assert np.array_equal(samples[0], expected, equal_nan=True)


@pytest.mark.parametrize("jitter", [0.2, 1.0, 3.0])
def test_jitter_moves_no_sample_and_a_loss_stays_a_loss(jitter: float) -> None:
    """``jitter`` in periods; samples in order, as a device sends them."""
    rng = np.random.default_rng(3)
    kept = np.ones(5000, bool)
    kept[2000:2300] = False
    stamps, samples = _numbered(kept)
    noisy = np.sort(stamps + rng.normal(0, jitter / RATE, stamps.size))
    start, out = on_grid(noisy, samples, RATE)
    assert start == pytest.approx(1000.0, abs=2 * jitter / RATE)
    places = np.arange(out.shape[1])
    there = np.isfinite(out[0])
    # Where a value stands tells its place; around the loss, jitter hides it from one sample to the next.
    assert np.mean(np.abs(out[0, there] - places[there]) <= 1) > 0.98
    assert 290 <= np.count_nonzero(~there) <= 310


@pytest.mark.parametrize(("latency", "lost"), [(0.0, 0.0), (0.05, 0.002)])
def test_chunks_of_one_stamp_are_spread(latency: float, lost: float) -> None:
    """As Bluetooth delivers them: 16 at a time, stamped on arrival, which is late by tens of milliseconds."""
    rng = np.random.default_rng(1)
    arrivals = np.maximum.accumulate(np.arange(600) * 16 / RATE + np.abs(rng.normal(0, latency, 600)))
    _, out = on_grid(np.repeat(arrivals, 16), np.arange(9600.0)[None], RATE)
    assert np.count_nonzero(np.isfinite(out)) >= 9600 * (1 - lost)
    assert abs(out.shape[1] - 9600) <= 16
    assert np.nanmax(np.abs(out[0] - np.arange(out.shape[1]))) <= 16


def test_a_clock_a_little_fast_keeps_streams_aligned_for_hours() -> None:
    n = 200_000
    stamps = 50.0 + np.arange(n) / (RATE * (1 + 200e-6))
    start, out = on_grid(stamps, np.arange(n)[None], RATE)
    assert start + out.shape[1] / RATE == pytest.approx(stamps[-1] + 1 / RATE, abs=1.5 / RATE)


def test_samples_out_of_order_or_without_a_time() -> None:
    stamps = np.array([3.0, 1.0, np.nan, 2.0])
    start, out = on_grid(stamps, np.array([[30.0, 10.0, 99.0, 20.0]]), 1.0)
    assert (start, out.tolist()) == (1.0, [[10.0, 20.0, 30.0]])
    with pytest.raises(ValueError, match="no samples with a time"):
        on_grid(np.array([np.nan]), np.array([[1.0]]), 1.0)
    with pytest.raises(ValueError, match="clocks are mixed"):
        on_grid(np.array([0.0, 1.6e9]), np.zeros((1, 2)), 1.0)


def test_the_rate_of_the_header_stands_unless_all_stamps_say_another() -> None:
    stamps = np.arange(2000) / 250.1
    kept = np.random.default_rng(0).random(2000) > 0.2
    assert rate_of(stamps, 250.0) == 250.0
    assert rate_of(stamps[kept], 250.0) == 250.0
    assert rate_of(stamps, 256.0) == 250.0
    assert rate_of(np.repeat(stamps[::10], 10), 250.0) == 250.0  # chunks of one stamp


@pytest.mark.parametrize("rate", [0.2, 1.0, 4.0, 31.25, 130.0, 256.0, 1000.0])
def test_a_rate_is_told_by_the_stamps_alone(rate: float) -> None:
    stamps = 1.7e9 + np.arange(500) / rate
    assert rate_of(stamps, 0.0) == rate
    assert rate_of(np.delete(stamps, slice(100, 160)), 0.0) == rate
    with pytest.raises(ValueError, match="too few samples"):
        rate_of(stamps[:1], 0.0)


def test_stamps_in_whole_milliseconds_tell_the_rate_too() -> None:
    assert rate_of(np.round(np.arange(5000) / 256, 3), 0.0) == 256.0
