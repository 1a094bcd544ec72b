"""Windows against what is known of the streams they were cut from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamaffect.features.filters import Filter
from streamaffect.features.windows import JUMP_S, LAG_S, Gap, Windower
from streamaffect.signals import Chunk, Modality, Observation, StreamSpec, Window

ECG = StreamSpec("ecg", Modality.ECG, ("I",), 64.0, "uV")
EEG = StreamSpec("eeg", Modality.EEG, ("Cz", "Pz"), 100.0, "uV")
EDA = StreamSpec("eda", Modality.EDA, ("EDA",), 4.0, "uS")  # is not filtered
SPECS = {spec.modality: spec for spec in (ECG, EEG, EDA)}
START_S = 5000.0


def samples(spec: StreamSpec, n: int, seed: int = 0) -> npt.NDArray[np.float32]:
    walk = np.random.default_rng(seed).normal(size=(len(spec.channels), n)).cumsum(axis=1)
    return (100 + walk).astype(np.float32)


def chunk(spec: StreamSpec, x: npt.NDArray[np.float32], places: npt.NDArray[np.int64], start_s: float = START_S) -> Chunk:
    return Chunk(start_s + places / spec.rate, x[:, places])


def whole(spec: StreamSpec, seconds: float, start_s: float = START_S, seed: int = 0) -> Chunk:
    n = round(seconds * spec.rate)
    return chunk(spec, samples(spec, n, seed), np.arange(n), start_s)


def windower(*specs: StreamSpec, context_s: float = 4.0, hop_s: float = 1.0) -> Windower:
    return Windower({s.modality: s for s in specs}, {s.modality: context_s for s in specs}, hop_s)


def play(w: Windower, chunks: Iterable[tuple[Modality, Chunk]]) -> tuple[list[Observation], list[Gap]]:
    observations, gaps = [], []
    for modality, part in chunks:
        more, holes = w.push(modality, part)
        observations.extend(more)
        gaps.extend(holes)
    return observations, gaps


def bits(observations: Sequence[Observation]) -> list[Any]:
    def of(window: Window) -> tuple[Any, ...]:
        arrays = (window.samples.tobytes(), window.raw.tobytes(), window.mask.tobytes())
        return (window.t_start_s, window.t_end_s, window.warming_up, *arrays)

    return [(o.seq, o.t_start_s, o.t_end_s, [(m, of(w)) for m, w in sorted(o.windows.items())]) for o in observations]


def without(n: int, *holes: tuple[int, int]) -> npt.NDArray[np.int64]:
    places = np.arange(n)
    for lo, hi in holes:
        places = places[(places < lo) | (places >= hi)]
    return places


def test_windows_hold_the_samples_before_their_end() -> None:
    x = samples(ECG, 640)
    observations, gaps = play(windower(ECG), [(Modality.ECG, chunk(ECG, x, np.arange(640)))])
    assert [o.seq for o in observations] == list(range(10))
    assert not gaps
    for k, observation in enumerate(observations):
        window = observation.windows[Modality.ECG]
        end = 64 * (k + 1)
        assert observation.t_end_s == window.t_end_s == START_S + k + 1
        assert observation.t_start_s == window.t_start_s == START_S + k - 3
        assert window.warming_up == (k < 3)
        seen = min(256, end)
        assert np.array_equal(window.raw[:, 256 - seen :], x[:, end - seen : end])
        assert np.isnan(window.raw[:, : 256 - seen]).all()
        assert window.coverage == seen / 256
    filtered = Filter(Modality.ECG, 1, 64.0)(x)
    assert np.array_equal(observations[-1].windows[Modality.ECG].samples, filtered[:, -256:])


def test_short_gap_is_bridged_on_a_line_and_not_counted_as_observed() -> None:
    x = samples(EEG, 1000)
    observations, gaps = play(windower(EEG), [(Modality.EEG, chunk(EEG, x, without(1000, (495, 505))))])
    window = observations[5].windows[Modality.EEG]
    assert not gaps
    assert np.isfinite(window.samples).all()
    line = np.linspace(x[:, 494], x[:, 505], 12, axis=1)[:, 1:-1]
    assert np.allclose(window.raw[:, 295:305], line, rtol=1e-6)
    assert not window.mask[295:305].any()
    assert window.mask.sum() == 390


def test_gap_longer_than_the_limit_stays_a_hole_and_is_told_once() -> None:
    x = samples(EEG, 2000)
    observations, gaps = play(windower(EEG), [(Modality.EEG, chunk(EEG, x, without(2000, (495, 895))))])
    assert gaps == [Gap(Modality.EEG, START_S + 4.95, START_S + 8.95)]
    assert [o.seq for o in observations] == list(range(20))
    window = observations[8].windows[Modality.EEG]  # 5 s to 9 s
    assert np.isnan(window.samples[:, :395]).all()
    assert np.array_equal(window.raw[:, 395:], x[:, 895:900])
    assert window.coverage == 5 / 400


def test_gap_is_told_whole_though_windows_were_cut_within_it() -> None:
    x = samples(EEG, 2000)
    w = windower(EEG)
    play(w, [(Modality.EEG, chunk(EEG, x, np.arange(495)))])
    assert len(w.advance(START_S + 8.0)) == 4
    _, gaps = play(w, [(Modality.EEG, chunk(EEG, x, np.arange(805, 2000)))])
    assert gaps == [Gap(Modality.EEG, START_S + 4.95, START_S + 8.05)]


def test_rest_of_a_hole_that_was_given_up_is_not_bridged() -> None:
    x = samples(EEG, 1000)
    w = windower(EEG)
    play(w, [(Modality.EEG, chunk(EEG, x, np.arange(495)))])
    w.advance(START_S + 5.0)
    observations, _ = play(w, [(Modality.EEG, chunk(EEG, x, np.arange(503, 1000)))])
    window = observations[2].windows[Modality.EEG]  # 4 s to 8 s
    assert np.isnan(window.raw[:, 95:103]).all()
    assert np.isfinite(window.samples[:, 103:]).all()


@pytest.mark.parametrize(("lost", "anew"), [(190, False), (210, True)])
def test_filter_starts_anew_after_two_seconds_without_samples(lost: int, anew: bool) -> None:
    x = samples(EEG, 1000)
    after = 300 + lost
    observations, _ = play(windower(EEG), [(Modality.EEG, chunk(EEG, x, without(1000, (300, after))))])
    rested = Filter(Modality.EEG, 2, 100.0)(x[:, after:])
    window = observations[-1].windows[Modality.EEG]
    assert np.array_equal(window.samples, rested[:, -400:]) == anew


def test_sample_that_is_not_a_number_is_a_lost_one() -> None:
    x = samples(EEG, 800)
    broken = x.copy()
    broken[1, 300] = np.nan
    broken[0, 350:380] = np.inf
    observations, gaps = play(windower(EEG), [(Modality.EEG, chunk(EEG, broken, np.arange(800)))])
    left_out, _ = play(windower(EEG), [(Modality.EEG, chunk(EEG, x, without(800, (300, 301), (350, 380))))])
    assert bits(observations) == bits(left_out)
    assert len(gaps) == 1


@pytest.mark.parametrize("size", [1, 8, 100, 1000])
def test_stream_of_nothing_but_nan_still_yields_windows_in_time(size: int) -> None:
    x = samples(EEG, 2000)
    x[:, 595:] = np.nan
    w = windower(EEG)
    for i in range(0, 2000, size):
        play(w, [(Modality.EEG, chunk(EEG, x, np.arange(i, i + size)))])
        newest = (i + size) // 100
        assert w.seq == newest or (i < 610 and w.seq == newest - 1)
    assert w.seq == 20
    again = samples(EEG, 3000)
    observations, gaps = play(w, [(Modality.EEG, chunk(EEG, again, np.arange(2000, 3000)))])
    assert gaps == [Gap(Modality.EEG, START_S + 5.95, START_S + 20)]
    assert observations[0].windows[Modality.EEG].coverage == 0.25


def test_stamp_that_is_not_a_number_loses_its_sample_only() -> None:
    good = whole(EEG, 10)
    stamps = good.timestamps.copy()
    stamps[[0, 351, 352]] = np.nan
    observations, _ = play(windower(EEG), [(Modality.EEG, Chunk(stamps, good.samples))])
    assert [o.windows[Modality.EEG].mask.sum() for o in observations[3:]] == [398, 398, 398, 398, 400, 400]


CUTS = st.lists(st.integers(1, 700), max_size=12)
HOLES = st.lists(st.tuples(st.integers(1, 1900), st.sampled_from([1, 3, 10, 11, 150, 201, 900])), max_size=4)


@given(CUTS, HOLES, HOLES, st.sampled_from([0.25, 1.0, 3.0]), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_windows_do_not_depend_on_chunks(
    cuts: list[int], holes: list[tuple[int, int]], broken: list[tuple[int, int]], hop_s: float, seed: int
) -> None:
    x = samples(EEG, 2000, seed)
    for lo, n in broken:
        x[0, lo : lo + n] = np.nan
    places = without(2000, *((lo, lo + n) for lo, n in holes))
    stamps = START_S + places / EEG.rate + np.random.default_rng(seed).normal(0, 1e-3 * (seed % 3), places.size)
    edges = np.minimum(np.cumsum(cuts, dtype=np.intp), places.size)
    parts = [Chunk(t, x[:, p]) for t, p in zip(np.split(stamps, edges), np.split(places, edges), strict=True)]
    once = play(windower(EEG, hop_s=hop_s), [(Modality.EEG, Chunk(stamps, x[:, places]))])
    chopped = play(windower(EEG, hop_s=hop_s), [(Modality.EEG, part) for part in parts])
    single = play(
        windower(EEG, hop_s=hop_s), [(Modality.EEG, Chunk(t[None], x[:, [p]])) for t, p in zip(stamps, places, strict=True)]
    )
    assert bits(chopped[0]) == bits(once[0]) == bits(single[0])
    assert chopped[1] == once[1] == single[1]
    assert [o.seq for o in once[0]] == list(range(len(once[0])))


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_windows_of_several_streams_do_not_depend_on_who_comes_first(data: st.DataObject) -> None:
    streams = {
        ECG: whole(ECG, 20, START_S),
        EEG: whole(EEG, 17.3, START_S + 2.345, seed=1),
        EDA: whole(EDA, 20, START_S + 0.1, seed=2),
    }
    first = (Modality.ECG, Chunk(streams[ECG].timestamps[:1], streams[ECG].samples[:, :1]))  # sets the origin
    rest = {s: Chunk(c.timestamps[s is ECG :], c.samples[:, s is ECG :]) for s, c in streams.items()}

    def chopped(spec: StreamSpec) -> list[tuple[Modality, Chunk]]:
        n = rest[spec].timestamps.size
        edges = sorted(data.draw(st.lists(st.integers(0, n), max_size=4)))
        parts = zip(np.split(rest[spec].timestamps, edges), np.split(rest[spec].samples, edges, axis=1), strict=True)
        return [(spec.modality, Chunk(t, x)) for t, x in parts]

    queues = [chopped(spec) for spec in streams]
    order = data.draw(st.permutations([i for i, queue in enumerate(queues) for _ in queue]))
    shuffled = [queues[i].pop(0) for i in order]
    told = play(windower(ECG, EEG, EDA), [first, *shuffled])[0]
    reference = play(windower(ECG, EEG, EDA), [first, *((s.modality, c) for s, c in rest.items())])[0]
    assert bits(told) == bits(reference)
    assert len(told) == 19  # EEG ends at 19.645 s


def test_stream_that_starts_late_is_missing_until_then() -> None:
    observations, gaps = play(windower(ECG, EDA), [(Modality.ECG, whole(ECG, 12)), (Modality.EDA, whole(EDA, 7, START_S + 5))])
    assert not gaps
    assert [o.windows[Modality.EDA].coverage for o in observations[:8]] == [0, 0, 0, 0, 0, 0.25, 0.5, 0.75]
    assert all(o.windows[Modality.EDA].warming_up for o in observations[:8])
    assert observations[9].windows[Modality.EDA].coverage == 1


def test_stream_that_began_before_the_first_chunk_of_all_keeps_its_places() -> None:
    early = whole(EDA, 12, START_S - 2)
    observations, _ = play(windower(ECG, EDA), [(Modality.ECG, whole(ECG, 10)), (Modality.EDA, early)])
    window = observations[3].windows[Modality.EDA]
    assert np.array_equal(window.raw, early.samples[:, 8:24])


def test_stalled_stream_is_not_waited_for_and_comes_back() -> None:
    w = windower(ECG, EDA)
    ecg, eda = whole(ECG, 20), whole(EDA, 20)

    def part(c: Chunk, spec: StreamSpec, a: float, b: float) -> Chunk:
        lo, hi = round(a * spec.rate), round(b * spec.rate)
        return Chunk(c.timestamps[lo:hi], c.samples[:, lo:hi])

    play(w, [(Modality.ECG, part(ecg, ECG, 0, 5)), (Modality.EDA, part(eda, EDA, 0, 5))])
    assert w.seq == 5
    assert not w.push(Modality.ECG, part(ecg, ECG, 5, 8))[0]
    freed = w.stall(Modality.EDA)
    assert [o.seq for o in freed] == [5, 6, 7]
    assert [o.windows[Modality.EDA].coverage for o in freed] == [0.75, 0.5, 0.25]
    assert [o.seq for o in w.push(Modality.ECG, part(ecg, ECG, 8, 12))[0]] == [8, 9, 10, 11]
    back, gaps = w.push(Modality.EDA, part(eda, EDA, 7, 16))  # its first second comes too late
    assert not back
    assert gaps == [Gap(Modality.EDA, START_S + 5, START_S + 12)]
    observations, _ = w.push(Modality.ECG, part(ecg, ECG, 12, 16))
    assert [o.seq for o in observations] == [12, 13, 14, 15]
    assert observations[-1].windows[Modality.EDA].coverage == 1
    assert not w.push(Modality.ECG, part(ecg, ECG, 16, 18))[0]  # waits for it again
    assert len(w.push(Modality.EDA, part(eda, EDA, 16, 18))[0]) == 2


def test_all_streams_stalled_still_advance_with_time() -> None:
    w = windower(ECG)
    play(w, [(Modality.ECG, whole(ECG, 5))])
    assert not w.stall(Modality.ECG)
    observations = w.advance(START_S + 9.5)
    assert [o.seq for o in observations] == [5, 6, 7, 8]
    assert observations[-1].windows[Modality.ECG].coverage == 0


def test_stream_that_never_comes_is_waited_for_once() -> None:
    w = windower(ECG, EDA)
    ecg = whole(ECG, LAG_S + 10)
    n = round(LAG_S * ECG.rate)
    assert not w.push(Modality.ECG, Chunk(ecg.timestamps[:n], ecg.samples[:, :n]))[0]
    observations, _ = w.push(Modality.ECG, Chunk(ecg.timestamps[n:], ecg.samples[:, n:]))
    assert [o.seq for o in observations] == list(range(40))  # up to the newest sample
    assert observations[-1].windows[Modality.ECG].coverage == 1
    assert observations[-1].windows[Modality.EDA].coverage == 0


def test_stream_that_comes_too_late_is_aligned_again() -> None:
    w = windower(ECG, EDA)
    w.push(Modality.ECG, whole(ECG, LAG_S + 10))
    observations, _ = play(w, [(Modality.EDA, whole(EDA, 50)), (Modality.ECG, whole(ECG, 10, START_S + LAG_S + 10))])
    assert [o.seq for o in observations] == list(range(40, 50))
    late = observations[-1].windows[Modality.EDA]
    assert late.t_end_s == START_S + 50
    assert np.array_equal(late.raw, whole(EDA, 50).samples[:, -16:])


def test_stalled_before_anything_came_is_not_waited_for() -> None:
    w = windower(ECG, EDA)
    assert not w.stall(Modality.EDA)
    assert len(w.push(Modality.ECG, whole(ECG, 5))[0]) == 5


def test_restart_begins_a_new_grid_and_goes_on_counting() -> None:
    w = windower(ECG)
    play(w, [(Modality.ECG, whole(ECG, 5.5))])
    w.restart()
    observations, gaps = play(w, [(Modality.ECG, whole(ECG, 3, START_S - 100.3))])
    assert not gaps
    assert [o.seq for o in observations] == [5, 6, 7]
    assert [o.t_end_s for o in observations] == pytest.approx([START_S - 99.3, START_S - 98.3, START_S - 97.3])
    assert observations[0].windows[Modality.ECG].warming_up
    assert observations[0].windows[Modality.ECG].coverage == 0.25


def test_clock_that_leaps_ahead_starts_afresh_rather_than_cut_a_million_windows() -> None:
    ecg = whole(ECG, 20)
    leap = np.where(np.arange(1280) < 640, 0.0, 1e9)
    w = windower(ECG)
    observations, _ = play(w, [(Modality.ECG, Chunk(ecg.timestamps + leap, ecg.samples))])
    assert [o.seq for o in observations] == list(range(20))
    assert observations[10].t_end_s == pytest.approx(START_S + 10 + 1e9 + 1)


def test_hole_of_minutes_yields_every_window_empty() -> None:
    ecg = whole(ECG, 20)
    outage_s = JUMP_S - 10
    late = np.where(np.arange(1280) < 640, 0.0, outage_s)
    observations, gaps = play(windower(ECG), [(Modality.ECG, Chunk(ecg.timestamps + late, ecg.samples))])
    assert [o.seq for o in observations] == list(range(20 + int(outage_s)))
    assert [o.windows[Modality.ECG].coverage for o in observations[9:15]] == [1, 0.75, 0.5, 0.25, 0, 0]
    assert len(gaps) == 1
    assert observations[-1].windows[Modality.ECG].coverage == 1


def test_memory_does_not_grow_with_the_stream() -> None:
    w = windower(EEG)
    second = whole(EEG, 1)

    def held() -> int:
        track = w.tracks[Modality.EEG]
        return sum(a.nbytes for a in vars(track).values() if isinstance(a, np.ndarray))

    w.push(Modality.EEG, second)
    before = held()
    for k in range(1, 2000):
        late = k if k < 1000 else k + 300
        assert w.push(Modality.EEG, Chunk(second.timestamps + late, second.samples))[0] or k == 0
    assert held() == before
    assert before < 2.5 * (4 + 0.2) * 100 * 2 * 9 * 2


def test_hop_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="hop must be positive"):
        windower(ECG, hop_s=0)
