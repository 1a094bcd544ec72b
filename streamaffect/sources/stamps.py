"""Time stamps made strictly increasing, and clocks that go back."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from streamaffect.signals import Float64

STEP_S = 1e-6  # least distance of two time stamps
# A jitter of the sender goes back by milliseconds; a clock that was set or begun anew, by seconds.
BACK_STEP_S = 1.0


class Increasing:
    """Guards one stream: ``last_s`` is the newest time stamp let through, ``retimed`` how many had to be moved."""

    def __init__(self) -> None:
        self.last_s = math.nan
        self.retimed = 0

    def pieces(self, timestamps: Float64) -> list[slice]:
        """The chunk cut where its clock goes back by more than BACK_STEP_S."""
        cuts = np.flatnonzero(np.diff(timestamps) < -BACK_STEP_S) + 1
        edges = [0, *cuts.tolist(), timestamps.size]
        return [slice(start, stop) for start, stop in pairwise(edges)]

    def went_back(self, timestamps: Float64) -> bool:
        return bool(timestamps[0] < self.last_s - BACK_STEP_S)

    def forget(self) -> None:
        self.last_s = math.nan

    def __call__(self, timestamps: Float64) -> Float64:
        """(n,) in, the same (n,) out unless one does not increase: such a one is set STEP_S after the one before."""
        late = not math.isnan(self.last_s) and timestamps[0] <= self.last_s
        if late or np.any(np.diff(timestamps) <= 0):
            moved = self._moved(timestamps)
            self.retimed += int(np.count_nonzero(moved > timestamps))
            timestamps = moved
        self.last_s = float(timestamps[-1])
        return timestamps

    def _moved(self, timestamps: Float64) -> Float64:
        out = timestamps.copy()
        last = self.last_s
        for index, stamp in enumerate(timestamps.tolist()):
            # A comparison with NaN is false: the first stamp ever stays.
            out[index] = last = last + STEP_S if stamp <= last else stamp
        return out
