import numpy as np
import ot
import pytest
import torch

from streamaffect.methods import transport


def problems(seed, *batch, rows=6, columns=4):
    """Costs (..., rows, columns) and marginals of mass 1, double precision."""
    rng = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.rand(*batch, *shape, generator=rng, dtype=torch.float64)

    a, b = draw(rows) + 0.1, draw(columns) + 0.1
    return 2 * draw(rows, columns), a / a.sum(-1, keepdim=True), b / b.sum(-1, keepdim=True)


@pytest.mark.parametrize("eps", [0.5, 0.1, 0.02])
def test_plans_are_those_of_pot_each_problem_of_the_batch(eps):
    cost, a, b = problems(0, 5)
    T = transport.plan(cost, a, b, eps, 20000, tolerance=1e-12)
    for one, row, column, mass in zip(cost, a, b, T, strict=True):
        problem = row.numpy(), column.numpy(), one.numpy()
        expected = ot.sinkhorn(*problem, eps, method="sinkhorn_log", numItermax=20000, stopThr=1e-12)
        np.testing.assert_allclose(mass.numpy(), expected, atol=1e-9)


def test_tiny_eps_gives_the_unregularised_value_where_a_plain_kernel_underflows():
    cost, a, b = problems(1, 3)
    eps = 1e-3
    assert float(torch.exp(-cost / eps).min()) == 0
    T = transport.plan(cost, a, b, eps, 20000, tolerance=1e-9)
    assert transport.mass_error(T, a, b) < 1e-8
    for one, row, column, mass in zip(cost, a, b, T, strict=True):
        assert float((mass * one).sum()) == pytest.approx(ot.emd2(row.numpy(), column.numpy(), one.numpy()), abs=1e-5)
    single = transport.plan(cost.float(), a.float(), b.float(), eps, 500)
    assert torch.isfinite(single).all()
    assert float((single.sum(-2) - b).abs().max()) < 1e-4


@pytest.mark.parametrize(("eps", "iterations"), [(0.5, 3), (0.1, 20), (0.05, 20), (0.01, 20)])
def test_scalings_take_the_steps_of_the_logarithms(eps, iterations):
    cost, a, b = problems(10, 5)
    a[0, 2] = b[1, 3] = 0
    a, b = a / a.sum(-1, keepdim=True), b / b.sum(-1, keepdim=True)
    for tolerance in (None, 1e-2):
        expected = transport.plan(cost, a, b, eps, iterations, tolerance)
        torch.testing.assert_close(transport.plan(cost, a, b, eps, iterations, tolerance, largest=2.0), expected)
    hardest = torch.tensor([[0.0, 2, 2], [2, 2, 0], [2, 2, 0]])  # two rows want the column that one of them can have
    even = torch.full((3,), 1 / 3)
    single = transport.plan(hardest, even, even, eps, iterations, largest=2.0)
    torch.testing.assert_close(single, transport.plan(hardest, even, even, eps, iterations), atol=1e-5, rtol=1e-4)


