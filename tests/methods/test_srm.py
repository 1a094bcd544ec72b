"""The fast solver against the dense system of the paper, step by step."""

import numpy as np
import pytest
import torch
from scipy import sparse

from streamaffect.methods import srm
from streamaffect.methods.laplacian import consecutive, laplacian
from streamaffect.methods.srm import Aligned, Problem, System, kernel
from streamaffect.methods.tca import unit

ETA, RHO, LAMBDA = 0.1, 1.0, 0.4


def rows(n=60, m=40, width=8, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n + m) % 3
    z = unit(rng.normal(size=(n + m, width)) + 1.2 * rng.normal(size=(3, width))[y] + 0.5 * (np.arange(n + m) >= n)[:, None])
    return z, y[:n], y[n:]


def dense_laplacian(z, p):
    """Eq. 23 and 24 by loops."""
    cosine = z @ z.T
    near = [set(np.argsort(-row)[:p]) for row in cosine]
    W = np.array([[max(0, c) if j in near[i] or i in near[j] else 0 for j, c in enumerate(r)] for i, r in enumerate(cosine)])
    root = 1 / np.sqrt(W.sum(axis=1))
    return np.eye(len(z)) - root[:, None] * W * root


def dense_scores(K, L, A, y, classes, labels, mu, boost=1.0, marginal=None):
    """Eq. 27, M by loops over pairs as eq. 21 and 22 are written."""
    N, n, C = len(K), len(classes), y.shape[1]
    m = N - n
    source = np.full(n, 1 / n) if marginal is None else marginal
    e = np.concatenate([source, np.full(m, -1 / m)])
    M = (1 - mu) * boost * np.outer(e, e)
    for c in range(C):
        if not ((classes == c).any() and (labels == c).any()):
            continue
        e = np.zeros(N)
        e[:n][classes == c] = 1 / (classes == c).sum()
        e[n:][labels == c] = -1 / (labels == c).sum()
        M += mu * np.outer(e, e)
    M /= np.linalg.norm(M)
    beta = np.linalg.solve((np.diag(A) + LAMBDA * M + RHO * L) @ K + ETA * np.eye(N), A[:, None] * y)
    return K @ beta, beta


def problem(z, classes, weight=None, marginal=None, boost=1.0):
    n, N = len(classes), len(z)
    y = np.zeros((N, 3))
    y[np.arange(n), classes] = 1
    weight = np.concatenate([np.ones(n), np.zeros(N - n)]) if weight is None else weight
    marginal = np.full(n, 1 / n) if marginal is None else marginal
    return Problem(weight=weight, y=y, classes=classes, marginal=marginal, strength=LAMBDA, boost=boost)


def aligned(z, p, dtype=torch.float64):
    similarity = torch.from_numpy(z @ z.T).to(dtype)
    L = laplacian(similarity, 5)
    K = kernel(similarity, 0.5)
    return Aligned(System(K, (sparse.diags(p.weight) + RHO * L).tocsr(), ETA), p)


def test_laplacian_is_the_papers():
    z, *_ = rows()
    L = laplacian(torch.from_numpy(z @ z.T), 5)
    np.testing.assert_allclose(L.toarray(), dense_laplacian(z, 5), atol=1e-12)
    assert np.linalg.eigvalsh(L.toarray()).min() > -1e-10


def test_neighbours_in_time_are_tied_within_a_trial():
    pairs = consecutive(np.array([1, 1, 1, 2, 2, 1]), offset=10)
    np.testing.assert_array_equal(pairs, [[10, 11], [11, 12], [13, 14]])
    assert len(consecutive(None)) == 0
    z, *_ = rows()
    plain, tied = (laplacian(torch.from_numpy(z @ z.T), 3, edges) for edges in (None, (pairs, 2.0)))
    assert abs(tied[10, 11]) > abs(plain[10, 11])
    np.testing.assert_allclose((tied - tied.T).toarray(), 0, atol=1e-15)


@pytest.mark.parametrize("boost", [1.0, 3.0])
@pytest.mark.parametrize("mu", [0.0, 0.4, 1.0])
def test_scores_and_beta_are_those_of_the_dense_system(mu, boost):
    z, classes, truth = rows()
    fast = aligned(z, problem(z, classes, boost=boost))
    K, L = np.exp(z @ z.T - 1), dense_laplacian(z, 5)
    A = np.concatenate([np.ones(len(classes)), np.zeros(len(truth))])
    labels = np.random.default_rng(0).integers(0, 3, len(truth))
    for _ in range(3):
        f, beta = dense_scores(K, L, A, fast.problem.y, classes, labels, mu, boost)
        np.testing.assert_allclose(fast.scores(labels, mu), f, atol=1e-8)
        np.testing.assert_allclose(fast.beta(), beta, atol=1e-8)
        labels = f[len(classes) :].argmax(axis=1)


