"""SDC-Net's joint objective (Eq. 27): what ``sdcnet`` minimises when it adapts. torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .cores import Core
from .jobs import Adaptation
from .kernels import BANDWIDTHS, conditional_weights, gram, quadratic
from .marginals import class_ratio, shares
from .similarity import self_inferred, similarities, supervised, thresholds
from .ssmix import MixedRows
from .training import Rows, balanced, cross_entropy

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

    def loss(self, core: Core, source: Rows, target: Rows, p: float) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        n, params = len(source), self.params
        views = [torch.cat(pair) for pair in zip(source.views, target.views, strict=True)]
        embedding, logits = core(views, views[0].new_ones(len(views[0]), len(views)))
        probabilities = torch.softmax(logits / self.job.temperature, 1)
        ce = cross_entropy(logits[:n], source.y, source.weight)
        weights = self._weights(float(ce.detach()), p)
        loss, terms = self._discrepancies(embedding, source.y, probabilities[n:].detach(), weights, p)
        if params.similarity_source and weights.beta:
            S = similarities(embedding[:n], probabilities[:n], params.space)
            terms["pairs_source"] = supervised(S, source.y)
            loss = loss + weights.beta * terms["pairs_source"]
        if params.similarity_target and weights.target_pairs:
            S = similarities(embedding[n:], probabilities[n:], params.space)
            terms["pairs_target"] = self_inferred(S, *thresholds(p, params.upper, params.lower))
            loss = loss + weights.target_pairs * terms["pairs_target"]
        return ce + loss, {"source_ce": ce, **terms, **weights._asdict()}

    def _discrepancies(
        self, embedding: Tensor, y: Tensor, probabilities: Tensor, weights: Weights, p: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """``alpha MMD + beta CMMD`` by one Gram matrix and one product, and both by name; the kernels are summed (Eq. 12)."""
        params, conditional = self.params, self.params.cmmd and weights.beta > 0
        columns, classes = [], y.new_ones(())
        if params.mmd:
            columns.append(self._marginal(y, len(probabilities)))
        if conditional:
            V, classes = conditional_weights(y, self._pseudo(probabilities, p), params.ridge)
            columns.append(V)
        if not columns:
            return embedding.new_zeros(()), {}
        squares = BANDWIDTHS * quadratic(gram(embedding, "multi"), torch.cat(columns, 1))
        first = int(params.mmd)
        whole, local = squares[:first].sum(), squares[first:].sum() / classes
        return weights.alpha * whole + weights.beta * local, {"mmd": whole, "cmmd": local}

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
