"""``sdcnet``: SDC-Net, semantic-dynamic consistency (Tang et al. 2025): SS-Mix, MMD and CMMD, pairwise similarities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from .base import Base
from .jobs import Adaptation, Fit

if TYPE_CHECKING:
    from .cores import Core

_PASSES = 200  # the paper's epochs, the most that adapt_epochs=None takes
_STEPS = 1000  # what adapt_epochs=None aims at: seconds on a core


@dataclass(frozen=True, kw_only=True)
class SDCNet(Base):
    """``fit_source``: cross-entropy on the source with SS-Mix. ``adapt``, from there, on source and target together:

        L = CE + alpha MMD + beta (CMMD + L_ps) + lambda L_pt

    with p = e/E the progress: alpha = 2 / (1 + e^{10 p}) falls from 1 to 0, lambda = 2 p rises (Eq. 30), and beta is 1
    where the cross-entropy is below ``rho_0``, 1/2 below ``rho_1``, else 0 (Eq. 29). Eq. 27 prints beta on L_pt and lambda
    on L_ps, against the text and the authors' code; its alpha has a middle part that rises where the text says it falls.
    The cross-entropy that steers beta is a running mean, of which a batch keeps ``ce_memory``; 0 is the batch's own.

    Switches, the rows of the paper's Table VI: ``ss_mix``, ``mmd``, ``cmmd``, ``similarity_source`` (L_ps),
    ``similarity_target`` (L_pt), ``confidence`` (Eq. 21; off: every pseudo label counts) and ``dynamic_weights`` (off:
    alpha = beta = lambda = 1).

    ``mix_alpha`` is that of SS-Mix's Beta(alpha, alpha). ``tau_start`` to ``tau_end``: the least confidence of a pseudo
    label, linear in p; the paper lets it rise and gives no numbers. ``ridge`` is Eq. 20's lambda. ``upper`` and ``lower``
    are tau_pu and tau_pl, which meet in the middle at p = 1. ``space``: similarities of ``'softmax'`` outputs, as the
    authors' code, or of the ``'embedding'``, as Eq. 23.

    An epoch of ``adapt`` is a pass over the target, with as many source windows drawn beside it. ``adapt_epochs`` None
    takes as many as come to a thousand steps, at most the paper's 200. Adam at 1e-3 with cosine annealing where the paper
    has SGD with two rates and no formula. The last epoch is returned, unless the loss on held-out source subjects rose by
    more than ``slack`` over the incumbent's: then the last state within it.
    """

    name: ClassVar[str] = "sdcnet"
    reads: ClassVar[Literal["any", "vectors"]] = "vectors"
    kinds: ClassVar[frozenset[str]] = frozenset({"mlp"})

    epochs: int = 100
    adapt_epochs: int | None = None
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 5e-4
    dropout: float = 0.25
    classifier_dropout: float = 0.5
    view_dropout: float = 0.35
    patience: int = 10
    holdout: float = 0.2
    slack: float = 1.0
    ss_mix: bool = True
    mix_alpha: float = 0.5
    mmd: bool = True
    cmmd: bool = True
    ridge: float = 1e-3
    confidence: bool = True
    tau_start: float = 0.5
    tau_end: float = 0.9
    similarity_source: bool = True
    similarity_target: bool = True
    space: Literal["softmax", "embedding"] = "softmax"
    upper: float = 0.9
    lower: float = 0.5
    dynamic_weights: bool = True
    rho_0: float = 0.1
    rho_1: float = 0.15
    ce_memory: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        self._at_least(1, "epochs", "patience", *(["adapt_epochs"] if self.adapt_epochs is not None else []))
        self._at_least(2, "batch_size")
        self._between(0, 1, "weight_decay", "tau_start", "tau_end", "upper", "lower")
        self._between(0, 0.9, "dropout", "classifier_dropout", "view_dropout", "holdout")
        self._between(0, 0.999, "ce_memory")
        self._between(0, math.inf, "slack", "rho_0", "rho_1")
        self._positive("lr", "mix_alpha", "ridge")
        self._one_of("space", "softmax", "embedding")
        for switch in ("ss_mix", "mmd", "cmmd", "confidence", "similarity_source", "similarity_target", "dynamic_weights"):
            self._one_of(switch, True, False)
        if self.lower > self.upper:
            raise ValueError(f"lower must be at most upper, got {self.lower} > {self.upper}")
        if self.rho_0 > self.rho_1:
            raise ValueError(f"rho_0 must be at most rho_1, got {self.rho_0} > {self.rho_1}")

    def _fit(self, job: Fit) -> Core:
        import numpy as np

        from .mlp import MLP
        from .ssmix import MixedRows
        from .training import FitSettings, balanced, fit

        widths = [view.shape[1] for view in job.x.values()]
        core = MLP(widths, job.classes, dropout=self.dropout, classifier_dropout=self.classifier_dropout).to(job.device)
        rows = MixedRows(job.x, job.y, balanced(job.y), job.device, job.source.trial, job.source.subject)
        rng = np.random.default_rng([job.seed, 1])
        settings = FitSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            weight_decay=self.weight_decay,
            patience=self.patience,
            holdout=self.holdout,
            smoothing=0.0,
            view_dropout=self.view_dropout,
        )
        fit(core, job, settings, rows=(lambda _: rows.remix(rng, self.mix_alpha)) if self.ss_mix else None)
        return core

    def _adapt(self, job: Adaptation) -> Core:
        from .loop import LoopSettings, adapt_core
        from .sdc_objective import SDCObjective

        steps = math.ceil(len(next(iter(job.target.values()))) / self.batch_size)
        settings = LoopSettings(
            epochs=self.adapt_epochs or min(_PASSES, math.ceil(_STEPS / steps)),
            batch_size=self.batch_size,
            lr=self.lr,
            weight_decay=self.weight_decay,
            holdout=self.holdout,
            slack=self.slack,
            mode="train",
            epoch_of="target",
        )
        return adapt_core(job, SDCObjective(self, job), settings)
