"""Structural risk minimisation with dynamic distribution alignment, solved without an N x N system a step. torch, scipy.

M3D eq. 16 to 27 (as MEDA, Wang et al., ACM MM 2018): with K the kernel of all N = n + m rows, A the weights of labelled
rows, L the Laplacian and M the alignment,

    beta = ((A + lambda M + rho L) K + eta I)^-1 A Y,        f = K beta                                        (27)

Only M changes between iterations, and it has rank C + 1: ``M = V W V' / |V W V'|_F``, V = [e_0, e_1 .. e_C] (eq. 21, 22).
With ``J = A + rho L`` (sparse), ``B = J K + eta I`` and ``S = K B^-1`` (symmetric), Woodbury's identity gives

    f = S A Y - S V (W^-1 / lambda' + V' S V)^-1 V' S A Y,    lambda' = lambda / |V W V'|_F

and S V is linear in the indicator columns of the target's labels: a step solves C - 1 new columns. ``x = S b`` solves
``(J K J + eta J) x = J K b``, which is symmetric: one Cholesky factor in float32 (half the arithmetic of an LU of B),
then conjugate gradients in float64 with the factor as preconditioner, two or three products with K for full accuracy.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .contract import Float64, Int64

_DOUBLE = 12_000  # rows up to which K is held in float64, 1.2 GB then
_DIRECT = 1200  # rows up to which the factor is, too
_BLOCK = 128  # rows of K at a time that stay in the cache: a few MB at 10,000 columns
_WIDE = 4096  # rows of K at a time on an accelerator
_STEPS = 100  # of conjugate gradients; a good factor needs two or three


def kernel(similarity: Tensor, gamma: float) -> Tensor:
    """``exp(2 gamma (cos - 1)) = exp(-gamma |a - b|^2)`` of unit rows, in place of ``similarity``."""
    return similarity.sub_(1).mul_(2 * gamma).exp_()


def precision(rows: int) -> torch.dtype:
    """Of the kernel matrix: float64, or float32 where memory counts (20,000 rows: 1.6 GB)."""
    return torch.float64 if rows <= _DOUBLE else torch.float32


def _host(device: torch.device) -> bool:
    """Whether numpy and scipy do the work; else torch does."""
    return device.type == "cpu"


class System:
    """``S = K (J K + eta I)^-1`` applied to columns. ``K`` (N, N) kernel, ``J`` sparse symmetric, both positive."""

    def __init__(self, K: Tensor, J: Any, eta: float, accuracy: float | None = None) -> None:
        self.K, self.eta = K, eta
        self.accuracy = accuracy or (1e-10 if K.dtype == torch.float64 else 1e-8)
        self._J = _Sparse(J, K.device)
        self._factor = self._factorise(J)

    def solve(self, b: Tensor, guess: Tensor | None = None) -> Tensor:
        """``S b`` (N, k) float64 for ``b`` (N, k) float64, to ``accuracy`` of the residual; ``guess`` a close answer.

        Raises ValueError where conjugate gradients do not get there: eta is too small for the kernel.
        """
        x = torch.zeros_like(b) if guess is None else guess * b.bool().any(0)  # of nothing the answer is nothing
        # with a guess, K b (for the scale) and K J x share one pass over K, which is what a product costs
        columns = b if guess is None else torch.cat([b, self._J @ x], 1)
        product = self._times(columns)
        right = product[:, : b.shape[1]]
        scale = (self._J @ right).norm(dim=0).clamp_min(1e-300)
        residual = self._J @ (right if guess is None else right - product[:, b.shape[1] :] - self.eta * x)
        direction, last = torch.zeros_like(b), torch.ones(b.shape[1], dtype=b.dtype, device=b.device)
        for _ in range(_STEPS):
            if bool((residual.norm(dim=0) <= self.accuracy * scale).all()):
                return x
            z = self._factor.solve(residual)
            energy = (residual * z).sum(0)
            direction = z + direction * (energy / last)
            image = self._apply(direction)
            curvature = (direction * image).sum(0)
            step = torch.where(curvature > 0, energy / curvature.clamp_min(1e-300), 0)  # a solved column stands still
            x, residual, last = x + step * direction, residual - step * image, energy.clamp_min(1e-300)
        raise ValueError(f"the kernel system did not converge: raise eta (now {self.eta:g})")

    def coefficients(self, b: Tensor, x: Tensor) -> Tensor:
        """``B^-1 b`` from ``x = S b``: ``(b - J x) / eta``."""
        return (b - self._J @ x) / self.eta

    def _apply(self, x: Tensor) -> Tensor:
        return self._J @ (self.eta * x + self._times(self._J @ x))

    def _times(self, v: Tensor) -> Tensor:
        """K v, summed in float64 whatever K is held in: what is lost here comes back divided by eta."""
        if not _host(self.K.device):
            rows = len(self.K) if self.K.dtype == v.dtype else _WIDE
            return torch.cat([self.K[i : i + rows].to(v.dtype) @ v for i in range(0, len(self.K), rows)])
        K, columns = self.K.numpy(), v.numpy()  # numpy's product with a few columns is twice as fast as torch's
        if K.dtype == columns.dtype:
            return torch.from_numpy(K @ columns)
        parts = (K[start : start + _BLOCK].astype(columns.dtype) @ columns for start in range(0, len(K), _BLOCK))
        return torch.from_numpy(np.concatenate(list(parts)))

    def _factorise(self, J: Any) -> _Factor:
        dtype = torch.float64 if len(self.K) <= _DIRECT else torch.float32
        sparse = _Sparse(J, self.K.device, dtype)
        H = sparse.onto(sparse.onto(self.K))
        entries = J.tocoo()
        index = tuple(torch.from_numpy(i.astype(np.int64)).to(H.device) for i in entries.coords)
        H.index_put_(index, torch.from_numpy(self.eta * entries.data).to(H), accumulate=True)
        return _Factor(H)


class _Factor:
    """Cholesky factor of a positive ``H``, which is used up.

    H is singular where rows of the target hang together alone, and by rounding: a jitter, which conjugate gradients mend.
    """

    def __init__(self, H: Tensor) -> None:
        self._dtype = H.dtype
        jitter = float(H.diagonal().mean()) * (1e-13 if H.dtype == torch.float64 else 1e-7)
        failed = 1
        while failed:
            if not math.isfinite(jitter):
                raise ValueError("the kernel system is not finite")
            H.diagonal().add_(jitter)
            self._lower, info = torch.linalg.cholesky_ex(H)
            failed, jitter = int(info), 10 * jitter

    def solve(self, b: Tensor) -> Tensor:
        """``H^-1 b``; LAPACK by scipy on a CPU, where it is three times faster for a few columns."""
        right = b.to(self._dtype)
        if not _host(right.device):
            return torch.cholesky_solve(right, self._lower).to(b.dtype)
        from scipy.linalg import cho_solve

        lower = self._lower.numpy()
        factor = (lower, True) if lower.flags.f_contiguous else (lower.T, False)
        return torch.from_numpy(cho_solve(factor, right.numpy(), check_finite=False)).to(b.dtype)


class _Sparse:
    """A scipy matrix times dense tensors: scipy on a CPU (several times faster there), torch elsewhere."""

    def __init__(self, matrix: Any, device: torch.device, dtype: torch.dtype = torch.float64) -> None:
        self._csr = matrix.astype(np.float64 if dtype == torch.float64 else np.float32).tocsr()
        self._tensor = None
        if not _host(device):
            coo = self._csr.tocoo()
            index = torch.from_numpy(np.stack(coo.coords).astype(np.int64))
            self._tensor = torch.sparse_coo_tensor(
                index, torch.from_numpy(coo.data), coo.shape, device=device, check_invariants=False
            ).coalesce()

    def __matmul__(self, dense: Tensor) -> Tensor:
        if self._tensor is None:
            return torch.from_numpy(self._csr @ dense.numpy())
        product: Tensor = torch.sparse.mm(self._tensor, dense)
        return product

    def onto(self, dense: Tensor) -> Tensor:
        """``matrix @ dense.T``: on a CPU by blocks of columns that stay in the cache, on all of torch's threads."""
        if self._tensor is not None:
            product: Tensor = torch.sparse.mm(self._tensor, dense.T.to(self._tensor.dtype))
            return product
        rows = dense.numpy()
        out = np.empty(rows.shape, dtype=self._csr.dtype)

        def block(start: int) -> None:
            part = slice(start, start + _BLOCK)
            out[:, part] = self._csr @ np.ascontiguousarray(rows[part].T, dtype=out.dtype)

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(block, range(0, len(rows), _BLOCK)))
        return torch.from_numpy(out)


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What an adaptation solves: ``n`` source rows, then m target rows.

    ``weight`` (N,) the diagonal of A; ``y`` (N, C) the labels it weighs; ``classes`` (n,) of the source rows for the
    class-wise columns; ``marginal`` (n,) their weights in e_0, summing to 1; ``strength`` is lambda; ``boost``
    multiplies the marginal term (1 in M3D, C in MEDA).
    """

    weight: Float64
    y: Float64
    classes: Int64
    marginal: Float64
    strength: float
    boost: float = 1.0


class Aligned:
    """The scores of a :class:`Problem` for any labels of the target and any mu; what does not change is solved once."""

    def __init__(self, system: System, problem: Problem) -> None:
        self.system, self.problem = system, problem
        N, C = problem.y.shape
        self.n, self.m, self.C = len(problem.classes), N - len(problem.classes), C
        fixed = np.zeros((N, 2 * C + 2))
        fixed[:, :C] = problem.weight[:, None] * problem.y
        fixed[np.arange(self.n), C + problem.classes] = 1
        fixed[: self.n, 2 * C] = problem.marginal
        fixed[self.n :, 2 * C + 1] = 1
        self._fixed = self._tensor(fixed)
        self._solved = system.solve(self._fixed)
        self._claimed: Tensor | None = None  # S t_c of the last labels, t_c the indicator of the target rows of class c
        self._asked: tuple[bytes, float] | None = None
        self._last: tuple[Tensor, Tensor] | None = None

    def scores(self, labels: Int64, mu: float) -> Float64:
        """f (N, C) with the target's labels (m,) in the class-wise columns."""
        asked = labels.tobytes(), mu
        if self._last is None or self._asked != asked:
            self._last, self._asked = self._solve(labels, mu), asked
        return np.asarray(self._last[1].cpu())

    def _solve(self, labels: Int64, mu: float) -> tuple[Tensor, Tensor]:
        """b and ``f = S b``: Woodbury's identity."""
        V, SV, w = self._columns(labels, mu)
        b, free = self._fixed[:, : self.C], self._solved[:, : self.C]
        if not w.numel():
            return b, free
        overlap = V.T @ V
        norm = torch.sqrt(w @ overlap.square() @ w)
        small = torch.diag(norm / (self.problem.strength * w)) + V.T @ SV
        mix = torch.linalg.solve(small, V.T @ free)
        return b - V @ mix, free - SV @ mix

    def beta(self) -> Float64:
        """(N, C) of the last scores: ``f = K beta``."""
        assert self._last is not None  # noqa: S101 - the caller has asked for scores
        return np.asarray(self.system.coefficients(*self._last).cpu())

    def _columns(self, labels: Int64, mu: float) -> tuple[Tensor, Tensor, Tensor]:
        """V, S V and the weights of their columns; classes that one side lacks have none, nor have weights of zero."""
        claimed = self._indicators(labels)
        solved = self._solve_indicators(claimed)
        C = self.C
        source, target = self._fixed[:, C : 2 * C].sum(0), claimed.sum(0)
        both = (source > 0) & (target > 0)
        w = torch.cat([torch.full_like(source[:1], (1 - mu) * self.problem.boost), mu * both.to(source)])
        w = w if self.problem.strength > 0 else torch.zeros_like(w)
        n_c, m_c = source.clamp_min(1), target.clamp_min(1)
        columns = []
        for fixed, own in ((self._fixed, claimed), (self._solved, solved)):
            marginal = fixed[:, 2 * C] - fixed[:, 2 * C + 1] / self.m
            columns.append(torch.cat([marginal[:, None], fixed[:, C : 2 * C] / n_c - own / m_c], 1)[:, w > 0])
        return columns[0], columns[1], w[w > 0]

    def _indicators(self, labels: Int64) -> Tensor:
        claimed = np.zeros((self.n + self.m, self.C))
        claimed[self.n + np.arange(self.m), labels] = 1
        return self._tensor(claimed)

    def _solve_indicators(self, claimed: Tensor) -> Tensor:
        """S t_c: C - 1 systems, the last column is what they leave of all target rows."""
        everything = self._solved[:, 2 * self.C + 1]
        guess = None if self._claimed is None else self._claimed[:, :-1]
        solved = self.system.solve(claimed[:, :-1].contiguous(), guess)
        self._claimed = torch.cat([solved, (everything - solved.sum(1))[:, None]], 1)
        return self._claimed

    def _tensor(self, array: Float64) -> Tensor:
        return torch.from_numpy(array).to(self.system.K.device)
