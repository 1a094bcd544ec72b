"""Places of samples against simulated truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamaffect.features.grid import SURPLUS, Grid

ORIGIN_S = 1.7e6  # a machine up for twenty days


@dataclass
class Stream:
    """``stamps`` (n,) of the samples that came and ``truth`` (n,), where the clock had them on the grid, in periods."""

    stamps: npt.NDArray[np.float64]
    truth: npt.NDArray[np.float64]
    sent: int


def stream(
    rate: float = 256.0,
    duration_s: float = 3600.0,
    jitter_s: float = 0.0,
    loss: float = 0.0,
    ppm: float = 0.0,
    hole: tuple[float, float] | None = None,
    seed: int = 0,
) -> Stream:
    rng = np.random.default_rng(seed)
    n = int(duration_s * rate)
    due = np.arange(n) / rate * (1 + ppm * 1e-6)
    stamps = due + rng.normal(0, jitter_s, n) if jitter_s else due
    # A device with a noisy clock still sends in order.
    ramp = 1e-6 * np.arange(n)
    stamps = np.maximum.accumulate(np.sort(stamps) - ramp) + ramp
    keep = rng.random(n) >= loss
    if hole is not None:
        keep &= (due < hole[0]) | (due >= hole[1])
    return Stream(ORIGIN_S + stamps[keep], due[keep] * rate, n)


def place(grid: Grid, stamps: npt.NDArray[np.float64], chunk: int = 64) -> npt.NDArray[np.int64]:
    return np.concatenate([grid.place(stamps[i : i + chunk]) for i in range(0, stamps.size, chunk)])


@pytest.mark.parametrize("rate", [4.0, 130.0, 256.0, 1000.0 / 3])
def test_clean_stamps_fall_on_successive_places(rate: float) -> None:
    clean = stream(rate=rate, duration_s=1000)
    assert np.array_equal(place(Grid(rate, ORIGIN_S), clean.stamps), np.arange(clean.sent))


def test_transport_noise_of_microseconds_moves_nothing() -> None:
    noisy = stream(duration_s=1000, jitter_s=20e-6)
    assert np.array_equal(place(Grid(256, ORIGIN_S), noisy.stamps), np.arange(noisy.sent))


def test_loss_on_a_clean_clock_is_found_to_the_sample() -> None:
    lossy = stream(duration_s=1000, loss=0.1)
    assert np.allclose(place(Grid(256, ORIGIN_S), lossy.stamps), lossy.truth, atol=1e-4)


@pytest.mark.parametrize("jitter_s", [0.0, 0.005])
def test_hole_of_seconds_keeps_its_length(jitter_s: float) -> None:
    holed = stream(duration_s=60, jitter_s=jitter_s, hole=(30, 35))
    places = place(Grid(256, ORIGIN_S), holed.stamps)
    steps = np.diff(places[places != SURPLUS])
    assert steps.max() == pytest.approx(5 * 256 + 1, abs=2)
    assert (places[-1000:] - holed.truth[-1000:]).max() <= 1


@pytest.mark.parametrize(
    ("faults", "behind", "ahead"),  # places; 5 ms of jitter are 1.3 places at 256 Hz
    [
        ({"jitter_s": 0.005}, 1, 1),
        ({"ppm": 400}, 1, 1),
        ({"ppm": -400}, 1, 1),
        ({"jitter_s": 0.005, "ppm": 400}, 2, 2),
        ({"jitter_s": 0.005, "ppm": -400}, 2, 2),
        ({"jitter_s": 0.005, "loss": 0.01}, 6, 2),
        ({"jitter_s": 0.005, "loss": 0.01, "ppm": 400}, 6.5, 2),
        ({"jitter_s": 0.005, "loss": 0.01, "ppm": -400}, 6.5, 2),
    ],
)
def test_index_and_clock_stay_together_for_an_hour(faults: dict[str, float], behind: float, ahead: float) -> None:
    simulated = stream(**faults)
    places = place(Grid(256, ORIGIN_S), simulated.stamps)
    kept = places != SURPLUS
    error = places[kept] - simulated.truth[kept]
    assert -behind <= error.min()
    assert error.max() <= ahead
    assert abs(error.mean()) < 1
    assert (np.diff(places[kept]) > 0).all()
    if not faults.get("loss") and not faults.get("ppm"):
        assert np.count_nonzero(np.diff(places[kept]) > 1) <= 1  # the one that teaches what the jitter is


def test_heavy_loss_under_jitter_lags_but_does_not_run_away() -> None:
    simulated = stream(duration_s=1200, jitter_s=0.005, loss=0.3)
    places = place(Grid(256, ORIGIN_S), simulated.stamps)
    error = places - simulated.truth
    assert np.abs(error).max() < 0.2 * 256
    assert abs(error[-1000:].mean() - error[20_000:21_000].mean()) < 10


@pytest.mark.parametrize("step_s", [0.02, 0.5, 3.0])
def test_clock_set_back_is_followed_within_seconds(step_s: float) -> None:
    clean = stream(duration_s=60)
    stamps = clean.stamps.copy()
    stamps[256 * 20 :] -= step_s
    places = place(Grid(256, ORIGIN_S), stamps)
    kept = places != SURPLUS
    assert (np.diff(places[kept]) > 0).all()
    late = kept & (np.arange(places.size) > 256 * (25 + step_s))
    assert np.abs(places[late] - (clean.truth[late] - step_s * 256)).max() <= 1.5


def test_first_stamps_with_jitter_cost_a_place_or_two() -> None:
    for seed in range(20):
        simulated = stream(duration_s=10, jitter_s=0.005, seed=seed)
        grid = Grid(256, float(simulated.stamps[0]))
        places = place(grid, simulated.stamps)
        settled = places[1280:]
        offset = (ORIGIN_S - grid.origin_s) * 256
        assert np.abs(settled - (simulated.truth[1280:] + offset)).max() <= 1.5


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=30),
    st.integers(0, 1000),
    st.sampled_from([0.0, 1e-4, 4e-4, 0.002, 0.005]),
    st.sampled_from([0.0, 0.02]),
    st.sampled_from([-3000.0, 0.0, 3000.0]),
    st.lists(st.integers(1, 4900), max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_places_do_not_depend_on_chunks(
    cuts: list[int], seed: int, jitter_s: float, loss: float, ppm: float, odd: list[int]
) -> None:
    stamps = stream(duration_s=20, jitter_s=jitter_s, loss=loss, ppm=ppm, seed=seed).stamps
    stamps[odd] += 0.45 / 256  # a stamp beside the grid now and then: leaves the quiet state, and comes back to it
    whole = Grid(256, ORIGIN_S).place(stamps)
    grid = Grid(256, ORIGIN_S)
    parts = [grid.place(part) for part in np.split(stamps, np.minimum(np.cumsum(cuts), stamps.size)) if part.size]
    assert np.array_equal(np.concatenate(parts), whole)


def test_one_odd_stamp_is_forgotten_wherever_chunks_end() -> None:
    """A clock that was odd once and clean since tells a single loss at once, be the stamps in one chunk or in many."""
    clean = stream(duration_s=10)
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, clean.sent) / 256  # too little to leave the grid
    stamps = clean.stamps + np.where(np.arange(clean.sent) > 512, noise, 0.0)
    stamps[100] += 0.45 / 256
    kept = np.delete(np.arange(clean.sent), 1024)
    for size in (64, kept.size):
        assert np.array_equal(place(Grid(256, ORIGIN_S), stamps[kept], size), kept)
