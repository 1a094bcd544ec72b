"""What the contract promises of every method, on one tiny problem: two views, of vectors where the method reads no signals."""

import inspect
import json
import random
import time
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch

from streamaffect import methods

NAMES = methods.names()
ITERATIVE = [name for name in NAMES if "adapt_epochs" in inspect.signature(type(methods.get(name))).parameters]
WINDOWS = 24  # of the target


def quick(name: str, **params) -> methods.Method:
    """The method with next to no epochs, or as it is where it has none."""
    valid = inspect.signature(type(methods.get(name))).parameters
    few = {"epochs": 2, "adapt_epochs": 2, "lr": 3e-3}
    return methods.get(name, **{**{key: value for key, value in few.items() if key in valid}, **params})


def problem(name: str, people, seed: int, subjects: int, windows: int) -> dict:
    data = people(seed, subjects, windows, samples=48)
    if type(methods.get(name)).reads == "vectors":
        vector = data["x"]["vector"]
        data["x"] = {"vector": vector[:, :4], "extra": vector[:, 2:]}
    return data


@pytest.fixture(scope="module", params=[*NAMES, "dynamic of 3"])
def case(request, lab) -> SimpleNamespace:
    """A method, its source, target and the models it makes of them (seed 3)."""
    name, _, members = request.param.partition(" of ")
    source = methods.LabelledSet(**problem(name, lab.people, 0, 4, 16))
    person = problem(name, lab.people, 1, 1, WINDOWS)
    target = methods.UnlabelledSet(person["x"], person["trial"])
    method = quick(name, **({"members": int(members)} if members else {}))
    model = method.fit_source(source, seed=3, device="cpu")
    adapted = method.adapt(model, source, target, seed=3, device="cpu")
    return SimpleNamespace(name=name, method=method, source=source, target=target, model=model, adapted=adapted)


def answers(model: methods.Model, x) -> np.ndarray:
    return np.concatenate([model.predict_proba(x), model.embed(x)], axis=1)


def adapt(case, method=None, **changes) -> methods.Model:
    """The case's adaptation with some arguments changed."""
    given = {"model": case.model, "source": case.source, "target": case.target, "seed": 3, "device": "cpu", **changes}
    return (method or case.method).adapt(**given)


def random_states() -> list[str]:
    return [str(random.getstate()), str(np.random.get_state()), str(torch.random.get_rng_state().tolist())]  # noqa: NPY002


def test_answers_are_distributions(case):
    for model in (case.model, case.adapted):
        p, z = model.predict_proba(case.target.x), model.embed(case.target.x)
        assert (p.dtype, p.shape, model.classes) == (np.float32, (WINDOWS, 2), 2)
        assert np.allclose(p.sum(axis=1), 1, atol=1e-5)
        assert (p >= 0).all()
        assert z.ndim == 2
        assert len(z) == WINDOWS
        assert np.isfinite(z).all()
        assert model.method == case.name
        assert dict(model.views) == case.source.shapes


def test_same_seed_same_model_and_nobody_elses_random_numbers(case):
    random.seed(5), np.random.seed(5), torch.manual_seed(5)  # noqa: NPY002
    before = random_states()
    model = case.method.fit_source(case.source, seed=3, device="cpu")
    adapted = adapt(case, model=model)
    assert random_states() == before
    assert np.array_equal(answers(model, case.target.x), answers(case.model, case.target.x))
    assert np.array_equal(answers(adapted, case.target.x), answers(case.adapted, case.target.x))


def test_adapting_leaves_the_model_as_it_was(case, tmp_path):
    before, first, second = answers(case.model, case.target.x), tmp_path / "before.npz", tmp_path / "after.npz"
    case.model.save(first)
    adapt(case, seed=4, method=quick(case.name, self_training=True))
    case.model.save(second)
    assert np.array_equal(answers(case.model, case.target.x), before)
    with np.load(first) as old, np.load(second) as new:
        assert old.files == new.files
        assert all(np.array_equal(old[key], new[key]) for key in old.files)


def test_saved_and_loaded_it_answers_the_same(case, tmp_path):
    for model in (case.model, case.adapted.calibrated(1.7)):
        model.save(tmp_path / "m.npz")
        loaded = methods.load(tmp_path / "m.npz")
        assert np.array_equal(answers(loaded, case.target.x), answers(model, case.target.x))
        assert (loaded.method, loaded.temperature, loaded.classes) == (model.method, model.temperature, model.classes)
    again = adapt(case, model=methods.load(tmp_path / "m.npz"))
    assert np.array_equal(
        answers(again, case.target.x), answers(adapt(case, model=case.adapted.calibrated(1.7)), case.target.x)
    )


