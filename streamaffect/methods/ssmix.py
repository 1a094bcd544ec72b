"""SS-Mix: a window mixed with another of the same subject and the same trial (SDC-Net, Eq. 3 and 4). numpy only."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .contract import Float32, Int64


class Mix(NamedTuple):
    """One epoch's mixtures: row i becomes ``omega[i] x[i] + (1 - omega[i]) x[partner[i]]``."""

    partner: Int64
    omega: Float32


class SSMix:
    """Draws mixtures within the groups of ``ids``, arrays (n,) that must all agree: subject and trial.

    Neither crosses a subject or a trial, so labels, which a trial shares, are kept; where they differ within a trial they
    are mixed as Eq. 4 says. A window alone in its trial stays as it is. One sort here, then no loop in :meth:`draw`.
    """

    def __init__(self, *ids: npt.NDArray[Any]) -> None:
        _, group = np.unique(np.stack([np.unique(i, return_inverse=True)[1] for i in ids], 1), axis=0, return_inverse=True)
        self._group = group.reshape(-1)
        self._order = np.argsort(self._group, kind="stable")
        self._count = np.bincount(self._group)
        self._start = np.cumsum(self._count) - self._count

    def draw(self, rng: np.random.Generator, alpha: float = 0.5) -> Mix:
        """A partner, uniform over the other windows of the group, and ``omega ~ Beta(alpha, alpha)``, for each row."""
        group, n = self._group, len(self._group)
        others = self._count[group] - 1
        place = np.empty(n, np.int64)  # of a row within its group
        place[self._order] = np.arange(n) - self._start[group[self._order]]
        step = np.where(others > 0, 1 + (rng.random(n) * others).astype(np.int64), 0)
        partner = self._order[self._start[group] + (place + step) % self._count[group]]
        return Mix(partner, rng.beta(alpha, alpha, n).astype(np.float32))
