"""Kernel discrepancies between source and target rows, all ``tr(V' K V)`` with one Gram matrix. torch.

Rows of K are the n source embeddings, then the m target ones; only V (n + m, columns) differs:
MMD has one column ``[a; -b]`` of sample weights that sum to 1 each (Gretton et al., JMLR 2012);
LMMD has a column a class, ``[w_s,c; -w_t,c]`` (Zhu et al., DSAN, TNNLS 2021), which dynAmiC calls LSD.
"""

from __future__ import annotations

import torch
from torch import Tensor

KERNELS = ("gaussian", "median", "multi")
_MULTI = 5  # bandwidths of the multi-kernel, ratio 2 between neighbours, exponents -2..2 as in DSAN


def gram(rows: Tensor, kernel: str = "gaussian", sigma: float = 10.0) -> Tensor:
    """(N, N) kernel of ``rows`` (N, d).

    ``'gaussian'``: exp(-d2 / (2 sigma^2)). ``'median'``: the same with 2 sigma^2 the median d2 of the batch.
    ``'multi'``: mean of five, exp(-d2 / (h 2^e)), e = -2..2, h the mean d2 of the batch: one exp for the widest, the
    others by repeated squaring. Bandwidths from data carry no gradient.
    """
    squares = rows.square().sum(1)
    d2 = (squares[:, None] + squares[None, :] - 2 * rows @ rows.T).clamp_min(0)
    if kernel == "gaussian":
        return torch.exp(-d2 / (2 * sigma**2))
    off = d2.detach()[~torch.eye(len(rows), dtype=torch.bool, device=rows.device)]
    if kernel == "median":
        return torch.exp(-d2 / off.median().clamp_min(1e-12))
    widest = off.mean().clamp_min(1e-12) * 2 ** (_MULTI // 2)
    term = torch.exp(-d2 / widest)
    total = term
    for _ in range(_MULTI - 1):
        term = term.square()
        total = total + term
    return total / _MULTI


def quadratic(K: Tensor, V: Tensor) -> Tensor:
    """The diagonal of ``V' K V`` (columns of V,): one squared discrepancy a column."""
    return (V * (K @ V)).sum(0)


def mmd(K: Tensor, source_weights: Tensor, target_weights: Tensor) -> Tensor:
    """Squared MMD, the biased V-statistic. Weights (n,) and (m,), each summing to 1: 1/n and 1/m where all count alike."""
    return quadratic(K, torch.cat([source_weights, -target_weights])[:, None])[0]


def lmmd(K: Tensor, source_labels: Tensor, target_probabilities: Tensor, tau: float = 0.9) -> Tensor:
    """Local MMD, the mean over classes of the squared discrepancy of class-weighted means.

    ``source_labels`` (n, C) distributions, ``target_probabilities`` (m, C) softmax outputs, used without gradient.
    Target rows below ``tau`` confidence are left out, the rest weigh in by their probabilities; a class without a
    confident target row or without a source row is dropped. Nothing left: a zero that carries (zero) gradient.
    """
    V = local_weights(source_labels, target_probabilities.detach(), tau)
    if V.shape[1] == 0:
        return K.sum() * 0
    return quadratic(K, V).mean()


def local_weights(source_labels: Tensor, target_probabilities: Tensor, tau: float) -> Tensor:
    """V (n + m, classes on both sides) of the LMMD."""
    confidence, pseudo = target_probabilities.max(1)
    confident = confidence >= tau
    weights = target_probabilities * confident[:, None]
    classes = source_labels.shape[1]
    claimed = torch.zeros(classes, dtype=torch.bool, device=pseudo.device)
    claimed[pseudo[confident]] = True
    both = claimed & (source_labels.sum(0) > 0)
    source, target = source_labels[:, both], weights[:, both]
    return torch.cat([source / source.sum(0), -target / target.sum(0)])
