import dataclasses
from types import SimpleNamespace

import numpy as np
import onnxruntime
import ot
import pytest
import torch
from scipy.stats import entropy

from streamaffect import methods
from streamaffect.methods import transport
from streamaffect.methods.attention import Attention, Encoder
from streamaffect.methods.distributions import label_correlation, measures
from streamaffect.methods.helo import HeLo
from streamaffect.methods.helo_network import HeloNetwork, LabelAttention, SignalTokens
from streamaffect.methods.helo_objective import cosines, divergence
from streamaffect.methods.holdout import split
from streamaffect.methods.model import CoreModel
from streamaffect.methods.scaling import Scaling

WEARABLE = {"ecg.hrv": (6,), "eda.wave": (1, 64), "emg.stats": (5,), "acc.stats": (4,)}
SMALL = {"tokens": 4, "width": 16, "heads": 2, "feedforward": 16}
FAST = {"epochs": 15, "lr": 5e-3, "tokens": 3, "width": 24, "feedforward": 24}


def network(shapes=WEARABLE, query="ecg.hrv", behaviour=("acc.stats",), classes=5, **design):
    torch.manual_seed(0)
    return HeloNetwork(shapes, classes, query, behaviour, **{**SMALL, **design}).eval()


def windows(n, shapes=WEARABLE, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(n, *shape, generator=rng) for shape in shapes.values()]


def moods(seed, subjects=6, n=32, labels=4):
    """Label distributions told by three physiological views and movement, each person a little off."""
    rng, common = np.random.default_rng(seed), np.random.default_rng(99)
    total = subjects * n
    subject = np.repeat(np.arange(subjects), n)
    y = rng.dirichlet(np.full(labels, 1.0), total)
    x = {}
    for name, k in (("ecg.hrv", 8), ("eda.stats", 5), ("emg.stats", 5), ("acc.stats", 6)):
        told = np.log(y + 0.1) @ common.normal(size=(labels, k))
        x[name] = told + 0.3 * rng.normal(size=(subjects, k))[subject] + 0.6 * rng.normal(size=(total, k))
    return methods.LabelledSet(x, y, subject)


@pytest.fixture(scope="module")
def mood():
    """A source of distributions, its model, and people unseen."""
    source = moods(0)
    return SimpleNamespace(source=source, model=HeLo(**FAST).fit_source(source, device="cpu"), unseen=moods(1, 3))


def sessions(seed, subjects=6, n=20, states=3, labels=6):
    """People in the same states, 'still' and 'still-2' being one, each with habits of report of their own."""
    rng, common = np.random.default_rng(seed), np.random.default_rng(7)
    felt, told = common.normal(size=(states, 8)), common.normal(size=(states, labels))
    names, kind = [f"state-{k}" for k in range(states - 1)] + ["still", "still-2"], [*range(states), states - 1]
    x, y, subject, trial = [], [], [], []
    for person in range(subjects):
        habit = 0.5 * rng.normal(size=labels)
        for name, k in zip(names, kind, strict=True):
            report = np.exp(told[k] + habit + 0.3 * rng.normal(size=labels))
            x.append(felt[k] + 0.7 * rng.normal(size=(n, 8)))
            y += [report / report.sum()] * n
            subject += [person] * n
            trial += [name] * n
    return methods.LabelledSet({"eda": np.concatenate(x)}, np.asarray(y), np.asarray(subject), np.asarray(trial))


@pytest.fixture(scope="module")
def fitted(vector_source):
    return HeLo(**FAST).fit_source(vector_source, device="cpu")