def test_exported_it_answers_the_same_at_any_batch(case, tmp_path):
    case.adapted.export_onnx(tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    assert [i.name for i in session.get_inputs()] == list(case.source.x)
    assert [o.name for o in session.get_outputs()] == ["probabilities", "embedding"]
    first = next(iter(case.source.x))
    for n in (1, 7, 61):
        x = {name: view[np.arange(n) % WINDOWS].copy() for name, view in case.target.x.items()}
        for gap in (False, True):
            if gap:
                x[first][: n // 2 + 1] = np.nan
            probabilities, embedding = session.run(None, x)
            assert np.abs(probabilities - case.adapted.predict_proba(x)).max() <= 1e-5
            assert np.abs(embedding - case.adapted.embed(x)).max() <= 1e-5 * max(1, np.abs(embedding).max())


def test_view_with_nan_is_missing_and_the_others_answer(case):
    for view in case.source.x:
        whole = {name: x.copy() for name, x in case.target.x.items()}
        partly = {name: x.copy() for name, x in whole.items()}
        whole[view][::2] = np.nan
        partly[view][::2].reshape(WINDOWS // 2, -1)[:, 0] = np.nan
        assert np.isnan(partly[view][::2].reshape(WINDOWS // 2, -1)[:, 0]).all()
        p = case.adapted.predict_proba(whole)
        assert np.allclose(p.sum(axis=1), 1, atol=1e-5)
        assert np.allclose(p[1::2], case.adapted.predict_proba(case.target.x)[1::2], atol=1e-5)
        assert np.allclose(p, case.adapted.predict_proba(partly), atol=1e-5)


def test_parameters_are_json_and_make_the_method_again(case):
    params = json.loads(json.dumps(case.method.params(), allow_nan=False))
    assert methods.get(case.name, **params).params() == case.method.params()
    with pytest.raises(ValueError, match=f"method '{case.name}' has no parameter 'nonsense'"):
        methods.get(case.name, nonsense=1)
    with pytest.raises(ValueError, match="prior must be"):
        methods.get(case.name, prior=[0.9, 0.3])
    with pytest.raises(ValueError, match="normalise must be"):
        methods.get(case.name, normalise="trial")


def test_one_class_is_refused(case):
    lone = case.source.take(case.source.y == 1)
    for attempt in (lambda: case.method.fit_source(lone, device="cpu"), lambda: adapt(case, source=lone)):
        with pytest.raises(ValueError, match="y has the one class 1"):
            attempt()


def test_views_absent_or_of_another_shape_are_refused(case):
    view, other = case.source.x
    short = {**case.target.x, view: case.target.x[view][:, :-1]}
    alone = {other: case.target.x[other]}
    attempts = [
        (lambda: case.adapted.predict_proba(short), f"view '{view}' has shape"),
        (lambda: case.adapted.predict_proba(alone), f"lacks view '{view}'"),
        (lambda: adapt(case, target=methods.UnlabelledSet(short)), f"target: view '{view}' has shape"),
        (lambda: adapt(case, target=methods.UnlabelledSet(alone)), f"target lacks view '{view}'"),
        (lambda: adapt(case, source=relabelled(case.source, x={other: case.source.x[other]})), f"source lacks view '{view}'"),
    ]
    for attempt, message in attempts:
        with pytest.raises(ValueError, match=message) as error:
            attempt()
        assert "\n" not in str(error.value)


def test_models_of_another_normalisation_are_refused(case):
    with pytest.raises(ValueError, match="fitted with normalise='subject': adapt with the same, not None"):
        adapt(case, method=quick(case.name, normalise=None))


def test_more_classes_than_the_model_knows_are_refused(case):
    with pytest.raises(ValueError, match="y has 3 classes, the model 2"):
        adapt(case, source=relabelled(case.source, y=np.arange(len(case.source)) % 3))


def test_one_subject_is_enough(case):
    alone = case.source.take(case.source.subject == 0)
    model = case.method.fit_source(alone, device="cpu")
    adapted = adapt(case, model=model, source=alone)
    assert np.isfinite(answers(adapted, case.target.x)).all()


def test_a_class_without_windows_is_survived(case):
    """Three classes are known by name, nobody was seen in the middle one."""
    gap = relabelled(case.source, y=2 * case.source.y)
    model = case.method.fit_source(gap, device="cpu")
    p = adapt(case, model=model, source=gap).predict_proba(case.target.x)
    assert p.shape == (WINDOWS, 3)
    assert np.isfinite(p).all()


def test_distributions_that_are_certain_are_class_indices(case):
    if case.name == "helo":
        pytest.skip("smooths class indices and takes distributions as they are")
    certain = relabelled(case.source, y=case.source.distribution(2))
    model = case.method.fit_source(certain, seed=3, device="cpu")
    assert np.array_equal(answers(model, case.target.x), answers(case.model, case.target.x))


@pytest.mark.parametrize("windows", [1, 3])
def test_few_windows_of_the_target_are_enough(case, windows):
    few = methods.UnlabelledSet({name: x[:windows] for name, x in case.target.x.items()})
    assert np.isfinite(answers(adapt(case, target=few), case.target.x)).all()


@pytest.mark.parametrize("prior", ["estimate", [0.8, 0.2]])
def test_proportions_are_estimated_or_given(case, prior):
    adapted = adapt(case, method=quick(case.name, prior=prior))
    assert np.isfinite(answers(adapted, case.target.x)).all()


def test_proportions_of_other_classes_are_refused(case):
    with pytest.raises(ValueError, match="prior must be 'source', 'estimate' or 2 shares that sum to 1"):
        adapt(case, method=quick(case.name, prior=[0.5, 0.3, 0.2]))


def test_an_adapted_model_is_adapted_further(case):
    again = adapt(case, model=case.adapted)
    assert np.isfinite(answers(again, case.target.x)).all()
    assert again.method == case.name


@pytest.mark.parametrize("params", [{}, {"self_training": True}], ids=["plain", "self_training"])
def test_progress_rises_to_one(case, params):
    method = quick(case.name, **params)
    told: dict[str, list[float]] = {"fit": [], "adapt": []}

    def listen(stage: str):
        def progress(fraction, terms) -> None:
            told[stage].append(fraction)
            assert all(isinstance(key, str) and np.isfinite(value) for key, value in terms.items())

        return progress

    model = method.fit_source(case.source, device="cpu", progress=listen("fit"))
    adapt(case, method=method, model=model, progress=listen("adapt"))
    for fractions in told.values():
        assert fractions == sorted(fractions)
        assert 0 <= fractions[0] <= fractions[-1] == 1


def test_cancelling_ends_it_without_a_model(case):
    def enough(fraction, terms) -> None:
        raise methods.Cancelled

    before = answers(case.model, case.target.x)
    with pytest.raises(methods.Cancelled):
        case.method.fit_source(case.source, device="cpu", progress=enough)
    with pytest.raises(methods.Cancelled):
        adapt(case, progress=enough)
    assert np.array_equal(answers(case.model, case.target.x), before)


def test_budget_must_be_positive(case):
    for budget_s in (0, "3"):
        with pytest.raises(ValueError, match=f"budget_s must be positive, got {budget_s!r}"):
            adapt(case, budget_s=budget_s)


def test_budget_ends_what_would_take_hours(case):
    if case.name not in ITERATIVE:
        pytest.skip("does not iterate over epochs")
    method = quick(case.name, adapt_epochs=10**6)
    began = time.perf_counter()
    adapted = adapt(case, method=method, budget_s=0.6)
    assert time.perf_counter() - began < 20
    assert np.isfinite(answers(adapted, case.target.x)).all()


def test_what_happened_before_or_after_the_target_does_not_matter(case):
    """Neither the names of its trials nor, where time plays no part, that there are any; nothing else could carry labels."""
    assert set(methods.UnlabelledSet.__slots__) == {"x", "trial"}
    renamed = methods.UnlabelledSet(case.target.x, 7 * np.asarray(case.target.trial) + 3)
    assert np.array_equal(answers(adapt(case, target=renamed), case.target.x), answers(case.adapted, case.target.x))
    if case.name != "sdcnet":  # mixes windows of one trial
        anonymous = methods.UnlabelledSet(case.target.x)
        assert np.array_equal(answers(adapt(case, target=anonymous), case.target.x), answers(case.adapted, case.target.x))


def test_models_of_another_kind_are_refused(case):
    if not type(case.method).kinds:
        pytest.skip("goes on from any model")
    foreign = next(name for name in ("coral", "amanda") if not type(methods.get(name)).kinds & type(case.method).kinds)
    model = quick(foreign, normalise="subject").fit_source(vectors_of(case.source), device="cpu")
    with pytest.raises(ValueError, match=f"method '{case.name}' cannot go on from a model of '{foreign}'"):
        adapt(case, model=model)
    with pytest.raises(ValueError, match=f"method '{case.name}' cannot go on from a model of 'object'"):
        adapt(case, model=object())


def relabelled(source: methods.LabelledSet, **changes) -> methods.LabelledSet:
    given = {"x": source.x, "y": source.y, "subject": source.subject, "trial": source.trial, **changes}
    return methods.LabelledSet(**given)


def vectors_of(source: methods.LabelledSet) -> methods.LabelledSet:
    return relabelled(source, x={name: x for name, x in source.x.items() if x.ndim == 2})
