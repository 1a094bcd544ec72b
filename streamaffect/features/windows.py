"""Gap-aware windows: each stream on its sample grid, cut for all of them at the same instants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamaffect.features.filters import Filter
from streamaffect.features.grid import Grid
from streamaffect.signals import Chunk, Float32, Modality, Observation, StreamSpec, Window

FILL_S = 0.1  # a hole up to this long is bridged linearly
RESET_S = 2.0  # a hole longer than this starts the filters anew


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples that never came: [t_start_s, t_end_s) of ``modality``."""

    modality: Modality
    t_start_s: float
    t_end_s: float


class Track:
    """The last seconds of one stream on its grid: filtered and unfiltered samples, and which were observed."""

    def __init__(self, spec: StreamSpec, origin_s: float, context_s: float) -> None:
        self.spec = spec
        self.grid = Grid(spec.rate, origin_s)
        self.first: int | None = None  # place of the first sample ever
        self.end = 0  # place after the last written one
        self.observed = 0
        self.missing = 0
        self._hole_length = 0
        self._filter = Filter(spec.modality, len(spec.channels), spec.rate)
        self._capacity = 2 * int(np.ceil(context_s * spec.rate)) + 64
        self._keep = self._capacity // 2
        shape = (len(spec.channels), self._capacity)
        self._raw = np.full(shape, np.nan, np.float32)
        self._clean = np.full(shape, np.nan, np.float32)
        self._mask = np.zeros(self._capacity, np.bool_)
        self._base = 0  # place of column 0

    def write(self, chunk: Chunk) -> list[Gap]:
        """Add samples; returns the holes of more than ``FILL_S`` that they close."""
        places = self.grid.place(chunk.timestamps)
        if self.first is None:
            self.first = self.end = self._base = int(places[0])
        valid = (places >= self.end) & np.isfinite(chunk.samples).all(axis=0)
        places, samples = places[valid], chunk.samples[:, valid]
        gaps = []
        # Runs of adjacent places are written whole; what lies between two runs is a hole.
        cuts = np.flatnonzero(np.diff(places) > 1) + 1
        for run, block in zip(np.split(places, cuts), np.split(samples, cuts, axis=1), strict=True):
            if run.size == 0:
                continue
            hole = int(run[0]) - self.end
            if hole > 0:
                self._bridge(hole, block[:, 0])
                if hole > FILL_S * self.spec.rate:
                    gaps.append(Gap(self.spec.modality, self.grid.time_of(run[0] - hole), self.grid.time_of(run[0])))
            self._append(block, self._filter(block), observed=True)
        return gaps

    def advance(self, end: int) -> None:
        """Declare everything before place ``end`` lost that has not come."""
        if self.first is not None and end > self.end:
            self._hole(end - self.end)

    def _bridge(self, hole: int, after: Float32) -> None:
        if hole > FILL_S * self.spec.rate or self.end == self.first:
            self._hole(hole)
            return
        before = self._raw[:, self.end - 1 - self._base]
        if not np.isfinite(before).all():
            self._hole(hole)
            return
        share = np.arange(1, hole + 1, dtype=np.float32) / np.float32(hole + 1)
        fill = before[:, None] + (after - before)[:, None] * share
        self._append(fill, self._filter(fill), observed=False)

    def _hole(self, hole: int) -> None:
        self._hole_length += hole
        if self._hole_length > RESET_S * self.spec.rate:
            self._filter.reset()
        width = min(hole, self._keep)
        self.end += hole - width
        self.missing += hole - width
        nothing = np.full((len(self.spec.channels), width), np.nan, np.float32)
        self._append(nothing, nothing, observed=False)

    def _append(self, raw: Float32, clean: Float32, *, observed: bool) -> None:
        n = raw.shape[1]
        for start in range(0, n, self._keep):
            self._append_block(raw[:, start : start + self._keep], clean[:, start : start + self._keep], observed)
        if observed:
            self.observed += n
            self._hole_length = 0
        else:
            self.missing += n

    def _append_block(self, raw: Float32, clean: Float32, observed: bool) -> None:
        n = raw.shape[1]
        column = self.end - self._base
        if column + n > self._capacity:
            shift = self.end - self._keep - self._base
            kept = max(0, self._capacity - shift)
            for array in (self._raw, self._clean, self._mask):
                array[..., :kept] = array[..., shift : shift + kept].copy()
                array[..., kept:] = 0 if array is self._mask else np.nan
            self._base += shift
            column = self.end - self._base
        self._raw[:, column : column + n] = raw
        self._clean[:, column : column + n] = clean
        self._mask[column : column + n] = observed
        self.end += n

    def cut(self, end: int, n: int) -> Window:
        """The ``n`` places before ``end``; what was never written is a hole."""
        start = end - n
        raw = np.full((len(self.spec.channels), n), np.nan, np.float32)
        clean = raw.copy()
        mask: npt.NDArray[np.bool_] = np.zeros(n, np.bool_)
        lo, hi = max(start, self._base), min(end, self.end)
        if self.first is not None and hi > lo:
            here, there = slice(lo - start, hi - start), slice(lo - self._base, hi - self._base)
            raw[:, here], clean[:, here], mask[here] = self._raw[:, there], self._clean[:, there], self._mask[there]
        young = self.first is None or start < self.first
        return Window(self.spec, self.grid.time_of(start), self.grid.time_of(end), clean, raw, mask, young)


