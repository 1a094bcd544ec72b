"""Symmetric positive definite matrices (..., c, c): their logarithms, geodesics and means, and the vectors that models read.

Barachant et al., Multiclass brain-computer interface classification by Riemannian geometry, IEEE TBME 59(4), 2012; the
affine-invariant metric of Pennec et al., Int. J. Computer Vision 66(1), 2006.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from streamaffect.signals import Float64

_FLOOR = 1e-12  # of the eigenvalues, relative to the largest


def of_eigenvalues(matrix: Float64, function: Callable[[Float64], Float64]) -> Float64:
    """``function`` of symmetric matrices (..., c, c): of their eigenvalues, in their own axes."""
    values, axes = np.linalg.eigh(matrix)
    return np.asarray((axes * function(values)[..., None, :]) @ np.swapaxes(axes, -1, -2))


def _floored(values: Float64) -> Float64:
    return np.maximum(values, _FLOOR * np.maximum(values[..., -1:], _FLOOR))


def logm(matrix: Float64) -> Float64:
    """Logarithm of SPD matrices (..., c, c)."""
    return of_eigenvalues(matrix, lambda v: np.log(_floored(v)))


def expm(matrix: Float64) -> Float64:
    """Exponential of symmetric matrices (..., c, c): SPD."""
    return of_eigenvalues(matrix, np.exp)


def powm(matrix: Float64, exponent: float) -> Float64:
    """Power of SPD matrices (..., c, c)."""
    return of_eigenvalues(matrix, lambda v: _floored(v) ** exponent)


def whiten(matrix: Float64, mean: Float64) -> Float64:
    """M^-1/2 C M^-1/2: ``matrix`` seen from ``mean``, which itself becomes the identity."""
    root = powm(mean, -0.5)
    return symmetric(root @ matrix @ root)


def geodesic(start: Float64, end: Float64, share: float) -> Float64:
    """The point ``share`` 0..1 of the way from SPD ``start`` to ``end`` in the affine-invariant metric:
    A^1/2 (A^-1/2 B A^-1/2)^t A^1/2."""
    root = powm(start, 0.5)
    return symmetric(root @ powm(whiten(end, start), share) @ root)


def distance(a: Float64, b: Float64) -> Float64:
    """Affine-invariant distance (...,) of SPD matrices: the norm of log(A^-1/2 B A^-1/2)."""
    return np.asarray(np.linalg.norm(logm(whiten(b, a)), axis=(-2, -1)))


def geometric_mean(matrices: Float64, rounds: int = 50, tolerance: float = 1e-10) -> Float64:
    """Karcher mean (..., c, c) of ``matrices`` (n, ..., c, c): fixed-point rounds from the log-Euclidean mean on, until the
    mean of the logarithms seen from it is below ``tolerance``."""
    mean = expm(logm(matrices).mean(axis=0))
    for _ in range(rounds):
        root = powm(mean, 0.5)
        step = logm(whiten(matrices, mean)).mean(axis=0)
        mean = symmetric(root @ expm(step) @ root)
        if float(np.abs(step).max()) < tolerance:
            break
    return mean


def symmetric(matrix: Float64) -> Float64:
    """The symmetric part: rounding leaves products of symmetric matrices a little askew."""
    return np.asarray((matrix + np.swapaxes(matrix, -1, -2)) / 2)


def to_vector(matrix: Float64) -> Float64:
    """Upper triangle (..., c (c + 1) / 2) of symmetric matrices, row by row, what is off the diagonal times sqrt 2: the
    vector's norm is the matrix's."""
    c = matrix.shape[-1]
    rows, columns = np.triu_indices(c)
    return np.asarray(matrix[..., rows, columns] * np.where(rows == columns, 1.0, np.sqrt(2.0)))


def to_matrix(vector: Float64) -> Float64:
    """The inverse of :func:`to_vector`; ValueError where the length is no c (c + 1) / 2."""
    c = int((np.sqrt(8 * vector.shape[-1] + 1) - 1) / 2)
    if c * (c + 1) // 2 != vector.shape[-1]:
        raise ValueError(f"a triangle has 1, 3, 6, 10, ... elements, got {vector.shape[-1]}")
    rows, columns = np.triu_indices(c)
    matrix = np.empty((*vector.shape[:-1], c, c))
    matrix[..., rows, columns] = matrix[..., columns, rows] = vector / np.where(rows == columns, 1.0, np.sqrt(2.0))
    return matrix