@pytest.mark.parametrize(
    "design",
    [
        {},
        {"keys": "others"},
        {"cross_attention": False},
        {"ot": False},
        {"label_attention": "propagate"},
        {"label_attention": None},
        {"residual": "query"},
        {"residual": "both"},
        {"detach": True},
        {"depth": 2},
    ],
)
def test_absent_view_is_never_read_whatever_it_holds(design):
    core, x = network(**design), windows(12)
    keep = torch.tensor([[i >> v & 1 for v in range(4)] for i in range(4, 16)]).float()  # every set that has the EMG or the ACC
    garbage = [torch.where(keep[:, v].reshape(-1, *[1] * (view.ndim - 1)) > 0, view, torch.nan) for v, view in enumerate(x)]
    with torch.no_grad():
        clean, dirty = core(x, keep), core(garbage, keep)
    for a, b in zip(clean, dirty, strict=True):
        assert torch.isfinite(a).all()
        assert torch.equal(a, b)
    whole = core(x, torch.ones(12, 4))[1]
    for i in range(11):
        assert not torch.allclose(clean[1][i], whole[i], atol=1e-5)  # what is there is read


@pytest.mark.parametrize(
    ("shapes", "query", "behaviour"),
    [
        ({"vector": (6,)}, "vector", ()),
        ({"ppg.wave": (1, 40)}, "ppg.wave", ()),
        ({"acc.wave": (3, 90), "video": (7,)}, "video", ()),
        ({"ecg": (3,), "acc.stats": (4,)}, "ecg", ("acc.stats",)),
        ({"acc.stats": (4,), "eeg.de": (20,), "video": (9,), "eda": (1, 50)}, "eeg.de", ("acc.stats", "video")),
    ],
)
def test_any_set_of_views_will_do(shapes, query, behaviour):
    core, x = network(shapes, query, behaviour, classes=3), windows(4, shapes)
    for keep in (torch.ones(4, len(shapes)), torch.zeros(4, len(shapes))):
        embedding, logits, cost = core.answer(x, keep)
        assert (embedding.shape, logits.shape, cost.shape) == ((4, 16), (4, 3), (4,))
        assert torch.isfinite(embedding).all()
        assert torch.isfinite(logits).all()
        assert (cost > 0).all() == bool(behaviour and keep.any())
    rebuilt = HeloNetwork(**core.spec()).eval()
    rebuilt.load_state_dict(core.state_dict())
    assert torch.equal(rebuilt(x, torch.ones(4, len(shapes)))[1], core(x, torch.ones(4, len(shapes)))[1])


def test_cross_attention_is_that_of_torch_plus_the_normed_key_view():
    """Eq. 1-4: one block a view, Q of the query view, the residual LN(x^m)."""
    core, x = network(), windows(5)
    there = torch.ones(5, 4, dtype=torch.bool)
    tokens = [project(view) for project, view in zip(core.project, x, strict=True)]
    fused, known = core._fuse(tokens, there)
    assert known.all()
    expected = []
    for j, i in enumerate((0, 1, 2)):
        block, reference = core.cross[j], torch.nn.MultiheadAttention(16, 2, batch_first=True)
        parts = (block.query, block.key, block.value)
        with torch.no_grad():
            reference.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
            reference.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
            reference.out_proj.load_state_dict(block.out.state_dict())
        expected.append(reference(tokens[0], tokens[i], tokens[i])[0] + core.norm[j](tokens[i]))
    torch.testing.assert_close(fused, torch.cat(expected, 1))


def test_without_the_query_a_block_is_its_own_view_and_without_that_the_query():
    core, x = network(keys="others"), windows(2)
    tokens = [project(view) for project, view in zip(core.project, x, strict=True)]
    there = torch.tensor([[False, True, True, True], [True, False, True, True]])
    fused, known = core._fuse(tokens, there)
    assert known.all()
    torch.testing.assert_close(fused[0], torch.cat([core.norm[0](tokens[1][0]), core.norm[1](tokens[2][0])]))
    torch.testing.assert_close(fused[1, :4], core.norm[0](tokens[0][1]))


