"""The graph that smoothness is asked over: nearest neighbours by cosine, and neighbours in time. scipy, torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .contract import Int64


def laplacian(similarity: Tensor, neighbours: int, edges: tuple[Int64, float] | None = None) -> Any:
    """Sparse (N, N) ``L = I - D^-1/2 W D^-1/2`` in float64 (M3D eq. 23, 24) of a cosine ``similarity`` (N, N).

    ``W_ij = max(0, cos)`` where one is among the ``neighbours`` nearest of the other, a row itself counted as in the
    MEDA reference; negative cosines are cut off, they could make a degree negative. Eq. 23 prints ``L = D - W`` and says
    normalised. ``edges`` ((k, 2) pairs, weight) are added to W.
    """
    from scipy import sparse

    n = len(similarity)
    k = min(neighbours, n)
    cosine, index = torch.topk(similarity, k, dim=1, sorted=False)
    values = cosine.clamp_min(0).double().cpu().numpy().ravel()
    W = sparse.csr_matrix((values, index.cpu().numpy().ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
    W = W.maximum(W.T)
    if edges is not None and len(edges[0]):
        (i, j), weight = edges[0].T, np.full(len(edges[0]), edges[1])
        W = W + sparse.csr_matrix((np.r_[weight, weight], (np.r_[i, j], np.r_[j, i])), shape=(n, n))
    degree = np.asarray(W.sum(axis=1)).ravel()
    root = sparse.diags(np.divide(1, np.sqrt(degree), out=np.zeros(n), where=degree > 0))
    return (sparse.eye(n) - root @ W @ root).tocsr()


def consecutive(trial: npt.NDArray[Any] | None, offset: int = 0) -> Int64:
    """(k, 2) pairs of rows that follow each other within a trial, shifted by ``offset``; none without trials."""
    if trial is None or len(trial) < 2:
        return np.empty((0, 2), dtype=np.int64)
    first = np.flatnonzero(trial[1:] == trial[:-1])
    return np.stack([first, first + 1], axis=1).astype(np.int64) + offset
