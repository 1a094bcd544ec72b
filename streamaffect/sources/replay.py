"""A recording played as the LSL streams of a device, with a stream of its labels, and with faults on request."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from streamaffect.clock import Clock, SystemClock
from streamaffect.errors import UsageError
from streamaffect.signals import Recording, StreamSpec
from streamaffect.sources.devices import GENERIC, DeviceProfile
from streamaffect.sources.outlets import MarkersOutlet, SignalOutlet
from streamaffect.sources.timeline import Faults, Track, as_device

TICK_S = 0.025  # wall seconds between pushes: the chunk of a Bluetooth wearable
AHEAD_S = 5.0  # of recording that 'max' may be ahead of what was consumed
# Without word from the consumer, 'max' is this: the 20 s that liblsl keeps for an inlet are then 1 s of wall time. LSL
# has no back-pressure; beyond its buffer it drops silently.
MAX_BLIND_SPEED = 20.0
LINGER_S = 0.5  # an outlet destroyed at once takes what it has not sent with it
NEXT_CONSUMER_S = 1.0  # once one stream is read, how long to wait for a reader of another
POLL_S = 0.02


class ReplayStats(NamedTuple):
    position_s: float  # of the recording, all passes together
    passes: int  # begun
    sent: int  # samples pushed, all streams together
    lost: int  # samples dropped or due while disconnected
    disconnects: int


class Replay:
    """Plays ``recording`` as ``device`` (default: as it is), once or in a loop.

    Time stamps are the LSL clock at the start plus the recording's own time, exactly on the sample grid; at ``speed`` X
    they run X times faster than the wall clock, at the device's nominal rate. ``speed`` infinity ('max') sends as fast
    as ``consumed`` allows: a function that tells the LSL time up to which the consumer is done (NaN: not begun).
    Without it, or with disconnects (nobody can consume what was lost), 'max' is 20 times.

    ``drop``, ``jitter_s``, ``disconnect`` (every_s, for_s) are faults, in the recording's time; while disconnected the
    recording goes on and its samples are lost. The same ``seed`` gives the same faults. ``suffix`` tells several wearers
    apart by name: ``shimmer-ecg-anna``. Raises SourceError where the recording cannot play as the device, UsageError for a
    value out of range.
    """

    def __init__(
        self,
        recording: Recording,
        device: DeviceProfile | None = None,
        *,
        speed: float = 1.0,
        loop: bool = False,
        drop: float = 0.0,
        jitter_s: float = 0.0,
        disconnect: tuple[float, float] | None = None,
        seed: int = 0,
        suffix: str = "",
        wait_for_consumer_s: float = 10.0,
        consumed: Callable[[], float] | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not speed > 0:
            raise UsageError(f"speed must be positive or max, got {speed:g}")
        self.device = device or GENERIC
        self.recording = as_device(recording, self.device)
        self.faults = Faults(drop, jitter_s, disconnect, seed)
        self.pass_s = math.floor(self.recording.duration_s) if loop else self.recording.duration_s
        if self.pass_s <= 0:
            raise UsageError(f"{recording.dataset} {recording.subject} is too short to play: {recording.duration_s:g} s")
        if disconnect is not None:
            consumed = None
        self._speed = speed if consumed or speed < math.inf else MAX_BLIND_SPEED
        self._loop, self._consumed, self._wait_s = loop, consumed, wait_for_consumer_s
        self._clock = clock or SystemClock()
        self._outlets = self._make_outlets(suffix)
        name = _suffixed(f"{self.device.name}-markers", suffix)
        self._markers = MarkersOutlet(name, f"replay-{name}-{recording.subject.lower()}")
        self._position_s, self._passes, self._sent, self._lost, self._disconnects = 0.0, 0, 0, 0, 0
        self.t0_s = math.nan  # LSL time of the recording's zero, once playing

    @property
    def streams(self) -> tuple[StreamSpec, ...]:
        """As they appear on the network."""
        return tuple(outlet.spec for outlet in self._outlets)

    @property
    def source_ids(self) -> tuple[str, ...]:
        return tuple(outlet.source_id for outlet in self._outlets)

    def stats(self) -> ReplayStats:
        return ReplayStats(self._position_s, self._passes, self._sent, self._lost, self._disconnects)

    async def run(self) -> None:
        """Plays to the end (for ever in a loop) or until cancelled; the outlets are gone afterwards."""
        import pylsl

        everything: tuple[MarkersOutlet | SignalOutlet, ...] = (self._markers, *self._outlets)
        try:
            for outlet in everything:
                outlet.create()
            await self._consumers()
            self.t0_s = pylsl.local_clock()
            started_s = self._clock.monotonic()
            while self._passes == 0 or self._loop:
                await self._play_pass(started_s)
            await self._clock.sleep(LINGER_S)
        finally:
            for outlet in everything:
                outlet.destroy()

    async def _consumers(self) -> None:
        """Waits until the streams are read: all of them, or one and no more follow; at most ``wait_for_consumer_s``."""
        read, newest_s = 0, math.inf
        give_up_s = self._clock.monotonic() + self._wait_s
        while (now_s := self._clock.monotonic()) < min(give_up_s, newest_s + NEXT_CONSUMER_S):
            now_read = sum(outlet.read for outlet in self._outlets)
            if now_read == len(self._outlets):
                return
            if now_read > read:
                read, newest_s = now_read, now_s
            await self._clock.sleep(POLL_S)

    async def _play_pass(self, started_s: float) -> None:
        offset_s = self._passes * self.pass_s
        tracks = [
            Track.of(signal, self.faults, index, self._passes, offset_s, self.pass_s)
            for index, signal in enumerate(self.recording.signals)
        ]
        self._passes += 1
        end_s = offset_s + self.pass_s
        while self._position_s < end_s:
            target_s = min(self._allowed_s(started_s), end_s)
            while self._position_s < target_s:
                stop_s = min(target_s, self.faults.next_change(self._position_s))
                self._connect(self.faults.connected(self._position_s))
                self._push(tracks, self._position_s, stop_s)
                self._push_markers(offset_s, self._position_s, stop_s)
                self._position_s = stop_s
            await self._clock.sleep(TICK_S)

    def _allowed_s(self, started_s: float) -> float:
        """How far the recording may have been sent by now."""
        if self._speed < math.inf or self._consumed is None:
            return (self._clock.monotonic() - started_s) * self._speed
        done_s = self._consumed()
        return AHEAD_S if math.isnan(done_s) else done_s - self.t0_s + AHEAD_S

    def _connect(self, wanted: bool) -> None:
        there = self._outlets[0].there
        if wanted and not there:
            for outlet in self._outlets:
                outlet.create()
        elif there and not wanted:
            self._disconnects += 1
            for outlet in self._outlets:
                outlet.destroy()

    def _push(self, tracks: list[Track], start_s: float, stop_s: float) -> None:
        for track, outlet in zip(tracks, self._outlets, strict=True):
            due = track.between(start_s, stop_s)
            keep = track.keep[due]
            sent = outlet.push(track.samples[:, due][:, keep], self.t0_s + track.stamps_s[due][keep])
            kept = int(np.count_nonzero(keep)) if sent else 0
            self._sent += kept
            self._lost += keep.size - kept

    def _push_markers(self, offset_s: float, start_s: float, stop_s: float) -> None:
        """A trial's label (its name where it has none) at its onset."""
        for trial in self.recording.trials:
            if start_s <= offset_s + trial.start_s < stop_s:
                self._markers.push(trial.label or trial.name, self.t0_s + offset_s + trial.start_s)

    def _make_outlets(self, suffix: str) -> list[SignalOutlet]:
        """One a signal. The source_id is the same in every run: a consumer finds the stream again after a restart."""
        outlets = []
        for signal in self.recording.signals:
            spec = signal.spec
            named = StreamSpec(_suffixed(spec.name, suffix), spec.modality, spec.channels, spec.rate, spec.unit)
            source_id = _suffixed(f"replay-{spec.name}-{self.recording.subject.lower()}", suffix)
            outlets.append(SignalOutlet(named, source_id))
        return outlets


def _suffixed(name: str, suffix: str) -> str:
    return f"{name}-{suffix}" if suffix else name