def test_encoder_is_torchs_transformer_with_its_padding_mask():
    ours = Encoder(1, 16, 2, 24, 0.0).eval()
    reference = torch.nn.TransformerEncoderLayer(16, 2, 24, 0.0, batch_first=True).eval()
    layer = ours.layers[0]
    with torch.no_grad():
        parts = (layer.attention.query, layer.attention.key, layer.attention.value)
        reference.self_attn.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        reference.self_attn.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        reference.self_attn.out_proj.load_state_dict(layer.attention.out.state_dict())
        reference.linear1.load_state_dict(layer.feedforward[0].state_dict())
        reference.linear2.load_state_dict(layer.feedforward[3].state_dict())
        x = torch.randn(3, 7, 16)
        mask = torch.tensor([[True] * 7, [True] * 4 + [False] * 3, [False] + [True] * 6])
        torch.testing.assert_close(
            ours(x, mask), reference(x, src_key_padding_mask=~mask) * mask[:, :, None], atol=1e-5, rtol=0
        )


def test_physiology_is_carried_to_where_pots_plan_takes_it():
    """Eq. 5 and 6: the barycentric map of the physiological tokens, those of a missing view without mass."""
    core, x = network(iterations=300), windows(2)
    there = torch.tensor([[True] * 4, [False, True, False, True]])
    tokens = [torch.where(there[:, i, None, None], p(v), 0) for i, (p, v) in enumerate(zip(core.project, x, strict=True))]
    fused, known = core._fuse(tokens, there)
    known = known & torch.tensor([[True] * 12, [False] * 4 + [True] * 8])  # as where the first block had nothing
    with torch.no_grad():
        moved, cost = core._transport(fused, known, tokens[3])
    for i in range(2):
        felt, acted = fused[i][known[i]].detach().double().numpy(), tokens[3][i].detach().double().numpy()
        price = 1 - felt @ acted.T / np.linalg.norm(felt, axis=1)[:, None] / np.linalg.norm(acted, axis=1)
        T = ot.sinkhorn(
            np.full(len(felt), 1 / len(felt)), np.full(12, 1 / 12), price, 0.1, method="sinkhorn_log", stopThr=1e-12
        )
        np.testing.assert_allclose(moved[i].numpy(), 12 * T.T @ felt, atol=1e-4)
        assert float(cost[i]) == pytest.approx((T * price).sum(), abs=1e-5)


def test_without_behaviour_the_physiological_tokens_stay_as_they_are():
    core, x = network(), windows(3)
    keep = torch.ones(3, 4)
    keep[:, 3] = 0
    tokens = [torch.where(keep[:, i, None, None] > 0, p(v), 0) for i, (p, v) in enumerate(zip(core.project, x, strict=True))]
    with torch.no_grad():
        fused, known = core._fuse(tokens, keep > 0)
        carried, mask, cost = core._carry(fused, known, tokens, keep > 0)
        torch.testing.assert_close(carried[mask].reshape(3, -1, 16), core.body(fused, known))
    assert float(cost.abs().max()) == 0


def test_single_numbers_of_vectors_are_left_out_in_training_alone():
    core, x = network(feature_dropout=0.5, dropout=0.0), windows(3)
    there = torch.ones(3, 4)
    with torch.no_grad():
        assert torch.equal(core(x, there)[1], core(x, there)[1])
        core.train()
        core.project[1].eval()  # the signal's batch statistics
        assert not torch.equal(core(x, there)[1], core(x, there)[1])


def test_plans_gradient_reaches_the_views_unless_detached():
    def slope(**design):
        core, x = network(**design), windows(2)
        core.answer(x, torch.ones(2, 4))[2].sum().backward()
        return core.project[3][0].weight.grad

    assert not torch.allclose(slope(), slope(detach=True))


