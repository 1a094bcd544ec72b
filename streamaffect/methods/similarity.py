"""Dual-domain similarity consistency: pairs of windows are told whether they are alike (SDC-Net, Eq. 22 to 26). torch.

A similarity s in [0, 1] is ``1e-5 + (1 - 2e-5) s`` before the logarithm, which the authors' code guards by
``log(s + 1e-5)``: the loss is then one fused cross-entropy and stays bounded.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, normalize

Space = Literal["softmax", "embedding"]
_FLOOR = 1e-5


def similarities(embedding: Tensor, probabilities: Tensor, space: Space = "softmax") -> Tensor:
    """(n, n) in [0, 1]: cosines of the softmax outputs, as in the authors' code, or ``(cosine + 1) / 2`` of the
    embeddings, the paper's Eq. 23."""
    if space == "softmax":
        unit = normalize(probabilities)
        return unit @ unit.T
    unit = normalize(embedding)
    return 0.5 * (unit @ unit.T) + 0.5


def supervised(S: Tensor, labels: Tensor) -> Tensor:
    """Eq. 24: mean cross-entropy over the pairs i != j of S (n, n) against "of one class".

    ``labels`` (n, C) distributions; ``y_i . y_j`` is Eq. 22 for one-hot rows and the chance of agreement otherwise.
    """
    return _pairs(S, (labels @ labels.T).clamp_max(1), torch.ones_like(S))


def self_inferred(S: Tensor, upper: float, lower: float) -> Tensor:
    """Eq. 26: the same against the pairs' own verdict, 1 from ``upper`` on, 0 below ``lower``; the pairs between are out.

    No pair left: a zero that carries (zero) gradient.
    """
    verdict = S.detach()
    alike = (verdict >= upper).to(S.dtype)
    return _pairs(S, alike, (verdict < lower).to(S.dtype).add_(alike))


def thresholds(p: float, upper: float = 0.9, lower: float = 0.5) -> tuple[float, float]:
    """tau_pu and tau_pl at progress p: linear from their first values to the middle, so that more pairs come in."""
    half = (upper - lower) / 2
    return upper - half * p, lower + half * p


def _pairs(S: Tensor, alike: Tensor, weight: Tensor) -> Tensor:
    weight = weight.fill_diagonal_(0)
    squeezed = S * (1 - 2 * _FLOOR) + _FLOOR
    return binary_cross_entropy(squeezed, alike, weight, reduction="sum") / weight.sum().clamp_min(1)
