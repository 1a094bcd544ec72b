"""Link-based ensembles against loops over every pair of rows, as LinkCluE writes them."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from streamaffect.methods import linkclue

DECAY = 0.8


def relabelled(partitions):
    out, total = np.empty_like(partitions), 0
    for t, column in enumerate(partitions.T):
        names = sorted(set(column))
        out[:, t] = [names.index(v) + total for v in column]
        total += len(names)
    return out, total


def overlaps(E, k):
    w = np.zeros((k, k))
    for i in range(k):
        for j in range(k):
            a, b = (i == E).any(axis=1), (j == E).any(axis=1)
            if i != j:
                w[i, j] = (a & b).sum() / (a | b).sum()
    return w


def loop_cts(partitions):
    E, k = relabelled(partitions)
    n, T = E.shape
    w, wct = overlaps(E, k), np.zeros((k, k))
    for t in range(T):
        for i in sorted(set(E[:, t])):
            for j in sorted(set(E[:, t])):
                if i != j:
                    wct[i, j] = sum(min(w[i, c], w[j, c]) for c in range(k))
    wct /= wct.max() if wct.max() > 0 else 1
    S = np.zeros((n, n))
    for a in range(n):
        for b in range(n):
            S[a, b] = sum(1 if E[a, t] == E[b, t] else DECAY * wct[E[a, t], E[b, t]] for t in range(T)) / T
    return S


def loop_srs(partitions, steps=5):
    E, k = relabelled(partitions)
    n, T = E.shape
    S, C = np.eye(n), np.eye(k)
    inside = [np.flatnonzero((c == E).any(axis=1)) for c in range(k)]
    for _ in range(steps - 1):
        S1, C1 = np.eye(n), np.eye(k)
        for a in range(n):
            for b in range(n):
                if a != b:
                    S1[a, b] = DECAY / T**2 * sum(C[i, j] for i in E[a] for j in E[b])
        for i in range(k):
            for j in range(k):
                if i != j:
                    total = sum(S[a, b] for a in inside[i] for b in inside[j])
                    C1[i, j] = DECAY / (len(inside[i]) * len(inside[j])) * total
        S, C = S1, C1
    return S


def loop_asrs(partitions):
    E, k = relabelled(partitions)
    n, T = E.shape
    w, near = overlaps(E, k), np.zeros((k, k))
    for i in range(k):
        for j in range(k):
            size = (w[i] > 0).sum() * (w[j] > 0).sum()
            if i != j and size:
                near[i, j] = sum(w[i] * w[j]) / size
    near /= near.max() if near.max() > 0 else 1
    np.fill_diagonal(near, 1)
    S = np.eye(n)
    for a in range(n):
        for b in range(n):
            if a != b:
                pairs = [near[i, j] for i in E[a] for j in E[b]]
                S[a, b] = sum(1 if v == 1 else DECAY * v for v in pairs) / T**2
    return S


LOOPS = {"cts": loop_cts, "srs": loop_srs, "asrs": loop_asrs}


def iterations(seed=0, m=36, T=6, classes=3):
    """Labels that settle, as those of the iterations do: most rows keep theirs, some flip."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, classes, m)
    out = [np.where(rng.random(m) < 0.3 / (t + 1), rng.integers(0, classes, m), first) for t in range(T)]
    return np.stack(out, axis=1)


@pytest.mark.parametrize("name", linkclue.SIMILARITIES)
@pytest.mark.parametrize("seed", range(3))
def test_similarity_on_patterns_is_that_of_loops_over_rows(name, seed):
    partitions = iterations(seed)
    patterns, inverse, counts = np.unique(partitions, axis=0, return_inverse=True, return_counts=True)
    found = linkclue._SIMILAR[name](patterns, counts)[np.ix_(inverse, inverse)]
    expected = LOOPS[name](partitions)
    off = ~np.eye(len(expected), dtype=bool)
    np.testing.assert_allclose(found[off], expected[off], atol=1e-12)


def as_sets(labels):
    return {frozenset(np.flatnonzero(labels == v)) for v in np.unique(labels)}


@pytest.mark.parametrize("method", linkclue.LINKAGES)
@pytest.mark.parametrize("seed", range(4))
def test_linkage_with_counts_is_linkage_of_all_rows(method, seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 6, 9)
    S = rng.random((9, 9))
    S = (S + S.T) / 2
    np.fill_diagonal(S, 1)
    rows = np.repeat(np.arange(9), counts)
    distance = 1 - S[np.ix_(rows, rows)]
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method)
    for wanted in (2, 3, 5):
        assert as_sets(linkclue.cluster(S, counts, wanted, method)[rows]) == as_sets(fcluster(tree, wanted, "maxclust"))


@pytest.mark.parametrize("how", ["cts-average", "cts-single", "cts-complete", "srs-average", "asrs-complete", "vote", "last"])
def test_partitions_that_agree_are_their_own_consensus(how):
    labels = np.random.default_rng(0).integers(0, 3, 50)
    np.testing.assert_array_equal(linkclue.consensus(np.stack([labels] * 10, axis=1), 3, how), labels)


def test_names_of_classes_survive():
    """A consensus that mapped clusters to classes in an order of its own would fail here."""
    partitions = iterations(5, m=90, T=10)
    labels = linkclue.consensus(partitions, 3, "cts-average")
    assert (labels == linkclue.consensus(partitions, 3, "vote")).mean() > 0.9
    turned = linkclue.consensus((partitions + 1) % 3, 3, "cts-average")
    assert (turned == (labels + 1) % 3).mean() > 0.95


def test_vote_takes_the_majority_and_the_last_of_equals():
    partitions = np.array([[0, 0, 1], [2, 1, 1], [0, 1, 2], [1, 2, 2]])
    np.testing.assert_array_equal(linkclue.consensus(partitions, 3, "vote"), [0, 1, 2, 2])


def test_one_giant_cluster_leaves_the_vote():
    """Single linkage on CTS cuts off the two rows that always said 1 and joins all others, 20 of class 1 by vote."""
    partitions = np.array([[0] * 6] * 30 + [[0, 0, 1, 1, 1, 1]] * 20 + [[0, 1, 0, 1, 0, 1]] + [[1, 1, 1, 1, 1, 1]] * 2)
    patterns, inverse, counts = np.unique(partitions, axis=0, return_inverse=True, return_counts=True)
    clusters = linkclue.cluster(linkclue.cts(patterns, counts), counts, 2, "single")[inverse.ravel()]
    assert sorted(np.bincount(clusters)) == [2, 51]
    voted = linkclue.consensus(partitions, 2, "vote")
    np.testing.assert_array_equal(linkclue.consensus(partitions, 2, "cts-single"), voted)
    assert (voted == 1).sum() >= 22


def test_one_class_everywhere_stays_so():
    np.testing.assert_array_equal(linkclue.consensus(np.ones((8, 4), dtype=int), 3, "cts-average"), np.ones(8))
