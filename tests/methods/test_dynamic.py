import time

import numpy as np
import pytest
import torch

from streamaffect import methods
from streamaffect.methods.alignment import schedule
from streamaffect.methods.jobs import Pace

FAST = {"adapt_epochs": 30, "adapt_lr": 1e-3, "normalise": None}


def adapt(model, source, target, **params):
    return methods.get("dynamic", **{**FAST, **params}).adapt(model, source, target, device="cpu")


@pytest.mark.parametrize("params", [{}, {"schedule": "mmd"}, {"schedule": "lsd"}, {"kernel": "multi"}, {"kernel": "median"}])
def test_adapting_beats_the_source_on_a_shifted_person(lab, vector_model, vector_source, params):
    gains = []
    for seed in (11, 12, 13):
        shifted = lab.only(lab.people(seed, 1, 256, lab.shift), "vector")
        seen = methods.UnlabelledSet({"vector": shifted["x"]["vector"][:64]})
        unseen = {"x": {"vector": shifted["x"]["vector"][64:]}, "y": shifted["y"][64:]}
        adapted = adapt(vector_model, vector_source, seen, **params)
        gains.append(lab.accuracy(adapted, unseen) - lab.accuracy(vector_model, unseen))
        assert lab.accuracy(adapted, {"x": vector_source.x, "y": vector_source.y}) > 0.93
    assert min(gains) > 0
    assert np.mean(gains) > (0.02 if params.get("schedule") == "lsd" else 0.08)


def test_proportions_keep_an_unbalanced_person_from_looking_unshifted(lab, vector_model, vector_source):
    """Four in five windows of class 0, and a shift towards class 1: the marginal moves by little."""
    scores = {"source": [], "estimate": [], "known": []}
    for seed in (21, 22, 23):
        shifted = lab.only(lab.people(seed, 1, 400, lab.shift), "vector")
        rows = np.concatenate([np.flatnonzero(shifted["y"] == c)[:n] for c, n in ((0, 96), (1, 24))])
        seen = methods.UnlabelledSet({"vector": shifted["x"]["vector"][rows]})
        for name, prior in {"source": "source", "estimate": "estimate", "known": [0.8, 0.2]}.items():
            adapted = adapt(vector_model, vector_source, seen, schedule="mmd", adapt_epochs=60, prior=prior)
            scores[name].append(lab.accuracy(adapted, shifted))
    means = {name: np.mean(values) for name, values in scores.items()}
    assert means["known"] > means["source"] + 0.05
    assert means["estimate"] >= means["source"]


def test_few_labels_of_the_target_help_only_when_given(lab, vector_model, vector_source):
    shifted = lab.only(lab.people(31, 1, 256, lab.shift), "vector")
    seen = methods.UnlabelledSet({"vector": shifted["x"]["vector"][:64]})
    few = methods.LabelledSet(
        **{key: value[:16] for key, value in shifted.items() if key != "x"}, x={"vector": shifted["x"]["vector"][:16]}
    )
    method = methods.get("dynamic", **FAST)
    plain = method.adapt(vector_model, vector_source, seen, device="cpu")
    seen_terms = {}
    taught = method.adapt(
        vector_model, vector_source, seen, device="cpu", labelled_target=few, progress=lambda _, terms: seen_terms.update(terms)
    )
    assert lab.accuracy(taught, shifted) > lab.accuracy(plain, shifted)
    assert "few_shot" in seen_terms
    with pytest.raises(ValueError, match="takes no labelled_target"):
        methods.get("source", normalise=None).adapt(vector_model, vector_source, seen, labelled_target=few)


