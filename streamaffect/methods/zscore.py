"""``zscore``: logistic regression on vectors standardised by person. The adaptation that every other has to beat."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np

from .base import Base
from .contract import Float32
from .jobs import Adaptation, Fit

if TYPE_CHECKING:
    from .cores import Core
    from .linear import Linear

_BELIEF = 0.5  # weight of all pseudo labels together, against the source's


@dataclass(frozen=True, kw_only=True)
class ZScore(Base):
    """``C``: the inverse penalty of the logistic regression, class-balanced. ``adapt`` changes the standardisation alone:
    that is what ``normalise='subject'`` is for, and with ``prior='estimate'`` it allows for the target's proportions.
    """

    name: ClassVar[str] = "zscore"
    reads: ClassVar = "vectors"
    kinds: ClassVar[frozenset[str]] = frozenset({"linear"})

    C: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positive("C")

    def _fit(self, job: Fit) -> Linear:
        core = self._core(job)
        core.solve(core.embed(job.x), job.y, self.C)
        return core

    def _adapt(self, job: Adaptation) -> Linear:
        return self._align(job, cast("Linear", job.core))[0]

    def _refine(self, job: Adaptation, core: Core, labels: Float32, weight: Float32) -> Linear:
        """The regression solved anew on the source as it is aligned, and on the believed target windows.

        These count half as much as the source together, however few they are, and their classes alike.
        """
        from .training import balanced

        aligned, source = self._align(job, cast("Linear", core))
        trusted = np.flatnonzero(weight)
        share = weight[trusted] * (labels[trusted] @ balanced(labels[trusted])) if len(trusted) else weight[trusted]
        share = share * (_BELIEF * len(source) / max(float(share.sum()), 1e-12))
        rows = np.concatenate([source, aligned.embed(job.target)[trusted]])
        aligned.solve(rows, np.concatenate([job.y, labels[trusted]]), self.C, np.r_[np.ones(len(source)), share])
        return aligned

    def _core(self, job: Fit) -> Linear:
        from .linear import Linear

        return Linear([view.shape[1] for view in job.x.values()], job.classes).to(job.device)

    def _align(self, job: Adaptation, core: Linear) -> tuple[Linear, Float32]:
        """A new core that maps and tells the target's windows, and the source's rows (n, d) as it learns from them.

        ``core`` is the last one, whose answers on the target tell its proportions.
        """
        return copy.deepcopy(core), core.embed(job.x)
