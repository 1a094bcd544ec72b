"""dynAmiC's coreset: the windows of a pool that are worth adapting on. numpy only.

The hybrid score of the paper has three terms: diversity (distance to the centre), difficulty (negative similarity to
the centre) and density (mean distance to the k nearest neighbours). All three grow with outlyingness: by design the
top of the score is the rim of the pool, artefacts included, so windows of poor quality must be kept out before. With
``signs=(1, 1, -1)`` dense regions are sought instead; ``strategy='greedy'`` spreads the choice.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Triple = tuple[float, float, float]

_BLOCK = 512  # rows of the distance matrix at a time: 512 x 1024 float32 stay in the cache
_SHORTLIST = 4  # greedy chooses among so many times the wanted number


def select(
    x: npt.ArrayLike,
    fraction: float = 0.01,
    minimum: int = 64,
    k: int = 10,
    weights: Triple = (1, 1, 1),
    seed: int = 0,
    strategy: Literal["top", "greedy"] = "top",
    signs: Triple = (1, 1, 1),
    scale: Literal["zscore", "rank"] = "zscore",
    references: int | None = 1024,
) -> npt.NDArray[np.int64]:
    """Indices into ``x`` (n, d), ``max(minimum, ceil(fraction * n))`` of them or all where there are fewer.

    The paper's 1 % of one subject is less than one window, hence ``minimum``. ``'top'``: highest score first, equals by
    index. ``'greedy'``: of the top 4 times as many, farthest first (k-centre), begun at the highest score.
    ``references`` see :func:`score`.

    Raises ValueError for NaN, a shape other than (n, d), or a parameter out of range.
    """
    rows = _rows(x)
    if not 0 < fraction <= 1 or minimum < 1:
        raise ValueError(f"fraction must lie in (0, 1] and minimum be 1 or more, got {fraction} and {minimum}")
    if strategy not in ("top", "greedy"):
        raise ValueError(f"strategy must be 'top' or 'greedy', got {strategy!r}")
    size = max(minimum, math.ceil(fraction * len(rows)))
    if size >= len(rows):
        return np.arange(len(rows))
    order = np.argsort(-score(rows, k, weights, seed, signs, scale, references), kind="stable")
    if strategy == "top":
        return order[:size]
    shortlist = order[: _SHORTLIST * size]
    return shortlist[_farthest_first(rows[shortlist], size)]


def score(
    x: npt.ArrayLike,
    k: int = 10,
    weights: Triple = (1, 1, 1),
    seed: int = 0,
    signs: Triple = (1, 1, 1),
    scale: Literal["zscore", "rank"] = "zscore",
    references: int | None = 1024,
) -> Float64:
    """The hybrid score (n,): the weighted, signed sum of the three terms, each z-scored (or ranked to 0..1) over ``x``.

    Neighbours are sought among ``references`` rows drawn by ``seed`` where there are more (None: among all): the
    density is then that of a coarser neighbourhood, and the cost linear in n.
    """
    rows = _rows(x)
    if k < 1 or not np.isfinite([*weights, *signs]).all() or len(weights) != 3 or len(signs) != 3:
        raise ValueError(f"k must be 1 or more, weights and signs three finite numbers, got {k}, {weights}, {signs}")
    if scale not in ("zscore", "rank"):
        raise ValueError(f"scale must be 'zscore' or 'rank', got {scale!r}")
    centre = rows.mean(axis=0, dtype=np.float64)
    centred = (rows - centre).astype(np.float32)
    diversity = np.sqrt(np.einsum("ij,ij->i", centred, centred, dtype=np.float64))
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64)) * np.linalg.norm(centre)
    similarity = np.divide(rows @ centre, norms, out=np.zeros(len(rows)), where=norms > 0)
    terms = (diversity, -similarity, _neighbour_distance(centred, k, references, seed))
    scaled = _zscore if scale == "zscore" else _rank
    total = np.zeros(len(rows))
    for weight, sign, term in zip(weights, signs, terms, strict=True):
        total += weight * sign * scaled(term)
    return total


def _neighbour_distance(rows: Float32, k: int, references: int | None, seed: int) -> Float64:
    """Mean Euclidean distance (n,) to the k nearest other rows, by blocks of ``|a|^2 + |b|^2 - 2 a.b``."""
    n = len(rows)
    chosen = np.arange(n)
    if references is not None and references < n:
        chosen = np.sort(np.random.default_rng(seed).choice(n, references, replace=False))
    others = rows[chosen]
    k = min(k, len(others) - 1)
    if k < 1:
        return np.zeros(n)
    column = np.full(n, -1)
    column[chosen] = np.arange(len(chosen))
    squares = np.einsum("ij,ij->i", rows, rows)
    doubled = np.ascontiguousarray(-2 * others.T)
    mean = np.empty(n)
    for start in range(0, n, _BLOCK):
        block = slice(start, min(start + _BLOCK, n))
        distance = rows[block] @ doubled
        distance += squares[chosen]
        own = np.flatnonzero(column[block] >= 0)
        distance[own, column[block][own]] = np.inf  # a row is not its own neighbour
        nearest = np.partition(distance, k - 1, axis=1)[:, :k] + squares[block, None]
        mean[block] = np.sqrt(np.maximum(nearest, 0)).mean(axis=1)
    return mean


def _farthest_first(rows: Float32, size: int) -> npt.NDArray[np.int64]:
    chosen = np.zeros(size, dtype=np.int64)
    distance = np.full(len(rows), np.inf)
    for i in range(1, size):
        step = rows - rows[chosen[i - 1]]
        distance = np.minimum(distance, np.einsum("ij,ij->i", step, step))
        distance[chosen[i - 1]] = -1  # never twice, duplicates of it included only when nothing else is left
        chosen[i] = distance.argmax()
    return chosen


def _zscore(term: Float64) -> Float64:
    centred = term - term.mean()
    spread = centred.std()
    # a constant term says nothing; rounding must not be blown up to unit variance
    return centred / spread if spread > 1e-6 * max(1e-30, float(np.abs(term).max())) else np.zeros_like(term)


def _rank(term: Float64) -> Float64:
    """Ranks scaled to 0..1, equals share their mean rank."""
    _, inverse, counts = np.unique(term, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts + 1) / 2)[inverse] / max(1, len(term) - 1)


def _rows(x: npt.ArrayLike) -> Float32:
    rows = np.ascontiguousarray(x, dtype=np.float32)
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(f"x must be (n, d) and not empty, got shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("x has NaN or infinity: leave such windows out of the pool")
    return rows