class Windower:
    """Samples of several streams in, an :class:`Observation` a hop out, each ``context_s`` long per modality.

    Hop ``k`` ends ``(k + 1) * hop_s`` after the first sample of all, in every stream at the nearest place. An observation
    goes out when every stream that is not :meth:`stalled <stall>` has reached its end, so arrival times play no part.
    """

    def __init__(self, specs: dict[Modality, StreamSpec], context_s: dict[Modality, float], hop_s: float) -> None:
        if not hop_s > 0:
            raise ValueError(f"the hop must be positive, got {hop_s} s")
        self._specs, self._context_s, self.hop_s = specs, context_s, hop_s
        self._tracks: dict[Modality, Track] = {}
        self._stalled: set[Modality] = set()
        self.origin_s: float | None = None
        self.seq = 0
        self._first_seq = 0  # of this origin

    @property
    def tracks(self) -> dict[Modality, Track]:
        return self._tracks

    def _start(self, origin_s: float) -> None:
        self.origin_s = origin_s
        for modality, spec in self._specs.items():
            self._tracks[modality] = Track(spec, origin_s, max(self._context_s[modality], 2 * self.hop_s) + self.hop_s)

    def push(self, modality: Modality, chunk: Chunk) -> tuple[list[Observation], list[Gap]]:
        """Add one chunk of one stream; returns what it completes and the holes it reveals."""
        if chunk.timestamps.size == 0:
            return [], []
        if self.origin_s is None:
            self._start(float(chunk.timestamps[0]))
        self._stalled.discard(modality)
        gaps: list[Gap] = []
        done: list[Observation] = []
        # No more than a hop at a time: the ring holds two contexts, a long chunk must not push out what is still to be cut.
        step = max(1, int(self.hop_s * self._specs[modality].rate))
        for i in range(0, chunk.timestamps.size, step):
            part = Chunk(chunk.timestamps[i : i + step], chunk.samples[:, i : i + step])
            ahead = (part.timestamps[0] - self._end_s()) / self.hop_s
            if ahead > 1:
                done.extend(self._forced(modality, float(part.timestamps[0])))
            gaps.extend(self._tracks[modality].write(part))
            done.extend(self._ready())
        return done, gaps

    def restart(self) -> None:
        """Begin anew with the next chunk, as when the sender's clock went back; ``seq`` goes on."""
        self.origin_s = None
        self._first_seq = self.seq
        self._tracks.clear()
        self._stalled.clear()

    def stall(self, modality: Modality) -> list[Observation]:
        """Stop waiting for a stream until its next chunk."""
        self._stalled.add(modality)
        return list(self._ready()) if self.origin_s is not None else []

    def advance(self, to_s: float) -> list[Observation]:
        """Cut every hop that ends by LSL time ``to_s``, with holes where samples have not come."""
        if self.origin_s is None:
            return []
        done = []
        while self._end_s() <= to_s:
            done.append(self._cut())
        return done

    def _forced(self, modality: Modality, to_s: float) -> Iterator[Observation]:
        """A jump of ``modality`` past the next hops: cut those nobody else is late for, before the ring forgets."""
        others = [m for m in self._tracks if m != modality and m not in self._stalled]
        while self._end_s() <= to_s and all(self._reached(m) for m in others):
            yield self._cut()

    def _end_s(self) -> float:
        assert self.origin_s is not None  # noqa: S101
        return self.origin_s + self._hops() * self.hop_s

    def _hops(self) -> int:
        """Hops from the origin to the end of the next observation."""
        return self.seq - self._first_seq + 1

    def _place(self, modality: Modality) -> int:
        return round(self._hops() * self.hop_s * self._specs[modality].rate)

    def _reached(self, modality: Modality) -> bool:
        return self._tracks[modality].end >= self._place(modality)

    def _ready(self) -> Iterator[Observation]:
        while True:
            waited = [m for m in self._tracks if m not in self._stalled]
            if not waited or not all(self._reached(m) for m in waited):
                return
            yield self._cut()

    def _cut(self) -> Observation:
        windows = {}
        for modality, track in self._tracks.items():
            end = self._place(modality)
            track.advance(end)
            windows[modality] = track.cut(end, round(self._context_s[modality] * track.spec.rate))
        t_end_s = self._end_s()
        t_start_s = t_end_s - max(self._context_s.values())
        observation = Observation(self.seq, t_start_s, t_end_s, windows)
        self.seq += 1
        return observation
