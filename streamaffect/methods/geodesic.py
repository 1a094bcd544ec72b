"""The geodesic flow kernel between two subspaces, and its square root. numpy.

Gong, Shi, Sha and Grauman, CVPR 2012; M3D eq. 1 to 8. With the principal vectors ``Ps' Pt = U cos(theta) V'``, ``p_k`` the
columns of ``Ps U`` and ``q_k`` the unit vectors of ``Pt V - p cos(theta)``, the geodesic is
``Psi(t) = p cos(t theta) + q sin(t theta)`` and the kernel its integral

    G = int_0^1 Psi(t) Psi(t)' dt = sum_k [p_k q_k] [[l1, l2], [l2, l3]] [p_k q_k]'
    l1 = (1 + sin 2theta / 2theta) / 2,   l2 = (1 - cos 2theta) / 4theta,   l3 = (1 - sin 2theta / 2theta) / 2.

Departures: eq. 7 prints l without the factor 1/2, which makes G twice the integral of eq. 5; eq. 6 prints blocks that do
not conform. This form needs no generalised SVD and holds for any dimension up to D, also beyond D / 2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .contract import Float64

_SAME = 1e-12  # an angle below this has no direction to turn to


def geodesic_kernel(source: npt.ArrayLike, target: npt.ArrayLike) -> Float64:
    """G (D, D) of two orthonormal bases (D, k)."""
    return _combine(*_principal(source, target), root=False)


def geodesic_root(source: npt.ArrayLike, target: npt.ArrayLike) -> Float64:
    """``G^1/2`` (D, D), symmetric: ``rows @ root`` are M3D's manifold features (eq. 8).

    The root is taken two by two: that of ``[[a, b], [b, c]]`` is ``([[a, b], [b, c]] + s I) / sqrt(a + c + 2 s)`` with s
    the root of the determinant.
    """
    return _combine(*_principal(source, target), root=True)


def _principal(source: npt.ArrayLike, target: npt.ArrayLike) -> tuple[Float64, Float64, Float64]:
    """p (D, k), q (D, k) and theta (k,); q is zero where theta is."""
    a, b = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if a.ndim != 2 or a.shape != b.shape or a.shape[1] > a.shape[0]:
        raise ValueError(f"bases must be two (D, k) matrices with k <= D, got {a.shape} and {b.shape}")
    left, cosine, right = np.linalg.svd(a.T @ b)
    p = a @ left
    residual = b @ right.T - p * cosine
    residual -= a @ (a.T @ residual)  # small angles: what rounding left inside the source's span is no direction
    sine = np.linalg.norm(residual, axis=0)
    turned = sine > _SAME
    q = np.where(turned, residual / np.where(turned, sine, 1), 0)
    return p, q, np.arctan2(np.where(turned, sine, 0), cosine)


def _combine(p: Float64, q: Float64, theta: Float64, *, root: bool) -> Float64:
    sinc = np.sinc(2 * theta / np.pi)
    l1, l3 = (1 + sinc) / 2, (1 - sinc) / 2
    l2 = np.where(theta > 0, np.sin(theta) ** 2 / (2 * np.where(theta > 0, theta, 1)), 0)
    if root:
        s = np.sqrt(np.maximum(l1 * l3 - l2**2, 0))
        trace = np.sqrt(l1 + l3 + 2 * s)
        l1, l2, l3 = (l1 + s) / trace, l2 / trace, (l3 + s) / trace
    # a direction that is not turned has l3 = 0 but a root s of it: q = 0 drops it
    cross = (p * l2) @ q.T
    combined: Float64 = (p * l1) @ p.T + cross + cross.T + (q * l3) @ q.T
    return combined
