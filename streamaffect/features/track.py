"""One stream's last seconds on its sample grid, holes and all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamaffect.features.filters import Filter
from streamaffect.features.grid import SURPLUS, Grid
from streamaffect.signals import Chunk, Float32, Modality, StreamSpec, Window

FILL_S = 0.1  # a hole up to this long is bridged linearly
RESET_S = 2.0  # a hole longer than this starts the filters anew


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples that never came: [t_start_s, t_end_s) of ``modality``."""

    modality: Modality
    t_start_s: float
    t_end_s: float


@dataclass(frozen=True, slots=True)
class Run:
    """Observed samples (channels, n) in adjacent places from ``start`` on."""

    start: int
    samples: Float32


class Track:
    """A ring of ``context_s`` of one stream: filtered and unfiltered samples, and which were observed.

    Written run by run: what lies between the end and a run's start is first :meth:`bridged <bridge>` or :meth:`given up
    <advance>`, then the run is :meth:`appended <append>`, in one piece or many.
    """

    def __init__(self, spec: StreamSpec, origin_s: float, context_s: float) -> None:
        self.spec = spec
        self.grid = Grid(spec.rate, origin_s)
        self.first: int | None = None  # place of the first sample ever
        self.end = 0  # place after the last written one
        self.observed = 0
        self.missing = 0  # bridged ones among them
        self._seen = 0  # place after the last observed one
        self._reached = 0  # place after the newest sample, be it usable or not
        self._filter = Filter(spec.modality, len(spec.channels), spec.rate)
        self._keep = int(np.ceil((context_s + FILL_S) * spec.rate)) + 2
        self._capacity = 2 * self._keep
        shape = (len(spec.channels), self._capacity)
        self._raw = np.full(shape, np.nan, np.float32)
        self._clean = np.full(shape, np.nan, np.float32)
        self._mask = np.zeros(self._capacity, np.bool_)
        self._base = 0  # place of column 0

    def runs(self, chunk: Chunk) -> Iterator[Run]:
        """The chunk's samples in their places. Left out: those with a NaN or infinity in a channel, those whose place is
        taken or was given up, and the surplus ones."""
        places = self.grid.place(chunk.timestamps)
        if self.first is None:
            self.first = self.end = self._seen = self._reached = self._base = int(places[0])
        self._reached = max(self._reached, int(places.max()) + 1)
        valid = (places != SURPLUS) & (places >= self.end) & np.isfinite(chunk.samples).all(axis=0)
        places, samples = places[valid], chunk.samples[:, valid]
        cuts = np.flatnonzero(np.diff(places) > 1) + 1
        for run, block in zip(np.split(places, cuts), np.split(samples, cuts, axis=1), strict=True):
            if run.size:
                yield Run(int(run[0]), block)

    @property
    def settled(self) -> int:
        """The place before which nothing to come changes anything: the end, or beyond it the newest sample's where only
        samples of no use have come for more than ``FILL_S``."""
        hopeless = self._reached - self._seen > FILL_S * self.spec.rate
        return max(self.end, self._reached) if hopeless else self.end

    def gap(self, start: int) -> Gap | None:
        """The hole of more than ``FILL_S`` that a run beginning at ``start`` closes."""
        if start - self._seen <= FILL_S * self.spec.rate:
            return None
        return Gap(self.spec.modality, self.grid.time_of(self._seen), self.grid.time_of(start))

    def bridge(self, run: Run) -> None:
        """Fill the hole before ``run`` linearly where it is short and has observed samples on both sides."""
        hole = run.start - self.end
        if not 0 < hole <= FILL_S * self.spec.rate or self._seen != self.end or self.end == self.first:
            return
        before = self._raw[:, self.end - 1 - self._base, None]
        share = np.arange(1, hole + 1, dtype=np.float32) / np.float32(hole + 1)
        fill = before + (run.samples[:, :1] - before) * share
        self._write(fill, self._filter(fill), observed=False)
        self.missing += hole
        self._seen = self.end

    def advance(self, end: int) -> None:
        """Declare everything before place ``end`` lost that has not come."""
        if self.first is None or end <= self.end:
            return
        if end - self._seen > RESET_S * self.spec.rate:
            self._filter.reset()
        self.missing += end - self.end
        width = min(end - self.end, self._capacity)
        self.end = end - width
        nothing = np.full((len(self.spec.channels), width), np.nan, np.float32)
        self._write(nothing, nothing, observed=False)

    def append(self, samples: Float32) -> None:
        """Write observed samples (channels, n) from the end on."""
        self._write(samples, self._filter(samples), observed=True)
        self.observed += samples.shape[1]
        self._seen = self.end

    def _write(self, raw: Float32, clean: Float32, *, observed: bool) -> None:
        for start in range(0, raw.shape[1], self._keep):
            self._write_block(raw[:, start : start + self._keep], clean[:, start : start + self._keep], observed)

    def _write_block(self, raw: Float32, clean: Float32, observed: bool) -> None:
        """Write no more than ``_keep`` samples; where the ring is full, move its newest ``_keep`` to the front first."""
        n = raw.shape[1]
        column = self.end - self._base
        if column + n > self._capacity:
            shift = column - self._keep
            kept = max(0, self._capacity - shift)
            for array in (self._raw, self._clean, self._mask):
                array[..., :kept] = array[..., shift : shift + kept].copy()
                array[..., kept:] = 0 if array is self._mask else np.nan
            self._base += shift
            column = self._keep
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
