"""MBAL against the paper's Lemma 1 and Theorem 1; the losses against numpy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from streamaffect.methods import balance as mbal

# The cube of what is smaller is no number any more for the norm that we compare with.
losses = st.lists(st.just(0.0) | st.floats(1e-60, 1e6), min_size=1, max_size=6).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)
norms = st.sampled_from([1.0, 1.5, 2.0, 3.0, math.inf])
rates = st.sampled_from([0.5, 1.0, 4.0])


def conjugate(p: float) -> float:
    return math.inf if p == 1 else 1.0 if math.isinf(p) else p / (p - 1)


@given(losses, norms)
def test_lemma_1_norm_weights_have_unit_conjugate_norm(a, p):
    psi = mbal.weights(a, "norm", p)
    assert float(torch.linalg.vector_norm(psi, conjugate(p))) == pytest.approx(1, rel=1e-9)


@given(losses, rates)
def test_lemma_1_log_exp_weights_sum_to_one_over_all_modalities(a, t):
    assert float(mbal.weights(a, "logexp", t).sum()) == pytest.approx(1, rel=1e-9)


@given(losses, norms)
def test_theorem_1_weighted_sum_is_the_norm(a, p):
    h = mbal.value(a, "norm", p)
    assert float(h) == pytest.approx(float(torch.linalg.vector_norm(a, p)), rel=1e-9, abs=1e-300)
    assert float((mbal.weights(a, "norm", p) * a).sum()) == pytest.approx(float(h), rel=1e-9, abs=1e-300)


@given(losses, rates)
def test_theorem_1_weighted_sum_is_below_log_exp(a, t):
    h = float(mbal.value(a, "logexp", t))
    assert float((mbal.weights(a, "logexp", t) * a).sum()) <= h * (1 + 1e-12)
    assert float(a.max()) <= h * (1 + 1e-12) <= float(a.max()) + math.log(len(a)) / t + 1e-6 * (1 + h)


@given(losses, st.sampled_from([("norm", 2.0), ("norm", 3.0), ("norm", math.inf), ("logexp", 1.0), ("logexp", math.inf)]))
def test_larger_losses_never_weigh_less(a, surrogate):
    psi = mbal.weights(a, *surrogate)
    assert (psi[a.argsort()].diff() >= -1e-15).all()
    assert (psi >= 0).all()


@given(losses)
def test_one_norm_is_the_unbalanced_sum(a):
    assert mbal.weights(a, "norm", 1.0).tolist() == [1.0] * len(a)
    assert float(mbal.value(a, "norm", 1.0)) == pytest.approx(float(a.sum()), rel=1e-12)


@given(losses, st.sampled_from([("norm", 1.5), ("norm", 2.0), ("norm", 3.0), ("logexp", 0.5), ("logexp", 2.0)]))
def test_gradient_is_that_of_the_function_by_differences(a, surrogate):
    assume(float(a.max()) > 1e-3)
    a = (a / a.max()).requires_grad_()
    mbal.balance(a, *surrogate).backward()
    step = 1e-5
    with torch.no_grad():
        numeric = [
            (mbal.value(a + step * e, *surrogate) - mbal.value(a - step * e, *surrogate)) / (2 * step)
            for e in torch.eye(len(a), dtype=a.dtype)
            if float(a @ e) > 10 * step
        ]
        exact = [g for g, x in zip(a.grad, a, strict=True) if x > 10 * step]
    assert np.allclose(numeric, exact, atol=1e-4)


@pytest.mark.parametrize("surrogate", [("norm", 1.0), ("norm", 2.0), ("norm", 3.0), ("norm", math.inf), ("logexp", 1.0)])
def test_gradient_is_finite_at_zero(surrogate):
    a = torch.zeros(4, requires_grad=True)
    h = mbal.balance(a, *surrogate)
    h.backward()
    assert torch.isfinite(a.grad).all()
    assert float(h.detach()) == (pytest.approx(math.log(4)) if surrogate[0] == "logexp" else 0.0)
    assert len(set(a.grad.tolist())) == 1


def test_ties_at_the_largest_share_the_weight():
    assert mbal.weights(torch.tensor([2.0, 5.0, 5.0]), "norm", math.inf).tolist() == [0, 0.5, 0.5]
    assert mbal.weights(torch.tensor([2.0, 5.0, 5.0]), "logexp", math.inf).tolist() == [0, 0.5, 0.5]


@pytest.mark.parametrize("surrogate", [("norm", 3.0), ("logexp", 1.0)])
def test_nothing_overflows_in_float32(surrogate):
    a = torch.tensor([1e30, 2e30, 0.0], requires_grad=True)
    h = mbal.balance(a, *surrogate)
    h.backward()
    assert 2e30 <= float(h.detach()) < 3e30
    assert torch.isfinite(a.grad).all()


def test_two_norm_by_hand():
    a = torch.tensor([3.0, 4.0], requires_grad=True)
    h = mbal.balance(a, "norm", 2.0)
    h.backward()
    assert float(h.detach()) == pytest.approx(5)
    assert a.grad.tolist() == pytest.approx([0.6, 0.8])


def test_covariance_is_numpys_and_weights_count_rows():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(12, 5))
    code = torch.from_numpy(z)
    assert np.allclose(mbal.covariance(code, torch.ones(12)), np.cov(z.T))
    weight = rng.uniform(0.1, 3, size=12)
    assert np.allclose(mbal.covariance(code, torch.from_numpy(weight)), np.cov(z.T, aweights=weight))
    kept = torch.from_numpy((np.arange(12) < 9).astype(float))
    assert np.allclose(mbal.covariance(code, kept), np.cov(z[:9].T))


def test_correlation_alignment_is_zero_for_one_cloud_anywhere():
    z = torch.from_numpy(np.random.default_rng(1).normal(size=(30, 4)))
    one = torch.ones(30)
    assert float(mbal.correlation_alignment(z, z + 7, one, one)) == pytest.approx(0, abs=1e-20)
    expected = np.square(np.cov(2 * z.numpy().T) - np.cov(z.numpy().T)).sum()
    assert float(mbal.correlation_alignment(z, 2 * z, one, one)) == pytest.approx(expected)


def test_bottleneck_is_the_gaussian_entropy_and_survives_dead_units():
    z = torch.from_numpy(np.random.default_rng(2).normal(size=(50, 3)))
    expected = 0.5 * np.log(z.numpy().var(axis=0, ddof=1)).sum()
    assert float(mbal.bottleneck(z, torch.ones(50))) == pytest.approx(expected, abs=1e-3)
    dead = torch.zeros(50, 3, requires_grad=True)
    term = mbal.bottleneck(dead, torch.ones(50))
    term.backward()
    assert math.isfinite(float(term.detach()))
    assert torch.isfinite(dead.grad).all()


def test_a_row_alone_has_no_spread():
    code = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    weight = torch.tensor([0.0, 1, 0, 0, 0, 0])
    assert float(mbal.covariance(code, weight).abs().max()) < 1e-6
    assert float(mbal.covariance(code, torch.zeros(6)).abs().max()) == 0


def test_label_alignment_is_least_at_the_wanted_proportions():
    q = torch.tensor([0.7, 0.2, 0.1])
    logits = torch.zeros(3, requires_grad=True)
    for _ in range(400):
        loss = mbal.label_alignment(torch.softmax(logits, 0), q)
        (gradient,) = torch.autograd.grad(loss, logits)
        logits = (logits - gradient).detach().requires_grad_()
    assert torch.softmax(logits, 0).tolist() == pytest.approx(q.tolist(), abs=1e-3)
    assert math.isfinite(float(mbal.label_alignment(torch.tensor([1.0, 0, 0]), q)))


def test_mean_prediction_has_the_running_value_and_the_batch_gradient():
    running = mbal.MeanPrediction(0.9)
    running(torch.tensor([[0.2, 0.8]]))
    probabilities = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    mean = running(probabilities)
    assert mean.tolist() == pytest.approx([0.9 * 0.2 + 0.1 * 0.5, 0.9 * 0.8 + 0.1 * 0.5])
    mean[0].backward()
    assert probabilities.grad.tolist() == [[0.5, 0], [0.5, 0]]
    alone = mbal.MeanPrediction(0.0)
    alone(torch.tensor([[0.2, 0.8]]))
    assert alone(probabilities).tolist() == pytest.approx([0.5, 0.5])
