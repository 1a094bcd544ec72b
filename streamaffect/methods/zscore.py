"""``zscore``: logistic regression on vectors standardised by person. The adaptation that every other has to beat."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from .contract import Float32
from .jobs import Adaptation, Fit
from .regression import Regression

if TYPE_CHECKING:
    from .cores import Core
    from .linear import Linear, Regressed


@dataclass(frozen=True, kw_only=True)
class ZScore(Regression):
    """``adapt`` changes the standardisation alone: that is what ``normalise='subject'`` is for, and with
    ``prior='estimate'`` it allows for the target's proportions.

    The regression is solved anew on the source that ``adapt`` is given. Where that is what it was fitted on, nothing changes;
    a river's model is fitted on people as they looked when little was known of them, and its source memory holds them as
    they look once a session is long: from then on the answer is theirs. ``anchor``: the share of the incumbent's logits that
    stays, as a wearer is still on the way there when the first adaptation is made.
    """

    name: ClassVar[str] = "zscore"
    reads: ClassVar = "vectors"
    kinds: ClassVar[frozenset[str]] = frozenset({"linear"})

    anchor: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._between(0, 1, "anchor")

    def _fit(self, job: Fit) -> Linear:
        from .linear import Linear

        core = Linear([view.shape[1] for view in job.x.values()], job.classes).to(job.device)
        core.solve(core.embed(job.x), job.y, self.C)
        return core

    def _adapt(self, job: Adaptation) -> Regressed:
        core, rows = self._align(job, job.core)
        core.solve(rows, job.y, self.C)
        return self._anchored(job, core)

    def _refine(self, job: Adaptation, core: Core, labels: Float32, weight: Float32) -> Regressed:
        return self._anchored(job, super()._refine(job, core, labels, weight))

    def _anchored(self, job: Adaptation, core: Regressed) -> Regressed:
        """``core`` with the incumbent's weights mixed in, which mixes the logits."""
        if not self.anchor:
            return core
        incumbent = cast("Linear", job.core)
        for own, theirs in ((core.weight, incumbent.weight), (core.bias, incumbent.bias)):
            own.lerp_(theirs, self.anchor)
        return core

    def _align(self, job: Adaptation, core: Core) -> tuple[Linear, Float32]:
        same = copy.deepcopy(cast("Linear", core))
        return same, same.embed(job.x)
