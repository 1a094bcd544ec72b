"""Time stamps made increasing; the queue between the thread and the loop."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamaffect.sources.handover import Handover
from streamaffect.sources.stamps import BACK_STEP_S, STEP_S, Increasing

SECONDS = st.floats(0, 1e6, allow_nan=False, width=32)


@given(st.lists(st.lists(SECONDS, min_size=1, max_size=20), min_size=1, max_size=5))
def test_stamps_come_out_strictly_increasing_and_only_ever_later(chunks: list[list[float]]) -> None:
    guard = Increasing()
    out = []
    for chunk in chunks:
        given_s = np.array(chunk)
        moved = guard(given_s)
        assert (moved >= given_s).all()
        out.append(moved)
    assert (np.diff(np.concatenate(out)) > 0).all()


def test_increasing_stamps_pass_untouched() -> None:
    guard = Increasing()
    for start in (0.0, 5.0):
        stamps = start + np.arange(10) / 256
        assert guard(stamps) is stamps
    assert guard.retimed == 0


def test_stamp_that_does_not_increase_is_moved_and_counted() -> None:
    guard = Increasing()
    out = guard(np.array([1.0, 2.0, 1.9, 1.95, 3.0]))
    assert out.tolist() == [1.0, 2.0, 2.0 + STEP_S, 2.0 + STEP_S + STEP_S, 3.0]
    assert guard.retimed == 2


def test_chunk_is_cut_where_the_clock_goes_back() -> None:
    guard = Increasing()
    stamps = np.array([10.0, 10.1, 2.0, 2.1, 2.1 - BACK_STEP_S / 2])
    assert [stamps[piece].tolist()[0] for piece in guard.pieces(stamps)] == [10.0, 2.0]
    guard(stamps[:2])
    assert guard.went_back(stamps[2:])
    assert not guard.went_back(np.array([9.9]))


@given(st.lists(st.integers(0, 8), max_size=60), st.integers(1, 20))
def test_handover_keeps_order_bounds_and_counts(weights: list[int], capacity: int) -> None:
    async def scenario() -> None:
        queue: Handover[int] = Handover(asyncio.get_running_loop(), capacity)
        for item, weight in enumerate(weights):
            queue.put(item, weight)
            assert queue.weight <= max(capacity, weight)
        queue.close()
        got = []
        while (item := await queue.get()) is not None:
            got.append(item)
        assert got == sorted(got)
        assert {i for i, weight in enumerate(weights) if weight == 0} <= set(got)
        assert queue.dropped_items == len(weights) - len(got)
        assert queue.dropped_weight == sum(weights) - sum(weights[item] for item in got)
        assert queue.weight == 0

    asyncio.run(scenario())


async def test_waiting_consumer_is_woken_from_another_thread() -> None:
    queue: Handover[str] = Handover(asyncio.get_running_loop(), 10)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    thread = threading.Thread(target=queue.put, args=("item", 1))
    thread.start()
    assert await asyncio.wait_for(waiting, 5) == "item"
    thread.join()
    queue.close()
    assert await asyncio.wait_for(queue.get(), 5) is None


def test_put_after_the_loop_is_gone_is_harmless() -> None:
    async def make() -> Handover[str]:
        return Handover(asyncio.get_running_loop(), 10)

    queue = asyncio.run(make())
    queue.put("late", 1)
    queue.close()
