"""What HeLo minimises, at the fit and when it adapts. torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn

from . import transport
from .cores import Core
from .helo_network import HeloNetwork
from .holdout import split
from .jobs import Adaptation, Fit
from .kernels import gram, mmd
from .loop import LoopSettings, adapt_core, rows_of
from .marginals import class_ratio, shares
from .training import FitSettings, Rows, fit

if TYPE_CHECKING:
    from .helo import HeLo

Terms = dict[str, Tensor | float]


def fitted(core: HeloNetwork, job: Fit, params: HeLo) -> HeloNetwork:
    """``core`` fitted on the job's source, by the correlation of the labels that it is trained on."""
    train, _ = split(job.source, params.holdout, job.seed)
    objective = SourceLoss(params, job, core)
    core.correlation.copy_(cosines(smooth(torch.as_tensor(job.y[train], dtype=torch.float64), objective.smoothing)))
    s = FitSettings(
        params.epochs, params.batch_size, params.lr, params.weight_decay,
        params.patience, params.holdout, 0.0, params.view_dropout, params.lead,
    )  # fmt: skip

    def loss(_: Core, batch: Rows, keep: Tensor) -> Tensor:
        scores, cost = core.answer(batch.views, keep)[1:]
        return objective(core, batch, scores, cost)[0]

    fit(core, job, s, loss)
    return core


def adapted(job: Adaptation, params: HeLo) -> Core:
    """The core that goes on from ``job.core`` with its fused representation aligned."""
    settings = LoopSettings(
        epochs=params.adapt_epochs,
        batch_size=params.batch_size,
        lr=params.adapt_lr,
        weight_decay=params.weight_decay,
        holdout=params.holdout,
        slack=params.slack,
    )
    return adapt_core(job, _Alignment(job, params), settings)


class SourceLoss:
    """Eq. 10 with its weights: ``KL(L || L^) + cc_weight mean (M^L - M^gt)^2 + wd_weight <T, cost>``.

    Class labels are smoothed, and weigh so that the classes count alike; distributions are as they are and weigh the same.
    With states the first term is their cross-entropy, smoothed, trials counting alike: how much reports differ says how much
    is at stake between two states, not how well windows tell them apart.
    """

    def __init__(self, params: HeLo, job: Fit, core: HeloNetwork) -> None:
        self.params = params
        self.told = _States.of(core, job) if core.states else None
        self.of_classes = job.source.y.ndim == 1
        self.smoothing = params.smoothing if self.of_classes else 0.0

    def __call__(self, core: HeloNetwork, batch: Rows, scores: Tensor, cost: Tensor) -> tuple[Tensor, Terms]:
        params = self.params
        if self.told is not None:
            loss = self.told.cross_entropy(scores, batch.index, params.smoothing)
            terms = Terms({"states": loss})
        else:
            weight = batch.weight if self.of_classes else torch.ones_like(batch.weight)
            loss = divergence(scores, batch.y, weight, self.smoothing)
            terms = Terms({"kl": loss})
        if (likeness := core.label_likeness()) is not None and params.cc_weight:
            wanted = core.correlation if params.correlation == "source" else cosines(smooth(batch.y, self.smoothing))
            cc = (likeness - wanted).square().mean()
            terms["cc"], loss = cc, loss + params.cc_weight * cc
        if params.wd_weight:
            terms["wd"], loss = cost.mean(), loss + params.wd_weight * cost.mean()
        return loss, terms


@dataclass(frozen=True, slots=True)
class _States:
    """Of each window of a job's source: its ``state`` (n,), -1 where the network knows no trial of that name, and its
    ``weight`` (n,)."""

    state: Tensor
    weight: Tensor

    @classmethod
    def of(cls, core: HeloNetwork, job: Fit) -> _States:
        place = {name: i for i, trials in enumerate(core.states) for name in trials}
        names, number = np.unique(np.asarray(job.source.trial).astype(np.str_), return_inverse=True)
        state = np.asarray([place.get(str(name), -1) for name in names])[number]
        weight = np.where(state < 0, 0.0, 1 / np.bincount(number)[number])
        return cls(torch.as_tensor(state, device=job.device), torch.as_tensor(weight, dtype=torch.float32, device=job.device))

    def cross_entropy(self, scores: Tensor, index: Tensor, smoothing: float) -> Tensor:
        """Of the ``scores`` (b, states) of the source windows ``index`` (b,)."""
        weight = self.weight[index]
        wanted = self.state[index].clamp_min(0)
        losses = nn.functional.cross_entropy(scores, wanted, reduction="none", label_smoothing=smoothing)
        return (weight * losses).sum() / weight.sum().clamp_min(1e-12)


class _Alignment:
    """The source loss, and between source and target embeddings the MMD or the Sinkhorn divergence."""

    def __init__(self, job: Adaptation, params: HeLo) -> None:
        self.job, self.params = job, params
        self.source, self.target = rows_of(job)
        self.ratio = torch.ones(job.classes, device=job.device)
        self.of_source = SourceLoss(params, job, cast(HeloNetwork, job.core))

    def renew(self, core: Core, p: float) -> None:  # noqa: ARG002 - the same at any progress
        self.ratio = class_ratio(self.job, core, self.target)

    def loss(self, core: Core, source: Rows, target: Rows, p: float) -> tuple[Tensor, Terms]:  # noqa: ARG002
        n, m = len(source), len(target)
        views = [torch.cat(pair) for pair in zip(source.views, target.views, strict=True)]
        helo = cast(HeloNetwork, core)
        embedding, scores, cost = helo.answer(views, views[0].new_ones(n + m, len(views)))
        loss, terms = self.of_source(helo, source, scores[:n], cost[:n])
        a, b = shares(source.y, self.ratio), scores.new_full((m,), 1 / m)
        if not a.any():  # no source window of a class that the target is said to have
            gap = embedding.sum() * 0
        elif self.params.align == "mmd":
            gap = mmd(gram(embedding, "multi"), a, b)
        else:
            gap = transport.divergence(embedding[:n], embedding[n:], a, b, self.params.align_eps)
        return loss + self.params.gamma * gap, {**terms, "gap": gap}


def divergence(logits: Tensor, y: Tensor, weight: Tensor, smoothing: float = 0.0) -> Tensor:
    """``sum_i w_i KL(y_i || softmax(logits_i)) / sum_i w_i`` with ``w_i = y_i . weight``, labels smoothed before."""
    soft = smooth(y, smoothing)
    w = y @ weight
    losses: Tensor = (torch.special.xlogy(soft, soft) - soft * torch.log_softmax(logits, 1)).sum(1)
    return (w * losses).sum() / w.sum().clamp_min(1e-12)


def smooth(y: Tensor, smoothing: float) -> Tensor:
    """(n, C) labels, each with the share ``smoothing`` of it spread evenly."""
    return (1 - smoothing) * y + smoothing / y.shape[1]


def cosines(y: Tensor) -> Tensor:
    """M^gt (C, C) of Eq. 7 from a batch (n, C); see :func:`streamaffect.methods.distributions.label_correlation`."""
    unit = torch.nn.functional.normalize(y, dim=0)
    off = unit.T @ unit
    return torch.where(torch.eye(y.shape[1], dtype=torch.bool, device=y.device), 1, off)
