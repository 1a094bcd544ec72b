"""``dann``: a baseline, the network of ``source`` with an embedding that a discriminator cannot tell domains from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .jobs import Adaptation
from .source import Source

if TYPE_CHECKING:
    from .cores import Core


@dataclass(frozen=True, kw_only=True)
class DANN(Source):
    """The fit of :class:`Source`, then ``CE + gamma CE_domain`` through a gradient reversal of strength
    ``2 / (1 + exp(-10 p)) - 1`` at ``adapt`` (Ganin et al., JMLR 2016), p the progress.

    The discriminator, ``discriminator`` hidden units wide, is new at each ``adapt`` and learns at ``judge_lr``, faster than
    the network, since it starts from nothing and the network from a fit; much faster, the network cannot follow. With a
    ``prior`` the source windows count ``q_y / p_y`` in its loss. Dropout is off and batch normalisation keeps the statistics
    of the source, as in ``dynamic``.

    The last epoch (a pass over the source) is returned, unless the loss on held-out source subjects rose by more than
    ``slack`` over the incumbent's: then the last state within it.
    """

    name: ClassVar[str] = "dann"
    kinds: ClassVar[frozenset[str]] = frozenset({"network", "ensemble"})

    adapt_epochs: int = 10
    adapt_lr: float = 3e-4
    judge_lr: float = 1e-3
    gamma: float = 1.0
    discriminator: int = 64
    slack: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._at_least(1, "adapt_epochs", "discriminator")
        self._between(0, float("inf"), "gamma", "slack")
        self._positive("adapt_lr", "judge_lr")

    def _adapt(self, job: Adaptation) -> Core:
        from .loop import LoopSettings, adapt_core
        from .marginals import Adversary

        settings = LoopSettings(
            epochs=self.adapt_epochs,
            batch_size=self.batch_size,
            lr=self.adapt_lr,
            weight_decay=self.weight_decay,
            holdout=self.holdout,
            slack=self.slack,
        )
        return adapt_core(job, Adversary(self, job), settings)
