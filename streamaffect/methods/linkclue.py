"""Consensus of the labels that the iterations of M3D gave: link-based cluster ensembles, and a vote. numpy, scipy.

Iam-on and Garrett, LinkCluE, J. Statistical Software 2010: a similarity between rows from how their clusters overlap
(connected triples CTS, SimRank SRS, approximate SimRank ASRS), then hierarchical clustering (M3D section 3.4).

Rows with the same label in every partition are one pattern: all is computed on the few unique patterns and their counts,
with the same result. SRS and ASRS give two rows of one pattern a similarity below 1; here they are joined first all the
same, even in the rare case that a row of another pattern is closer.

Clusters are not classes, and the papers map them by the truth. Here a cluster takes the class that most of its rows were
given by vote. Single linkage likes to cut off a few odd rows and to leave the rest one cluster: where a class would lose more
than half of the rows that the vote gave it, the vote stands. Labels of the target do not exist here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .contract import Float64, Int64

SIMILARITIES = ("cts", "srs", "asrs")
LINKAGES = ("single", "complete", "average")
DECAY = 0.8  # LinkCluE's dc
_SIMRANK_STEPS = 5  # LinkCluE's R
_KEPT = 0.5


def consensus(partitions: Int64, classes: int, how: str = "cts-average") -> Int64:
    """Labels (m,) from ``partitions`` (m, T) of class indices: ``'cts-average'`` and the like, ``'vote'``, ``'last'``."""
    votes = np.stack([(partitions == c).sum(axis=1) for c in range(classes)], axis=1)
    # equal votes: what the last iteration said, if it is among them
    votes = 2 * votes + (partitions[:, -1:] == np.arange(classes))
    voted: Int64 = votes.argmax(axis=1)
    if how == "last":
        return partitions[:, -1].copy()
    if how == "vote":
        return voted
    similarity, linkage = how.split("-")
    patterns, inverse, counts = np.unique(partitions, axis=0, return_inverse=True, return_counts=True)
    inverse = inverse.ravel()
    wanted = min(len(np.unique(voted)), len(patterns))
    clusters = cluster(_SIMILAR[similarity](patterns, counts), counts, wanted, linkage)[inverse]
    labels = voted.copy()
    for k in range(wanted):
        inside = clusters == k
        labels[inside] = np.bincount(voted[inside], minlength=classes).argmax()
    torn = any((labels[voted == c] == c).mean() < _KEPT for c in np.unique(voted))
    return voted if torn else labels


def cts(patterns: Int64, counts: Int64, decay: float = DECAY) -> Float64:
    """(u, u) connected-triple similarity: mean over partitions of 1 if equal, else decay times the clusters' WCT.

    ``WCT_ij = sum_k min(w_ik, w_jk)`` over all clusters k, w the Jaccard overlap, between clusters of one partition,
    divided by its largest value.
    """
    index, owner = _clusters(patterns)
    w = _overlap(index, counts)
    triple = np.minimum(w[:, None, :], w[None, :, :]).sum(axis=2)
    triple[owner[:, None] != owner[None, :]] = 0
    np.fill_diagonal(triple, 0)
    triple = decay * triple / max(float(triple.max()), 1e-300)
    np.fill_diagonal(triple, 1)
    S: Float64 = np.mean([triple[np.ix_(column, column)] for column in index.T], axis=0)
    return S


def srs(patterns: Int64, counts: Int64, decay: float = DECAY, steps: int = _SIMRANK_STEPS) -> Float64:
    """(u, u) SimRank on the graph of rows and clusters, ``steps - 1`` rounds; the diagonal is that of two equal rows."""
    index, _ = _clusters(patterns)
    member = _members(index)
    sizes = counts @ member
    T = index.shape[1]
    clusters = np.eye(member.shape[1])
    twins = np.zeros((len(index), len(index)))  # similarity of two rows, of one pattern or of two
    for _ in range(steps - 1):
        following = decay / T**2 * (member @ clusters @ member.T)
        weighted = member * counts[:, None]
        # of a pattern's counts^2 pairs, counts are of a row with itself: similarity 1
        own = weighted.T @ ((1 - np.diag(twins))[:, None] * member)
        clusters = decay * (weighted.T @ twins @ weighted + own) / np.outer(sizes, sizes)
        np.fill_diagonal(clusters, 1)
        twins = following
    return twins


def asrs(patterns: Int64, counts: Int64, decay: float = DECAY) -> Float64:
    """(u, u) approximate SimRank: the mean over all pairs of two rows' clusters; the diagonal is that of two equal rows.

    A pair counts 1 if it is one cluster, else decay times ``w_i . w_j / (|w_i|_0 |w_j|_0)`` over its largest value.
    """
    index, _ = _clusters(patterns)
    member, w = _members(index), _overlap(index, counts)
    degree = (w > 0).sum(axis=1)
    near = w @ w.T / np.maximum(np.outer(degree, degree), 1)
    np.fill_diagonal(near, 0)
    near /= max(float(near.max()), 1e-300)
    near = np.where(near == 1, 1, decay * near)  # LinkCluE's: the closest pair of clusters counts as one
    np.fill_diagonal(near, 1)
    S: Float64 = member @ near @ member.T / index.shape[1] ** 2
    return S


def cluster(S: Float64, counts: Int64, wanted: int, linkage: str) -> Int64:
    """(u,) cluster 0..wanted-1 of each pattern: agglomerative on ``1 - S``, patterns begin with their counts as size.

    Lance and Williams' updates; equals are joined in the order of their indices.
    """
    distance = 1 - S
    np.fill_diagonal(distance, np.inf)
    size = counts.astype(np.float64)
    label = np.arange(len(S))
    for _ in range(len(S) - wanted):
        a, b = sorted(np.unravel_index(int(distance.argmin()), distance.shape))
        if linkage == "average":
            joined = (size[a] * distance[a] + size[b] * distance[b]) / (size[a] + size[b])
        else:
            joined = (np.minimum if linkage == "single" else np.maximum)(distance[a], distance[b])
        size[a] += size[b]
        joined[[a, b]] = np.inf
        distance[a] = distance[:, a] = joined
        distance[b] = distance[:, b] = np.inf
        label[label == b] = a
    named: Int64 = np.unique(label, return_inverse=True)[1]
    return named


def _clusters(patterns: Int64) -> tuple[Int64, Int64]:
    """(u, T) the number of each pattern's cluster among all partitions' clusters; (k,) the partition of each cluster."""
    index, owner, total = np.empty_like(patterns), [], 0
    for t, column in enumerate(patterns.T):
        names, numbers = np.unique(column, return_inverse=True)
        index[:, t] = numbers + total
        owner += [t] * len(names)
        total += len(names)
    return index, np.array(owner)


def _members(index: Int64) -> Float64:
    """(u, k) 1 where the pattern is in the cluster."""
    member = np.zeros((len(index), int(index.max()) + 1))
    np.put_along_axis(member, index, 1, axis=1)
    return member


def _overlap(index: Int64, counts: Int64) -> Float64:
    """(k, k) Jaccard overlap of clusters, rows counted; zero on the diagonal."""
    member = _members(index)
    both = (member * counts[:, None]).T @ member
    sizes = np.diag(both)
    w: Float64 = both / (sizes[:, None] + sizes[None, :] - both)
    np.fill_diagonal(w, 0)
    return w


_SIMILAR: dict[str, Any] = {"cts": cts, "srs": srs, "asrs": asrs}
