"""What the closed-form methods share: logistic regression on a representation, and how it learns from pseudo labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .base import Base
from .contract import Float32
from .jobs import Adaptation

if TYPE_CHECKING:
    from .cores import Core
    from .linear import Regressed

_BELIEF = 0.5  # weight of all pseudo labels together, against the source's


@dataclass(frozen=True, kw_only=True)
class Regression(Base):
    """``C``: the logistic regression, class-balanced, has the inverse penalty C / k on k standardised features."""

    C: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positive("C")

    def _align(self, job: Adaptation, core: Core) -> tuple[Regressed, Float32]:
        """A new core that maps the target's windows, and the source's rows (n, d) as it learns from them.

        ``core`` is the last one, whose answers on the target tell its proportions.
        """
        raise NotImplementedError

    def _refine(self, job: Adaptation, core: Core, labels: Float32, weight: Float32) -> Regressed:
        """The regression solved anew on the source as it is aligned, and on the believed target windows.

        These count half as much as the source together, however few they are, and their classes alike.
        """
        from .training import balanced

        aligned, source = self._align(job, core)
        trusted = np.flatnonzero(weight)
        share = weight[trusted] * (labels[trusted] @ balanced(labels[trusted])) if len(trusted) else weight[trusted]
        share = share * (_BELIEF * len(source) / max(float(share.sum()), 1e-12))
        rows = np.concatenate([source, aligned.embed(job.target)[trusted]])
        aligned.solve(rows, np.concatenate([job.y, labels[trusted]]), self.C, np.r_[np.ones(len(source)), share])
        return aligned
