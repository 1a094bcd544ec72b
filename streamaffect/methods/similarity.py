"""Dual-domain similarity consistency: pairs of windows are told whether they are alike (SDC-Net, Eq. 22 to 26). torch.

Similarities S (n, n) in [0, 1] of ``rows`` (n, k) are cosines where the rows are softmax outputs, as in the authors' code,
and ``(cosine + 1) / 2`` (``halved``) where they are embeddings, the paper's Eq. 23. A window is no pair with itself.

A pair costs ``-log(1e-5 + (1 - 2e-5) t)``, t = S where it is alike and 1 - S where not: the authors' code guards the
logarithm by ``log(t + 1e-5)``, which at t = 1 is not 0. Loss and gradient by the rows are
made together: one logarithm a pair, and no graph between the similarities and their mean.
"""

from __future__ import annotations

import torch
from torch import Tensor

_FLOOR = 1e-5
_TINY = 1e-12


@torch.no_grad()
def supervised(rows: Tensor, labels: Tensor, *, halved: bool = False) -> tuple[Tensor, Tensor]:
    """L_ps, Eq. 24: the mean cost of the pairs against "of one class" (Eq. 22), and its gradient (n, k).

    ``labels`` (n,) class indices.
    """
    unit, S = _similarities(rows, halved)
    alike = labels[:, None] == labels
    return _cost(rows, unit, S, alike, torch.ones_like(alike), halved)


@torch.no_grad()
def self_inferred(rows: Tensor, upper: float, lower: float, *, halved: bool = False) -> tuple[Tensor, Tensor]:
    """L_pt, Eq. 26: the mean cost against the pairs' own verdict (Eq. 25), and its gradient (n, k).

    Alike from ``upper`` on, not alike below ``lower``; the pairs between are out. None left: zeros.
    """
    unit, S = _similarities(rows, halved)
    alike = S.ge(upper)
    return _cost(rows, unit, S, alike, alike | S.lt(lower), halved)


def thresholds(p: float, upper: float = 0.9, lower: float = 0.5) -> tuple[float, float]:
    """tau_pu and tau_pl at progress p: linear from their first values to the middle, so that more pairs come in."""
    half = (upper - lower) / 2
    return upper - half * p, lower + half * p


def _similarities(rows: Tensor, halved: bool) -> tuple[Tensor, Tensor]:
    unit = rows / rows.norm(dim=1, keepdim=True).clamp_min_(_TINY)
    S = unit @ unit.T
    return unit, S.add_(1).div_(2) if halved else S


def _cost(rows: Tensor, unit: Tensor, S: Tensor, alike: Tensor, picked: Tensor, halved: bool) -> tuple[Tensor, Tensor]:
    wanted = S.sub_((~alike).to(S.dtype))  # t where alike, -t where not
    guarded = wanted.abs().mul_(1 - 2 * _FLOOR).add_(_FLOOR)
    weight = picked.fill_diagonal_(False).to(S.dtype)
    weight /= weight.sum().clamp_min_(1)
    slope = wanted.sign_().mul_(weight).div_(guarded)  # of -loss by S, symmetric
    by_unit = (slope @ unit).mul_((1 if halved else 2) * (2 * _FLOOR - 1))
    gradient = (by_unit - (by_unit * unit).sum(1, keepdim=True) * unit).div_(rows.norm(dim=1, keepdim=True).clamp_min_(_TINY))
    return -(weight * guarded.log_()).sum(), gradient
