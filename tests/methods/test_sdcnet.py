import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime as ort
import pytest
import torch

from streamaffect import methods
from streamaffect.methods.sdc_objective import SDCObjective
from streamaffect.methods.sdcnet import SDCNet

QUICK = {"epochs": 25, "normalise": None}
OFF = dict.fromkeys(("ss_mix", "mmd", "cmmd", "similarity_source", "similarity_target"), False)


@pytest.fixture(scope="module")
def literal():
    """The literal writing of the paper that the benchmark keeps."""
    path = Path(__file__).parents[2] / "tools" / "bench" / "sdcnet.py"
    spec = importlib.util.spec_from_file_location("bench_sdcnet", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def fitted(vector_source):
    return SDCNet(**QUICK).fit_source(vector_source, device="cpu")


@pytest.fixture(scope="module")
def stranger(lab):
    return lab.only(lab.people(1, 1, 64, lab.shift), "vector")


@pytest.fixture(scope="module")
def target(stranger):
    return methods.UnlabelledSet(stranger["x"], stranger["trial"])


def job_of(method, model, source, target):
    """The job that ``method`` is given."""
    jobs = []

    class Spy(type(method)):
        def _adapt(self, job):
            jobs.append(job)
            return job.core

    Spy(**method.params()).adapt(model, source, target, device="cpu")
    return jobs[0]


def told(method, model, source, target, **kwargs):
    terms = []
    adapted = method.adapt(model, source, target, device="cpu", progress=lambda _, t: terms.append(dict(t)), **kwargs)
    return adapted, [t for t in terms if "alpha" in t]


def weights(model):
    return torch.cat([tensor.flatten() for tensor in model.core.state_dict().values()])


def test_adaptation_finds_the_class_that_a_shift_hid(fitted, vector_source, target, stranger, lab):
    adapted = SDCNet(**QUICK, adapt_epochs=100).adapt(fitted, vector_source, target, device="cpu")
    assert lab.accuracy(adapted, stranger) >= lab.accuracy(fitted, stranger) + 0.05
    assert lab.accuracy(adapted, stranger) >= 0.95


def test_value_and_gradient_are_those_of_the_literal_paper(literal):
    assert literal.same_losses(16, epochs=2) < 1e-9


def test_literal_lmmd_is_ours(literal):
    literal.local_mmd(16, times=1)  # raises where they differ


def test_schedules_over_a_run(fitted, vector_source, target):
    _, terms = told(SDCNet(**QUICK, adapt_epochs=20, rho_0=9.0, rho_1=9.0), fitted, vector_source, target)
    alpha, pairs = [t["alpha"] for t in terms], [t["target_pairs"] for t in terms]
    assert alpha[0] == 1
    assert alpha[-1] < 1e-3
    assert sorted(alpha, reverse=True) == alpha
    assert pairs[0] == 0
    assert pairs[-1] == pytest.approx(2, abs=0.1)
    assert {t["beta"] for t in terms} == {1.0}


@pytest.mark.parametrize(("ce", "beta"), [(0.05, 1.0), (0.12, 0.5), (0.2, 0.0)])
def test_beta_steps_with_the_cross_entropy(fitted, vector_source, target, ce, beta):
    method = SDCNet(**QUICK, ce_memory=0.0)
    assert SDCObjective(method, job_of(method, fitted, vector_source, target))._weights(ce, 0.5).beta == beta


def test_beta_remembers_the_cross_entropy(fitted, vector_source, target):
    objective = SDCObjective(SDCNet(**QUICK), job_of(SDCNet(**QUICK), fitted, vector_source, target))
    assert [objective._weights(ce, 0.5).beta for ce in (0.05, 0.3, 0.3, 0.3, 0.3, 0.3)] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.0]


@pytest.mark.parametrize("switch", [*OFF, "confidence", "dynamic_weights"])
def test_each_part_can_be_left_out_and_matters(fitted, vector_source, target, switch):
    common = {**QUICK, "adapt_epochs": 4, "rho_0": 9.0, "rho_1": 9.0, "tau_start": 0.9, "tau_end": 0.999}
    whole, terms = told(SDCNet(**common), fitted, vector_source, target)
    part, left = told(SDCNet(**common, **{switch: False}), fitted, vector_source, target)
    assert not torch.equal(weights(whole), weights(part))
    term = {"mmd": "mmd", "cmmd": "cmmd", "similarity_source": "pairs_source", "similarity_target": "pairs_target"}.get(switch)
    if term:
        assert any(t.get(term, 0) > 0 for t in terms)
        assert not any(t.get(term, 0) > 0 for t in left)


def test_with_all_parts_off_the_target_says_nothing(fitted, vector_source, target):
    method = SDCNet(**QUICK, **OFF, adapt_epochs=2, dropout=0.0, classifier_dropout=0.0)
    other = methods.UnlabelledSet({"vector": 3 - target.x["vector"]}, target.trial)
    one, two = (method.adapt(fitted, vector_source, t, device="cpu") for t in (target, other))
    torch.testing.assert_close(weights(one), weights(two), rtol=1e-4, atol=1e-5)
    assert not torch.equal(weights(one), weights(fitted))


