"""Transfer components, the geodesic flow kernel and A-distances against their definitions."""

import numpy as np
import pytest
from scipy import linalg
from scipy.integrate import quad_vec

from streamaffect.methods.adistance import Distances, svm
from streamaffect.methods.geodesic import geodesic_kernel, geodesic_root
from streamaffect.methods.manifold import Settings, learn
from streamaffect.methods.tca import leading, pca, rbf, tca_linear, tca_rbf, unit


def domains(n=40, m=30, width=12, seed=0):
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(width, width))
    return unit(rng.normal(size=(n, width)) @ mix), unit(rng.normal(size=(m, width)) @ mix + 0.5)


def definition(K, n, d, ridge, weights=None):
    """Pan et al., eq. 5: the largest generalised eigenpairs of K H K over K M K + ridge I, by dense matrices alone."""
    N = len(K)
    m = N - n
    e = np.concatenate([np.full(n, 1 / n) if weights is None else weights / weights.sum(), np.full(m, -1 / m)])
    M = np.outer(e, e) / (1 / n + 1 / m)
    H = np.eye(N) - 1 / N
    values, vectors = linalg.eig(K @ H @ K, K @ M @ K + ridge * np.eye(N))
    best = np.argsort(-values.real)[:d]
    chosen = vectors[:, best].real
    return chosen / np.linalg.norm(chosen, axis=0), values.real[best]


def same_up_to_sign(a, b):
    return np.abs(np.abs((a * b).sum(axis=0)) - 1).max()


@pytest.mark.parametrize("weighted", [False, True])
def test_rbf_tca_is_its_definition(weighted):
    source, target = domains()
    weights = np.random.default_rng(3).random(len(source)) if weighted else None
    rows = np.concatenate([source, target])
    expected, _ = definition(rbf(rows, rows, 0.7), len(source), 8, 0.3, weights)
    found = tca_rbf(source, target, 8, gamma=0.7, ridge=0.3, weights=weights)
    assert same_up_to_sign(found.coefficients, expected) < 1e-9
    np.testing.assert_allclose(found(target), rbf(target, rows, 0.7) @ found.coefficients, atol=1e-12)


def test_linear_tca_is_its_definition():
    source, target = domains()
    X = np.concatenate([source, target])
    n, N = len(source), len(X)
    e = np.concatenate([np.full(n, 1 / n), np.full(N - n, -1 / (N - n))])
    M, H = np.outer(e, e) / (e @ e), np.eye(N) - 1 / N
    values, vectors = linalg.eig(X.T @ H @ X, X.T @ M @ X + 0.5 * np.eye(X.shape[1]))
    best = vectors[:, np.argsort(-values.real)[:6]].real
    assert same_up_to_sign(tca_linear(source, target, 6, ridge=0.5), best / np.linalg.norm(best, axis=0)) < 1e-10


def test_block_lanczos_finds_what_a_full_decomposition_finds():
    source, target = domains(350, 350, 30)
    K = rbf(np.concatenate([source, target]), np.concatenate([source, target]), 0.5)
    values, vectors = np.linalg.eigh(K)
    found = leading(lambda v: K @ v, len(K), 40)
    assert same_up_to_sign(found, vectors[:, :-41:-1]) < 1e-9
    np.testing.assert_allclose(found.T @ found, np.eye(40), atol=1e-9)
    assert values[-1] > 0


def test_tca_brings_the_means_together():
    source, target = domains()
    moved = np.linalg.norm(source.mean(0) - target.mean(0))
    W = tca_linear(source, target, 3, ridge=1e-3)
    assert np.linalg.norm((source @ W).mean(0) - (target @ W).mean(0)) < 0.1 * moved


def bases(D, k, seed):
    rng = np.random.default_rng(seed)
    return [np.linalg.qr(rng.normal(size=(D, k)))[0] for _ in range(2)]


def integral(a, b):
    """int_0^1 Psi(t) Psi(t)' dt along the geodesic through the exponential map of the Grassmannian, no closed form."""
    tangent = b @ np.linalg.inv(a.T @ b) - a
    u, s, vt = np.linalg.svd(tangent, full_matrices=False)
    theta = np.arctan(s)

    def outer(t):
        psi = a @ vt.T * np.cos(t * theta) + u * np.sin(t * theta)
        return psi @ psi.T

    return quad_vec(outer, 0, 1, epsabs=1e-12)[0]


@pytest.mark.parametrize(("D", "k"), [(8, 3), (8, 4), (9, 6), (5, 1)])
def test_geodesic_kernel_is_the_integral_along_the_geodesic(D, k):
    a, b = bases(D, k, D + k)
    np.testing.assert_allclose(geodesic_kernel(a, b), integral(a, b), atol=1e-9)


