"""``dan``: a baseline, the network of ``source`` with its embedding aligned by multi-kernel MMD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .jobs import Adaptation
from .source import Source

if TYPE_CHECKING:
    from .cores import Core


@dataclass(frozen=True, kw_only=True)
class DAN(Source):
    """The fit of :class:`Source`, then ``CE + gamma MK-MMD`` (Long et al., ICML 2015, Eq. 3) on the embedding at ``adapt``.

    Five Gaussian kernels around the batch's mean squared distance, equally weighted, as in the authors' later code; the
    paper learns the weights. It adapts three layers, we one. Dropout is off and batch normalisation keeps the statistics
    of the source, as in ``dynamic``, which with ``schedule='mmd'`` and ``kernel='multi'`` is this with a fifth of the gamma.

    The last epoch (a pass over the source) is returned, unless the loss on held-out source subjects rose by more than
    ``slack`` over the incumbent's: then the last state within it.
    """

    name: ClassVar[str] = "dan"
    kinds: ClassVar[frozenset[str]] = frozenset({"network", "ensemble"})

    adapt_epochs: int = 10
    adapt_lr: float = 3e-4
    gamma: float = 1.0
    slack: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._at_least(1, "adapt_epochs")
        self._between(0, float("inf"), "gamma", "slack")
        self._positive("adapt_lr")

    def _adapt(self, job: Adaptation) -> Core:
        from .loop import LoopSettings, adapt_core
        from .marginals import DeepAlignment

        settings = LoopSettings(
            epochs=self.adapt_epochs,
            batch_size=self.batch_size,
            lr=self.adapt_lr,
            weight_decay=self.weight_decay,
            holdout=self.holdout,
            slack=self.slack,
        )
        return adapt_core(job, DeepAlignment(self, job), settings)
