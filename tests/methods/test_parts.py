"""Calibration, priors, hold-out, scaling."""

import numpy as np
import pytest

from streamaffect import methods
from streamaffect.methods.holdout import split
from streamaffect.methods.priors import check_prior, expectation_maximisation
from streamaffect.methods.scaling import Scaling, consistency, standardised
from streamaffect.methods.training import find_device


def softmax(logits):
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def drawn(seed, n, temperature):
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n, 3))
    y = (softmax(logits / temperature).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return logits, y


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_is_found_again(temperature):
    logits, y = drawn(0, 20_000, temperature)
    assert methods.fit_temperature(softmax(logits), y) == pytest.approx(temperature, rel=0.06)


def test_temperature_minimises_the_loss_and_stays_in_bounds():
    logits, y = drawn(1, 300, 2.0)
    p = softmax(logits)

    def nll(t):
        return -np.log(softmax(np.log(p) / t)[np.arange(len(y)), y]).mean()

    best = methods.fit_temperature(p, y)
    assert nll(best) <= min(nll(best * 1.05), nll(best / 1.05))
    assert methods.fit_temperature(np.eye(3)[y], y) == pytest.approx(0.1)
    assert methods.fit_temperature(np.eye(3)[y], (y + 1) % 3) == pytest.approx(10)
    assert methods.fit_temperature(p, np.eye(3)[y]) == pytest.approx(best)


@pytest.mark.parametrize(
    ("p", "y"), [(np.ones(3), [0]), (np.full((2, 2), 0.5), [0, 2]), (np.full((2, 2), np.nan), [0, 1]), (np.eye(2), [0])]
)
def test_temperature_refuses_what_does_not_fit(p, y):
    with pytest.raises(ValueError, match="must be"):
        methods.fit_temperature(p, y)


def mixture(seed, n, share):
    """Class, and the exact posterior under even proportions, of two unit Gaussians 3 apart."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    z = rng.normal(size=n) + 3 * y - 1.5
    positive = 1 / (1 + np.exp(-3 * z))
    return y, np.stack([1 - positive, positive], axis=1)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.85])
def test_proportions_are_recovered_from_posteriors(share):
    _, p = mixture(1, 4000, share)
    assert expectation_maximisation(p, [0.5, 0.5])[1] == pytest.approx(share, abs=0.02)


def test_uninformative_posteriors_leave_the_proportions_alone():
    flat = np.tile([0.3, 0.7], (50, 1))
    np.testing.assert_allclose(expectation_maximisation(flat, [0.3, 0.7]), [0.3, 0.7], atol=1e-6)


def test_prior_of_another_length_is_refused():
    with pytest.raises(ValueError, match="3 shares that sum to 1"):
        check_prior([0.5, 0.5], 3)


def parts(lab, subjects, windows, **changes):
    source = methods.LabelledSet(**{**lab.people(0, subjects, windows), **changes})
    return source, *split(source, 0.2, seed=0)


def test_whole_subjects_are_held_out(lab):
    source, train, held = parts(lab, 10, 20)
    assert len(np.unique(source.subject[held])) == 2
    assert not set(source.subject[held]) & set(source.subject[train])
    assert np.array_equal(np.sort([*train, *held]), np.arange(200))


def test_of_one_subject_whole_trials_are_held_out(lab):
    source, train, held = parts(lab, 1, 40)
    assert len(held)
    assert not set(source.trial[held]) & set(source.trial[train])
    assert set(source.y[held]) == set(source.y[train]) == {0, 1}


def test_of_one_trial_a_class_nothing_is_held_out(lab):
    _, train, held = parts(lab, 1, 40, trial=np.arange(40) % 2)
    assert (len(train), len(held)) == (40, 0)


def test_subjects_of_one_class_each_are_held_out_by_trial(lab):
    data = lab.people(0, 2, 40)
    order = np.argsort(data["y"], kind="stable")
    source = methods.LabelledSet(data["x"], data["y"][order], np.repeat([0, 1], 40), np.tile(np.arange(40) // 10, 2))
    train, held = split(source, 0.2, seed=0)
    assert set(source.y[held]) == set(source.y[train]) == {0, 1}


def test_scaling_has_zero_mean_and_survives_constants():
    rng = np.random.default_rng(0)
    views = {
        "v": np.stack([rng.normal(5, 3, 100), np.full(100, 7.1)], axis=1).astype(np.float32),
        "s": rng.normal(100, 20, size=(100, 2, 50)).astype(np.float32),
    }
    scaled = Scaling.of(views).apply(views)
    np.testing.assert_allclose(scaled["v"].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled["v"].std(axis=0), [1, 0], atol=1e-5)
    np.testing.assert_allclose(scaled["s"].std(axis=(0, 2)), 1, atol=1e-4)


def test_persons_are_standardised_each_by_their_own(lab):
    data = lab.people(0, 3, 40)
    data["x"]["vector"] += 100 * data["subject"][:, None]
    source = methods.LabelledSet(**data)
    views = standardised(source, Scaling.of(source.x), "subject")
    for subject in range(3):
        np.testing.assert_allclose(views["vector"][source.subject == subject].mean(axis=0), 0, atol=1e-4)


def told_apart(rng, people=6):
    """Three features: the classes differ alike in everybody; they differ this way in one, that way in another; only people
    differ."""
    y = np.tile([0, 1], 30 * people)
    subject = np.repeat(np.arange(people), 60)
    turn = np.where(subject % 2, 1.0, -1.0) * np.where(subject % 3, 1.5, 0.5)
    x = np.stack([2.0 * y, 2.0 * y * turn, 3.0 * rng.normal(size=people)[subject]], axis=1) + rng.normal(size=(y.size, 3))
    return methods.LabelledSet({"v": x.astype(np.float32)}, y, subject)


def test_what_means_the_same_in_everybody_weighs_more():
    source = told_apart(np.random.default_rng(0))
    weight = consistency(source, 1.0)["v"]
    assert weight[0] > 3 * weight[1]
    assert weight[0] > 3 * weight[2]
    assert np.mean(weight**2) == pytest.approx(1, rel=1e-3)
    stronger = consistency(source, 2.0)["v"]
    np.testing.assert_allclose(stronger / stronger[0], (weight / weight[0]) ** 2, atol=0.01)
    scaled = Scaling.of(source.x).weighted({"v": weight}).apply(source.x)["v"]
    np.testing.assert_allclose(scaled.std(axis=0), weight, rtol=1e-3)
    signals = methods.LabelledSet({"s": np.zeros((8, 2, 5), np.float32)}, np.tile([0, 1], 4), np.repeat([0, 1], 4))
    assert consistency(signals, 1.0) == {}


def test_a_model_leans_on_it_and_adapts_by_it_and_is_saved_with_it(tmp_path):
    source = told_apart(np.random.default_rng(0))
    plain, weighted = (
        methods.get("zscore", normalise=None, C=0.01, consistency=power).fit_source(source, device="cpu") for power in (0, 2)
    )

    def share(model):  # of the answer that the features which tell people apart have
        effect = np.abs(model.core.weight.numpy()[:, 1] / model.scaling.scale["v"])
        return effect[1:].sum() / effect.sum()

    assert share(weighted) < 0.5 * share(plain)
    again = methods.get("zscore", normalise=None, C=0.01, consistency=2).adapt(
        weighted, source, methods.UnlabelledSet({"v": source.x["v"][:60]}), device="cpu"
    )
    np.testing.assert_allclose(again.predict_proba(source.x), weighted.predict_proba(source.x), atol=1e-5)
    again.save(tmp_path / "m.npz")
    np.testing.assert_array_equal(methods.load(tmp_path / "m.npz").predict_proba(source.x), again.predict_proba(source.x))


def test_consistency_is_for_views_that_are_normalised():
    with pytest.raises(ValueError, match="needs normalise=None"):
        methods.get("zscore", consistency=1)
    with pytest.raises(ValueError, match=r"consistency must lie in \[0, 4\]"):
        methods.get("zscore", normalise=None, consistency=-1)


@pytest.mark.parametrize("name", ["gpu", "meta", "mps", None])
def test_devices_that_methods_do_not_know_are_refused(name):
    with pytest.raises(ValueError, match=f"device {name!r} is unknown"):
        find_device(name)


@pytest.mark.parametrize("seed", [-1, 2**63, 0.5, None])
def test_seeds_out_of_range_are_refused(vector_source, seed):
    with pytest.raises(ValueError, match="seed must be an integer from 0 to"):
        methods.get("zscore").fit_source(vector_source, seed=seed, device="cpu")


@pytest.mark.parametrize("normalise", [None, "subject"])
@pytest.mark.parametrize("name", ["zscore", "coral", "tca", "m3d"])
def test_a_prior_has_to_fit_the_classes_and_the_source(vector_source, name, normalise):
    three = methods.LabelledSet(vector_source.x, np.arange(len(vector_source)) % 3, vector_source.subject, vector_source.trial)
    two, target = three.take(three.y < 2), methods.UnlabelledSet(three.take(three.y == 2).x)
    model = methods.get(name, normalise=normalise).fit_source(three, device="cpu")
    with pytest.raises(ValueError, match=r"prior \[0.0, 0.0, 1.0\] gives all to classes of which the source has no windows"):
        methods.get(name, normalise=normalise, prior=[0, 0, 1]).adapt(model, two, target, device="cpu")
    with pytest.raises(ValueError, match="3 shares that sum to 1"):
        methods.get(name, normalise=normalise, prior=[0.5, 0.5]).adapt(model, two, target, device="cpu")
