"""Time as a parameter: code that waits or reads time does so through a :class:`Clock`."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Two readings and a wait, all in seconds."""

    def monotonic(self) -> float:
        """Never runs backwards; for delays and time-outs."""

    def utc(self) -> float:
        """Unix epoch."""

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def utc(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that moves when told to: an hour of waiting in a test takes no time.

    ``sleep`` moves the clock on at once and yields to the loop.
    """

    def __init__(self, start_utc: float = 1_700_000_000.0) -> None:
        self._start = start_utc
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def utc(self) -> float:
        return self._start + self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)