def test_same_seed_same_model_and_global_state_untouched(model, source, target):
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    method = methods.get("dynamic", normalise=None, adapt_epochs=2, epochs=1)
    first, second, other = (
        method.adapt(model, source, target, seed=s, device="cpu").predict_proba(source.x) for s in (0, 0, 1)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    fits = [method.fit_source(source, seed=3, device="cpu").predict_proba(source.x) for _ in range(2)]
    assert np.array_equal(*fits)
    assert torch.equal(before, torch.random.get_rng_state())


def test_incumbent_and_its_statistics_are_left_as_they_were(model, source, target):
    before = {name: value.clone() for name, value in model.core.state_dict().items()}
    adapted = adapt(model, source, target, adapt_epochs=2)
    after = adapted.core.state_dict()
    for name, value in model.core.state_dict().items():
        assert torch.equal(value, before[name])
        if "running" in name or "batches_tracked" in name:
            assert torch.equal(after[name], value)
    assert any(not torch.equal(after[name], before[name]) for name in after)


def test_anchored_model_moves_for_the_target_and_not_for_the_source(model, source, target):
    before = model.predict_proba(source.x)
    free, held = (
        adapt(model, source, target, adapt_epochs=4, gamma=1e-9, anchor=anchor).predict_proba(source.x) for anchor in (0, 1)
    )
    assert np.abs(held - before).mean() < 0.2 * np.abs(free - before).mean()


def test_anchored_alignment_still_helps_a_shifted_person(lab, vector_model, vector_source):
    person = lab.only(lab.people(1, 1, 64, lab.shift), "vector")
    adapted = adapt(
        vector_model, vector_source, methods.UnlabelledSet(person["x"]), adapt_epochs=20, kernel="multi", gamma=3.0, anchor=0.9
    )
    assert lab.accuracy(adapted, person) > lab.accuracy(vector_model, person) + 0.05


def test_vectors_lead_while_signals_wait(source):
    """With ``lead`` a signal's encoder is not even run before its turn: its batch statistics are those it began with."""
    early = methods.get("source", normalise=None, epochs=4, lr=3e-3, lead=0.5, holdout=0.0)
    fitted = early.fit_source(source, device="cpu", progress=None)
    counts = [value for name, value in fitted.core.state_dict().items() if "batches_tracked" in name]
    whole = methods.get("source", normalise=None, epochs=4, lr=3e-3, holdout=0.0).fit_source(source, device="cpu")
    full = [value for name, value in whole.core.state_dict().items() if "batches_tracked" in name]
    assert counts
    assert max(int(c) for c in counts) <= max(int(c) for c in full) // 2


def test_the_last_epoch_teaches_all_however_long_vectors_lead(source):
    fitted = methods.get("source", normalise=None, epochs=1, lead=0.9).fit_source(source, device="cpu")
    assert all(int(value) > 0 for name, value in fitted.core.state_dict().items() if "batches_tracked" in name)


def test_answer_to_a_window_does_not_depend_on_its_batch(model, source, target):
    adapted = adapt(model, source, target, adapt_epochs=1)
    together = adapted.predict_proba(source.x)[:3]
    alone = np.concatenate([adapted.predict_proba({view: x[i : i + 1] for view, x in source.x.items()}) for i in range(3)])
    np.testing.assert_allclose(alone, together, atol=1e-6)


@pytest.mark.parametrize("windows", [1, 2, 500])
def test_any_number_of_target_windows_will_do(lab, vector_model, vector_source, windows):
    seen = methods.UnlabelledSet(lab.only(lab.people(41, 1, max(4, windows)), "vector")["x"]).x["vector"][:windows]
    adapted = adapt(vector_model, vector_source, methods.UnlabelledSet({"vector": seen}), adapt_epochs=2)
    assert np.isfinite(adapted.predict_proba({"vector": seen})).all()


def test_source_that_would_be_forgotten_is_kept(lab, vector_model, vector_source):
    noise = methods.UnlabelledSet({"vector": np.random.default_rng(0).normal(size=(64, 6)) * 30})
    source = {"x": vector_source.x, "y": vector_source.y}
    wrecked = adapt(vector_model, vector_source, noise, adapt_epochs=5, adapt_lr=1.0, slack=1e9)
    kept = adapt(vector_model, vector_source, noise, adapt_epochs=5, adapt_lr=1.0)
    assert lab.accuracy(wrecked, source) < 0.8
    assert lab.accuracy(kept, source) > lab.accuracy(vector_model, source) - 0.03


def test_budget_is_used_and_obeyed(model, source, target):
    method = methods.get("dynamic", normalise=None, adapt_epochs=10_000)
    fractions, schedules = [], []

    def note(fraction, terms):
        fractions.append(fraction)
        schedules.append(terms["schedule"])

    start = time.perf_counter()
    method.adapt(model, source, target, device="cpu", budget_s=2.0, progress=note)
    assert 1.5 < time.perf_counter() - start < 20  # the epochs asked for would take an hour
    assert fractions == sorted(fractions)
    assert schedules[-1] > 0.99  # the whole way from MMD to LSD fits into the budget
    with pytest.raises(ValueError, match="budget_s must be positive"):
        method.adapt(model, source, target, budget_s=0)


def test_budget_that_does_not_bind_changes_nothing(lab, vector_model, vector_source):
    seen = methods.UnlabelledSet(lab.only(lab.people(51, 1, 64), "vector")["x"])
    method = methods.get("dynamic", normalise=None, adapt_epochs=3)
    free, roomy = (method.adapt(vector_model, vector_source, seen, device="cpu", budget_s=b) for b in (None, 60.0))
    assert np.array_equal(free.predict_proba(seen.x), roomy.predict_proba(seen.x))


def test_pace_gives_up_when_there_is_no_time():
    assert Pace(10, time.perf_counter() - 4).progress(0) is None
    assert [Pace(4).progress(i) for i in range(5)] == [0, 0.25, 0.5, 0.75, None]


@pytest.mark.parametrize(("name", "ends"), [("mmd_to_lsd", (0, 1)), ("mmd", (0, 0)), ("lsd", (1, 1))])
def test_schedule_runs_from_whole_to_classes(name, ends):
    assert [schedule(name, 0.0), schedule(name, 1.0)] == pytest.approx(ends, abs=1e-4)


def test_progress_tells_terms_and_can_cancel(model, source, target):
    heard = []

    def stop(fraction, terms):
        heard.append((fraction, terms))
        if len(heard) == 3:
            raise methods.Cancelled

    with pytest.raises(methods.Cancelled):
        methods.get("dynamic", normalise=None).adapt(model, source, target, device="cpu", progress=stop)
    assert len(heard) == 3
    assert {"source_ce", "mmd", "lsd", "schedule", "confident", "epoch"} <= set(heard[0][1])
    assert all(0 <= fraction <= 1 for fraction, _ in heard)
    heard.clear()
    with pytest.raises(methods.Cancelled):
        methods.get("source", normalise=None).fit_source(source, device="cpu", progress=stop)
    assert len(heard) == 3


def test_fit_stops_early_on_held_out_subjects(vector_source):
    epochs = []
    methods.get("source", normalise=None, epochs=400, lr=0.02, patience=3).fit_source(
        vector_source, device="cpu", progress=lambda _, terms: epochs.append(terms["holdout"])
    )
    assert len(epochs) < 200
    assert min(epochs) == min(epochs[:-3])


def test_unbalanced_source_is_learnt_class_balanced(lab):
    data = lab.only(lab.people(61, 6, 100), "vector")
    keep = (data["y"] == 0) | (np.arange(600) % 20 == 1)
    rare = methods.LabelledSet(**{k: v[keep] for k, v in data.items() if k != "x"}, x={"vector": data["x"]["vector"][keep]})
    p = (
        methods.get("source", normalise=None, epochs=20, lr=3e-3)
        .fit_source(rare, device="cpu")
        .predict_proba(data["x"])
        .argmax(axis=1)
    )
    assert (p[data["y"] == 1] == 1).mean() > 0.85


def test_soft_labels_are_learnt(lab, vector_source):
    soft = np.where(np.eye(2)[vector_source.y] > 0, 0.8, 0.2)
    source = methods.LabelledSet(vector_source.x, soft, vector_source.subject, vector_source.trial)
    model = methods.get("source", normalise=None, epochs=40, lr=3e-3, smoothing=0.0).fit_source(source, device="cpu")
    p = model.predict_proba(source.x)[np.arange(240), vector_source.y]
    assert 0.7 < np.median(p) < 0.9


def test_personal_standardisation_undoes_a_persons_offset(lab):
    data = lab.only(lab.people(71, 6, 40), "vector")
    data["x"]["vector"] = data["x"]["vector"] * (1 + data["subject"][:, None]) + 20 * data["subject"][:, None]
    person = lab.only(lab.people(72, 1, 80), "vector")
    person["x"]["vector"] = person["x"]["vector"] * 7 - 35
    method = methods.get("source", normalise="subject", epochs=30, lr=3e-3)
    source = methods.LabelledSet(**data)
    model = method.fit_source(source, device="cpu")
    assert lab.accuracy(model, person) < 0.8
    assert lab.accuracy(method.adapt(model, source, methods.UnlabelledSet(person["x"])), person) > 0.95
    with pytest.raises(ValueError, match="fitted with normalise='subject'"):
        methods.get("dynamic", normalise=None).adapt(model, source, methods.UnlabelledSet(person["x"]))


def test_wrong_input_is_named(lab, model, source, target):
    method = methods.get("dynamic", normalise=None)
    one = source.take(source.y == 1)
    with pytest.raises(ValueError, match="y has the one class 1"):
        method.fit_source(one)
    with pytest.raises(ValueError, match="y has the one class 1"):
        method.adapt(model, one, target)
    with pytest.raises(ValueError, match=r"target lacks view 'a.wave'"):
        method.adapt(model, source, methods.UnlabelledSet({"vector": target.x["vector"]}))
    with pytest.raises(ValueError, match="target: view 'vector' has shape"):
        method.adapt(model, source, methods.UnlabelledSet({**target.x, "vector": target.x["vector"][:, :2]}))
    with pytest.raises(ValueError, match="device 'tpu7' is unknown"):
        method.fit_source(source, device="tpu7")
    three = methods.LabelledSet(source.x, source.y + 1, source.subject, source.trial)
    with pytest.raises(ValueError, match="y has 3 classes, the model 2"):
        method.adapt(model, three, target)


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there")
def test_absent_cuda_is_named(lab, source):
    with pytest.raises(ValueError, match="device 'cuda' is not there"):
        methods.get("source", normalise=None).fit_source(source, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_gives_a_model_that_serves_on_the_cpu(source, target):
    method = methods.get("dynamic", normalise=None, epochs=3, adapt_epochs=2, lr=3e-3)
    runs = []
    for _ in range(2):
        model = method.fit_source(source, device="cuda")
        runs.append(method.adapt(model, source, target, device="auto").predict_proba(source.x))
    np.testing.assert_array_equal(*runs)
