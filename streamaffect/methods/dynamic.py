"""``dynamic``: dynAmiC, alignment that moves from the whole (MMD) to the classes (LSD = local MMD)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from .contract import Float32, LabelledSet, check_views
from .jobs import Adaptation, Fit
from .scaling import Scaling
from .source import Source

if TYPE_CHECKING:
    from .cores import Core
    from .model import CoreModel


@dataclass(frozen=True, kw_only=True)
class Dynamic(Source):
    """The fit of :class:`Source`, ``members`` times where it is more than one, their logits averaged; then at ``adapt``

        L = CE_source (+ CE_few_shot) + gamma ((1 - s(p)) MMD + s(p) LSD),   s(p) = 2 / (1 + exp(-10 p)) - 1

    with p the progress from 0 to 1. The paper says "dynamically transitions" and gives no formula: s is ours, after
    Ganin et al. ``schedule='mmd'`` is s = 0, ``'lsd'`` s = 1, its ablation. ``kernel='gaussian'`` with ``sigma=10`` is
    its Table 1; ``'median'`` and ``'multi'`` take the bandwidth from the batch. ``tau``: pseudo labels below this
    confidence are left out.

    With a ``prior``, source windows count ``q_y / p_y`` in the MMD; ``'estimate'`` is made again each epoch. The
    cross-entropy stays class-balanced: a wrong q must not teach the classifier to collapse.

    Batch normalisation keeps the statistics of the source: 64 windows of one person make poor statistics, and a model
    that predicts one window at a time needs fixed ones. Its scale and shift adapt like all other weights. Dropout is
    off, so that pseudo labels are what the model would serve. With ``adapt_view_dropout`` a view is left out now and
    then, for the whole step, source and target alike.

    ``anchor``: the share of the incumbent's own answer in the source labels of ``adapt``, ``(1 - a) y + a p_incumbent``.
    With 0, the paper's, the cross-entropy goes on training on the source memory and moves the model more than alignment
    does; with 1 it only holds the model where it is, and what moves it is the target (learning without forgetting, Li &
    Hoiem 2016).

    The last epoch is returned, not a "best" one, unless the loss on held-out source windows rose by more than ``slack``
    over the incumbent's: then the last state within it.
    """

    name: ClassVar[str] = "dynamic"
    kinds: ClassVar[frozenset[str]] = frozenset({"network", "ensemble"})

    members: int = 1
    adapt_epochs: int = 10
    adapt_lr: float = 3e-4
    gamma: float = 1.0
    schedule: Literal["mmd_to_lsd", "mmd", "lsd"] = "mmd_to_lsd"
    kernel: Literal["gaussian", "median", "multi"] = "gaussian"
    sigma: float = 10.0
    tau: float = 0.9
    anchor: float = 0.0
    adapt_view_dropout: float = 0.0
    slack: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._one_of("schedule", "mmd_to_lsd", "mmd", "lsd")
        self._one_of("kernel", "gaussian", "median", "multi")
        self._at_least(1, "members", "adapt_epochs")
        self._between(0, 1, "tau", "anchor")
        self._between(0, 0.9, "adapt_view_dropout")
        self._between(0, float("inf"), "gamma", "slack")
        self._positive("adapt_lr", "sigma")

    def _fit(self, job: Fit) -> Core:
        from .ensemble import Ensemble

        return super()._fit(job) if self.members == 1 else Ensemble.fit(self.members, super()._fit, job)

    def _adapt(self, job: Adaptation) -> Core:
        from .alignment import align

        return align(job, self)

    def _few(
        self, labelled: LabelledSet | None, incumbent: CoreModel, scaling: Scaling
    ) -> tuple[dict[str, Float32], Float32] | None:
        if labelled is None:
            return None
        check_views(labelled.shapes, incumbent.views, "labelled_target")
        return scaling.apply(labelled.x), labelled.distribution(incumbent.classes)
