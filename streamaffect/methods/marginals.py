"""What ``dan`` and ``dann`` minimise when they adapt: objectives that align the marginals. torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from .cores import Core
from .jobs import Adaptation
from .kernels import BANDWIDTHS, discrepancies, known
from .loop import rows_of
from .training import Rows, cross_entropy, predict

if TYPE_CHECKING:
    from .dan import DAN
    from .dann import DANN

Terms = dict[str, Tensor | float]


def class_ratio(job: Adaptation, core: Core, target: Rows) -> Tensor:
    """``q_c / p_c`` (C,) by the job's prior: ones for ``'source'``, else from what ``core`` answers on the target."""
    ones = torch.ones(job.classes, device=job.device)
    if isinstance(job.prior, str) and job.prior == "source":
        return ones
    probabilities = torch.softmax(predict(core, target.views) / job.temperature, 1)
    return torch.as_tensor(job.ratio(probabilities.cpu().numpy())).to(ones)


def shares(y: Tensor, ratio: Tensor) -> Tensor:
    """(n,) weights of source windows in the marginal, proportional to ``q_y / p_y``, that sum to 1; ``y`` (n, C)."""
    weight = y @ ratio
    return weight / weight.sum().clamp_min(1e-12)


class MarginalObjective:
    """``CE + gamma discrepancy(source embedding, target embedding)``; the discrepancy is the subclass's."""

    def __init__(self, params: DAN | DANN, job: Adaptation) -> None:
        self.job, self.gamma, self.smoothing = job, params.gamma, params.smoothing
        self.source, self.target = rows_of(job)
        self.ratio = torch.ones(job.classes, device=job.device)

    def renew(self, core: Core, p: float) -> None:  # noqa: ARG002 - the same at any progress
        self.ratio = class_ratio(self.job, core, self.target)

    def loss(self, core: Core, source: Rows, target: Rows, p: float) -> tuple[Tensor, Terms]:
        n = len(source)
        views = [torch.cat(pair) for pair in zip(source.views, target.views, strict=True)]
        embedding, logits = core(views, views[0].new_ones(len(views[0]), len(views)))
        ce = cross_entropy(logits[:n], source.y, source.weight, self.smoothing)
        gap, terms = self.discrepancy(embedding, shares(source.y, self.ratio), p)
        return ce + self.gamma * gap, {"source_ce": ce, **terms}

    def discrepancy(self, embedding: Tensor, weight: Tensor, p: float) -> tuple[Tensor, Terms]:
        """Of the first ``len(weight)`` rows, source windows of that ``weight``, and the others, the target's."""
        raise NotImplementedError


class DeepAlignment(MarginalObjective):
    """DAN: the multi-kernel MMD."""

    def discrepancy(self, embedding: Tensor, weight: Tensor, p: float) -> tuple[Tensor, Terms]:  # noqa: ARG002
        m = len(embedding) - len(weight)
        V = torch.cat([weight, weight.new_full((m,), -1 / m)])[:, None]
        squares, gradient = discrepancies(embedding, V, V.new_full((1,), BANDWIDTHS))
        gap = known(BANDWIDTHS * squares[0], (embedding, gradient))
        return gap, {"mmd": gap}


class Adversary(MarginalObjective):
    """DANN: a discriminator of domains that learns, and an embedding that unlearns what it learns from.

    The discriminator has its own optimiser, which takes its step when the next batch comes: the loop knows the core alone.
    """

    def __init__(self, params: DANN, job: Adaptation) -> None:
        super().__init__(params, job)
        hidden = params.discriminator
        self.judge = nn.Sequential(nn.Linear(job.core.width, hidden), nn.ReLU(), nn.Linear(hidden, 1)).to(job.device)
        self.optimiser = torch.optim.Adam(self.judge.parameters(), lr=params.judge_lr)

    def discrepancy(self, embedding: Tensor, weight: Tensor, p: float) -> tuple[Tensor, Terms]:
        self.optimiser.step()  # nothing at first: there is no gradient yet
        self.optimiser.zero_grad()
        strength = 2 / (1 + math.exp(-10 * p)) - 1
        score = self.judge(reverse(embedding, strength))[:, 0]
        source, target = score[: len(weight)], score[len(weight) :]
        loss = ((weight * softplus(-source)).sum() + softplus(target).mean()) / 2
        right = ((weight * (source > 0)).sum() + (target < 0).float().mean()) / 2
        return loss, {"domain_ce": loss, "domain_accuracy": right, "reversal": strength}


def reverse(x: Tensor, strength: float) -> Tensor:
    """``x``, whose gradient comes back times ``-strength`` (Ganin et al., JMLR 2016, Eq. 17 and 18)."""
    reversed_: Tensor = _Reversal.apply(x, strength)  # type: ignore[no-untyped-call]
    return reversed_


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * grad, None
