"""The thread behind a source: it reads one stream, notices its loss, and finds it again."""

from __future__ import annotations

import math
import threading
from collections import deque
from concurrent.futures import Future

import numpy as np
import numpy.typing as npt

from streamaffect.clock import Clock
from streamaffect.errors import SourceError
from streamaffect.signals import Chunk, Float64, StreamSpec
from streamaffect.sources import discovery
from streamaffect.sources.devices import DeviceProfile, StreamProfile
from streamaffect.sources.discovery import StreamInfo
from streamaffect.sources.handover import Handover
from streamaffect.sources.inlet import POLL_S, Inlet, InletLostError, NotThereError
from streamaffect.sources.items import SourceItem, SourceState, StreamLost, StreamRecovered
from streamaffect.sources.stamps import Increasing
from streamaffect.sources.tap import Tap

RATE_SPAN_S = 30.0  # over which the rate is measured
# Between attempts (each listens for 2 s) to find a closed stream again: a tenth of the time that it has been lost.
BACKOFF_SHARE, FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.1, 0.05, 5.0
LAST_RENEWAL_S = 30.0  # longest time between new inlets for a stream that is there but silent


class Reader(threading.Thread):
    """Owns the stream's inlets from opening to end; puts chunks and events into ``queue``, never waiting for it.

    ``opened`` gets the StreamSpec, or the SourceError that says why there is none.
    """

    def __init__(
        self,
        profile: StreamProfile,
        info: StreamInfo | None,
        device: str,
        queue: Handover[SourceItem],
        *,
        timeout_s: float,
        stall_s: float,
        buffer_s: float,
        clock: Clock,
    ) -> None:
        super().__init__(name=f"lsl-{profile.modality}", daemon=True)
        self.opened: Future[StreamSpec] = Future()
        self.state = SourceState.IDLE
        self.samples = 0
        self.losses = 0
        self.arrived = clock.monotonic()
        self.stamps = Increasing()
        self._profile, self._info, self._device, self._queue = profile, info, device, queue
        self._timeout_s, self._stall_s, self._buffer_s, self._clock = timeout_s, stall_s, buffer_s, clock
        self._stop_asked = threading.Event()
        self._rate_points: deque[tuple[float, int]] = deque()  # a time stamp, samples up to it
        self._renew_at, self._renewals = 0.0, 0
        self._refusal = ""

    def stop(self) -> None:
        """From any thread: the thread ends within about POLL_S, or with the attempt to connect that it is in."""
        self._stop_asked.set()

    @property
    def stopping(self) -> bool:
        return self._stop_asked.is_set()

    @property
    def measured_rate(self) -> float:
        """Hz by time stamps since the last recovery, over at most RATE_SPAN_S; NaN before 1 s of them."""
        points = tuple(self._rate_points)  # at once: the thread goes on to add and to clear
        if not points:
            return math.nan
        (t0, n0), (t1, n1) = points[0], points[-1]
        return (n1 - n0) / (t1 - t0) if t1 - t0 >= 1.0 else math.nan

    def run(self) -> None:
        self.opened.set_running_or_notify_cancel()  # from here on only this thread settles it
        try:
            tap = self._first_tap()
        except SourceError as error:
            self.opened.set_exception(error)
        else:
            self.state, self.arrived = SourceState.LIVE, self._clock.monotonic()
            self.opened.set_result(tap.spec)
            while not self._stop_asked.is_set():
                tap = self._turn(tap)
        finally:
            if not self.opened.done():  # an error not foreseen: the thread's traceback says which
                self.opened.set_exception(SourceError(f"the reader of {self.name!r} failed: see the traceback above"))
            self.state = SourceState.CLOSED
            self._queue.close()

    def _first_tap(self) -> Tap:
        info = self._info
        if info is None:
            wanted = DeviceProfile(self._device, "", (self._profile,))
            [(_, info)] = discovery.find(wanted, self._timeout_s, self._stop_asked)
        inlet = Inlet(info.uid, info.source_id, info.name, buffer_s=self._buffer_s, stop=self._stop_asked)
        return Tap.on(inlet, self._profile, self._device)

    def _turn(self, tap: Tap) -> Tap:
        """One wait for samples; the tap to go on with."""
        try:
            pulled = tap.inlet.pull(POLL_S)
        except InletLostError:
            self._lost("the sender closed the stream or its connection broke")
            return self._reopened(tap)
        if pulled is not None:
            self._accept(tap, *pulled)
            return tap
        now = self._clock.monotonic()
        if self.state is SourceState.LIVE and now - self.arrived >= self._stall_s:
            self._lost(f"no sample for {self._stall_s:g} s")
            self._renew_at, self._renewals = now, 0
        if self.state is SourceState.LOST and now >= self._renew_at:
            return self._renewed(tap)
        return tap

    def _accept(self, tap: Tap, timestamps: Float64, raw: npt.NDArray[np.generic]) -> None:
        samples = tap.samples(raw)
        self.arrived = self._clock.monotonic()
        for piece in self.stamps.pieces(timestamps):
            stamps = timestamps[piece]
            if self.stamps.went_back(stamps):
                back_s = self.stamps.last_s - stamps[0]
                self._lost(f"time stamps went back by {back_s:.1f} s: the sender began anew")
            if self.state is SourceState.LOST:
                self._recovered(float(stamps[0]), 1.0 / tap.spec.rate)
            stamps = self.stamps(stamps)
            self._count(stamps)
            self._queue.put(Chunk(stamps, np.ascontiguousarray(samples[:, piece])), stamps.size)

    def _count(self, stamps: Float64) -> None:
        if not self._rate_points:
            self._rate_points.append((float(stamps[0]), self.samples + 1))
        self.samples += stamps.size
        self._rate_points.append((float(stamps[-1]), self.samples))
        while self._rate_points[-1][0] - self._rate_points[0][0] > RATE_SPAN_S:
            self._rate_points.popleft()

    def _lost(self, reason: str) -> None:
        """Said once a loss; again only where the reason changed (the stream is back, but not as it was)."""
        if self.state is SourceState.LIVE:
            self.losses += 1
        self.state = SourceState.LOST
        self._queue.put(StreamLost(self.stamps.last_s, reason), 0)

    def _recovered(self, first_s: float, period_s: float) -> None:
        gap_s = first_s - self.stamps.last_s
        if self.stamps.went_back(np.array([first_s])):
            self.stamps.forget()
        else:
            gap_s = max(gap_s - period_s, 0.0)
        self._rate_points.clear()
        self.state, self._refusal = SourceState.LIVE, ""
        self._queue.put(StreamRecovered(first_s, 0.0 if math.isnan(gap_s) else gap_s), 0)

    def _reopened(self, dead: Tap) -> Tap:
        """A new tap on a stream that was closed, looked for with growing pauses; the dead one when asked to stop."""
        since_s = self._clock.monotonic()
        delay_s = FIRST_BACKOFF_S
        while not self._stop_asked.wait(delay_s):
            if (fresh := self._attempt(dead)) is not None:
                self._renew_at, self._renewals = self._clock.monotonic() + self._stall_s, 0
                return fresh
            lost_for_s = self._clock.monotonic() - since_s
            delay_s = min(max(BACKOFF_SHARE * lost_for_s, FIRST_BACKOFF_S), LAST_BACKOFF_S)
        return dead

    def _renewed(self, silent: Tap) -> Tap:
        """A new tap beside a silent one, for its connection may be dead (a peer that moved tells nobody).

        Made before the old one is left, and the old one emptied first: a sender that only paused loses nothing.
        """
        self._renewals += 1
        wait_s = min(self._stall_s * 2.0**self._renewals, LAST_RENEWAL_S)
        self._renew_at = self._clock.monotonic() + wait_s
        fresh = self._attempt(silent)
        if fresh is None:
            return silent
        try:
            while (pulled := silent.inlet.pull(0.0)) is not None:
                self._accept(silent, *pulled)
        except InletLostError:
            return fresh
        return silent if self.state is SourceState.LIVE else fresh

    def _attempt(self, old: Tap) -> Tap | None:
        """A tap on the stream of the same source_id, if it is there and still what it was."""
        info = old.inlet.info
        try:
            inlet = Inlet("", info.source_id, info.name, buffer_s=self._buffer_s, stop=self._stop_asked, again=True)
            fresh = Tap.on(inlet, self._profile, self._device)
        except NotThereError:
            return None
        except SourceError as error:
            refusal = str(error)
        else:
            if fresh.spec == old.spec:
                return fresh
            refusal = f"stream {info.name!r} is back with other channels ({', '.join(fresh.spec.channels)})"
        if refusal != self._refusal:
            self._refusal = refusal
            self._lost(refusal)
        return None
