import numpy as np
import pytest
import torch

from streamaffect.methods.similarity import self_inferred, supervised, thresholds

FLOOR = 1e-5


def problem(halved, n=12):
    rng = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(n, 3, dtype=torch.double, generator=rng)
    rows = logits if halved else torch.softmax(logits, 1)
    return rows.requires_grad_(), torch.randint(3, (n,), generator=rng)


def by_pairs(rows, halved, verdict):
    """The mean over i != j for which ``verdict(i, j, S)`` is not None, pair by pair."""
    losses = []
    for i in range(len(rows)):
        for j in range(len(rows)):
            S = torch.dot(rows[i], rows[j]) / (rows[i].norm() * rows[j].norm())
            S = (S + 1) / 2 if halved else S
            alike = None if i == j else verdict(i, j, float(S.detach()))
            if alike is not None:
                losses.append(-torch.log(FLOOR + (1 - 2 * FLOOR) * (S if alike else 1 - S)))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("halved", [False, True])
def test_supervised_is_that_of_pairs_with_its_gradient(halved):
    rows, labels = problem(halved)
    expected = by_pairs(rows, halved, lambda i, j, _: bool(labels[i] == labels[j]))
    cost, gradient = supervised(rows, labels, halved=halved)
    assert cost.item() == pytest.approx(expected.item(), abs=1e-12)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, rows)[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize(("upper", "lower"), [(0.9, 0.5), (0.7, 0.7)])
def test_self_inferred_is_that_of_confident_pairs_with_its_gradient(halved, upper, lower):
    rows, _ = problem(halved)
    picked = []

    def verdict(i, j, s):
        picked.append(s >= upper or s < lower)
        return s >= upper if picked[-1] else None

    expected = by_pairs(rows, halved, verdict)
    cost, gradient = self_inferred(rows, upper, lower, halved=halved)
    assert any(picked)
    assert all(picked) == (upper == lower)
    assert cost.item() == pytest.approx(expected.item(), abs=1e-12)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, rows)[0], rtol=1e-9, atol=1e-12)


def test_no_confident_pair_costs_nothing():
    rows = torch.softmax(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), 1)  # cosine 0.65
    cost, gradient = self_inferred(rows, 0.9, 0.5)
    assert cost.item() == 0
    assert not gradient.any()


def test_a_single_row_has_no_pair():
    cost, gradient = supervised(torch.tensor([[0.3, 0.7]]), torch.tensor([0]))
    assert cost.item() == 0
    assert not gradient.any()


def test_certain_answers_that_are_wrong_have_finite_cost_and_gradient():
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    cost, gradient = supervised(rows, torch.tensor([0, 1, 1]))
    assert cost.item() == pytest.approx(-np.log(FLOOR) * 4 / 6, rel=1e-3)
    assert torch.isfinite(gradient).all()


def test_thresholds_close_linearly_on_the_middle():
    assert thresholds(0) == (0.9, 0.5)
    assert thresholds(0.5) == pytest.approx((0.8, 0.6))
    assert thresholds(1) == pytest.approx((0.7, 0.7))
