"""Time stamps to places on a stream's sample grid, tolerant of jitter, honest about losses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamaffect.signals import Float64

# A sample later than this share of a period beyond its expected time (and beyond the stream's own jitter) follows a loss.
_SLIP = 0.75
# Mean absolute jitter times this is still jitter: 5 sigma of a normal distribution.
_JITTER_SPAN = 6.3
_MEMORY_S = 0.5


class Grid:
    """Gives each sample the index of its place: ``round((t - origin_s) * rate)``, without the jitter.

    Successive samples stand in successive places unless the time stamps say that some are missing: at once when a stamp
    comes later than the stream's jitter explains, and one sample at a time when the average lateness of half a second
    exceeds three quarters of a period (losses hidden by jitter, a device slower than its nominal rate). A device faster
    than nominal has its surplus sample dropped (index -1). So index and LSL clock never part by more than a period plus
    the jitter, and streams stay aligned for hours, at the price of one sample in ten seconds at 400 ppm.
    """

    def __init__(self, rate: float, origin_s: float) -> None:
        self.rate = rate
        self.origin_s = origin_s
        self._next: int | None = None
        self._late = 0.0  # running mean of lateness [periods]
        self._jitter = 0.0  # running mean of |lateness - _late| [periods]
        self._gain = 1.0 / max(2.0, _MEMORY_S * rate)

    def time_of(self, index: float) -> float:
        """LSL time [s] of a place."""
        return self.origin_s + index / self.rate

    def place(self, timestamps: Float64) -> npt.NDArray[np.int64]:
        """Indices (n,) of samples stamped ``timestamps`` (n,): rising, -1 for a surplus sample."""
        position = (timestamps - self.origin_s) * self.rate
        if self._next is None:
            self._next = round(float(position[0]))
        lateness = position - (self._next + np.arange(position.size))
        if self._late == 0.0 and self._jitter == 0.0 and np.abs(lateness).max() < 0.25:
            # The common case, stamps on the grid: no state to carry but the count.
            self._next += position.size
            return np.arange(self._next - position.size, self._next)
        return self._track(position)

    def _track(self, position: Float64) -> npt.NDArray[np.int64]:
        assert self._next is not None  # noqa: S101 - set by place
        places = np.empty(position.size, np.int64)
        next_, late, jitter, gain = self._next, self._late, self._jitter, self._gain
        for i, where in enumerate(position.tolist()):
            excess = where - next_ - late
            if excess > _SLIP + _JITTER_SPAN * jitter:
                missing = round(excess)
                next_ += missing
                excess -= missing
            elif late > _SLIP:
                next_ += 1
                late -= 1.0
            elif late < -_SLIP:
                late += 1.0
                places[i] = -1
                continue
            late += gain * excess
            jitter += gain * (abs(excess) - jitter)
            places[i] = next_
            next_ += 1
        self._next, self._late, self._jitter = next_, late, jitter
        if abs(late) < 1e-3 and jitter < 1e-2:
            self._late = self._jitter = 0.0
        return places