@pytest.mark.parametrize("form", ["joint", "propagate"])
def test_label_attention_by_hand(form):
    torch.manual_seed(1)
    labels, tokens = LabelAttention(3, 8, form), torch.randn(2, 5, 8)
    mask = torch.tensor([[True] * 5, [True, True, False, False, True]])
    read = labels(tokens, mask)
    L = labels.embedding
    M = torch.tensor([[float((a @ b / a.norm() / b.norm()).detach()) for b in L] for a in L])
    torch.testing.assert_close(labels.likeness(), M)
    for n in range(2):
        seen = tokens[n][mask[n]]
        Q, K, V = labels.query(L), labels.key(seen), labels.value(seen)
        if form == "joint":
            scores = torch.cat([Q @ labels.key(L).T + M, Q @ K.T], 1)
            V = torch.cat([labels.value(L), V])
        else:
            scores = (torch.eye(3) + M) @ Q @ K.T
        torch.testing.assert_close(read[n], torch.softmax(scores / 8**0.5, 1) @ V)


def test_signal_tokens_follow_time():
    tokens = SignalTokens(1, 256, 4, 8).eval()
    x = torch.zeros(2, 1, 256)
    x[1, :, 224:] = 3.0
    change = (tokens(x)[1] - tokens(x)[0]).detach().abs().sum(1)
    assert change.argmax() == 3
    assert float(change[0]) == 0
    torch.testing.assert_close(tokens.parts.sum(0), torch.ones(4))


def test_loss_is_the_divergence_of_the_truth_from_the_answer():
    rng = np.random.default_rng(0)
    y, logits = rng.dirichlet(np.ones(4), 6), rng.normal(size=(6, 4))
    y[0] = [1, 0, 0, 0]
    said = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    value = divergence(torch.as_tensor(logits), torch.as_tensor(y), torch.ones(4, dtype=torch.float64))
    assert float(value) == pytest.approx(np.mean([entropy(a, b) for a, b in zip(y, said, strict=True)]), abs=1e-12)
    np.testing.assert_allclose(cosines(torch.as_tensor(y)).numpy(), label_correlation(y), atol=1e-12)


def test_correlation_is_that_of_the_labels_trained_on_and_of_no_others(mood):
    source = mood.source
    train, held = split(source, HeLo().holdout, 0)
    np.testing.assert_allclose(mood.model.core.correlation.numpy(), label_correlation(source.y[train]), atol=1e-6)
    other = source.y.copy()
    other[held] = np.roll(other[held], 1, axis=1)
    changed = HeLo(**{**FAST, "epochs": 1}).fit_source(dataclasses.replace(source, y=other), device="cpu")
    assert torch.equal(changed.core.correlation, mood.model.core.correlation)


def test_class_labels_are_smoothed_and_distributions_are_not(vector_source):
    def correlation(source):
        return (
            HeLo(**{**FAST, "epochs": 1}, smoothing=0.2, holdout=0.0).fit_source(source, device="cpu").core.correlation.numpy()
        )

    onehot = np.eye(2)[vector_source.y]
    np.testing.assert_allclose(correlation(vector_source), label_correlation(0.8 * onehot + 0.1), atol=1e-6)
    np.testing.assert_allclose(correlation(dataclasses.replace(vector_source, y=onehot)), np.eye(2), atol=1e-6)


def test_distributions_of_unseen_people_are_told_better_than_by_the_average(mood):
    said = measures(mood.unseen.y, mood.model.predict_proba(mood.unseen.x), mood.unseen.subject)
    average = measures(mood.unseen.y, np.tile(mood.source.y.mean(axis=0), (len(mood.unseen), 1)), mood.unseen.subject)
    assert said["kl"] < 0.5 * average["kl"]
    assert said["canberra"] < average["canberra"]
    assert said["intersection"] > average["intersection"]


def test_label_embeddings_learn_the_correlation_of_the_labels(mood):
    def gap(cc_weight):
        core = HeLo(**FAST, holdout=0.0, cc_weight=cc_weight).fit_source(mood.source, device="cpu").core
        return float((core.label_likeness() - core.correlation).square().mean().detach())

    assert gap(1.0) < 0.3 * gap(0.0)


def test_price_on_transport_brings_physiology_and_behaviour_together(mood):
    def cost(wd_weight):
        core = HeLo(**FAST, holdout=0.0, wd_weight=wd_weight).fit_source(mood.source, device="cpu").core
        with torch.no_grad():
            return float(core.answer([torch.as_tensor(view) for view in mood.source.x.values()], torch.ones(192, 4))[2].mean())

    assert cost(3.0) < 0.93 * cost(0.0)


