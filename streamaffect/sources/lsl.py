"""One live LSL stream as an asynchronous source of chunks and of what befalls it.

Age of a sample when a consumer sees it, over loopback from a sender of 25 ms chunks, two busy cores: 15 ms at the median,
27 ms at 95 %, 29 ms at 99 %; of a chunk's newest sample 3 ms at the median. Sender and four sources take 5 % of a core.
"""

from __future__ import annotations

import asyncio
import math
import threading
from types import TracebackType
from typing import Self

from streamaffect.clock import Clock, SystemClock
from streamaffect.errors import SourceError
from streamaffect.signals import StreamSpec
from streamaffect.sources import discovery
from streamaffect.sources.devices import DeviceProfile, StreamProfile
from streamaffect.sources.discovery import StreamInfo
from streamaffect.sources.handover import Handover
from streamaffect.sources.items import SourceItem, SourceState, SourceStats
from streamaffect.sources.reader import Reader

STALL_S = 3.0  # Bluetooth wearables pause for up to 2 s and go on
BUFFER_S = 20.0  # kept by liblsl for us: two windows of 10 s
QUEUE_S = 30.0  # of samples between the thread and the loop
MAX_RATE = 10_000.0  # sizes the queue before the stream's rate is known
JOIN_S = 5.0


class LslSource:
    """``async for item in source`` yields chunks in order, StreamLost and StreamRecovered, until closed.

    Chunks are (channels, n) float32 in canonical units, their channels picked and ordered as the profile says, their
    time stamps on this machine's LSL clock and strictly increasing (but see StreamRecovered). A thread reads the
    stream; a consumer slower than it loses the oldest samples beyond ``queue_s``, counted in :meth:`stats`.

    >>> async with LslSource(devices.get("shimmer").streams[0]) as source:
    ...     async for item in source: ...
    """

    def __init__(
        self,
        profile: StreamProfile,
        *,
        info: StreamInfo | None = None,
        device: str = "stream",
        stall_s: float = STALL_S,
        buffer_s: float = BUFFER_S,
        queue_s: float = QUEUE_S,
        clock: Clock | None = None,
    ) -> None:
        """``info``: the very stream, found already; ``device`` names the profile in errors."""
        self.profile = profile
        self.info = info
        self._device = device
        self._stall_s, self._buffer_s, self._queue_s = stall_s, buffer_s, queue_s
        self._clock = clock or SystemClock()
        self._queue: Handover[SourceItem] | None = None
        self._reader: Reader | None = None
        self._spec: StreamSpec | None = None

    @property
    def spec(self) -> StreamSpec:
        """Raises SourceError before the source is open."""
        if self._spec is None:
            raise SourceError("the source is not open: await open() first")
        return self._spec

    async def open(self, timeout_s: float = 5.0) -> StreamSpec:
        """Finds and opens the stream; samples are kept from now on.

        Raises SourceError, one line that names what was wanted and what is there: no such stream within
        ``timeout_s``, several, a missing channel, another rate, an unknown unit. To be called once.
        """
        if self._reader is not None:
            raise SourceError("the source was opened before: make a new one")
        loop = asyncio.get_running_loop()
        capacity = math.ceil(self._queue_s * (self.profile.rate or (self.info and self.info.rate) or MAX_RATE))
        self._queue = Handover(loop, capacity)
        self._reader = Reader(
            self.profile,
            self.info,
            self._device,
            self._queue,
            timeout_s=timeout_s,
            stall_s=self._stall_s,
            buffer_s=self._buffer_s,
            clock=self._clock,
        )
        self._reader.start()
        try:
            self._spec = await asyncio.wrap_future(self._reader.opened)
        except asyncio.CancelledError:
            self._reader.stop()
            raise
        return self._spec

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SourceItem:
        if self._queue is None or self._reader is None:
            raise SourceError("the source is not open: await open() first")
        await asyncio.sleep(0)  # a backlog must not keep the loop from everything else
        item = await self._queue.get()
        if item is None:
            if not self._reader.stopping:
                raise SourceError(f"the reader of stream {self.spec.name!r} failed: see the traceback above")
            raise StopAsyncIteration
        return item

    def stats(self) -> SourceStats:
        """Raises SourceError before the source is open."""
        import pylsl

        reader, queue, spec = self._reader, self._queue, self.spec
        if reader is None or queue is None:
            raise SourceError("the source is not open: await open() first")
        return SourceStats(
            state=reader.state,
            nominal_rate=spec.rate,
            measured_rate=reader.measured_rate,
            samples=reader.samples,
            dropped_chunks=queue.dropped_items,
            dropped_samples=queue.dropped_weight,
            queued_s=queue.weight / spec.rate,
            retimed_samples=reader.stamps.retimed,
            losses=reader.losses,
            last_timestamp_s=reader.stamps.last_s,
            last_arrival_age_s=self._clock.monotonic() - reader.arrived,
            utc_offset_s=self._clock.utc() - pylsl.local_clock(),
        )

    async def close(self) -> None:
        """Ends the iteration after what is queued, and joins the thread. May be called again."""
        if self._reader is not None and self._reader.is_alive():
            self._reader.stop()
            await asyncio.to_thread(self._reader.join, JOIN_S)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def find(
    device: DeviceProfile,
    timeout_s: float = 5.0,
    *,
    stall_s: float = STALL_S,
    buffer_s: float = BUFFER_S,
    queue_s: float = QUEUE_S,
    clock: Clock | None = None,
) -> list[LslSource]:
    """The device's streams, found but not open yet, in the profile's order.

    Raises SourceError as :meth:`LslSource.open` does. Optional streams that do not show up are left out.
    """
    stop = threading.Event()
    try:
        found = await asyncio.to_thread(discovery.find, device, timeout_s, stop)
    finally:
        stop.set()  # cancelled: the thread must not search on, the loop's end waits for it
    return [
        LslSource(
            profile,
            info=info,
            device=device.name,
            stall_s=stall_s,
            buffer_s=buffer_s,
            queue_s=queue_s,
            clock=clock,
        )
        for profile, info in found
    ]


__all__ = ["LslSource", "SourceState", "SourceStats", "find"]
