"""Transfer component analysis: directions of large variance along which source and target means agree. numpy, scipy.

Pan, Tsang, Kwok and Yang, IEEE TNN 2011, eq. 5 to 8: the leading solutions of ``K H K v = w (K M K + lambda I) v`` with
``M = e e' / |e|^2``, ``e = [1/n; -1/m]``, H the centring matrix. M has rank one, so that both systems are solved without
forming it: with ``u = K e / |e|`` the right-hand matrix is ``lambda I + u u'``, whose powers are known in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .contract import Float64

Rows = npt.NDArray[Any]

_BLOCK = 64  # columns of a Krylov block: wide enough that a product costs arithmetic, not memory traffic
_SMALL = 400  # kernel matrices up to this size are decomposed whole
_LOOK = 3  # times d: a basis below that has not converged
_EXACT = 1e-10  # residual of an eigenpair, relative to the largest eigenvalue


def unit(rows: Rows) -> Rows:
    """Rows scaled to length 1; rows of zeros stay."""
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    scaled: Rows = rows / np.where(length > 0, length, 1)
    return scaled


def tca_linear(source: Rows, target: Rows, d: int, ridge: float = 1.0, weights: Rows | None = None) -> Float64:
    """W (D, min(d, D)), unit columns, best first: ``rows @ W`` are the components. Cost O((n + m) D^2 + D^3).

    The primal form (kernel ``x . y``): ``Xc' Xc v = w (u u' + ridge I) v`` with u the difference of the means over
    ``sqrt(1/n + 1/m)``. As all of TCA it has a scale: give rows of length about 1 (:func:`unit`) for ``ridge=1``.
    ``weights`` (n,) of the source rows in their mean, where the target's classes have other proportions (None: equal).
    """
    from scipy.linalg import eigh

    n, m = len(source), len(target)
    rows = np.concatenate([source, target]).astype(np.float64)
    u = (np.average(rows[:n], axis=0, weights=weights) - rows[n:].mean(0)) / np.sqrt(1 / n + 1 / m)
    centred = rows - rows.mean(0)
    size = rows.shape[1]
    last = [max(0, size - d), size - 1]
    vectors = eigh(centred.T @ centred, np.outer(u, u) + ridge * np.eye(size), subset_by_index=last)[1][:, ::-1]
    components: Float64 = vectors / np.linalg.norm(vectors, axis=0)
    return components


@dataclass(frozen=True, slots=True, eq=False)
class KernelComponents:
    """``rbf(rows, support) @ coefficients``: components of any row. ``support`` (N, D), ``coefficients`` (N, d)."""

    support: Rows
    coefficients: Float64
    gamma: float

    def __call__(self, rows: Rows) -> Float64:
        components: Float64 = rbf(rows, self.support, self.gamma) @ self.coefficients
        return components


def tca_rbf(
    source: Rows, target: Rows, d: int, gamma: float = 0.5, ridge: float = 1.0, weights: Rows | None = None
) -> KernelComponents:
    """Kernel TCA with ``exp(-gamma |a - b|^2)``: coefficients with unit columns, best first, at most N - 1 of them.

    With ``R = (lambda I + u u')^-1/2 = lambda^-1/2 (I - c u u' / |u|^2)``, ``c = 1 - (1 + |u|^2 / lambda)^-1/2``, the
    problem is the symmetric ``(R K H K R) w = s w``, ``v = R w``: products with K alone, by block Lanczos. ``weights`` as in
    :func:`tca_linear`.
    """
    n, m = len(source), len(target)
    rows = np.concatenate([source, target])
    K = rbf(rows, rows, gamma)
    u = (np.average(K[:, :n], axis=1, weights=weights) - K[:, n:].mean(1)) / np.sqrt(1 / n + 1 / m)
    squared = float(u @ u)
    shrink = (1 - (1 + squared / ridge) ** -0.5) / squared if squared > 0 else 0.0

    def root(v: Float64) -> Float64:
        scaled: Float64 = (v - np.outer(shrink * u, u @ v)) / np.sqrt(ridge)
        return scaled

    def operator(v: Float64) -> Float64:
        y = K @ root(v)
        return root(K @ (y - y.mean(0)))

    vectors = root(leading(operator, n + m, min(d, n + m - 1)))
    return KernelComponents(rows, vectors / np.linalg.norm(vectors, axis=0), gamma)


def pca(rows: Rows, d: int) -> Float64:
    """W (D, min(d, D)): orthonormal directions of largest variance, best first."""
    from scipy.linalg import eigh

    centred = rows.astype(np.float64) - rows.mean(0, dtype=np.float64)
    size = centred.shape[1]
    vectors: Float64 = eigh(centred.T @ centred, subset_by_index=[max(0, size - d), size - 1])[1][:, ::-1]
    return vectors


def rbf(a: Rows, b: Rows, gamma: float) -> Float64:
    """(len(a), len(b)) of ``exp(-gamma |a_i - b_j|^2)``, one matrix in memory."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    K: Float64 = a @ (2 * gamma * b.T)
    K -= gamma * np.einsum("ij,ij->i", a, a)[:, None]
    K -= gamma * np.einsum("ij,ij->i", b, b)
    np.minimum(K, 0, out=K)
    return np.exp(K, out=K)


def leading(operator: Any, size: int, d: int) -> Float64:
    """(size, d) eigenvectors of the d largest eigenvalues of a symmetric positive ``operator(columns) -> columns``.

    Block Lanczos with full reorthogonalisation from a fixed random block, until all d pairs have a residual below 1e-10
    of the largest eigenvalue: that of a Ritz vector is its last rows times the factor of the block to come.
    """
    if size <= max(_SMALL, 2 * d):
        values = operator(np.eye(size))
        whole: Float64 = np.linalg.eigh((values + values.T) / 2)[1][:, : -d - 1 : -1]
        return whole
    block = np.linalg.qr(np.random.default_rng(0).standard_normal((size, _BLOCK)))[0]
    basis, small = np.empty((size, 0)), np.empty((0, 0))
    while True:
        basis, image = np.concatenate([basis, block], axis=1), operator(block)
        k, b = basis.shape[1], block.shape[1]
        column = basis.T @ image
        small = np.pad(small, (0, b))
        small[:, k - b :], small[k - b :, :] = column, column.T
        block, factor = _orthogonal(image - basis @ column, basis)
        if k >= _LOOK * d or k == size:
            values, inner = np.linalg.eigh(small)
            values, inner = values[: -d - 1 : -1], inner[:, : -d - 1 : -1]
            if k == size or np.linalg.norm(factor @ inner[k - b :], axis=0).max() <= _EXACT * values[0]:
                vectors: Float64 = basis @ inner
                return vectors
        block = block[:, : size - k]


def _orthogonal(rows: Float64, basis: Float64) -> tuple[Float64, Float64]:
    """Q orthonormal and orthogonal to ``basis``, R with ``Q R = rows``; a second pass, since once is not enough."""
    q, first = np.linalg.qr(rows)
    q, second = np.linalg.qr(q - basis @ (basis.T @ q))
    return q, second @ first