def test_weights_of_rows_and_of_the_marginal():
    z, classes, truth = rows()
    rng = np.random.default_rng(1)
    A = np.concatenate([0.5 + rng.random(len(classes)), np.where(rng.random(len(truth)) < 0.3, 0.7, 0)])
    marginal = rng.random(len(classes))
    p = problem(z, classes, A, marginal / marginal.sum())
    p.y[len(classes) :] = np.eye(3)[truth]
    expected, _ = dense_scores(
        np.exp(z @ z.T - 1), dense_laplacian(z, 5), A, p.y, classes, truth, 0.3, marginal=marginal / marginal.sum()
    )
    np.testing.assert_allclose(aligned(z, p).scores(truth, 0.3), expected, atol=1e-8)


def test_a_class_the_target_lacks_is_left_out():
    z, classes, truth = rows()
    labels = np.where(truth == 2, 0, truth)
    K, L = np.exp(z @ z.T - 1), dense_laplacian(z, 5)
    A = np.concatenate([np.ones(len(classes)), np.zeros(len(truth))])
    p = problem(z, classes)
    expected, _ = dense_scores(K, L, A, p.y, classes, labels, 0.6)
    np.testing.assert_allclose(aligned(z, p).scores(labels, 0.6), expected, atol=1e-8)


def test_float32_factor_and_kernel_give_the_same_labels(monkeypatch):
    monkeypatch.setattr(srm, "_DIRECT", 0)
    z, classes, truth = rows(300, 200)
    p = problem(z, classes)
    exact = aligned(z, p).scores(truth, 0.5)
    single = aligned(z, p, torch.float32).scores(truth, 0.5)
    np.testing.assert_allclose(single, exact, atol=2e-5)
    np.testing.assert_array_equal(single.argmax(axis=1), exact.argmax(axis=1))
    K, L = np.exp(z @ z.T - 1), dense_laplacian(z, 5)
    A = np.concatenate([np.ones(300), np.zeros(200)])
    np.testing.assert_allclose(exact, dense_scores(K, L, A, p.y, classes, truth, 0.5)[0], atol=1e-8)


def test_what_an_accelerator_does_gives_the_same(monkeypatch):
    z, classes, truth = rows()
    p = problem(z, classes)
    here = aligned(z, p)
    monkeypatch.setattr(srm, "_host", lambda device: False)
    for dtype, direct, tolerance in ((torch.float64, 1200, 1e-9), (torch.float64, 0, 1e-7), (torch.float32, 0, 1e-4)):
        monkeypatch.setattr(srm, "_DIRECT", direct)
        there = aligned(z, p, dtype)
        np.testing.assert_allclose(there.scores(truth, 0.4), here.scores(truth, 0.4), atol=tolerance)


def test_duplicates_and_rows_of_the_target_that_hang_together_alone():
    """A singular kernel, and a Laplacian with a component without labels: J is singular too."""
    z, classes, truth = rows(40, 30)
    lonely = unit(np.tile(-z[:1], (20, 1)) + 1e-3 * np.random.default_rng(0).normal(size=(20, z.shape[1])))
    z = np.concatenate([z[:40], z[:40], z[40:], lonely, lonely])
    classes = np.concatenate([classes, classes])
    labels = np.concatenate([truth, np.zeros(40, dtype=int)])
    p = problem(z, classes)
    L = laplacian(torch.from_numpy(z @ z.T), 5).toarray()
    A = np.concatenate([np.ones(80), np.zeros(len(labels))])
    expected, _ = dense_scores(np.exp(z @ z.T - 1), L, A, p.y, classes, labels, 0.5)
    np.testing.assert_allclose(aligned(z, p).scores(labels, 0.5), expected, atol=1e-7)


def test_no_alignment_is_the_laplacian_machine():
    z, classes, truth = rows()
    p = Problem(**{**{f: getattr(problem(z, classes), f) for f in ("weight", "y", "classes", "marginal")}, "strength": 0.0})
    K, L = np.exp(z @ z.T - 1), dense_laplacian(z, 5)
    A = p.weight
    expected = K @ np.linalg.solve((np.diag(A) + RHO * L) @ K + ETA * np.eye(len(K)), A[:, None] * p.y)
    fast = aligned(z, p)
    np.testing.assert_allclose(fast.scores(truth, 0.5), expected, atol=1e-8)
    np.testing.assert_allclose(K @ fast.beta(), expected, atol=1e-8)


def test_a_hopeless_system_says_so(monkeypatch):
    monkeypatch.setattr(srm, "_STEPS", 0)
    z, classes, _ = rows()
    with pytest.raises(ValueError, match="raise eta"):
        aligned(z, problem(z, classes))


def test_a_kernel_that_is_not_finite_says_so():
    with pytest.raises(ValueError, match="not finite"):
        System(torch.full((4, 4), np.nan, dtype=torch.float64), sparse.eye(4).tocsr(), ETA)
