"""Label distributions: how far a prediction is from the truth, and which labels go together. numpy only.

The six measures of HeLo's tables (Section 4.2), as label distribution learning defines them (Geng, TKDE 2016) and
EmotionDict and PyLDL compute them, with d the truth and p the prediction of a row:

    chebyshev  max |d - p|                   clark         sqrt(sum ((d - p) / (d + p))^2)
    canberra   sum |d - p| / (d + p)         kl            sum d log(d / p)
    cosine     d.p / (|d| |p|)               intersection  sum min(d, p)

The first four are distances, the last two likenesses. 0/0 counts as 0: a label that neither has is no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

FLOOR = 1e-8  # of a prediction under the logarithm: a label that is ruled out wrongly costs 18 nats, not infinity


def chebyshev(truth: Float64, predicted: Float64) -> Float64:
    largest: Float64 = np.abs(truth - predicted).max(axis=1)
    return largest


def clark(truth: Float64, predicted: Float64) -> Float64:
    total: Float64 = np.sqrt(np.square(_relative(truth, predicted)).sum(axis=1))
    return total


def canberra(truth: Float64, predicted: Float64) -> Float64:
    total: Float64 = _relative(truth, predicted).sum(axis=1)
    return total


def kl(truth: Float64, predicted: Float64) -> Float64:
    """KL(truth || prediction) in nats."""
    ratio = np.maximum(truth, FLOOR) / np.maximum(predicted, FLOOR)
    total: Float64 = np.where(truth > 0, truth * np.log(ratio), 0).sum(axis=1)
    return total


def cosine(truth: Float64, predicted: Float64) -> Float64:
    lengths = np.linalg.norm(truth, axis=1) * np.linalg.norm(predicted, axis=1)
    likeness: Float64 = (truth * predicted).sum(axis=1) / lengths
    return likeness


def intersection(truth: Float64, predicted: Float64) -> Float64:
    common: Float64 = np.minimum(truth, predicted).sum(axis=1)
    return common


MEASURES: Mapping[str, Callable[[Float64, Float64], Float64]] = {
    "chebyshev": chebyshev,
    "clark": clark,
    "canberra": canberra,
    "kl": kl,
    "cosine": cosine,
    "intersection": intersection,
}
LARGER_IS_BETTER = frozenset({"cosine", "intersection"})


def measures(truth: npt.ArrayLike, predicted: npt.ArrayLike, subject: npt.ArrayLike | None = None) -> dict[str, float]:
    """Each measure by name, of (n, C) distributions: the mean over windows or, with ``subject`` (n,), over the subjects'
    means, as in the paper's leave-one-subject-out tables.

    Raises ValueError for shapes that differ or rows that are no distributions.
    """
    d, p = _distributions(truth, "truth"), _distributions(predicted, "predicted")
    if d.shape != p.shape:
        raise ValueError(f"truth and predicted must have one shape, got {d.shape} and {p.shape}")
    groups = np.zeros(len(d)) if subject is None else np.asarray(subject)
    if groups.shape != (len(d),):
        raise ValueError(f"subject must be one id a window, shape ({len(d)},), got {groups.shape}")
    _, number = np.unique(groups, return_inverse=True)
    counts = np.bincount(number)
    return {name: float((np.bincount(number, f(d, p)) / counts).mean()) for name, f in MEASURES.items()}


def from_scores(scores: npt.ArrayLike) -> Float64:
    """Distributions of ratings (n, C) that are not negative: each row by its sum, as the paper makes them of PANAS' 1..5."""
    rows = np.asarray(scores, dtype=np.float64)
    if rows.ndim != 2 or not np.isfinite(rows).all() or (rows < 0).any() or (rows.sum(axis=1) <= 0).any():
        raise ValueError(f"scores must be (n, C), not negative, with a positive one in each row, got shape {rows.shape}")
    shares: Float64 = rows / rows.sum(axis=1, keepdims=True)
    return shares


def label_correlation(y: npt.ArrayLike) -> Float64:
    """M^gt (C, C) of Eq. 7: the cosine between labels i and j, each taken as its column of ``y`` (n, C).

    The paper writes L_i of R^(l x 1), a scalar each: their cosine is always 1. A label that no window has is like none
    but itself.
    """
    columns = np.asarray(y, dtype=np.float64)
    if columns.ndim != 2 or not len(columns):
        raise ValueError(f"y must be (n, C) distributions, got shape {columns.shape}")
    length = np.linalg.norm(columns, axis=0)
    unit = columns / np.where(length > 0, length, 1)
    correlation: Float64 = unit.T @ unit
    np.fill_diagonal(correlation, 1)
    return correlation


def _relative(truth: Float64, predicted: Float64) -> Float64:
    total = truth + predicted
    return np.divide(np.abs(truth - predicted), total, out=np.zeros_like(total), where=total > 0)


def _distributions(rows: npt.ArrayLike, name: str) -> Float64:
    array: Float64 = np.asarray(rows, dtype=np.float64)
    fine = array.ndim == 2 and array.size > 0 and bool(np.isfinite(array).all()) and float(array.min()) >= 0
    if not fine or np.abs(array.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError(f"{name} must be (n, C) distributions, rows that sum to 1, got shape {array.shape}")
    return array
