import numpy as np
import pytest
import torch

from streamaffect.methods.kernels import cmmd, discrepancies, gram, known, lmmd, mmd, quadratic

RNG = np.random.default_rng(0)
N, M, C, D = 14, 9, 3, 5
ROWS = RNG.normal(size=(N + M, D))
Y = RNG.integers(0, C, N)
SOFT = np.exp(3 * RNG.normal(size=(M, C)))
SOFT /= SOFT.sum(axis=1, keepdims=True)


def kernel_by_loops(name, sigma=10.0):
    d2 = np.array([[((a - b) ** 2).sum() for b in ROWS] for a in ROWS])
    off = d2[~np.eye(len(ROWS), dtype=bool)]
    if name == "gaussian":
        return np.exp(-d2 / (2 * sigma**2))
    if name == "median":
        return np.exp(-d2 / np.sort(off)[(len(off) - 1) // 2])
    return np.mean([np.exp(-d2 / (off.mean() * 2.0**e)) for e in range(-2, 3)], axis=0)


def rows(requires_grad=False):
    return torch.tensor(ROWS, requires_grad=requires_grad)


@pytest.mark.parametrize("name", ["gaussian", "median", "multi"])
def test_gram_matrix_is_that_of_loops(name):
    np.testing.assert_allclose(gram(rows(), name), kernel_by_loops(name), atol=1e-12)


def test_mmd_is_that_of_loops():
    K = kernel_by_loops("multi")
    s, t = range(N), range(N, N + M)
    expected = (
        np.mean([K[i, j] for i in s for j in s])
        + np.mean([K[i, j] for i in t for j in t])
        - 2 * np.mean([K[i, j] for i in s for j in t])
    )
    got = mmd(gram(rows(), "multi"), torch.full((N,), 1 / N, dtype=torch.double), torch.full((M,), 1 / M, dtype=torch.double))
    assert got.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("tau", [0.0, 0.6, 0.9])
def test_lmmd_is_that_of_loops(tau):
    K = kernel_by_loops("gaussian", sigma=2.0)
    confident = [j for j in range(M) if SOFT[j].max() >= tau]
    terms = []
    for c in range(C):
        a = np.array([1.0 if y == c else 0.0 for y in Y])
        b = np.array([SOFT[j, c] if j in confident else 0.0 for j in range(M)])
        if a.sum() == 0 or not any(SOFT[j].argmax() == c for j in confident):
            continue
        a, b = a / a.sum(), b / b.sum()
        terms.append(
            sum(a[i] * a[j] * K[i, j] for i in range(N) for j in range(N))
            + sum(b[i] * b[j] * K[N + i, N + j] for i in range(M) for j in range(M))
            - 2 * sum(a[i] * b[j] * K[i, N + j] for i in range(N) for j in range(M))
        )
    assert terms
    got = lmmd(gram(rows(), sigma=2.0), torch.eye(C).double()[torch.as_tensor(Y)], torch.tensor(SOFT), tau)
    assert got.item() == pytest.approx(np.mean(terms), abs=1e-12)


def test_class_without_confident_target_is_dropped_not_the_batch():
    sure = np.tile([0.97, 0.02, 0.01], (M, 1))
    labels = torch.eye(C).double()[torch.as_tensor(Y)]
    K = gram(rows(), sigma=2.0)
    got = lmmd(K, labels, torch.tensor(sure), 0.9)
    weights = torch.tensor((Y == 0) / (Y == 0).sum())
    assert got.item() == pytest.approx(mmd(K, weights, torch.full((M,), 1 / M, dtype=torch.double)).item(), abs=1e-12)


def test_nothing_confident_is_a_zero_with_a_gradient():
    x = rows(requires_grad=True)
    loss = lmmd(gram(x), torch.eye(C).double()[torch.as_tensor(Y)], torch.full((M, C), 1 / C).double(), 0.9)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_no_gradient_flows_through_pseudo_labels():
    logits = torch.zeros(M, C, dtype=torch.double, requires_grad=True)
    x = rows(requires_grad=True)
    lmmd(gram(x, sigma=2.0), torch.eye(C).double()[torch.as_tensor(Y)], torch.softmax(logits, 1), 0.0).backward()
    assert logits.grad is None
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("name", ["gaussian", "median", "multi"])
def test_identical_rows_give_a_finite_gradient(name):
    x = torch.ones(6, 3, requires_grad=True)
    mmd(gram(x, name), torch.full((3,), 1 / 3), torch.full((3,), 1 / 3)).backward()
    assert torch.isfinite(x.grad).all()


def plain_gram(x, name, sigma=2.0):
    """By autograd, the bandwidth a constant."""
    d2 = (x[:, None] - x[None]).square().sum(2)
    if name == "gaussian":
        return torch.exp(-d2 / (2 * sigma**2))
    off = d2.detach()[~torch.eye(len(x), dtype=torch.bool)]
    if name == "median":
        return torch.exp(-d2 / off.median())
    return torch.stack([torch.exp(-d2 / (off.mean() * 2.0**e)) for e in range(-2, 3)]).mean(0)


@pytest.mark.parametrize("name", ["gaussian", "median", "multi"])
def test_gradient_of_the_gram_matrix_is_that_of_autograd(name):
    x, weight = rows(requires_grad=True), torch.tensor(RNG.normal(size=(N + M, N + M)))  # not symmetric
    ours, theirs = (torch.autograd.grad((weight * make(x, name, 2.0)).sum(), x)[0] for make in (gram, plain_gram))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_gradient_of_the_gram_matrix_is_numerical():
    assert torch.autograd.gradcheck(lambda x: gram(x, "gaussian", 2.0), rows(requires_grad=True))


@pytest.mark.parametrize("name", ["gaussian", "median", "multi"])
def test_discrepancies_and_their_gradient_are_those_of_the_gram_matrix(name):
    x, V, scale = rows(requires_grad=True), torch.tensor(RNG.normal(size=(N + M, 4))), torch.tensor([1.0, 0.5, 0.0, 2.0])
    expected = quadratic(plain_gram(x, name), V)
    squares, gradient = discrepancies(x, V, scale.double(), name, 2.0)
    torch.testing.assert_close(squares, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad((scale * expected).sum(), x)[0], rtol=1e-10, atol=1e-12)


def test_known_gradients_go_on_to_what_made_the_tensors():
    x = rows(requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: known((x**3).sum().detach(), (2 * x, (1.5 * x**2).detach())), x)


@pytest.mark.parametrize("ridge", [1e-3, 1.0])
def test_cmmd_is_equation_20_by_inverses(ridge):
    y, pseudo = np.eye(C)[np.arange(N) % C], np.eye(C)[np.arange(M) % C]
    pseudo[2] = 0  # a window that is not confident
    K = kernel_by_loops("multi")
    s, t = slice(N), slice(N, None)
    inverse_s, inverse_t = np.linalg.inv(y @ y.T + ridge * np.eye(N)), np.linalg.inv(pseudo @ pseudo.T + ridge * np.eye(M))
    expected = (
        np.trace(y @ y.T @ inverse_s @ K[s, s] @ inverse_s)
        + np.trace(pseudo @ pseudo.T @ inverse_t @ K[t, t] @ inverse_t)
        - 2 * np.trace(pseudo @ y.T @ inverse_s @ K[s, t] @ inverse_t)
    )
    got = C * cmmd(gram(rows(), "multi"), torch.tensor(y), torch.tensor(pseudo), ridge)
    assert got.item() == pytest.approx(expected, abs=1e-11)


def test_cmmd_leaves_out_classes_that_one_side_lacks():
    K = gram(rows(), sigma=2.0)
    y, pseudo = torch.eye(C).double()[torch.arange(N) % C], torch.eye(C).double()[torch.zeros(M, dtype=torch.long)]
    of_first = mmd(K, y[:, 0] / (y[:, 0].sum() + 1e-3), pseudo[:, 0] / (M + 1e-3))
    assert cmmd(K, y, pseudo).item() == pytest.approx(of_first.item(), abs=1e-12)


def test_cmmd_of_nothing_confident_is_a_zero_with_a_gradient():
    x = rows(requires_grad=True)
    loss = cmmd(gram(x), torch.eye(C).double()[torch.as_tensor(Y)], torch.zeros(M, C).double())
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(x.grad, torch.zeros_like(x))