def test_mass_is_kept_and_the_error_falls_with_the_iterations():
    cost, a, b = problems(2, 4)
    errors = [transport.mass_error(transport.plan(cost, a, b, 0.5, n), a, b) for n in (2, 5, 10, 30)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-9 < errors[0]
    stopped = transport.plan(cost, a, b, 0.1, 10_000, tolerance=1e-6)
    assert transport.mass_error(stopped, a, b) <= 1e-6


def test_order_of_the_points_does_not_matter():
    cost, a, b = problems(3)
    rows, columns = torch.randperm(6), torch.randperm(4)
    T = transport.plan(cost, a, b, 0.1, 50)
    turned = transport.plan(cost[rows][:, columns], a[rows], b[columns], 0.1, 50)
    torch.testing.assert_close(turned, T[rows][:, columns])


def test_points_without_mass_take_no_part():
    cost, a, b = problems(4)
    a, b = torch.where(torch.arange(6) == 2, 0, a), torch.where(torch.arange(4) == 1, 0, b)
    a, b = a / a.sum(), b / b.sum()
    T = transport.plan(cost, a, b, 0.1, 300)
    rest = transport.plan(cost[a > 0][:, b > 0], a[a > 0], b[b > 0], 0.1, 300)
    torch.testing.assert_close(T[a > 0][:, b > 0], rest)
    assert float(T[2].abs().max()) == float(T[:, 1].abs().max()) == 0
    other = torch.where((a > 0)[:, None] & (b > 0)[None], cost, 7.0)
    assert torch.equal(transport.plan(other, a, b, 0.1, 300), T)


def test_gradient_of_the_plan_with_massless_points_too():
    cost, a, b = problems(5, 2, rows=3, columns=4)
    a[0, 2] = b[1, 3] = 0
    a, b = a / a.sum(-1, keepdim=True), b / b.sum(-1, keepdim=True)
    cost.requires_grad_()
    assert torch.autograd.gradcheck(lambda c: transport.plan(c, a, b, 0.3, 20), (cost,))
    # at the optimum the value's gradient is the plan itself (envelope theorem)
    u, v = transport.potentials(cost, a, b, 0.3, 2000)
    dual = 0.3 * ((a * u)[a > 0].sum() + (b * v)[b > 0].sum())
    (slope,) = torch.autograd.grad(dual, cost)
    torch.testing.assert_close(slope, transport.plan(cost, a, b, 0.3, 2000).detach(), atol=1e-8, rtol=1e-6)


def test_cosine_cost_lies_between_0_and_2():
    x, y = torch.randn(5, 8), torch.randn(3, 8)
    expected = np.array([[1 - np.dot(p, q) / np.linalg.norm(p) / np.linalg.norm(q) for q in y.numpy()] for p in x.numpy()])
    np.testing.assert_allclose(transport.cosine_cost(x, y).numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(transport.cosine_cost(x, torch.stack([x[0], -x[0]]))[0].numpy(), [0, 2], atol=1e-6)


def test_divergence_is_that_of_pots_values():
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(12, 3)), rng.normal(size=(9, 3)) + 1
    a, b = rng.dirichlet(np.ones(12)), rng.dirichlet(np.ones(9))
    scale = ot.dist(x, y).mean()

    def value(p, q, mass, other):
        cost = ot.dist(p, q) / scale
        T = ot.sinkhorn(mass, other, cost, 0.1, method="sinkhorn_log", numItermax=5000, stopThr=1e-12)
        return (T * cost).sum() + 0.1 * (T * np.log(T / np.outer(mass, other))).sum()

    expected = value(x, y, a, b) - (value(x, x, a, a) + value(y, y, b, b)) / 2
    tensors = [torch.as_tensor(array) for array in (x, y, a, b)]
    assert float(transport.divergence(*tensors, iterations=2000)) == pytest.approx(expected, abs=1e-6)
    assert float(transport.divergence(tensors[0], tensors[0], tensors[2], tensors[2])) == pytest.approx(0, abs=1e-6)


def test_divergence_draws_points_towards_the_others():
    rng = torch.Generator().manual_seed(9)
    x, y = torch.randn(20, 2, generator=rng), torch.randn(20, 2, generator=rng) + 4
    even = torch.full((20,), 1 / 20)
    before = float(transport.divergence(x, y, even, even))
    leaf = x.clone().requires_grad_()
    transport.divergence(leaf, y, even, even).backward()
    assert (leaf.grad.mean(0) < 0).all()
    step = 1e-3
    slope = float(leaf.grad.square().sum())
    # the scale of the costs is held fixed in the gradient, so only its direction is compared with the value
    assert float(transport.divergence(x - step * leaf.grad / slope, y, even, even)) < before


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([0.5, 0.5], [0.5, 0.6], "same positive mass"),
        ([0.0, 0.0], [0.0, 0.0], "same positive mass"),
        ([1.5, -0.5], [0.5, 0.5], "not negative"),
        ([float("nan"), 0.5], [0.5, 0.5], "finite"),
    ],
)
def test_masses_that_do_not_balance_are_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        transport.plan(torch.rand(2, 2), torch.tensor(a), torch.tensor(b))
    with pytest.raises(ValueError, match=message):
        transport.divergence(torch.rand(2, 3), torch.rand(2, 3), torch.tensor(a), torch.tensor(b))
