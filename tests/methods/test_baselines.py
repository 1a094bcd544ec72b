"""The closed-form baselines: zscore, coral, tca."""

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from streamaffect import methods
from streamaffect.methods.coral import recolour
from streamaffect.methods.linear import Linear, logistic

NAMES = ["zscore", "coral", "tca", "tca-rbf"]
PARAMS = {"tca": {"components": 6}, "tca-rbf": {"components": 12, "kernel": "rbf", "support": 150}}


def made(name, **params):
    return methods.get(name.split("-")[0], **{**PARAMS.get(name, {}), **params})


@pytest.fixture(scope="module", params=NAMES)
def adapted(request, vector_source, lab):
    """(method, model of the source, adapted model, the target's data)."""
    method = made(request.param)
    data = lab.only(lab.people(1, 1, 64, lab.shift), "vector")
    model = method.fit_source(vector_source, device="cpu")
    return method, model, method.adapt(model, vector_source, methods.UnlabelledSet(data["x"]), device="cpu"), data


def test_it_serves_a_shifted_person(adapted, lab):
    _, model, better, data = adapted
    assert lab.accuracy(model, data) < 0.8
    assert lab.accuracy(better, data) > 0.9


def test_model_is_saved_loaded_and_exported(adapted, tmp_path):
    method, _, model, data = adapted
    p, embedding = model.predict_proba(data["x"]), model.embed(data["x"])
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    model.save(tmp_path / "m.npz")
    np.testing.assert_array_equal(methods.load(tmp_path / "m.npz").predict_proba(data["x"]), p)
    if method.name == "coral":
        return  # the same kind of core as zscore's
    model.export_onnx(tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    for rows in (slice(0, 1), slice(0, 7)):
        told = session.run(None, {"vector": data["x"]["vector"][rows]})
        np.testing.assert_allclose(told[0], p[rows], atol=1e-5)
        np.testing.assert_allclose(told[1], embedding[rows], atol=1e-5)


def test_same_seed_same_model_and_the_old_one_is_left_as_it_was(adapted, vector_source):
    method, model, better, data = adapted
    before = model.predict_proba(data["x"])
    again = method.adapt(model, vector_source, methods.UnlabelledSet(data["x"]), device="cpu")
    np.testing.assert_array_equal(again.predict_proba(data["x"]), better.predict_proba(data["x"]))
    np.testing.assert_array_equal(model.predict_proba(data["x"]), before)


def test_an_anchor_keeps_a_share_of_the_incumbent_s_logits(lab, vector_source):
    taught, target = lab.only(lab.people(2, 4, 40), "vector"), lab.only(lab.people(1, 1, 64, lab.shift), "vector")
    told = {"normalise": None, "self_training": True}
    model = methods.get("zscore", **told).fit_source(methods.LabelledSet(**taught), device="cpu")

    def logits(anchor):
        adapted = methods.get("zscore", **told, anchor=anchor).adapt(
            model, vector_source, methods.UnlabelledSet(target["x"]), device="cpu"
        )
        return np.log(adapted.predict_proba(target["x"]).astype(np.float64))

    def odds(anchor):
        found = logits(anchor)
        return found[:, 1] - found[:, 0]

    incumbent = np.diff(np.log(model.predict_proba(target["x"]).astype(np.float64))[:, :2])[:, 0]
    np.testing.assert_allclose(odds(1.0), incumbent, atol=1e-3)
    assert np.abs(odds(0.0) - incumbent).max() > 0.1
    assert np.abs(odds(0.5) - incumbent).mean() < np.abs(odds(0.0) - incumbent).mean()
    with pytest.raises(ValueError, match=r"anchor must lie in \[0, 1\]"):
        methods.get("zscore", anchor=1.5)


def test_it_adapts_again_from_what_it_adapted(adapted, vector_source):
    method, _, better, data = adapted
    again = method.adapt(better, vector_source, methods.UnlabelledSet(data["x"]), device="cpu")
    agree = again.predict_proba(data["x"]).argmax(axis=1) == better.predict_proba(data["x"]).argmax(axis=1)
    assert agree.mean() > 0.95


def test_a_missing_view_is_survived(adapted):
    _, _, model, data = adapted
    x = data["x"]["vector"].copy()
    x[:3] = np.nan
    p = model.predict_proba({"vector": x})
    assert np.isfinite(p).all()
    np.testing.assert_array_equal(p[3:], model.predict_proba(data["x"])[3:])


def test_signals_are_refused(source):
    for name in NAMES:
        with pytest.raises(ValueError, match=r"reads vector views \(k,\), not the signal 'a.wave'"):
            made(name).fit_source(source, device="cpu")


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("zscore", {"C": 0}, "C must be positive"),
        ("coral", {"ridge": -1}, "ridge must be positive"),
        ("coral", {"recentre": "yes"}, "recentre must be False or True"),
        ("tca", {"kernel": "poly"}, "kernel must be 'linear' or 'rbf'"),
        ("tca", {"components": 0}, "components must be an integer from 1"),
        ("tca", {"depth": 3}, "has no parameter 'depth'"),
    ],
)
def test_parameters_are_checked(name, params, message):
    with pytest.raises(ValueError, match=message):
        methods.get(name, **params)