def test_plans_of_a_fitted_model_keep_their_mass(mood):
    core, x = mood.model.core, mood.model.scaling.apply(mood.unseen.x)
    with torch.no_grad():
        tokens = [project(torch.as_tensor(view)) for project, view in zip(core.project, x.values(), strict=True)]
        fused, _ = core._fuse(tokens, torch.ones(len(tokens[0]), 4, dtype=torch.bool))
        cost = transport.cosine_cost(fused, tokens[3])
        even = torch.full_like(cost[:, 0], 1 / cost.shape[1])
        T = transport.plan(cost, even, even, core.design.eps, core.design.iterations)
    assert transport.mass_error(T, even, even) < 1e-3 / cost.shape[1]


def test_sensor_that_falls_off_costs_something_but_not_the_answer(mood):
    whole = measures(mood.unseen.y, mood.model.predict_proba(mood.unseen.x))["kl"]
    average = measures(mood.unseen.y, np.tile(mood.source.y.mean(axis=0), (len(mood.unseen), 1)))["kl"]
    for name in mood.unseen.x:
        x = {view: np.full_like(v, np.nan) if view == name else v for view, v in mood.unseen.x.items()}
        assert whole < measures(mood.unseen.y, mood.model.predict_proba(x))["kl"] < 0.8 * average


@pytest.mark.parametrize("align", ["mmd", "ot"])
def test_adapting_beats_the_source_on_a_shifted_person(lab, vector_source, align):
    method = HeLo(**FAST, normalise=None, align=align, adapt_epochs=20)
    model = method.fit_source(vector_source, device="cpu")
    gains = []
    for seed in (11, 12, 13):
        person = lab.only(lab.people(seed, 1, 192, lab.shift), "vector")
        seen = methods.UnlabelledSet({"vector": person["x"]["vector"][:64]})
        unseen = {"x": {"vector": person["x"]["vector"][64:]}, "y": person["y"][64:]}
        adapted = method.adapt(model, vector_source, seen, device="cpu")
        gains.append(lab.accuracy(adapted, unseen) - lab.accuracy(model, unseen))
        assert lab.accuracy(adapted, {"x": vector_source.x, "y": vector_source.y}) > 0.93
    assert np.mean(gains) > 0.08
    assert min(gains) > 0


def test_known_proportions_help_where_they_differ(lab, vector_source):
    method = HeLo(**FAST, normalise=None, adapt_epochs=20)
    model = method.fit_source(vector_source, device="cpu")
    scores = {"source": [], "known": []}
    for seed in (21, 22, 23):
        person = lab.only(lab.people(seed, 1, 400, lab.shift), "vector")
        rows = np.concatenate([np.flatnonzero(person["y"] == c)[:n] for c, n in ((0, 96), (1, 24))])
        seen = methods.UnlabelledSet({"vector": person["x"]["vector"][rows]})
        for name, prior in (("source", "source"), ("known", [0.8, 0.2])):
            adapted = dataclasses.replace(method, prior=prior).adapt(model, vector_source, seen, device="cpu")
            scores[name].append(lab.accuracy(adapted, person))
    assert np.mean(scores["known"]) > np.mean(scores["source"]) + 0.03


def test_without_alignment_the_network_stays(fitted, vector_source, target):
    seen = methods.UnlabelledSet({"vector": target.x["vector"]})
    adapted = HeLo(align=None).adapt(fitted, vector_source, seen, device="cpu")
    for name, value in adapted.core.state_dict().items():
        assert torch.equal(value, fitted.core.state_dict()[name])
    moved = HeLo(adapt_epochs=1).adapt(fitted, vector_source, seen, device="cpu")
    assert not np.array_equal(moved.predict_proba(seen.x), adapted.predict_proba(seen.x))