def test_same_seed_same_model_and_global_state_untouched(fitted, vector_source, target):
    method = SDCNet(**QUICK, adapt_epochs=2)
    state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    before = weights(fitted).clone()
    first, again, other = (method.adapt(fitted, vector_source, target, seed=s, device="cpu") for s in (1, 1, 2))
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))
    assert torch.equal(weights(fitted), before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_without_trials_the_target_is_not_mixed(fitted, vector_source, target):
    bare = methods.UnlabelledSet(target.x)
    for given, mixed in ((target, True), (bare, False)):
        objective = SDCObjective(SDCNet(), job_of(SDCNet(**QUICK), fitted, vector_source, given))
        objective.renew(fitted.core, 0.0)
        taken = objective.target.take(np.arange(64)).views[0]
        assert torch.equal(taken, objective.target.views[0]) is not mixed
        assert not torch.equal(objective.source.take(np.arange(64)).views[0], objective.source.views[0][:64])


def test_prior_weighs_the_source_in_the_marginal_alone(fitted, vector_source, target):
    method = SDCNet(**QUICK, prior=np.array([0.8, 0.2]), ss_mix=False)
    objective = SDCObjective(method, job_of(method, fitted, vector_source, target))
    objective.renew(fitted.core, 0.0)
    y = torch.eye(2)[[0, 0, 1, 1]]
    torch.testing.assert_close(objective._marginal(y, 2)[:, 0], torch.tensor([0.4, 0.4, 0.1, 0.1, -0.5, -0.5]))


def test_adapts_within_its_budget(fitted, vector_source, target):
    _, all_steps = told(SDCNet(**QUICK, adapt_epochs=40), fitted, vector_source, target)
    _, few = told(SDCNet(**QUICK, adapt_epochs=100_000), fitted, vector_source, target, budget_s=0.8)
    assert len(all_steps) == 80
    assert 0 < len(few) < 200_000
    assert few[-1]["target_pairs"] > 1.5  # the schedules ran their course in the time there was


def test_default_length_is_a_thousand_steps_or_two_hundred_passes(fitted, vector_source, lab, monkeypatch):
    seen = []
    monkeypatch.setattr("streamaffect.methods.loop.adapt_core", lambda job, _, settings: seen.append(settings) or job.core)
    for windows in (64, 3200):
        x = lab.only(lab.people(1, 1, windows), "vector")["x"]
        SDCNet(**QUICK).adapt(fitted, vector_source, methods.UnlabelledSet(x), device="cpu")
    assert [s.epochs for s in seen] == [200, 10]


def test_onnx_and_saved_models_answer_alike(fitted, vector_source, target, tmp_path):
    adapted = SDCNet(**QUICK, adapt_epochs=2).adapt(fitted, vector_source, target, device="cpu")
    adapted.save(tmp_path / "m.npz")
    adapted.export_onnx(tmp_path / "m.onnx")
    session = ort.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    for n in (1, 7):
        x = target.x["vector"][:n]
        p = adapted.predict_proba({"vector": x})
        np.testing.assert_allclose(session.run(["probabilities"], {"vector": x})[0], p, atol=1e-5)
        np.testing.assert_array_equal(methods.load(tmp_path / "m.npz").predict_proba({"vector": x}), p)


def test_a_view_may_be_missing(lab):
    data = lab.people(0, subjects=4, windows=24)
    x = {"one": data["x"]["vector"][:, :3], "two": data["x"]["vector"][:, 3:]}
    model = SDCNet(epochs=4).fit_source(methods.LabelledSet(x, data["y"], data["subject"], data["trial"]), device="cpu")
    gone = {"one": x["one"], "two": np.full_like(x["two"], np.nan)}
    zero = {"one": x["one"], "two": np.broadcast_to(model.scaling.location["two"], x["two"].shape)}
    np.testing.assert_allclose(model.predict_proba(gone), model.predict_proba(zero), atol=1e-5)


def test_distributions_and_embedding_similarities(vector_source, target):
    soft = 0.8 * vector_source.distribution(2) + 0.1
    source = methods.LabelledSet(vector_source.x, soft, vector_source.subject, vector_source.trial)
    method = SDCNet(epochs=3, adapt_epochs=2, space="embedding", rho_0=9.0, rho_1=9.0)
    adapted = method.adapt(method.fit_source(source, device="cpu"), source, target, device="cpu")
    assert np.isfinite(adapted.predict_proba(target.x)).all()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"lower": 0.9, "upper": 0.5}, "lower"),
        ({"rho_0": 0.3}, "rho_0"),
        ({"space": "logits"}, "space"),
        ({"mmd": 1}, "mmd"),
        ({"adapt_epochs": 0}, "adapt_epochs"),
        ({"tau_end": 1.2}, "tau_end"),
        ({"ridge": 0.0}, "ridge"),
    ],
)
def test_bad_parameters_are_named(params, words):
    with pytest.raises(ValueError, match=words):
        methods.get("sdcnet", **params)


def test_signals_and_foreign_models_are_refused(source, model, vector_source, target):
    with pytest.raises(ValueError, match=r"reads vector views.*a\.wave"):
        SDCNet().fit_source(source)
    foreign = methods.get("source", epochs=1).fit_source(vector_source, device="cpu")
    with pytest.raises(ValueError, match="cannot go on from"):
        SDCNet().adapt(foreign, vector_source, target)


def test_objective_is_small_where_both_sides_are_one(fitted, vector_source):
    """The same windows on both sides: no discrepancy is left, whatever the progress."""
    method = SDCNet(**QUICK, rho_0=9.0, rho_1=9.0, tau_start=0.0, tau_end=0.0, ss_mix=False)
    x = {"vector": vector_source.x["vector"][:60]}
    objective = SDCObjective(method, job_of(method, fitted, vector_source, methods.UnlabelledSet(x)))
    rows = objective.source.take(np.arange(60))
    rows.y = torch.eye(2)[torch.as_tensor(fitted.predict_proba(x).argmax(1))]  # what the core says of the other side
    terms = SimpleNamespace(**objective.loss(fitted.core, rows, objective.target, 0.5)[1])
    assert abs(terms.mmd) < 1e-5
    assert abs(terms.cmmd) < 1e-5
