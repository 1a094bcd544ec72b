"""M3D as a method: what it learns, what each switch does, and that it never sees what it must not."""

import numpy as np
import pytest
import torch

from streamaffect import methods
from streamaffect.methods import kernel_machine
from streamaffect.methods.contract import Cancelled, LabelledSet, UnlabelledSet
from streamaffect.methods.m3d import ENSEMBLES
from streamaffect.methods.tca import rbf, unit

SWITCHES = [
    {"tca_kernel": "rbf"},
    {"reduction": "pca"},
    {"reduction": "none", "manifold": "none"},
    {"manifold": "none"},
    {"mu": 0.5},
    {"mu": "meda"},
    {"error": "cross-validated"},
    {"strength": 0.0},
    {"rho": 0.0},
    {"start": "linear"},
    {"start": "tree"},
    {"start": "incumbent"},
    {"balanced": False},
    {"prior": "estimate"},
    {"normalise": None},
]


@pytest.fixture(scope="module")
def m3d_model(vector_source):
    return methods.get("m3d").fit_source(vector_source, device="cpu")


@pytest.fixture(scope="module")
def stranger(lab):
    return lab.only(lab.people(1, 1, 64, lab.shift), "vector")


@pytest.fixture(scope="module")
def unlabelled(stranger):
    return UnlabelledSet(stranger["x"], stranger["trial"])


@pytest.fixture(scope="module")
def adapted(m3d_model, vector_source, unlabelled):
    return methods.get("m3d").adapt(m3d_model, vector_source, unlabelled, device="cpu")


def test_adapting_gains_on_a_shifted_person(lab, m3d_model, adapted, stranger):
    assert lab.accuracy(adapted, stranger) >= 0.97
    assert lab.accuracy(adapted, stranger) > lab.accuracy(m3d_model, stranger) + 0.1


def test_it_answers_for_windows_of_the_person_it_has_not_seen(lab, adapted):
    assert lab.accuracy(adapted, lab.only(lab.people(1, 1, 200, lab.shift), "vector")) >= 0.95


@pytest.mark.parametrize("params", SWITCHES, ids=lambda p: "-".join(f"{k}={v}" for k, v in p.items()))
def test_every_switch_learns(lab, vector_source, stranger, unlabelled, params):
    method = methods.get("m3d", **params)
    model = method.fit_source(vector_source, device="cpu")
    assert lab.accuracy(method.adapt(model, vector_source, unlabelled, device="cpu"), stranger) >= 0.85


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_every_ensemble_learns(lab, m3d_model, vector_source, stranger, unlabelled, ensemble):
    made = methods.get("m3d", ensemble=ensemble).adapt(m3d_model, vector_source, unlabelled, device="cpu")
    assert lab.accuracy(made, stranger) >= 0.95


def test_same_seed_same_model(m3d_model, adapted, vector_source, unlabelled):
    state = torch.random.get_rng_state()
    again = methods.get("m3d").adapt(m3d_model, vector_source, unlabelled, device="cpu")
    np.testing.assert_array_equal(again.predict_proba(unlabelled.x), adapted.predict_proba(unlabelled.x))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_incumbent_stays(lab, m3d_model, vector_source, unlabelled, stranger):
    before = m3d_model.predict_proba(stranger["x"])
    methods.get("m3d", start="incumbent").adapt(m3d_model, vector_source, unlabelled, device="cpu")
    np.testing.assert_array_equal(m3d_model.predict_proba(stranger["x"]), before)


def test_labels_of_the_target_are_not_read(lab, m3d_model, vector_source, stranger, adapted):
    """The target's set as a labelled one, its labels garbage: nothing looks at them."""
    rng = np.random.default_rng(0)
    garbage = LabelledSet(stranger["x"], rng.integers(0, 2, 64), stranger["subject"], stranger["trial"])
    made = methods.get("m3d").adapt(m3d_model, vector_source, garbage, device="cpu")
    np.testing.assert_array_equal(made.predict_proba(stranger["x"]), adapted.predict_proba(stranger["x"]))


def test_a_second_adaptation_goes_on_from_the_first(lab, vector_source, unlabelled, adapted, stranger):
    """The first labels are the incumbent's answers: at its own fixed point one iteration changes nothing."""
    seen = []
    method = methods.get("m3d")
    method.adapt(adapted, vector_source, unlabelled, device="cpu", progress=lambda _, terms: seen.append(dict(terms)))
    changed = [terms["changed"] for terms in seen if "changed" in terms]
    assert changed[0] <= 0.02
    assert len(changed) <= 3


def test_progress_tells_mu_and_cancels(m3d_model, vector_source, unlabelled):
    told = []

    def progress(fraction, terms):
        told.append((fraction, dict(terms)))
        if "mu" in terms:
            raise Cancelled

    with pytest.raises(Cancelled):
        methods.get("m3d").adapt(m3d_model, vector_source, unlabelled, device="cpu", progress=progress)
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert 0 <= told[-1][1]["mu"] <= 1