def test_same_seed_same_model(fitted, vector_source, target):
    seen = methods.UnlabelledSet({"vector": target.x["vector"]})
    method = HeLo(**{**FAST, "epochs": 2}, adapt_epochs=1)
    fits = [method.fit_source(vector_source, seed=s, device="cpu").predict_proba(seen.x) for s in (0, 0, 1)]
    runs = [method.adapt(fitted, vector_source, seen, seed=s, device="cpu").predict_proba(seen.x) for s in (0, 0, 1)]
    for first, second, other in (fits, runs):
        assert np.array_equal(first, second)
        assert not np.array_equal(first, other)


def test_graph_answers_as_the_model_at_any_batch_with_sensors_missing(tmp_path):
    """At the default size."""
    core = HeloNetwork(WEARABLE, 5, "ecg.hrv", ["acc.stats"])
    data = {name: view.numpy() for name, view in zip(WEARABLE, windows(33), strict=True)}
    model = CoreModel("helo", WEARABLE, core, Scaling.of(data), 5, {})
    model.export_onnx(tmp_path / "m.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", options)
    for n in (1, 2, 33):
        x = {name: view[:n].copy() for name, view in data.items()}
        for i, view in enumerate(x.values()):
            view[i % n :: 5] = np.nan
        probabilities, embedding = session.run(["probabilities", "embedding"], x)
        np.testing.assert_allclose(probabilities, model.predict_proba(x), atol=1e-5)
        np.testing.assert_allclose(embedding, model.embed(x), atol=1e-5)


def test_answer_to_a_window_does_not_depend_on_its_batch(mood):
    x = {name: view[:6] for name, view in mood.unseen.x.items()}
    alone = np.concatenate([mood.model.predict_proba({name: view[i : i + 1] for name, view in x.items()}) for i in range(6)])
    np.testing.assert_allclose(alone, mood.model.predict_proba(x), atol=1e-6)


def test_saved_model_is_the_same(tmp_path, mood):
    mood.model.save(tmp_path / "m.npz")
    again = methods.load(tmp_path / "m.npz")
    assert np.array_equal(again.predict_proba(mood.unseen.x), mood.model.predict_proba(mood.unseen.x))


STATES = {**FAST, "states": True, "width": 12, "heads": 2, "holdout": 0}


def test_state_that_people_share_is_told_and_what_is_one_persons_is_not(tmp_path):
    """The answer is the mixture of the states' mean reports, on people unseen near the states' own means."""
    source, unseen = sessions(0), sessions(1, 3)
    model = HeLo(**STATES).fit_source(source, device="cpu")
    assert model.core.states == [["state-0"], ["state-1"], ["still", "still-2"]]
    p = model.predict_proba(unseen.x)
    means = np.stack([source.y[np.isin(source.trial, names)].mean(axis=0) for names in model.core.states])
    np.testing.assert_allclose(model.core.reports, means, atol=1e-6)
    weights = np.linalg.lstsq(means.T, p.T, rcond=None)[0].T
    np.testing.assert_allclose(weights @ means, p, atol=1e-5)
    truth = [next(i for i, names in enumerate(model.core.states) if name in names) for name in unseen.trial]
    assert (weights.argmax(axis=1) == truth).mean() > 0.9
    average = np.tile(source.y.mean(axis=0), (len(unseen), 1))
    assert measures(unseen.y, p)["kl"] < 0.8 * measures(unseen.y, average)["kl"]
    model.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(methods.load(tmp_path / "model.npz").predict_proba(unseen.x), p)
    model.export_onnx(tmp_path / "model.onnx")
    graph = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    feed = {node.name: unseen.x["eda"].astype(np.float32) for node in graph.get_inputs() if node.name == "eda"}
    assert feed.keys() == {node.name for node in graph.get_inputs()}
    np.testing.assert_allclose(graph.run(None, feed)[0], p, atol=1e-5)


