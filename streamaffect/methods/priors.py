"""The target's class proportions, estimated without its labels. numpy only.

Marginal alignment aligns the proportions of the classes too; where they differ between source and wearer it moves
windows across the boundary. With p the source's proportions and q the target's, source window i counts
``a_i = (q_yi / p_yi) / n`` in the marginal (normalised to sum 1), so that only what differs *within* classes is aligned.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


def expectation_maximisation(
    probabilities: npt.ArrayLike, trained_on: npt.ArrayLike, strength: float = 4.0, steps: int = 200
) -> Float64:
    """q (C,) by EM on posteriors (n, C) of a classifier calibrated for the proportions ``trained_on`` (C,).

    Saerens, Latinne and Decaestecker, Neural Computation 2002, eq. 2.9, with ``strength`` pseudo windows of
    ``trained_on``: few or badly separated windows leave the estimate near it.
    """
    p, base = _inputs(probabilities, trained_on)
    q = base.copy()
    for _ in range(steps):
        posterior = p * (q / base)
        posterior /= posterior.sum(axis=1, keepdims=True)
        last, q = q, (posterior.sum(axis=0) + strength * base) / (len(p) + strength)
        if np.abs(q - last).max() < 1e-6:
            break
    return q


def check_prior(prior: npt.ArrayLike, classes: int) -> Float64:
    """``prior`` as (C,) proportions; ValueError for another length, negative shares or a sum that is not 1."""
    try:
        q: Float64 = np.array(prior, dtype=np.float64)
    except (TypeError, ValueError):  # words, or a thing that is no array
        q = np.empty(0)
    if q.shape != (classes,) or not np.isfinite(q).all() or q.min() < 0 or abs(q.sum() - 1) > 1e-3:
        raise ValueError(f"prior must be 'source', 'estimate' or {classes} shares that sum to 1, got {prior!r}")
    q /= q.sum()
    return q


def _inputs(probabilities: npt.ArrayLike, trained_on: npt.ArrayLike) -> tuple[Float64, Float64]:
    p, base = np.asarray(probabilities, dtype=np.float64), np.asarray(trained_on, dtype=np.float64)
    if p.ndim != 2 or not len(p) or base.shape != (p.shape[1],) or base.min() <= 0:
        raise ValueError(f"need (n, C) probabilities and C positive proportions, got {p.shape} and {base.shape}")
    p = np.maximum(p, 1e-12)
    return p / p.sum(axis=1, keepdims=True), base / base.sum()
