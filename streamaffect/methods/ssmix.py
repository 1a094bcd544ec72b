"""SS-Mix: a window mixed with another of the same subject and the same trial (SDC-Net, Eq. 3 and 4). torch."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch

from .contract import Float32, Int64, Views
from .training import Rows

_MIXED = 0.5  # an augmented window for each original one


class Mix(NamedTuple):
    """Row i becomes ``omega[i] x[i] + (1 - omega[i]) x[partner[i]]``."""

    partner: Int64
    omega: Float32


class SSMix:
    """Draws mixtures within the groups of ``ids``, arrays (n,) that must all agree: subject and trial.

    A window alone in its group stays as it is. One sort here, no loop in :meth:`draw`.
    """

    def __init__(self, *ids: npt.NDArray[Any]) -> None:
        codes = np.stack([np.unique(i, return_inverse=True)[1].reshape(-1) for i in ids], 1)
        group = np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)
        self._order = np.argsort(group, kind="stable")
        count = np.bincount(group)
        self._count, self._start = count[group], (np.cumsum(count) - count)[group]
        self._place = np.empty(len(group), np.int64)  # of a row within its group
        self._place[self._order] = np.arange(len(group)) - self._start[self._order]

    def draw(self, rng: np.random.Generator, alpha: float = 0.5, share: float = 1.0) -> Mix:
        """For each row a partner, uniform over the others of its group, and ``omega ~ Beta(alpha, alpha)``.

        Of ``share`` of the rows, drawn anew; the others get ``omega = 1``.
        """
        n = len(self._place)
        step = 1 + (rng.random(n) * (self._count - 1)).astype(np.int64)
        partner = self._order[self._start + (self._place + step) % self._count]
        omega = np.where(rng.random(n) < share, rng.beta(alpha, alpha, n), 1.0).astype(np.float32)
        return Mix(partner, omega)


class MixedRows(Rows):
    """Rows of which :meth:`take` mixes those it takes: what an epoch does not visit is never computed.

    :meth:`remix` before each epoch draws which half of the rows is augmented, with whom and how much, so that originals
    and augmented windows come in equal number as in the paper, which puts them side by side. Until then rows are
    originals. ``trial`` None: each window is its own trial, so none is mixed.
    """

    def __init__(
        self,
        views: Views,
        y: npt.NDArray[Any],
        weight: npt.NDArray[Any],
        device: torch.device,
        trial: npt.NDArray[Any] | None,
        subject: npt.NDArray[Any] | None = None,
    ) -> None:
        super().__init__(views, y, weight, device)
        ids = [i for i in (trial, subject) if i is not None]
        self._mixer = None if trial is None else SSMix(*ids)
        self._mix: Mix | None = None

    def remix(self, rng: np.random.Generator, alpha: float) -> Self:
        """This, with the next epoch's mixtures."""
        if self._mixer is not None:
            self._mix = self._mixer.draw(rng, alpha, _MIXED)
        return self

    def take(self, rows: Int64) -> Rows:
        if self._mix is None:
            return super().take(rows)
        i, j = (torch.as_tensor(r, device=self.y.device) for r in (rows, self._mix.partner[rows]))
        omega = torch.as_tensor(self._mix.omega[rows], device=self.y.device)[:, None]
        taken = copy.copy(self)
        taken.views = [torch.lerp(view[j], view[i], omega) for view in self.views]
        taken.y, taken.index, taken._mix = torch.lerp(self.y[j], self.y[i], omega), self.index[i], None
        return taken
