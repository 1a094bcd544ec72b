import numpy as np
import pytest
import torch

from streamaffect import methods
from streamaffect.methods.dan import DAN
from streamaffect.methods.kernels import gram, mmd
from streamaffect.methods.marginals import shares

QUICK = {"epochs": 40, "lr": 3e-3, "normalise": None}


@pytest.fixture(scope="module")
def fitted(vector_source):
    return DAN(**QUICK).fit_source(vector_source, device="cpu")


@pytest.fixture(scope="module")
def stranger(lab):
    return lab.only(lab.people(1, 1, 64, lab.shift), "vector")


def apart(model, source, target):
    rows = torch.from_numpy(np.concatenate([model.embed(source.x), model.embed(target.x)]))
    n, m = len(source), len(target)
    return mmd(gram(rows, "multi"), torch.full((n,), 1 / n), torch.full((m,), 1 / m)).item()


def test_embeddings_come_together_and_the_hidden_class_is_found(fitted, vector_source, stranger, lab):
    target = methods.UnlabelledSet(stranger["x"])
    adapted, unaligned = (
        DAN(**QUICK, adapt_epochs=30, gamma=gamma).adapt(fitted, vector_source, target, device="cpu") for gamma in (1.0, 0.0)
    )
    assert apart(adapted, vector_source, target) < 0.5 * apart(unaligned, vector_source, target)
    assert lab.accuracy(adapted, stranger) >= lab.accuracy(fitted, stranger) + 0.05


def test_shares_follow_the_class_ratio():
    torch.testing.assert_close(shares(torch.eye(2)[[0, 0, 1]], torch.tensor([0.5, 2.0])), torch.tensor([1, 1, 4]) / 6)


def test_a_known_prior_keeps_the_proportions_apart(fitted, vector_source, lab):
    """One window in five is of class 1: aligned as if balanced, the others are pulled over; with the prior they are not."""
    data = lab.only(lab.people(2, 1, 80), "vector")
    keep = np.concatenate([np.flatnonzero(data["y"] == 0), np.flatnonzero(data["y"] == 1)[:10]])
    x, y = data["x"]["vector"][keep], data["y"][keep]
    x[:, :3] *= 0.6  # less sure than the source
    before = lab.accuracy(fitted, {"x": {"vector": x}, "y": y})
    after = {}
    for name, prior in (("source", "source"), ("known", np.array([0.8, 0.2]))):
        method = DAN(**QUICK, adapt_epochs=30, adapt_lr=3e-3, gamma=3.0, slack=9.0, prior=prior)
        adapted = method.adapt(fitted, vector_source, methods.UnlabelledSet({"vector": x}), device="cpu")
        after[name] = lab.accuracy(adapted, {"x": {"vector": x}, "y": y})
    assert after["source"] <= before - 0.1
    assert after["known"] >= before - 0.04


def test_parameters_are_checked():
    with pytest.raises(ValueError, match="gamma"):
        methods.get("dan", gamma=-1.0)
    with pytest.raises(ValueError, match="adapt_lr"):
        methods.get("dan", adapt_lr=0.0)
