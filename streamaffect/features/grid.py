"""Time stamps to places on a stream's sample grid, tolerant of jitter, honest about losses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamaffect.signals import Float64

SURPLUS = np.iinfo(np.int64).min  # the place of a sample that has none: the grid ran ahead of the clock
# A sample later than this share of a period beyond its expected time (and beyond the stream's own jitter) follows a loss.
_SLIP = 0.75
# Mean absolute jitter times this is still jitter: 5 sigma of a normal distribution.
_JITTER_SPAN = 6.3
# Standard errors of the mean lateness that are no slip: at 1000 Hz and 5 ms of jitter, 2 leave a false one in ten seconds.
_DOUBT = 2.0
# Averaging longer finds hidden losses later (5 ms of jitter, 1 % lost at 256 Hz: 1.5 places behind on average with 0.5 s,
# 0.6 with this), shorter takes jitter for losses.
_MEMORY_S = 0.125
_YOUNG = 8  # averages count as this many samples old when they begin
_QUIET = 0.25  # stamps this close [periods] to the grid are on it


class Grid:
    """Gives each sample the index of its place: ``round((t - origin_s) * rate)``, without the jitter.

    Successive samples stand in successive places unless the time stamps say that some are missing: at once when a stamp
    comes later than the stream's jitter explains, and later on when the mean lateness of an eighth of a second exceeds three
    quarters of a period (losses hidden by jitter, a device slower than its nominal rate). A device faster than nominal has
    its surplus sample dropped (``SURPLUS``). So index and LSL clock part by no more than a period, the jitter and what was
    lost in that eighth of a second, and streams stay aligned for hours, at the price of one sample in ten seconds at 400 ppm.
    Each sample's place depends on the stamps before it alone, not on how they came in chunks.
    """

    def __init__(self, rate: float, origin_s: float) -> None:
        self.rate = rate
        self.origin_s = origin_s
        self._next: int | None = None
        self._late = 0.0  # running mean of lateness [periods]
        self._jitter = 0.0  # running mean of |lateness - _late| [periods]
        self._age = 0  # samples in these means; 0: the stamps are on the grid, and the means rest
        self._gain = 1.0 / max(2.0, _MEMORY_S * rate)
        self._doubt = _DOUBT * 1.25 * float(np.sqrt(self._gain / 2))  # times the mean |jitter|: 1.25 of it is a sigma

    def time_of(self, index: float) -> float:
        """LSL time [s] of a place."""
        return self.origin_s + index / self.rate

    def place(self, timestamps: Float64) -> npt.NDArray[np.int64]:
        """Indices (n,) of samples stamped ``timestamps`` (n,), finite: rising, ``SURPLUS`` for a surplus sample."""
        position = (timestamps - self.origin_s) * self.rate
        if self._next is None:
            self._next = round(float(position[0]))
        on_grid = 0
        places = self._next + np.arange(position.size)
        if self._age == 0:
            off = np.abs(position - places) >= _QUIET
            on_grid = int(off.argmax()) if off.any() else position.size
            self._next += on_grid
        if on_grid < position.size:
            places[on_grid:] = self._track(position[on_grid:].tolist())
        return places

    def _track(self, position: list[float]) -> list[int]:
        assert self._next is not None  # noqa: S101 - set by place
        places = []
        next_, late, jitter, age, gain = self._next, self._late, self._jitter, self._age, self._gain
        for where in position:
            excess = where - next_ - late
            if age == 0 and -_QUIET < excess < _QUIET:
                places.append(next_)
                next_ += 1
                continue
            slip = _SLIP + self._doubt * jitter
            if excess > _SLIP + _JITTER_SPAN * jitter:
                missing = round(excess)
                next_ += missing
                excess -= missing
            elif late > slip:
                missing = round(late)
                next_ += missing
                late -= missing
            elif late < -slip:
                late += 1.0
                places.append(SURPLUS)
                continue
            age += 1
            weight = max(gain, 1.0 / (age + _YOUNG))
            late += weight * excess
            jitter += weight * (abs(excess) - jitter)
            places.append(next_)
            next_ += 1
            if jitter < 1e-2 and abs(late) < 1e-3:
                late, jitter, age = 0.0, 0.0, 0
        self._next, self._late, self._jitter, self._age = next_, late, jitter, age
        return places
