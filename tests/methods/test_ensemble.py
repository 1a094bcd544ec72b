"""Several networks as one: from weights of their own, averaged, adapted together."""

import numpy as np
import pytest
import torch

from streamaffect import methods
from streamaffect.methods.ensemble import Ensemble
from streamaffect.methods.holdout import held_out

VIEW = "vector"


@pytest.fixture(scope="module")
def model(vector_source):
    return methods.get("dynamic", members=3, epochs=10, lr=3e-3, normalise=None).fit_source(vector_source, seed=2, device="cpu")


def alone(model, i):
    """The ``i``-th network as a model of its own."""
    return model.adapted(model.method, model.params, model.core.members[i], model.scaling)


def test_answer_is_the_members_mean_and_distance_their_mean_distance(model, vector_source):
    x = {VIEW: vector_source.x[VIEW][:50]}
    parts = [alone(model, i) for i in range(3)]
    logits = np.mean([np.log(part.predict_proba(x)) for part in parts], axis=0)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(model.predict_proba(x), odds / odds.sum(axis=1, keepdims=True), atol=1e-5)
    squares = [np.square(z[:, None] - z).sum(-1) for z in (part.embed(x) for part in parts)]
    z = model.embed(x)
    assert z.shape == (50, 3 * 64)
    np.testing.assert_allclose(np.square(z[:, None] - z).sum(-1), np.mean(squares, axis=0), rtol=1e-3, atol=1e-3)


def test_members_differ_and_the_seed_decides_all(model, vector_source):
    x = {VIEW: vector_source.x[VIEW]}
    first, second, third = (alone(model, i).predict_proba(x) for i in range(3))
    assert np.abs(first - second).max() > 0.01
    assert np.abs(second - third).max() > 0.01
    method = methods.get("dynamic", **model.params)
    again, other = (method.fit_source(vector_source, seed=s, device="cpu").predict_proba(x) for s in (2, 5))
    assert np.array_equal(again, model.predict_proba(x))
    assert not np.array_equal(other, model.predict_proba(x))


def test_no_member_learns_from_the_people_that_the_guard_judges_by(vector_source):
    method = methods.get("dynamic", members=3, epochs=1, normalise=None)  # of one epoch, which no loss could choose another of
    guards = held_out(vector_source, method.holdout, 2)

    def fit_where_labels_are_wrong_of(people):
        y = np.where(np.isin(vector_source.subject, people), 1 - vector_source.y, vector_source.y)
        source = methods.LabelledSet(vector_source.x, y, vector_source.subject, vector_source.trial)
        return method.fit_source(source, seed=2, device="cpu").predict_proba(vector_source.x)

    right = fit_where_labels_are_wrong_of([])
    assert guards.size
    assert np.array_equal(fit_where_labels_are_wrong_of(guards), right)
    taught = np.setdiff1d(vector_source.subject, guards)[:1]
    assert not np.array_equal(fit_where_labels_are_wrong_of(taught), right)


def test_one_member_is_a_network(vector_source):
    fitted = methods.get("dynamic", members=1, epochs=1, normalise=None).fit_source(vector_source, device="cpu")
    assert fitted.core.kind == "network"
    with pytest.raises(ValueError, match="members must be an integer from 1 on, got 0"):
        methods.get("dynamic", members=0)


def test_all_members_adapt_to_a_stranger(lab, model, vector_source):
    shifted = lab.only(lab.people(11, 1, 256, lab.shift), VIEW)
    seen = methods.UnlabelledSet({VIEW: shifted["x"][VIEW][:64]})
    unseen = {"x": {VIEW: shifted["x"][VIEW][64:]}, "y": shifted["y"][64:]}
    method = methods.get("dynamic", adapt_epochs=30, adapt_lr=1e-3, normalise=None, kernel="multi")
    adapted = method.adapt(model, vector_source, seen, device="cpu")
    assert isinstance(adapted.core, Ensemble)
    assert lab.accuracy(adapted, unseen) > lab.accuracy(model, unseen)
    for before, after in zip(model.core.members, adapted.core.members, strict=True):
        assert not torch.equal(before.classify[0].weight, after.classify[0].weight)


def test_progress_rises_through_all_members(vector_source):
    told = []
    method = methods.get("dynamic", members=3, epochs=4, normalise=None)
    method.fit_source(vector_source, device="cpu", progress=lambda fraction, terms: told.append(fraction))
    assert told == sorted(told)
    assert told[-1] == 1
    assert sum(0 < fraction <= 1 / 3 for fraction in told) >= 3


@pytest.mark.parametrize("name", ["dan", "dann"])
def test_the_baselines_go_on_from_it(lab, model, vector_source, name):
    shifted = lab.only(lab.people(11, 1, 256, lab.shift), VIEW)
    seen = methods.UnlabelledSet({VIEW: shifted["x"][VIEW][:64]})
    adapted = methods.get(name, normalise=None, adapt_epochs=30, adapt_lr=1e-3).adapt(model, vector_source, seen, device="cpu")
    assert isinstance(adapted.core, Ensemble)
    assert lab.accuracy(adapted, shifted) > lab.accuracy(model, shifted)