def test_geodesic_root_squares_to_the_kernel():
    for D, k in ((10, 4), (10, 8), (6, 6)):
        a, b = bases(D, k, k)
        root = geodesic_root(a, b)
        np.testing.assert_allclose(root @ root, geodesic_kernel(a, b), atol=1e-12)
        assert np.linalg.eigvalsh(root).min() > -1e-12


def test_geodesic_kernel_of_one_subspace_is_its_projection():
    a, _ = bases(7, 3, 0)
    turned = a @ np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    np.testing.assert_allclose(geodesic_kernel(a, turned), a @ a.T, atol=1e-9)


def test_geodesic_kernel_of_orthogonal_subspaces():
    a, b = np.eye(6)[:, :2], np.eye(6)[:, 2:4]
    G = geodesic_kernel(a, b)
    np.testing.assert_allclose(np.diag(G)[:4], 0.5, atol=1e-12)
    assert np.isfinite(G).all()


def test_bases_must_conform():
    with pytest.raises(ValueError, match="bases"):
        geodesic_kernel(np.eye(4)[:, :2], np.eye(4)[:, :3])


def test_maps_answer_for_rows_they_have_not_seen():
    source, target = domains(60, 50)
    for settings in (Settings(d=8), Settings(kernel="rbf", d=8), Settings(reduction="pca", d=20), Settings(reduction="none")):
        maps = learn(source, target, settings)
        z = maps(target)
        np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, atol=1e-12)
        np.testing.assert_allclose(maps(5 * target[:3]), z[:3], atol=1e-9)


def test_pca_orders_by_variance():
    source, _ = domains()
    spread = (source @ pca(source, 4)).var(axis=0)
    assert (np.diff(spread) <= 0).all()


def test_svm_is_that_of_scikit_learn():
    from sklearn.svm import LinearSVC

    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 7))
    sign = np.where(x[:, 0] + 0.8 * rng.normal(size=160) > 0.3, 1.0, -1.0)
    w = svm(x, sign)
    peer = LinearSVC(dual=False, tol=1e-10, max_iter=10_000).fit(x, sign)
    np.testing.assert_allclose(w, np.append(peer.coef_[0], peer.intercept_), atol=1e-5)
    np.testing.assert_allclose(svm(x, sign, start=rng.normal(size=8)), w, atol=1e-6)


def svc_distance(a, b):
    from sklearn.svm import LinearSVC

    rows, sign = np.concatenate([a, b]), np.repeat([1, -1], [len(a), len(b)])
    wrong = (LinearSVC(dual=False, tol=1e-10, max_iter=10_000).fit(rows, sign).predict(rows) != sign).mean()
    return np.clip(2 * (1 - 2 * wrong), 0, 2)


def test_mu_is_that_of_scikit_learns_svms():
    source, target = domains(80, 60)
    classes, labels = np.arange(80) % 3, np.arange(60) % 3
    d_a = svc_distance(source, target)
    d_c = np.array([svc_distance(source[classes == c], target[labels == c]) for c in range(3)])
    distances = Distances(source, target, classes, 3)
    np.testing.assert_allclose(distances.conditional(labels), d_c, atol=1e-12)
    assert distances.mu(labels, "paper") == pytest.approx(d_c.sum() / (d_a + d_c.sum()))
    assert distances.mu(labels, "meda") == pytest.approx(d_c.mean() / (d_a + d_c.mean()))


def test_mu_of_a_changed_label_is_as_computed_anew():
    source, target = domains(80, 60)
    classes, labels = np.arange(80) % 3, np.arange(60) % 3
    kept = Distances(source, target, classes, 3)
    kept.mu(labels)
    changed = labels.copy()
    changed[:10] = 2
    assert kept.mu(changed) == pytest.approx(Distances(source, target, classes, 3).mu(changed), abs=1e-12)


def test_cross_validated_distance_of_equal_domains_is_small():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 40))
    twin = rng.normal(size=(60, 40))
    classes = np.zeros(60, dtype=int)
    trained = Distances(x, twin, classes, 2, "training").marginal
    assert Distances(x, twin, classes, 2, "cross-validated").marginal < 0.5 < trained


def test_an_empty_class_has_no_distance():
    source, target = domains()
    distances = Distances(source, target, np.arange(40) % 2, 2)
    assert distances.conditional(np.zeros(30, dtype=int))[1] == 0
    same = Distances(source, source, np.arange(40) % 2, 2)
    assert same.mu(np.arange(40) % 2) == 0.5