def test_states_are_kept_when_the_embedding_is_aligned():
    source, unseen = sessions(0), sessions(2, 1)
    method = HeLo(**STATES, adapt_epochs=2)
    model = method.fit_source(source, device="cpu")
    few = source.take(source.trial != "still-2")
    adapted = method.adapt(model, few, methods.UnlabelledSet({"eda": unseen.x["eda"] + 0.5}), device="cpu")
    assert adapted.core.states == model.core.states
    assert torch.equal(adapted.core.reports, model.core.reports)
    assert not np.allclose(adapted.predict_proba(unseen.x), model.predict_proba(unseen.x))


def test_states_need_distributions_of_several_people(vector_source):
    with pytest.raises(ValueError, match="these are classes, fit with states=False"):
        HeLo(**STATES).fit_source(vector_source, device="cpu")
    with pytest.raises(ValueError, match="1 is too few, fit with states=False"):
        HeLo(**STATES).fit_source(sessions(0, 1), device="cpu")


def test_every_switch_learns(mood):
    """Each ablation fits and is better than knowing nothing."""
    average = measures(mood.unseen.y, np.tile(mood.source.y.mean(axis=0), (len(mood.unseen), 1)))["kl"]
    for switch in (
        {"cross_attention": False},
        {"ot": False},
        {"label_attention": None},
        {"label_attention": "propagate"},
        {"keys": "others", "residual": "query"},
        {"correlation": "batch"},
        {"detach": True},
        {"depth": 2},
        {"feature_dropout": 0.2},
    ):
        model = HeLo(**{**FAST, "epochs": 10, **switch}).fit_source(mood.source, device="cpu")
        assert measures(mood.unseen.y, model.predict_proba(mood.unseen.x))["kl"] < 0.8 * average, switch


@pytest.mark.parametrize(
    ("params", "views", "roles"),
    [
        ({}, ["ecg.hrv", "emg", "eda", "acc.stats"], ("ecg.hrv", ("acc.stats",))),
        ({}, ["gsr", "eeg.de", "ppg", "video"], ("eeg.de", ("video",))),
        ({}, ["acc.stats", "video.lbp"], ("acc.stats", ())),
        ({}, ["acceleration"], ("acceleration", ())),
        ({"behaviour": ()}, ["ecg", "acc"], ("ecg", ())),
        ({"behaviour": ["ecg"]}, ["ecg", "acc"], ("acc", ("ecg",))),
        ({"query": "acc"}, ["ecg", "acc"], ("acc", ())),
        ({"query": "eda"}, ["ecg", "eda", "acc"], ("eda", ("acc",))),
    ],
)
def test_who_asks_and_what_is_behaviour(params, views, roles):
    assert HeLo(**params).roles(views) == roles


def test_wrong_parameters_are_named(mood):
    for params, message in (
        ({"query": "eeg"}, "names view 'eeg'"),
        ({"behaviour": ["gaze"]}, "names view 'gaze'"),
        ({"query": "acc.stats", "behaviour": ["acc.stats"]}, "both query and behaviour"),
    ):
        with pytest.raises(ValueError, match=message):
            HeLo(**params).fit_source(mood.source)
    for params, message in (
        ({"width": 30, "heads": 4}, "width must be a multiple of heads"),
        ({"align": "mbal"}, "align must be 'mmd' or 'ot' or None"),
        ({"label_attention": "none"}, "label_attention must be"),
        ({"eps": 0.0}, r"eps must lie in"),
        ({"behaviour": "acc"}, "must be a list of views"),
        ({"behaviour": 3}, "must be a list of views"),
        ({"iterations": 0}, "iterations must be an integer from 1 on"),
        ({"states": 1}, "states must be False or True"),
        ({"feature_dropout": 1.0}, "feature_dropout must lie in"),
    ):
        with pytest.raises(ValueError, match=message):
            methods.get("helo", **params)


def test_attention_over_nothing_is_finite():
    block = Attention(8, 2, 0.0)
    assert torch.isfinite(block(torch.randn(1, 3, 8), torch.randn(1, 4, 8), torch.zeros(1, 4, dtype=torch.bool))).all()
