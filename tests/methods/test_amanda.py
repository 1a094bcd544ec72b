"""Amanda: its objective against a literal writing, its switches, encoders, missing views."""

import math
from types import MappingProxyType

import numpy as np
import onnxruntime
import pytest
import torch

from streamaffect import methods
from streamaffect.methods.amanda_alignment import _Objective, teach
from streamaffect.methods.amanda_network import AmandaNetwork
from streamaffect.methods.balance import correlation_alignment
from streamaffect.methods.jobs import Adaptation

QUICK = {"epochs": 6, "lr": 3e-3, "adapt_epochs": 2, "normalise": None}


def turned(angle: float, gain: float, seed: int, subjects: int, windows: int) -> dict:
    """Two views that tell two classes, rotated in the plane of their first features and stretched along the second."""
    rng = np.random.default_rng(seed)
    n = subjects * windows
    y = np.arange(n) % 2
    turn = np.eye(6)
    turn[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    x = {}
    for name in ("one", "two"):
        clean = rng.normal(size=(n, 6)) * [0.6, 2.5, 1, 1, 1, 1]
        clean[:, 0] += 2.2 * (2 * y - 1)
        x[name] = (clean @ turn.T * [1, gain, 1, 1, 1, 1]).astype(np.float32)
    return {"x": x, "y": y, "subject": np.repeat(np.arange(subjects), windows), "trial": np.arange(n) // 4}


@pytest.fixture(scope="module")
def pair() -> tuple[methods.LabelledSet, dict]:
    return methods.LabelledSet(**turned(0.0, 1.0, 0, 6, 40)), turned(0.8, 1.4, 1, 1, 80)


@pytest.fixture(scope="module")
def fitted(pair):
    return methods.get("amanda", epochs=20, lr=3e-3).fit_source(pair[0], device="cpu")


@pytest.fixture(scope="module")
def both(source):
    """A model of a vector and a signal."""
    return methods.get("amanda", **QUICK).fit_source(source, device="cpu")


def told(model, source, target, **params) -> list[dict[str, float]]:
    """The terms of every step of an adaptation."""
    log: list[dict[str, float]] = []
    methods.get("amanda", **params).adapt(
        model, source, target, device="cpu", progress=lambda _, terms: log.append(dict(terms))
    )
    return [terms for terms in log if "source_ce" in terms]


def job_of(model, source, target, prior="source") -> Adaptation:
    return Adaptation(
        x=model.scaling.apply(source.x), y=source.distribution(2), source=source, seed=0, device=torch.device("cpu"),
        progress=None, core=model.core, temperature=1.0, target=model.scaling.apply(target.x), trial=None, few=None,
        prior=prior, started=0.0, budget_s=None,
    )  # fmt: skip


def test_adaptation_undoes_a_rotation(pair, fitted, lab):
    source, person = pair
    unlabelled = methods.UnlabelledSet(person["x"])
    plain = methods.get("source").adapt(fitted, source, unlabelled, device="cpu")
    adapted = methods.get("amanda", adapt_epochs=20).adapt(fitted, source, unlabelled, device="cpu")
    unaligned = methods.get("amanda", adapt_epochs=20, alpha2=0.0).adapt(fitted, source, unlabelled, device="cpu")
    assert lab.accuracy(adapted, person) >= lab.accuracy(plain, person) + 0.04
    assert lab.accuracy(adapted, person) >= lab.accuracy(unaligned, person) + 0.04
    assert lab.accuracy(adapted, person) > 0.93


def test_objective_is_equation_10(pair, fitted):
    source, person = pair
    job = job_of(fitted, source, methods.UnlabelledSet(person["x"]))
    params = methods.get("amanda", gamma=0.01, alpha1=0.3, alpha2=0.2, p=3)
    objective = _Objective(job, params)
    core = fitted.core.eval()
    rows, target = objective.source.take(np.arange(0, 90)), objective.target
    loss, _ = objective.loss(core, rows, target, 0.0)

    with torch.no_grad():
        z_s = [encode(x).numpy() for encode, x in zip(core.encoders, rows.views, strict=True)]
        z_t = [encode(x).numpy() for encode, x in zip(core.encoders, target.views, strict=True)]
        z_s.append(np.concatenate(z_s, 1))
        z_t.append(np.concatenate(z_t, 1))
        answers = [torch.softmax(head(torch.from_numpy(z)), 1).numpy() for head, z in zip(core.heads, z_s, strict=True)]
        mean = torch.softmax(core.heads[-1](torch.from_numpy(z_t[-1])), 1).numpy().mean(axis=0)
    y = rows.y.numpy()
    bottleneck = sum(-np.log((p * y).sum(axis=1)).mean() for p in answers)
    bottleneck += 0.01 / 2 * sum(np.log(z.var(axis=0, ddof=1) + 1e-4).sum() for z in z_s)
    alignment = [np.square(np.cov(t.T) - np.cov(s.T)).sum() for s, t in zip(z_s, z_t, strict=True)]
    expected = bottleneck + 0.3 * -(0.5 * np.log(mean)).sum() + 0.2 * np.sum(np.power(alignment, 3)) ** (1 / 3)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)


def test_weights_of_the_modalities_are_told_at_every_step(pair, fitted):
    source, person = pair
    log = told(fitted, source, methods.UnlabelledSet(person["x"]), adapt_epochs=2, p=2)
    assert len(log) >= 2
    for terms in log:
        psi = np.array([terms[f"psi.{name}"] for name in ("one", "two", "union")])
        assert np.square(psi).sum() == pytest.approx(1, rel=1e-4)
        a = np.array([terms[f"ca.{name}"] for name in ("one", "two", "union")])
        assert (psi[a.argsort()] == np.sort(psi)).all()
        assert terms["alignment"] == pytest.approx(np.linalg.norm(a), rel=1e-4)


def test_the_union_is_never_aligned_better_than_its_views_together():
    """Its covariance holds theirs as blocks: unscaled, p = inf looks at the union alone."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        s, t = torch.randn(30, 6, generator=generator), 2 * torch.randn(40, 6, generator=generator)
        parts = [correlation_alignment(s[:, k : k + 2], t[:, k : k + 2], torch.ones(30), torch.ones(40)) for k in (0, 2, 4)]
        assert float(correlation_alignment(s, t, torch.ones(30), torch.ones(40))) >= float(sum(parts))


@pytest.mark.parametrize(
    ("switch", "absent"),
    [
        ({"gamma": 0.0}, "spread"),
        ({"alpha1": 0.0}, "label_alignment"),
        ({"alpha2": 0.0}, "psi.union"),
        ({"p": 1}, None),
        ({"p": "inf"}, None),
        ({"surrogate": "logexp"}, None),
        ({"heads": "balanced"}, None),
        ({"heads": "fused"}, None),
        ({"scaled": True}, None),
        ({"means": 5.0}, None),
        ({"adapt_view_dropout": 0.5}, None),
    ],
)
def test_each_component_is_a_switch(pair, fitted, switch, absent):
    source, person = pair
    target = methods.UnlabelledSet(person["x"])
    before = methods.get("amanda", adapt_epochs=1).adapt(fitted, source, target, device="cpu")
    params = {"adapt_epochs": 1, **switch}
    after = methods.get("amanda", **params).adapt(fitted, source, target, device="cpu")
    assert not np.array_equal(before.embed(target.x), after.embed(target.x))
    if absent:
        assert all(absent not in terms for terms in told(fitted, source, target, **params))


def test_label_alignment_follows_the_given_proportions(pair, fitted):
    source, person = pair
    rows = np.r_[np.flatnonzero(person["y"] == 0)[:40], np.flatnonzero(person["y"] == 1)[:10]]
    target = methods.UnlabelledSet({name: x[rows] for name, x in person["x"].items()})
    shares = {}
    for name, q in (("as in the source", [0.5, 0.5]), ("as they are", [0.8, 0.2])):
        method = methods.get("amanda", prior=q, alpha1=2.0, alpha2=0.0, adapt_epochs=10)
        shares[name] = method.adapt(fitted, source, target, device="cpu").predict_proba(target.x)[:, 0].mean()
    assert shares["as they are"] > shares["as in the source"] + 0.05
    assert shares["as they are"] == pytest.approx(0.8, abs=0.12)


def test_proportions_weigh_the_source_in_the_covariances(pair, fitted):
    source, person = pair
    objective = _Objective(job_of(fitted, source, methods.UnlabelledSet(person["x"]), [0.9, 0.1]), methods.get("amanda"))
    objective.renew(fitted.core, 0.0)
    assert objective.ratio.tolist() == pytest.approx([1.8, 0.2])
    assert objective.proportions.tolist() == pytest.approx([0.9, 0.1])


def test_missing_view_counts_neither_in_its_loss_nor_in_the_answer(pair):
    source, _ = pair
    torch.manual_seed(0)
    core = AmandaNetwork(source.shapes, 2, {"one": "mlp", "two": "mlp"}).eval()
    job = type("Rows", (), {})
    rows = job()
    rows.y, rows.weight = torch.from_numpy(source.distribution(2)), torch.ones(2)
    keep = torch.ones(len(source), 2)
    keep[::2, 0] = 0
    views = [torch.from_numpy(x) for x in source.x.values()]
    other = [torch.where(keep[:, 0, None] > 0, views[0], torch.randn(views[0].shape)), views[1]]
    params = methods.get("amanda", gamma=0.1)
    for mine, theirs in zip(core(views, keep), core(other, keep), strict=True):
        assert torch.equal(mine, theirs)
    losses = [teach(*core.everything(x, keep), rows, keep, params)[0] for x in (views, other)]
    assert float(losses[0].detach()) == pytest.approx(float(losses[1].detach()), rel=1e-6)


def test_a_sensor_may_fall_off(pair, fitted, lab):
    source, person = pair
    adapted = methods.get("amanda").adapt(fitted, source, methods.UnlabelledSet(person["x"]), device="cpu")
    gone = {"x": {**person["x"], "two": np.full_like(person["x"]["two"], np.nan)}, "y": person["y"]}
    assert lab.accuracy(adapted, gone) > 0.75


@pytest.mark.parametrize("encoder", ["textcnn", "lstm"])
def test_signals_are_encoded_and_exported(source, target, tmp_path, encoder):
    method = methods.get("amanda", **{**QUICK, "encoders": encoder})
    model = method.adapt(method.fit_source(source, device="cpu"), source, target, device="cpu")
    model.export_onnx(tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    for n in (1, 5):
        x = {name: view[:n].copy() for name, view in target.x.items()}
        x["a.wave"][:1] = np.nan
        probabilities, embedding = session.run(None, x)
        assert np.abs(probabilities - model.predict_proba(x)).max() <= 1e-5
        assert np.abs(embedding - model.embed(x)).max() <= 1e-5


def test_encoders_may_differ_between_views_and_are_saved(source, both, tmp_path):
    method = methods.get("amanda", **{**QUICK, "epochs": 1, "encoders": {"a.wave": "textcnn"}})
    model = method.fit_source(source, device="cpu")
    assert model.core.spec()["encoders"] == {"vector": "mlp", "a.wave": "textcnn"}
    assert both.core.spec()["encoders"] == {"vector": "mlp", "a.wave": "resnet"}
    model.save(tmp_path / "m.npz")
    assert np.array_equal(methods.load(tmp_path / "m.npz").predict_proba(source.x), model.predict_proba(source.x))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"p": 0.5}, r"p must lie in \[1, inf\], got 0.5"),
        ({"p": "two"}, "p must lie in"),
        ({"t": 0}, "t must be positive"),
        ({"alpha2": -1}, "alpha2 must lie in"),
        ({"heads": "mean"}, "heads must be 'sum' or 'balanced' or 'fused', got 'mean'"),
        ({"surrogate": "max"}, "surrogate must be"),
        ({"encoders": "gru"}, "encoders must be 'resnet', 'textcnn' or 'lstm', or view -> encoder, got 'gru'"),
        ({"width": 0}, "width must be an integer from 1 on"),
    ],
)
def test_parameters_out_of_range_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        methods.get("amanda", **params)


@pytest.mark.parametrize(
    ("encoders", "message"),
    [
        ({"ecg": "lstm"}, "encoders names view 'ecg': the source has vector, a.wave"),
        ({"a.wave": "mlp"}, "encoders gives 'mlp' to view 'a.wave', which is a signal"),
        ({"vector": "lstm"}, "encoders gives 'lstm' to view 'vector', which is a vector"),
    ],
)
def test_encoders_must_fit_the_views(source, encoders, message):
    with pytest.raises(ValueError, match=message):
        methods.get("amanda", encoders=encoders).fit_source(source, device="cpu")


def test_encoders_are_the_methods_own():
    given = {"a.wave": "lstm"}
    method = methods.get("amanda", encoders=MappingProxyType(given))
    given["a.wave"] = "textcnn"
    assert method.params()["encoders"] == {"a.wave": "lstm"}


def test_infinity_is_json():
    assert methods.get("amanda", p=math.inf).params()["p"] == "inf"
    assert methods.get("amanda", p="inf").strength == math.inf
