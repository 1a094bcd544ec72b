"""From a thread to the event loop: a bounded queue that drops its oldest samples, and counts them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Handover(Generic[T]):
    """``capacity`` is in weight (samples); items of weight 0 (events) are never dropped.

    The loop is woken once for all items put since it last looked, not once an item.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, capacity: int) -> None:
        self._loop = loop
        self._capacity = capacity
        self._items: deque[tuple[T, int]] = deque()
        self._lock = threading.Lock()
        self._ready = asyncio.Event()
        self._woken = False
        self._closed = False
        self.weight = 0
        self.dropped_items = 0
        self.dropped_weight = 0

    def put(self, item: T, weight: int) -> None:
        """From any thread; never waits."""
        with self._lock:
            self._items.append((item, weight))
            self.weight += weight
            while self.weight > self._capacity and self._drop_oldest():
                pass
            wake, self._woken = not self._woken, True
        if wake:
            self._wake()

    def close(self) -> None:
        """From any thread: what is queued may still be got, then None."""
        with self._lock:
            self._closed = True
        self._wake()

    async def get(self) -> T | None:
        """The oldest item; None once closed and empty."""
        while True:
            with self._lock:
                if self._items:
                    item, weight = self._items.popleft()
                    self.weight -= weight
                    return item
                if self._closed:
                    return None
                self._woken = False
                self._ready.clear()
            await self._ready.wait()

    def _drop_oldest(self) -> bool:
        """The oldest item of weight; but not the newest item, however large."""
        for index, (_, weight) in enumerate(self._items):
            if weight and index < len(self._items) - 1:
                del self._items[index]
                self.weight -= weight
                self.dropped_items += 1
                self.dropped_weight += weight
                return True
        return False

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to wake
            self._loop.call_soon_threadsafe(self._ready.set)