def test_a_tight_budget_still_gives_a_model(m3d_model, vector_source, unlabelled, stranger, adapted):
    made = methods.get("m3d").adapt(m3d_model, vector_source, unlabelled, device="cpu", budget_s=1e-3)
    said = made.predict_proba(stranger["x"])
    assert np.isfinite(said).all()
    assert not np.array_equal(said, adapted.predict_proba(stranger["x"]))  # it was obeyed


def test_a_wide_budget_changes_nothing(m3d_model, vector_source, unlabelled, adapted):
    made = methods.get("m3d").adapt(m3d_model, vector_source, unlabelled, device="cpu", budget_s=300)
    np.testing.assert_array_equal(made.predict_proba(unlabelled.x), adapted.predict_proba(unlabelled.x))


def test_self_training_composes(lab, m3d_model, vector_source, unlabelled, stranger):
    made = methods.get("m3d", self_training=True).adapt(m3d_model, vector_source, unlabelled, device="cpu")
    assert lab.accuracy(made, stranger) >= 0.97


def test_a_few_labels_of_the_target_are_held_to(lab, m3d_model, vector_source, stranger, unlabelled):
    """Eight labelled windows, their labels turned round on purpose, are what the model then says of them."""
    rows = np.arange(8)
    few = LabelledSet({"vector": stranger["x"]["vector"][rows]}, 1 - stranger["y"][rows], stranger["subject"][rows])
    made = methods.get("m3d").adapt(m3d_model, vector_source, unlabelled, device="cpu", labelled_target=few)
    plain = methods.get("m3d").adapt(m3d_model, vector_source, unlabelled, device="cpu")
    of_truth = [m.predict_proba(few.x)[np.arange(8), stranger["y"][rows]].mean() for m in (plain, made)]
    assert of_truth[1] < of_truth[0] - 0.2


def test_source_rows_are_drawn_by_subject_and_class(lab, vector_source):
    from types import SimpleNamespace

    from streamaffect.methods.ridge import sample

    job = SimpleNamespace(y=vector_source.distribution(2), seed=3, source=vector_source, classes=2)
    rows = sample(job, 60)
    assert len(np.unique(rows)) == 60
    groups = vector_source.subject[rows] * 2 + vector_source.hard()[rows]
    np.testing.assert_array_equal(np.bincount(groups), 5)
    np.testing.assert_array_equal(sample(job, 60), rows)


def test_fewer_rows_still_adapt(lab, m3d_model, vector_source, unlabelled, stranger):
    made = methods.get("m3d", max_rows=80, support=64).adapt(m3d_model, vector_source, unlabelled, device="cpu")
    assert made.core.spec()["support"] == 64
    assert lab.accuracy(made, stranger) >= 0.95


def test_compressed_scores_are_near_those_of_all_rows():
    rng = np.random.default_rng(0)
    z, beta = unit(rng.normal(size=(400, 5))), rng.normal(size=(400, 2))
    first = (np.arange(400) >= 300).astype(float)
    scores = rbf(z, z, 0.5) @ beta
    support, coefficients = kernel_machine.compress(z, beta, first, 0.5, 120, seed=0)
    assert support.shape == (120, 5)
    error = np.abs(rbf(z, support, 0.5) @ coefficients - scores).max() / scores.std()
    assert error < 0.02
    own = {tuple(row) for row in z[300:]}
    assert sum(tuple(row) in own for row in support) == 60
    assert kernel_machine.compress(z, beta, first, 0.5, 400, seed=0)[0] is z


def test_unbalanced_source_does_not_collapse(lab):
    data = lab.only(lab.people(0, 6, 40), "vector")
    keep = (data["y"] == 0) | (np.arange(240) % 10 == 1)
    source = LabelledSet(*(({"vector": data["x"]["vector"][keep]}), data["y"][keep], data["subject"][keep]))
    target = lab.only(lab.people(1, 1, 64, lab.shift), "vector")
    method = methods.get("m3d")
    made = method.adapt(method.fit_source(source, device="cpu"), source, UnlabelledSet(target["x"]), device="cpu")
    said = made.predict_proba(target["x"]).argmax(axis=1)
    recall = [(said[target["y"] == c] == c).mean() for c in (0, 1)]
    assert min(recall) >= 0.7


