"""Kernel discrepancies between source and target rows, all ``tr(V' K V)`` with one Gram matrix. torch.

Rows of K are the n source embeddings, then the m target ones; only V (n + m, columns) differs:
MMD has one column ``[a; -b]`` of sample weights that sum to 1 each (Gretton et al., JMLR 2012);
CMMD has a column a class, one-hot over its count (SDC-Net, Eq. 20);
LMMD has a column a class, ``[w_s,c; -w_t,c]`` (Zhu et al., DSAN, TNNLS 2021), which dynAmiC calls LSD.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

KERNELS = ("gaussian", "median", "multi")
BANDWIDTHS = 5  # of the multi-kernel, ratio 2 between neighbours, exponents -2..2 as in DSAN


def gram(rows: Tensor, kernel: str = "gaussian", sigma: float = 10.0) -> Tensor:
    """(N, N) kernel of ``rows`` (N, d), once differentiable.

    ``'gaussian'``: exp(-d2 / (2 sigma^2)). ``'median'``: the same with 2 sigma^2 the median d2 of the batch.
    ``'multi'``: mean of five, exp(-d2 / (h 2^e)), e = -2..2, h the mean d2 of the batch: one exp for the widest, the
    others by repeated squaring. Bandwidths from data carry no gradient.
    """
    K: Tensor = _Gram.apply(rows, kernel, sigma)  # type: ignore[no-untyped-call]
    return K


class _Gram(torch.autograd.Function):
    """K and its slope in one go: the way back is then two products, whatever the number of bandwidths."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, kernel: str, sigma: float) -> Tensor:
        x = rows - rows.mean(0)  # distances do not change; their rounding shrinks
        K, slope, ctx.scale = _evaluate(x, kernel, sigma)
        ctx.save_for_backward(x, slope)
        return K

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        x, slope = ctx.saved_tensors
        A = grad * slope
        A = A + A.T
        return 2 * ctx.scale * (A.sum(1, keepdim=True) * x - A @ x), None, None


@torch.no_grad()
def discrepancies(rows: Tensor, V: Tensor, scale: Tensor, kernel: str = "multi", sigma: float = 10.0) -> tuple[Tensor, Tensor]:
    """``quadratic(gram(rows), V)`` (columns,), and the gradient (N, d) by the rows of its sum weighted by ``scale`` (columns,).

    The gradient by K is the symmetric ``V diag(scale) V'``: two products, no graph.
    """
    x = rows - rows.mean(0)
    K, slope, factor = _evaluate(x, kernel, sigma)
    A = ((V * scale) @ V.T).mul_(slope)
    return quadratic(K, V), (A.sum(1, keepdim=True) * x).sub_(A @ x).mul_(4 * factor)


def known(value: Tensor, *of: tuple[Tensor, Tensor]) -> Tensor:
    """``value``, whose gradient is known: ``of`` are tensors and the gradients of ``value`` by them."""
    tensors, gradients = zip(*of, strict=True)
    loss: Tensor = _Known.apply(value, gradients, *tensors)  # type: ignore[no-untyped-call]
    return loss


class _Known(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: tuple[Tensor, ...], *tensors: Tensor) -> Tensor:  # noqa: ARG004
        ctx.save_for_backward(*gradients)
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(grad * gradient for gradient in ctx.saved_tensors)


def _evaluate(x: Tensor, kernel: str, sigma: float) -> tuple[Tensor, Tensor, float]:
    """K (N, N), and slope (N, N) and scale with ``dK/dd2 = scale slope``, of centred ``x`` (N, d)."""
    squares = x.square().sum(1, keepdim=True)
    h = _bandwidth(x, squares, kernel, sigma)
    one = torch.ones_like(squares)
    left, right = torch.cat([2 / h * x, squares / -h, one], 1), torch.cat([x, one, squares / -h], 1)
    term = (left @ right.T).clamp_max_(0).exp_()  # exp(-d2 / h), the distances never written down
    if kernel != "multi":
        return term, term, -1 / h
    K, slope = term.clone(), term.clone()
    for power in range(1, BANDWIDTHS):
        K += term.square_()
        slope.add_(term, alpha=2.0**power)
    return K.div_(BANDWIDTHS), slope, -1 / (h * BANDWIDTHS)


def _bandwidth(x: Tensor, squares: Tensor, kernel: str, sigma: float) -> float:
    """h of ``exp(-d2 / h)``, the widest of the multi-kernel; ``x`` (N, d) centred, ``squares`` (N, 1) its norms."""
    n = len(x)
    if kernel == "gaussian":
        return 2 * sigma**2
    if kernel == "median":
        d2 = (squares + squares.T - 2 * x @ x.T).clamp_min_(0).fill_diagonal_(0)
        return max(float(d2.flatten().kthvalue(n + (n * n - n) // 2).values), 1e-12)  # of the pairs, without the diagonal
    mean = 2 * float(squares.sum()) / max(n - 1, 1)  # sum of d2 over all pairs = 2 n sum |x|^2 for centred x
    return max(mean, 1e-12) * float(2 ** (BANDWIDTHS // 2))


def quadratic(K: Tensor, V: Tensor) -> Tensor:
    """The diagonal of ``V' K V`` (columns of V,): one squared discrepancy a column."""
    return (V * (K @ V)).sum(0)


def mmd(K: Tensor, source_weights: Tensor, target_weights: Tensor) -> Tensor:
    """Squared MMD, the biased V-statistic. Weights (n,) and (m,), each summing to 1: 1/n and 1/m where all count alike."""
    return quadratic(K, torch.cat([source_weights, -target_weights])[:, None])[0]


def cmmd(K: Tensor, source_labels: Tensor, target_labels: Tensor, ridge: float = 1e-3) -> Tensor:
    """Conditional MMD, the mean over the classes on both sides of ``v_c' K v_c`` (see :func:`conditional_weights`).

    With one-hot labels and every class there, C times this is SDC-Net's Eq. 20. Nothing on both sides: a zero that
    carries (zero) gradient.
    """
    V, classes = conditional_weights(source_labels, target_labels, ridge)
    return quadratic(K, V).sum() / classes


def conditional_weights(source_labels: Tensor, target_labels: Tensor, ridge: float = 1e-3) -> tuple[Tensor, Tensor]:
    """V (n + m, C) of the CMMD, columns of classes that one side lacks zero, and the number of the others (1 at least).

    ``source_labels`` (n, C) distributions, ``target_labels`` (m, C) one-hot, a row of zeros where a window is left out.
    ``v_c = [1_{y=c} / (n_c + ridge); -1_{y^=c} / (m_c + ridge)]``: for one-hot labels ``(11' + ridge I)^-1 1`` is
    ``1 / (n_c + ridge)``, so Eq. 20's inverses of (n, n) and (m, m) matrices are divisions.
    """
    n, m = source_labels.sum(0), target_labels.sum(0)
    both = ((n > 0) & (m > 0)).to(n.dtype)
    V = torch.cat([source_labels * (both / (n + ridge)), target_labels * (-both / (m + ridge))])
    return V, both.sum().clamp_min(1)


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
