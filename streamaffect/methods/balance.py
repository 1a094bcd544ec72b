"""Amanda's losses and what balances them: MBAL, the information bottleneck, the two alignments. torch.

A modality-balanced alignment loss (MBAL) is ``h(a) = phi^-1(sum_m phi(a_m))`` (Eq. 11) of the losses ``a`` (M,) >= 0 of
the modalities. Its gradient is ``sum_m psi_m grad a_m`` (Eq. 12): a fixed sum whose weights psi adapt, larger where the
loss is larger.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

NORM, LOG_EXP = "norm", "logexp"
_VARIANCE_FLOOR = 1e-4  # Eq. 5 has no lower bound: a unit that is constant in the batch would give log 0
_TINY = 1e-12
_ALONE = 1e-6  # one row has no spread: its centred 0 is divided by this


def weights(a: Tensor, surrogate: str = NORM, strength: float = 2.0) -> Tensor:
    """psi (M,) of ``a`` (M,), without gradient.

    ``'norm'``, strength p >= 1: ``a_m^(p-1) / ||a||_p^(p-1)`` (Eq. 14); p = inf: 1 at the largest, shared between equals.
    ``'logexp'``, strength t > 0: ``softmax(t a)`` over all of them (Eq. 15, whose sum is printed to M: Lemma 1 needs all);
    t = inf is p = inf. Where a = 0, Eq. 14 is 0/0: psi is its limit along equal losses, so that Lemma 1 holds there too.
    """
    a = a.detach()
    if math.isinf(strength):
        ties = (a == a.amax()).to(a.dtype)
        return ties / ties.sum()
    if surrogate == LOG_EXP:
        return torch.softmax(strength * a, 0)
    share = _share(a)
    return (share / _norm(share, strength)) ** (strength - 1)


def value(a: Tensor, surrogate: str = NORM, strength: float = 2.0) -> Tensor:
    """h(a), without gradient: ``||a||_p``, or ``log(sum_m exp(t a_m)) / t``; scaled by the largest, nothing overflows."""
    a = a.detach()
    if math.isinf(strength):
        return a.amax()
    if surrogate == LOG_EXP:
        return torch.logsumexp(strength * a, 0) / strength
    return a.amax() * _norm(_share(a), strength)


def balance(a: Tensor, surrogate: str = NORM, strength: float = 2.0) -> Tensor:
    """h(a) with the gradient psi of Eq. 12, written down and not differentiated: it is finite at 0 and at ties."""
    return value(a, surrogate, strength) + (weights(a, surrogate, strength) * (a - a.detach())).sum()


def _share(a: Tensor) -> Tensor:
    largest = a.amax()
    return torch.where(largest > 0, a / largest, 1.0)


def _norm(share: Tensor, p: float) -> Tensor:
    return (share**p).sum() ** (1 / p)


def bottleneck(code: Tensor, weight: Tensor) -> Tensor:
    """``log|Sigma| / 2`` (Eq. 3, its constant left out) of the codes (n, d) with weights (n,), Sigma diagonal.

    The paper takes H(Z|X) = 0 of a deterministic encoder; for continuous Z it is -inf, and the term is no mutual
    information but a price on the spread of the codes. Per batch, and with a floor under the variances.
    """
    mean, w = _centre(code, weight)
    variance = (w[:, None] * (code - mean).square()).sum(0)
    return 0.5 * torch.log(variance + _VARIANCE_FLOOR).sum()


def correlation_alignment(source: Tensor, target: Tensor, weight_s: Tensor, weight_t: Tensor, means: float = 0.0) -> Tensor:
    """``||C_t - C_s||_F^2`` (Eq. 9) of codes (n, d) and (m, d), each with weights a row, as Deep CORAL without 1/(4 d^2).

    ``means`` adds that much of ``||mean_t - mean_s||^2``: a shift of all codes leaves the covariances as they are.
    """
    loss = (covariance(target, weight_t) - covariance(source, weight_s)).square().sum()
    if means:
        loss = loss + means * (_centre(target, weight_t)[0] - _centre(source, weight_s)[0]).square().sum()
    return loss


def covariance(code: Tensor, weight: Tensor) -> Tensor:
    """(d, d), centred and unbiased, of codes (n, d) with weights (n,) >= 0: equal weights divide by n - 1."""
    mean, w = _centre(code, weight)
    centred = code - mean
    return (centred * w[:, None]).T @ centred


def label_alignment(predicted: Tensor, proportions: Tensor) -> Tensor:
    """``-sum_c q_c log ybar_c`` (Eq. 8) of mean prediction (C,) and wanted proportions (C,)."""
    return -(proportions * torch.log(predicted.clamp_min(_TINY))).sum()


class MeanPrediction:
    """The target's mean prediction (Eq. 7) where a batch is a part of the target: value by a running mean, gradient by
    the batch.

    The gradient of Eq. 8 is ``-q_c / ybar_c`` times that of the mean. A batch gives the second without bias, but its own
    mean as ybar is off: there the running one stands. ``momentum`` 0 is the batch alone.
    """

    def __init__(self, momentum: float) -> None:
        self.momentum = momentum
        self._mean: Tensor | None = None

    def __call__(self, probabilities: Tensor) -> Tensor:
        """(C,) of a batch (m, C), which is taken into the mean."""
        batch = probabilities.mean(0)
        now = batch.detach()
        self._mean = now if self._mean is None else self.momentum * self._mean + (1 - self.momentum) * now
        return self._mean + (batch - now)


def _centre(code: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (d,) and the weights (n,) of squares about it, 1 / (n - 1) where all count alike."""
    share = weight / weight.sum().clamp_min(_TINY)
    mean = (share[:, None] * code).sum(0)
    return mean, share / (1 - share.square().sum()).clamp_min(_ALONE)