def test_time_smooths_the_answers(lab, vector_source):
    """Blocks of one class in order of time, hard to tell window by window: edges between neighbours help."""
    rng = np.random.default_rng(4)
    y = np.repeat([0, 1, 0, 1], 16)
    x = rng.normal(size=(64, 6)).astype(np.float32)
    x[:, :3] += (y[:, None] - 0.5) * 0.8
    accuracy = {}
    for temporal in (0.0, 5.0):
        method = methods.get("m3d", temporal=temporal)
        model = method.fit_source(vector_source, device="cpu")
        target = UnlabelledSet({"vector": x}, np.zeros(64, dtype=int))
        made = method.adapt(model, vector_source, target, device="cpu")
        accuracy[temporal] = (made.predict_proba({"vector": x}).argmax(axis=1) == y).mean()
    assert accuracy[5.0] > accuracy[0.0]


def test_distributions_as_labels(lab, vector_source, unlabelled, stranger):
    soft = 0.8 * vector_source.distribution(2) + 0.1
    source = LabelledSet(vector_source.x, soft.astype(np.float32), vector_source.subject, vector_source.trial)
    method = methods.get("m3d")
    made = method.adapt(method.fit_source(source, device="cpu"), source, unlabelled, device="cpu")
    assert lab.accuracy(made, stranger) >= 0.95


def test_exported_graph_says_the_same(tmp_path, adapted, stranger, vector_source, unlabelled):
    import onnxruntime

    kernel_tca = methods.get("m3d", tca_kernel="rbf").adapt(adapted, vector_source, unlabelled, device="cpu")
    for i, model in enumerate((adapted, kernel_tca)):
        path = tmp_path / f"{i}.onnx"
        model.export_onnx(path)
        session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
        for rows in (1, 64):
            x = stranger["x"]["vector"][:rows]
            probabilities, embedding = session.run(["probabilities", "embedding"], {"vector": x})
            np.testing.assert_allclose(probabilities, model.predict_proba({"vector": x}), atol=1e-5)
            np.testing.assert_allclose(embedding, model.embed({"vector": x}), atol=1e-5)


def test_a_saved_model_says_the_same(tmp_path, adapted, stranger):
    adapted.save(tmp_path / "model.npz")
    again = methods.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.predict_proba(stranger["x"]), adapted.predict_proba(stranger["x"]))
    assert again.core.adapted


def test_it_goes_on_from_a_network(lab, vector_source, vector_model, unlabelled, stranger):
    method = methods.get("m3d", start="incumbent", normalise=vector_model.params["normalise"])
    made = method.adapt(vector_model, vector_source, unlabelled, device="cpu")
    assert made.method == "m3d"
    assert lab.accuracy(made, stranger) >= 0.8


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"mu": 1.5}, "mu"),
        ({"mu": "best"}, "mu"),
        ({"ensemble": "oracle"}, "ensemble"),
        ({"eta": 0}, "eta"),
        ({"d": 0}, "d must"),
        ({"support": 3}, "support"),
        ({"start": "truth"}, "start"),
        ({"manifold": "stiefel"}, "manifold"),
    ],
)
def test_parameters_are_checked(params, message):
    with pytest.raises(ValueError, match=message):
        methods.get("m3d", **params)


def test_signals_are_refused(source):
    with pytest.raises(ValueError, match="vector views"):
        methods.get("m3d").fit_source(source, device="cpu")


def test_a_temperature_fitted_to_other_scores_is_not_kept(vector_model, m3d_model, vector_source, unlabelled):
    method = methods.get("m3d", normalise=vector_model.params["normalise"])
    assert method.adapt(vector_model.calibrated(0.2), vector_source, unlabelled, device="cpu").temperature == 1.0
    own = methods.get("m3d").adapt(m3d_model.calibrated(0.2), vector_source, unlabelled, device="cpu")
    assert own.temperature == 0.2


def test_large_coefficients_cost_no_accuracy_in_the_graph(tmp_path):
    """With a small eta coefficients of a hundred cancel: in float32 the graph would be off by 1e-3."""
    import onnxruntime

    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 1000)
    x = rng.normal(size=(1000, 10)).astype(np.float32)
    x[:, 0] += 0.8 * y
    method = methods.get("m3d", normalise=None, eta=1e-3)
    source = LabelledSet({"v": x}, y, np.arange(1000) % 20)
    model = method.adapt(method.fit_source(source, device="cpu"), source, UnlabelledSet({"v": x[:64] + 0.5}), device="cpu")
    assert model.core.beta.abs().max() > 50
    model.export_onnx(tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    asked = rng.normal(size=(200, 10)).astype(np.float32)
    np.testing.assert_allclose(session.run(["probabilities"], {"v": asked})[0], model.predict_proba({"v": asked}), atol=1e-5)


def test_classes_that_lie_apart_in_everybody_leave_a_doubt(lab):
    easy = lab.only(lab.people(0, 6, 40), "vector")
    easy["x"]["vector"][:, :3] += 40 * (easy["y"][:, None] - 0.5)
    source = LabelledSet(**easy)
    p = methods.get("m3d").fit_source(source, device="cpu").predict_proba(source.x).max(axis=1)
    assert 0.9 < np.median(p) < 0.99
