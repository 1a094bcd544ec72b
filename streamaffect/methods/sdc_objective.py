"""SDC-Net's joint objective (Eq. 27): what ``sdcnet`` minimises when it adapts. torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .cores import Core
from .jobs import Adaptation
from .kernels import BANDWIDTHS, conditional_weights, discrepancies, known
from .marginals import Terms, class_ratio, shares
from .similarity import self_inferred, supervised, thresholds
from .ssmix import MixedRows
from .training import Rows, balanced

if TYPE_CHECKING:
    from .sdcnet import SDCNet


class Weights(NamedTuple):
    """Of MMD (alpha), CMMD and L_ps (beta), L_pt (Eq. 30's lambda)."""

    alpha: float
    beta: float
    target_pairs: float


class SDCObjective:
    """``L = CE + alpha MMD + beta (CMMD + L_ps) + lambda L_pt``; see :class:`~.sdcnet.SDCNet`."""

    def __init__(self, params: SDCNet, job: Adaptation) -> None:
        self.params, self.job = params, job
        weight, size = balanced(job.y), len(next(iter(job.target.values())))
        blank = np.zeros((size, job.classes), dtype=np.float32)
        mixed_source = MixedRows(job.x, job.y, weight, job.device, job.source.trial, job.source.subject)
        self._mixed = mixed_source, MixedRows(job.target, blank, weight, job.device, job.trial)
        self.source: Rows = self._mixed[0]
        self.target: Rows = self._mixed[1]
        self._rng = np.random.default_rng([job.seed, 1])
        self._ce: float | None = None
        self._ratio = torch.ones(job.classes, device=job.device)

    def renew(self, core: Core, p: float) -> None:  # noqa: ARG002 - the protocol's
        """This epoch's mixtures, and the target's proportions as they look now."""
        if self.params.ss_mix:
            for rows in self._mixed:
                rows.remix(self._rng, self.params.mix_alpha)
        self._ratio = class_ratio(self.job, core, self.target)

    def loss(self, core: Core, source: Rows, target: Rows, p: float) -> tuple[Tensor, Terms]:
        views = [torch.cat(pair) for pair in zip(source.views, target.views, strict=True)]
        embedding, logits = core(views, views[0].new_ones(len(views[0]), len(views)))
        with torch.no_grad():
            value, terms, *gradients = self._parts(embedding, logits, source, p)
        return known(logits.new_tensor(value), *zip((embedding, logits), gradients, strict=True)), terms

    def _parts(
        self, embedding: Tensor, logits: Tensor, source: Rows, p: float
    ) -> tuple[float, dict[str, Tensor | float], Tensor, Tensor]:
        """Eq. 27, its terms, and its gradients by ``embedding`` and ``logits``, of which the source's rows come first.

        A batch is so small that the time goes into the number of operations: no graph is kept of these.
        """
        params, n = self.params, len(source)
        ce, by_logits = _cross_entropy(logits, source)
        weights = self._weights(ce, p)
        P = torch.softmax(logits / self.job.temperature, 1)
        whole, local, by_embedding = self._discrepancies(embedding, source.y, P[n:], weights, p)
        value = ce + weights.alpha * whole + weights.beta * local
        terms: Terms = {"source_ce": ce, "mmd": whole, "cmmd": local, **weights._asdict()}
        halved = params.space == "embedding"
        rows = embedding if halved else P
        by_rows = torch.zeros_like(rows)
        if params.similarity_source and weights.beta:
            cost, by_rows[:n] = supervised(rows[:n], source.y.argmax(1), halved=halved)
            by_rows[:n] *= weights.beta
            terms["pairs_source"] = float(cost)
            value += weights.beta * float(cost)
        if params.similarity_target and weights.target_pairs:
            cost, by_rows[n:] = self_inferred(rows[n:], *thresholds(p, params.upper, params.lower), halved=halved)
            by_rows[n:] *= weights.target_pairs
            terms["pairs_target"] = float(cost)
            value += weights.target_pairs * float(cost)
        if halved:
            by_embedding += by_rows
        else:  # through the softmax
            by_logits += P * (by_rows - (by_rows * P).sum(1, keepdim=True)) / self.job.temperature
        return value, terms, by_embedding, by_logits

    def _discrepancies(
        self, embedding: Tensor, y: Tensor, P: Tensor, weights: Weights, p: float
    ) -> tuple[float, float, Tensor]:
        """MMD, CMMD, and the gradient of ``alpha MMD + beta CMMD``: one Gram matrix, of kernels that are summed (Eq. 12)."""
        columns, scales = [], []
        if self.params.mmd:
            columns.append(self._marginal(y, len(P)))
            scales.append(weights.alpha * BANDWIDTHS)
        if self.params.cmmd and weights.beta:
            V, classes = conditional_weights(y, self._pseudo(P, p), self.params.ridge)
            columns.append(V)
            scales += [weights.beta * BANDWIDTHS / float(classes)] * V.shape[1]
        if not columns:
            return 0.0, 0.0, torch.zeros_like(embedding)
        squares, gradient = discrepancies(embedding, torch.cat(columns, 1), embedding.new_tensor(scales))
        of = squares.tolist()
        whole = BANDWIDTHS * of.pop(0) if self.params.mmd else 0.0
        local = BANDWIDTHS * sum(of) / float(classes) if of else 0.0
        return whole, local, gradient

    def _marginal(self, y: Tensor, m: int) -> Tensor:
        """e_0 (n + m, 1): source windows weighted by ``q_y / p_y``, target windows alike."""
        return torch.cat([shares(y, self._ratio), y.new_full((m,), -1 / m)])[:, None]

    def _pseudo(self, probabilities: Tensor, p: float) -> Tensor:
        """(m, C) one-hot pseudo labels, zeros where less confident than tau (Eq. 21)."""
        start, end = (self.params.tau_start, self.params.tau_end) if self.params.confidence else (0.0, 0.0)
        confidence, pseudo = probabilities.max(1, keepdim=True)
        return torch.zeros_like(probabilities).scatter_(1, pseudo, (confidence >= start + (end - start) * p).to(probabilities))

    def _weights(self, ce: float, p: float) -> Weights:
        params = self.params
        if not params.dynamic_weights:
            return Weights(1.0, 1.0, 1.0)
        self._ce = ce if self._ce is None else params.ce_memory * self._ce + (1 - params.ce_memory) * ce
        beta = 1.0 if self._ce < params.rho_0 else 0.5 if self._ce < params.rho_1 else 0.0
        return Weights(2 / (1 + math.exp(10 * p)), beta, 2 * p)


def _cross_entropy(logits: Tensor, source: Rows) -> tuple[float, Tensor]:
    """``training.cross_entropy`` of the first rows, and its gradient by all logits."""
    y, n = source.y, len(source)
    log_p = torch.log_softmax(logits[:n], 1)
    w = (y @ source.weight)[:, None]
    w /= w.sum().clamp_min_(1e-12)
    by_logits = torch.zeros_like(logits)
    by_logits[:n] = w * (log_p.exp() - y)
    return -float((w * y * log_p).sum()), by_logits