def rows(seed, n, k=5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, k)) @ rng.normal(size=(k, k)) + rng.normal(size=k)


def test_recoloured_source_has_the_moments_of_the_target():
    source, target = rows(0, 300), rows(1, 80)
    moved = recolour(source, target, ridge=1e-9)
    np.testing.assert_allclose(moved.mean(axis=0), target.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(np.cov(moved.T), np.cov(target.T), atol=1e-3)


def test_recolouring_is_the_papers_algorithm():
    from scipy.linalg import fractional_matrix_power as power

    source, target = rows(2, 100), rows(3, 60)
    source, target = source - source.mean(axis=0), target - target.mean(axis=0)
    whitened = source @ power(np.cov(source.T) + np.eye(5), -0.5)
    np.testing.assert_allclose(
        recolour(source, target, ridge=1.0), whitened @ power(np.cov(target.T) + np.eye(5), 0.5), atol=1e-4
    )


def test_recolouring_agrees_with_skada(skada):
    source, target = rows(4, 200), rows(5, 150)
    adapter = skada.CORALAdapter(reg=0.0)
    domain = np.r_[np.ones(200), -np.ones(150)].astype(int)
    moved = adapter.fit_transform(np.concatenate([source, target]), sample_domain=domain)[:200]
    factor = 1 + 1 / 199  # scikit-learn's covariances divide by n, on both sides
    np.testing.assert_allclose(
        recolour(source, target, ridge=1e-9) - target.mean(axis=0), moved * np.sqrt(150 / 149 / factor), rtol=1e-3, atol=1e-3
    )


def test_weights_of_the_source_count_as_copies():
    source, target = rows(6, 40), rows(7, 50)
    weight = np.where(np.arange(40) < 20, 1.0, 3.0)
    copies = recolour(np.repeat(source, weight.astype(int), axis=0), target, ridge=0.5)
    moved = recolour(source, target, ridge=0.5, weight=weight)
    np.testing.assert_allclose(moved, copies[np.cumsum(weight).astype(int) - 1], rtol=0.1, atol=0.1)


def test_logistic_regression_is_scikit_learns():
    rng = np.random.default_rng(0)
    for classes in (2, 3):
        y = rng.choice(classes, 200, p=[0.7, 0.3] if classes == 2 else [0.6, 0.3, 0.1])
        x = rng.normal(size=(200, 4)) + y[:, None]
        W, b = logistic(x, np.eye(classes)[y], C=0.5)
        theirs = LogisticRegression(C=0.5, class_weight="balanced", max_iter=1000).fit(x, y).predict_proba(x)
        np.testing.assert_allclose(torch.softmax(torch.as_tensor(x @ W + b), 1), theirs, atol=1e-4)


def test_logistic_regression_learns_distributions_and_knows_what_is_absent():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    x = np.concatenate([x, -x])  # classes are balanced: weights for that change nothing
    y = np.stack([1 / (1 + np.exp(-2 * x[:, 0])), np.zeros(400), 1 / (1 + np.exp(2 * x[:, 0]))], axis=1)
    W, b = logistic(x, y, C=100.0)
    p = torch.softmax(torch.as_tensor(x @ W + b), 1).numpy()
    np.testing.assert_allclose(p, y, atol=0.02)
    double, single = logistic(np.r_[x, x], np.r_[y, y], C=1.0), logistic(x, y, C=1.0, weight=np.full(400, 2.0))
    np.testing.assert_allclose(double[0], single[0], atol=1e-3)


def test_proportions_of_the_target_keep_coral_from_moving_the_classes(lab):
    """A target of one fifth class 0, its classes where the source's are: nothing should move."""
    rng = np.random.default_rng(0)
    y = np.arange(400) % 2
    x = rng.normal(size=(400, 4)) + np.outer(2 * y - 1, [1.5, 0, 0, 0])
    keep = np.r_[np.flatnonzero(y == 0)[:50], np.flatnonzero(y == 1)]
    source = methods.LabelledSet({"x": x}, y, np.arange(400) // 40)
    target = methods.UnlabelledSet({"x": x[keep]})
    right = {}
    for prior in ("source", "estimate", np.array([0.2, 0.8])):
        method = methods.get("coral", normalise=None, prior=prior)
        model = method.adapt(method.fit_source(source, device="cpu"), source, target, device="cpu")
        right[str(prior)] = lab.accuracy(model, {"x": {"x": x}, "y": y})
    assert right["[0.2 0.8]"] >= right["estimate"] - 0.01
    assert right["estimate"] > right["source"] + 0.01


def test_views_are_joined_and_a_linear_core_is_rebuilt():
    core = Linear([2, 3], 4, components=2, unit=True)
    core.map.normal_(generator=torch.Generator().manual_seed(0))
    views = [torch.ones(1, 2), torch.ones(1, 3)]
    whole = core(views, torch.ones(1, 2))[0]
    masked = core(views, torch.tensor([[1.0, 0.0]]))[0]
    torch.testing.assert_close(whole, core.map.sum(0)[None] / 5**0.5)
    torch.testing.assert_close(masked, core.map[:2].sum(0)[None] / 2**0.5)
    twin = Linear(**core.spec())
    twin.load_state_dict(core.state_dict())
    torch.testing.assert_close(twin(views, torch.ones(1, 2)), core(views, torch.ones(1, 2)))
