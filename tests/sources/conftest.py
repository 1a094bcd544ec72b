"""Real outlets over loopback, and what a source yielded."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from streamaffect.signals import Chunk
from streamaffect.sources.items import StreamLost, StreamRecovered
from streamaffect.sources.lsl import LslSource
from streamaffect.sources.replay import Replay


@pytest.fixture
def wearer() -> str:
    """A name of this test's own, so that no stream of another answers to it."""
    return uuid.uuid4().hex[:8]


@dataclass
class Sender:
    """An outlet made by hand. ``push`` sends samples (n, channels) stamped ``start_s`` + k / rate."""

    name: str
    type: str = "ECG"
    labels: tuple[str, ...] = ("ECG",)
    rate: float = 256.0
    unit: str = "uV"
    format: str = "float32"
    sent: int = 0
    outlet: object = None

    def start(self) -> Sender:
        import pylsl

        info = pylsl.StreamInfo(self.name, self.type, len(self.labels), self.rate, self.format, f"id-{self.name}")
        if any(self.labels):
            info.set_channel_labels(list(self.labels))
        if self.unit:
            info.set_channel_units(self.unit)
        self.outlet = pylsl.StreamOutlet(info)
        self.zero_s = pylsl.local_clock()
        return self

    def stop(self) -> None:
        self.outlet = None

    def push(self, samples: np.ndarray, start_s: float | None = None) -> None:
        first = self.zero_s + self.sent / self.rate if start_s is None else start_s
        self.outlet.push_chunk(np.ascontiguousarray(samples), (first + np.arange(len(samples)) / self.rate).tolist())
        self.sent += len(samples)


@pytest.fixture
def sender() -> Iterator[Callable[..., Sender]]:
    """``sender(name, ...)``: a started outlet, stopped afterwards."""
    started: list[Sender] = []

    def start(*args: object, **kwargs: object) -> Sender:
        started.append(Sender(*args, **kwargs).start())
        return started[-1]

    yield start
    for each in started:
        each.stop()


@dataclass
class Received:
    """What a source yielded so far."""

    chunks: list[Chunk] = field(default_factory=list)
    events: list[StreamLost | StreamRecovered] = field(default_factory=list)

    async def read(self, source: LslSource) -> None:
        async for item in source:
            if isinstance(item, Chunk):
                self.chunks.append(item)
            else:
                self.events.append(item)

    @property
    def n(self) -> int:
        return sum(chunk.timestamps.size for chunk in self.chunks)

    @property
    def samples(self) -> np.ndarray:
        return np.concatenate([chunk.samples for chunk in self.chunks], axis=1)

    @property
    def timestamps(self) -> np.ndarray:
        return np.concatenate([chunk.timestamps for chunk in self.chunks])


@contextlib.asynccontextmanager
async def reading(source: LslSource) -> AsyncIterator[Received]:
    """The opened source, read in a task of its own; closed at the end."""
    received = Received()
    task = asyncio.create_task(received.read(source), name="reading")
    try:
        yield received
    finally:
        await source.close()
        await asyncio.wait_for(task, 10)


@contextlib.asynccontextmanager
async def playing(replay: Replay) -> AsyncIterator[asyncio.Task[None]]:
    """The replay running in a task of its own; cancelled at the end if it has not ended."""
    task = asyncio.create_task(replay.run(), name="playing")
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture(name="reading")
def _reading() -> Callable[..., contextlib.AbstractAsyncContextManager[Received]]:
    return reading


@pytest.fixture(name="playing")
def _playing() -> Callable[..., contextlib.AbstractAsyncContextManager[asyncio.Task[None]]]:
    return playing
