"""Gap-aware windows: each stream on its sample grid, cut for all of them at the same instants."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from streamaffect.features.track import FILL_S, RESET_S, Gap, Run, Track
from streamaffect.signals import Chunk, Modality, Observation, StreamSpec, Window

__all__ = ["FILL_S", "LAG_S", "RESET_S", "Gap", "Track", "Windower"]

LAG_S = 30.0  # how long windows of one stream wait for the others
JUMP_S = 600.0  # time stamps that leap further ahead come from a clock that was set, not from a loss


class Windower:
    """Samples of several streams in, an :class:`Observation` a hop out, each ``context_s`` long per modality.

    Hop ``k`` ends ``(k + 1) * hop_s`` after the first sample of all, in every stream at the nearest place. Each stream's
    window is cut as soon as its samples have passed that place; the observation goes out when every stream that is not
    :meth:`stalled <stall>` has passed it. So neither chunks nor arrival times play a part, but for a stream that comes more
    than ``LAG_S`` after another: it counts as stalled, and what it brings for windows that have gone is left out.
    """

    def __init__(self, specs: dict[Modality, StreamSpec], context_s: dict[Modality, float], hop_s: float) -> None:
        if not hop_s > 0:
            raise ValueError(f"the hop must be positive, got {hop_s} s")
        self._specs, self._context_s, self.hop_s = specs, context_s, hop_s
        self._tracks: dict[Modality, Track] = {}
        self._pending: dict[Modality, deque[Window]] = {}  # cut, but not by all
        self._most_pending = int(np.ceil(LAG_S / hop_s))
        self._stalled: set[Modality] = set()
        self.origin_s: float | None = None
        self.seq = 0
        self._first_seq = 0  # of this origin

    @property
    def tracks(self) -> dict[Modality, Track]:
        return self._tracks

    def push(self, modality: Modality, chunk: Chunk) -> tuple[list[Observation], list[Gap]]:
        """Add one chunk of one stream; returns what it completes and the holes it reveals."""
        timed = np.isfinite(chunk.timestamps)
        if not timed.all():
            chunk = Chunk(chunk.timestamps[timed], chunk.samples[:, timed])
        observations: list[Observation] = []
        gaps: list[Gap] = []
        for part in _between_jumps(chunk):
            first_s = float(part.timestamps[0])
            if self.origin_s is None or first_s - self._end_s() > JUMP_S:
                self._start(first_s)
            self._stalled.discard(modality)
            track = self._tracks[modality]
            for run in track.runs(part):
                if gap := track.gap(run.start):
                    gaps.append(gap)
                observations.extend(self._write(modality, run))
            # Samples of no use are signs of life: their windows are cut all the same, with a hole.
            observations.extend(self._passed(modality, track.settled))
        return observations, gaps

    def _start(self, origin_s: float) -> None:
        self.restart()
        self.origin_s = origin_s
        for modality, spec in self._specs.items():
            self._tracks[modality] = Track(spec, origin_s, self._context_s[modality])
            self._pending[modality] = deque()

    def restart(self) -> None:
        """Begin anew with the next chunk, as when the sender's clock went back; ``seq`` goes on."""
        self.origin_s = None
        self._first_seq = self.seq
        self._tracks.clear()
        self._pending.clear()

    def stall(self, modality: Modality) -> list[Observation]:
        """Stop waiting for a stream until its next chunk."""
        self._stalled.add(modality)
        return list(self._ready())

    def advance(self, to_s: float) -> list[Observation]:
        """Cut every hop that ends by LSL time ``to_s``, with holes where samples have not come."""
        done = []
        while self.origin_s is not None and self._end_s() <= to_s:
            done.append(self._emit())
        return done

    def _write(self, modality: Modality, run: Run) -> Iterator[Observation]:
        """Write a run and the hole before it. The ring holds a window and no more: each is cut before it is passed."""
        track = self._tracks[modality]
        track.bridge(run)
        yield from self._passed(modality, run.start)
        track.advance(run.start)
        written = 0
        while written < run.samples.shape[1]:
            piece = run.samples[:, written : written + self._place(modality) - track.end]
            track.append(piece)
            written += piece.shape[1]
            yield from self._passed(modality, track.end)

    def _passed(self, modality: Modality, place: int) -> Iterator[Observation]:
        """Cut the stream's windows that end by ``place``, which nothing to come will change."""
        track = self._tracks[modality]
        while (end := self._place(modality)) <= place:
            self._pending[modality].append(self._cut(track, end))
            yield from self._ready()

    def _end_s(self) -> float:
        """The end of the next observation."""
        return (self.origin_s or 0.0) + self._hops() * self.hop_s

    def _hops(self) -> int:
        """Hops from the origin to the end of the next observation."""
        return self.seq - self._first_seq + 1

    def _place(self, modality: Modality) -> int:
        """The end of the next window of one stream."""
        return round((self._hops() + len(self._pending[modality])) * self.hop_s * self._specs[modality].rate)

    def _ready(self) -> Iterator[Observation]:
        if any(len(windows) > self._most_pending for windows in self._pending.values()):
            self._stalled.update(modality for modality, windows in self._pending.items() if not windows)
        while self._complete():
            yield self._emit()

    def _complete(self) -> bool:
        waited = [windows for modality, windows in self._pending.items() if modality not in self._stalled]
        return bool(waited) and all(waited)

    def _emit(self) -> Observation:
        t_end_s = self._end_s()
        windows = {}
        for modality, track in self._tracks.items():
            pending = self._pending[modality]
            windows[modality] = pending.popleft() if pending else self._cut(track, self._place(modality))
        observation = Observation(self.seq, t_end_s - max(self._context_s.values()), t_end_s, windows)
        self.seq += 1
        return observation

    def _cut(self, track: Track, end: int) -> Window:
        track.advance(end)
        return track.cut(end, round(self._context_s[track.spec.modality] * track.spec.rate))


def _between_jumps(chunk: Chunk) -> Iterator[Chunk]:
    """The chunk in parts, cut where its time stamps leap."""
    cuts = np.flatnonzero(np.diff(chunk.timestamps) > JUMP_S / 2) + 1
    stamps, samples = np.split(chunk.timestamps, cuts), np.split(chunk.samples, cuts, axis=1)
    for t, x in zip(stamps, samples, strict=True):
        if t.size:
            yield Chunk(t, x)
