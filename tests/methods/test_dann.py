import pytest
import torch
from torch.autograd.gradcheck import GradcheckError

from streamaffect import methods
from streamaffect.methods.dann import DANN
from streamaffect.methods.marginals import reverse

QUICK = {"epochs": 40, "lr": 3e-3, "normalise": None}


@pytest.fixture(scope="module")
def fitted(vector_source):
    return DANN(**QUICK).fit_source(vector_source, device="cpu")


@pytest.fixture(scope="module")
def stranger(lab):
    return lab.only(lab.people(1, 1, 64, lab.shift), "vector")


def told(method, model, source, target):
    terms = []
    adapted = method.adapt(model, source, target, device="cpu", progress=lambda _, t: terms.append(dict(t)))
    return adapted, [t for t in terms if "reversal" in t]


def test_reversal_turns_the_gradient_round():
    x = torch.randn(4, 3, dtype=torch.double, requires_grad=True)
    weight = torch.randn(4, 3, dtype=torch.double)
    assert torch.equal(reverse(x, 0.3), x)
    (gradient,) = torch.autograd.grad((weight * reverse(x, 0.3)).sum(), x)
    torch.testing.assert_close(gradient, -0.3 * weight)


def test_two_reversals_are_the_identity_numerically():
    x = torch.randn(4, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: reverse(reverse(x, 0.25), 4.0).sin(), x)
    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(lambda x: reverse(x, 1.0).sin(), x)


def test_discriminator_learns_what_the_embedding_then_unlearns(fitted, vector_source, stranger, lab):
    target = methods.UnlabelledSet(stranger["x"])
    _, still = told(DANN(**QUICK, adapt_epochs=60, judge_lr=1e-2, adapt_lr=1e-6), fitted, vector_source, target)
    adapted, terms = told(DANN(**QUICK, adapt_epochs=60), fitted, vector_source, target)
    strength = [t["reversal"] for t in terms]
    assert strength[0] == 0
    assert strength == sorted(strength)
    assert strength[-1] == pytest.approx(1, abs=1e-3)
    told_apart = [sum(t["domain_accuracy"] for t in run[-10:]) / 10 for run in (still, terms)]
    assert told_apart[0] > 0.9
    assert told_apart[1] < 0.75
    assert lab.accuracy(adapted, stranger) >= lab.accuracy(fitted, stranger) + 0.05


def test_without_reversal_the_embedding_stays(fitted, vector_source, stranger):
    """``gamma=0``: the target enters nowhere."""
    target = methods.UnlabelledSet(stranger["x"])
    other = methods.UnlabelledSet({"vector": -target.x["vector"]})
    one, two = (told(DANN(**QUICK, adapt_epochs=3, gamma=0.0), fitted, vector_source, t)[0] for t in (target, other))
    torch.testing.assert_close(*(torch.from_numpy(m.embed(target.x)) for m in (one, two)), rtol=1e-4, atol=1e-5)


def test_same_seed_same_model(fitted, vector_source, stranger):
    target = methods.UnlabelledSet(stranger["x"])
    first, again, other = (
        DANN(**QUICK, adapt_epochs=3).adapt(fitted, vector_source, target, seed=s, device="cpu").embed(target.x)
        for s in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_parameters_are_checked():
    with pytest.raises(ValueError, match="discriminator"):
        methods.get("dann", discriminator=0)
    with pytest.raises(ValueError, match="judge_lr"):
        methods.get("dann", judge_lr=0.0)
