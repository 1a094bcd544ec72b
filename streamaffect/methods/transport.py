"""Entropic optimal transport for batches of small problems: Sinkhorn in the log domain. torch.

``T = argmin <T, cost> + eps KL(T | a b')`` over T >= 0 with row sums a and column sums b (Cuturi, NIPS 2013) is
``exp(u + v - cost / eps)``; u and v are found in turn, and do not leave the logarithm unless that is safe: a tiny eps does
not underflow.
"""

from __future__ import annotations

import torch
from torch import Tensor

_NOTHING = -1e30  # the logarithm of no mass: exp gives exactly 0, and sums of it stay finite
_SAFE = 40.0  # exp of it, 2e17, and its inverse leave room in float32 for the scalings
_LOOK = 5  # iterations between two looks at the error


def plan(
    cost: Tensor,
    a: Tensor,
    b: Tensor,
    eps: float = 0.1,
    iterations: int = 50,
    tolerance: float | None = None,
    largest: float | None = None,
) -> Tensor:
    """T (..., P, B) for costs (..., P, B) and marginals a (..., P), b (..., B) of equal mass; 0 mass is allowed.

    Columns come out exact, rows as near as the iterations bring them; with ``tolerance`` they stop once no row of the
    batch is off by more (not in an exported graph, whose length is fixed). Differentiable through the iterations.

    ``largest``: where it is known that costs lie in [0, largest] and ``largest / eps`` is small, the same iterations are
    done on the scalings themselves: a product of matrices a step instead of as many exponentials.

    Raises ValueError for masses that are negative, not finite, or differ between a and b.
    """
    if not torch.compiler.is_compiling():
        check(a, b)
    if largest is not None and largest / eps <= _SAFE:
        return _scaled(cost, a, b, eps, iterations, tolerance)
    u, v = potentials(cost, a, b, eps, iterations, tolerance)
    return torch.exp(u[..., :, None] + v[..., None, :] - cost / eps)


def _scaled(cost: Tensor, a: Tensor, b: Tensor, eps: float, iterations: int, tolerance: float | None) -> Tensor:
    K = torch.exp(-cost / eps)
    Kt = K.mT
    a, b = a[..., :, None], b[..., :, None]
    u, v = a, b
    goal = None if torch.compiler.is_compiling() else tolerance
    for i in range(iterations):
        rows = K @ v
        if goal is not None and i and i % _LOOK == 0 and float((u * rows - a).detach().abs().max()) <= goal:
            break
        u = a / rows
        v = b / (Kt @ u)
    return u * K * v.mT


def potentials(
    cost: Tensor, a: Tensor, b: Tensor, eps: float, iterations: int, tolerance: float | None = None
) -> tuple[Tensor, Tensor]:
    """u (..., P) and v (..., B), the logarithms of the scalings, after the last update of v."""
    S = -cost / eps
    log_a, log_b = _log(a), _log(b)
    u, v = log_a, log_b
    goal = None if torch.compiler.is_compiling() else tolerance
    for i in range(iterations):
        rows = torch.logsumexp(S + v[..., None, :], -1)
        if goal is not None and i and i % _LOOK == 0 and _off(rows + u, a) <= goal:
            break
        u = log_a - rows
        v = log_b - torch.logsumexp(S + u[..., :, None], -2)
    return u, v


def mass_error(T: Tensor, a: Tensor, b: Tensor) -> float:
    """The largest difference of a row or column sum of T from its marginal."""
    return max(float((T.sum(-1) - a).abs().max()), float((T.sum(-2) - b).abs().max()))


def check(a: Tensor, b: Tensor) -> None:
    """ValueError unless a (..., P) and b (..., B) are masses, not negative and of the same positive sums."""
    if not (torch.isfinite(a).all() and torch.isfinite(b).all()) or min(float(a.min()), float(b.min())) < 0:
        raise ValueError("marginals must be finite and not negative")
    total, other = a.sum(-1), b.sum(-1)
    if float(total.min()) <= 0 or float((total - other).abs().max()) > 1e-4 * float(total.max()):
        worst = (total - other).abs().argmax()
        pair = float(total.flatten()[worst]), float(other.flatten()[worst])
        raise ValueError(f"marginals must have the same positive mass, got {pair[0]:.6g} and {pair[1]:.6g}")


def cosine_cost(x: Tensor, y: Tensor) -> Tensor:
    """1 - cosine, in [0, 2], between rows of x (..., P, d) and y (..., B, d)."""
    return 1 - torch.nn.functional.normalize(x, dim=-1) @ torch.nn.functional.normalize(y, dim=-1).mT


def divergence(x: Tensor, y: Tensor, a: Tensor, b: Tensor, eps: float = 0.1, iterations: int = 100) -> Tensor:
    """The Sinkhorn divergence of weighted points x (n, d) and y (m, d): ``OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2``.

    Costs are squared distances over their mean between x and y (without gradient): eps has no scale. Without the two
    self-terms entropy would draw all points to their mean (Feydy et al., AISTATS 2019). The gradient is that of the
    costs under the fixed plans (envelope theorem): nothing is unrolled. ValueError for masses as in :func:`plan`.
    """
    check(a, b)
    cross = _squares(x, y)
    scale = cross.detach().mean().clamp_min(1e-12)
    parts = (
        _entropic(c / scale, p, q, eps, iterations)
        for c, p, q in ((cross, a, b), (_squares(x, x), a, a), (_squares(y, y), b, b))
    )
    between, within_x, within_y = parts
    return between - (within_x + within_y) / 2


def _entropic(cost: Tensor, a: Tensor, b: Tensor, eps: float, iterations: int) -> Tensor:
    """The optimal value ``<T, cost> + eps KL(T | a b')``, from the dual; its gradient is T."""
    with torch.no_grad():
        u, v = potentials(cost, a, b, eps, iterations, tolerance=1e-5)
        T = torch.exp(u[:, None] + v[None, :] - cost / eps)
        dual = eps * ((a * (u - _log(a))).sum() + (b * (v - _log(b))).sum())
    return dual + (T * (cost - cost.detach())).sum()


def _squares(x: Tensor, y: Tensor) -> Tensor:
    return (x.square().sum(1)[:, None] + y.square().sum(1)[None, :] - 2 * x @ y.T).clamp_min(0)


def _off(log_rows: Tensor, a: Tensor) -> float:
    return float((torch.exp(log_rows.detach()) - a).abs().max())


def _log(mass: Tensor) -> Tensor:
    return torch.where(mass > 0, torch.log(mass.clamp_min(1e-30)), _NOTHING)
