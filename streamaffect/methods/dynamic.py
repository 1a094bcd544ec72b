"""``dynamic``: dynAmiC, alignment that moves from the whole (MMD) to the classes (LSD = local MMD)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from .contract import LabelledSet, Model, Progress, UnlabelledSet, check_classes, check_views
from .priors import check_prior
from .scaling import standardised
from .source import Source

Prior = Literal["source", "estimate"] | npt.ArrayLike


@dataclass(frozen=True, kw_only=True)
class Dynamic(Source):
    """The fit of :class:`Source`, then at ``adapt``

        L = CE_source (+ CE_few_shot) + gamma ((1 - s(p)) MMD + s(p) LSD),   s(p) = 2 / (1 + exp(-10 p)) - 1

    with p the progress from 0 to 1. The paper says "dynamically transitions" and gives no formula: s is ours, after
    Ganin et al. ``schedule='mmd'`` is s = 0, ``'lsd'`` s = 1, its ablation. ``kernel='gaussian'`` with ``sigma=10`` is
    its Table 1; ``'median'`` and ``'multi'`` take the bandwidth from the batch. ``tau``: pseudo labels below this
    confidence are left out.

    ``prior``: the target's class proportions q. ``'source'`` takes those of the source; ``'estimate'`` estimates them
    by EM from the model's posteriors, again each epoch; an array gives them. Source windows then count ``q_y / p_y`` in
    the MMD (see ``priors``). The cross-entropy stays class-balanced: a wrong q must not teach the classifier to collapse.

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
    prior: Prior = field(default="source")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule not in ("mmd_to_lsd", "mmd", "lsd"):
            raise ValueError(f"schedule must be 'mmd_to_lsd', 'mmd' or 'lsd', got {self.schedule!r}")
        if self.kernel not in ("gaussian", "median", "multi"):
            raise ValueError(f"kernel must be 'gaussian', 'median' or 'multi', got {self.kernel!r}")
        if isinstance(self.prior, str) and self.prior not in ("source", "estimate"):
            raise ValueError(f"prior must be 'source', 'estimate' or class proportions, got {self.prior!r}")
        if not isinstance(self.prior, str):
            object.__setattr__(self, "prior", check_prior(self.prior, np.size(self.prior)))
        self._at_least(1, "adapt_epochs")
        self._between(0, 1, "tau", "anchor")
        self._between(0, 0.9, "adapt_view_dropout")
        self._between(0, float("inf"), "gamma", "slack")
        self._positive("adapt_lr", "sigma")

    def adapt(
        self,
        model: Model,
        source: LabelledSet,
        target: UnlabelledSet,
        seed: int = 0,
        device: str = "auto",
        budget_s: float | None = None,
        progress: Progress | None = None,
        labelled_target: LabelledSet | None = None,
    ) -> Model:
        started = time.perf_counter()
        if budget_s is not None and not budget_s > 0:
            raise ValueError(f"budget_s must be positive, got {budget_s}")
        incumbent = self._incumbent(model, source, target)
        check_classes(source)
        import torch

        from .alignment import Job, align
        from .training import Rows, balanced, find_device, predict, seeded

        where = find_device(device)
        scaling = incumbent.scaling.personal(target) if self.normalise else incumbent.scaling
        y = source.distribution(incumbent.classes)
        weight = balanced(y)
        rows = Rows(standardised(source, incumbent.scaling, self.normalise), y, weight, where)
        if self.anchor:
            own = torch.softmax(predict(incumbent.network.to(where), rows.views), 1)
            rows.y = (1 - self.anchor) * rows.y + self.anchor * own
        unlabelled = Rows(scaling.apply(target.x), np.zeros((len(target), incumbent.classes)), weight, where)
        few = None
        if labelled_target is not None:
            check_views(labelled_target.shapes, incumbent.views, "labelled_target")
            few_y = labelled_target.distribution(incumbent.classes)
            few = Rows(scaling.apply(labelled_target.x), few_y, balanced(few_y), where)
        job = Job(self, incumbent, source, rows, unlabelled, few, seed, started, budget_s)
        with seeded(seed, where):
            network = align(job, where, progress)
        return incumbent.adapted(self.name, self.params(), network, scaling)
