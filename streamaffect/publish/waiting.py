"""Waiting on an event, but not for ever, with time as a parameter."""

from __future__ import annotations

import asyncio

from streamaffect.clock import Clock


async def wait_for(event: asyncio.Event, timeout_s: float | None, clock: Clock) -> bool:
    """Whether the event was set within the time-out; None waits for it however long."""
    if event.is_set() or timeout_s is None:
        return await event.wait()
    waiting = asyncio.create_task(event.wait(), name="wait for event")
    sleeping = asyncio.create_task(clock.sleep(max(timeout_s, 0.0)), name="wait for time-out")
    try:
        await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        sleeping.cancel()
    return event.is_set()
