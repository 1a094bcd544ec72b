"""Euclidean alignment: whitening by person, octave bands, the exported graph."""

import numpy as np
import onnxruntime
import pytest
import torch

from streamaffect import methods
from streamaffect.methods.euclidean import _by_person
from streamaffect.methods.whitened import Whitened


def heads(seed, people, windows=30, share=0.5, channels=4, samples=128):
    """Sources of two classes mixed into channels, each head in its own way; source 0 is stronger in class 1."""
    rng = np.random.default_rng(seed)
    common = np.random.default_rng(1).normal(size=(channels, channels)) + 2 * np.eye(channels)
    y = np.tile(np.arange(windows) < share * windows, people).astype(int)
    subject = np.repeat(np.arange(people), windows)
    x = rng.normal(size=(len(y), channels, samples))
    x[:, 0] *= np.where(y, 1.9, 1.0)[:, None] * np.exp(0.1 * rng.normal(size=len(y)))[:, None]
    mixing = common + 0.5 * rng.normal(size=(people, channels, channels))
    gain = np.exp(0.7 * rng.normal(size=(people, channels, 1)))
    x = (gain * mixing)[subject] @ x
    return {"x": {"eeg": x.astype(np.float32)}, "y": y, "subject": subject}


@pytest.fixture(scope="module")
def fitted():
    source = methods.LabelledSet(**heads(0, 10))
    method = methods.get("euclidean_alignment", octaves=2)
    return method, source, method.fit_source(source, device="cpu")


def test_it_serves_strangers(fitted, lab):
    method, source, model = fitted
    before, after = [], []
    for seed in range(8):
        data = heads(100 + seed, 1)
        before.append(lab.accuracy(model, data))
        after.append(lab.accuracy(method.adapt(model, source, methods.UnlabelledSet(data["x"]), device="cpu"), data))
    assert np.mean(after) > np.mean(before) + 0.05
    assert np.mean(after) > 0.9


def test_alignment_undoes_any_mixing():
    """EA's point: mean covariance I, whatever the channels are."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3, 200)) * [[1.0], [1.5], [2.0]]
    x[20:] = (np.eye(3) + 0.4 * rng.normal(size=(3, 3))) @ x[20:]
    covariances = x @ x.transpose(0, 2, 1) / 200
    (whitened,) = _by_person([covariances.astype(np.float32)], np.repeat([0, 1], 20))
    for own in (slice(0, 20), slice(20, 40)):
        np.testing.assert_allclose(whitened[own].mean(axis=0), np.eye(3), atol=0.08)  # R is shrunk a little


def test_the_graph_is_the_definition():
    """Without octaves: log variances and correlations of ``W x``, windows centred or not as they come."""
    rng = np.random.default_rng(0)
    core = Whitened({"eeg": (3, 50), "v": (2,)}, 2, octaves=0)
    W = rng.normal(size=(3, 3)).astype(np.float32)
    core.whiten([W])
    x, v = rng.normal(size=(5, 3, 50)).astype(np.float32), rng.normal(size=(5, 2)).astype(np.float32)
    embedding = core.embed({"eeg": x, "v": v})
    z = W @ x
    expected = np.stack([np.r_[np.log((w**2).mean(axis=1)), (w @ w.T / 50)[np.triu_indices(3, 1)]] for w in z])
    size = np.sqrt((z**2).mean(axis=2))
    for column, (i, j) in enumerate([(0, 1), (0, 2), (1, 2)]):
        expected[:, 3 + column] /= size[:, i] * size[:, j]
    np.testing.assert_allclose(embedding, np.concatenate([expected, v], axis=1), rtol=1e-4, atol=1e-5)


def test_octaves_part_the_frequencies_and_keep_the_power():
    core = Whitened({"eeg": (1, 512)}, 2, octaves=3)
    assert len(core.channels) == 4
    t = np.arange(512)
    for frequency, band in [(0.4, 0), (0.18, 1), (0.09, 2), (0.02, 3)]:
        tone = np.sin(2 * np.pi * frequency * t)[None, None].astype(np.float32)
        power = [float(c[0, 0, 0]) / 2**i for i, c in enumerate(core.covariances_of({"eeg": tone}), start=1)]
        power[3] *= 2  # the rest has as many samples as the last octave
        assert np.argmax(power) == band
        assert sum(power) == pytest.approx(0.5, rel=0.1)
    assert len(Whitened({"eeg": (1, 40)}, 2, octaves=9).channels) == 3  # as far as the length allows


def test_model_is_saved_loaded_and_exported(fitted, tmp_path):
    method, source, model = fitted
    x = heads(7, 1)["x"]
    adapted = method.adapt(model, source, methods.UnlabelledSet(x), device="cpu")
    adapted.save(tmp_path / "m.npz")
    np.testing.assert_array_equal(methods.load(tmp_path / "m.npz").predict_proba(x), adapted.predict_proba(x))
    adapted.export_onnx(tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    for n in (1, 5):
        told = session.run(None, {"eeg": x["eeg"][:n]})
        np.testing.assert_allclose(told[0], adapted.predict_proba({"eeg": x["eeg"][:n]}), atol=1e-5)


def test_a_signal_that_falls_off_leaves_the_vectors(lab):
    source = methods.LabelledSet(**lab.people(0, 5, 40))
    model = methods.get("euclidean_alignment", octaves=1).fit_source(source, device="cpu")
    data = lab.people(3, 1, 40)
    gone = {**data["x"], "a.wave": np.full_like(data["x"]["a.wave"], np.nan)}
    assert lab.accuracy(model, data) > 0.9
    assert lab.accuracy(model, {"x": gone, "y": data["y"]}) > 0.8


def test_proportions_are_allowed_for(fitted, lab):
    _, source, model = fitted
    right = {}
    for prior in ("source", "estimate", np.array([0.1, 0.9])):
        method, scores = methods.get("euclidean_alignment", octaves=2, prior=prior), []
        for seed in range(6):
            data = heads(200 + seed, 1, windows=40, share=0.9)
            adapted = method.adapt(model, source, methods.UnlabelledSet(data["x"]), device="cpu")
            scores.append(lab.accuracy(adapted, data))
        right[str(prior)] = np.mean(scores)
    assert right["[0.1 0.9]"] > right["source"] + 0.02
    assert right["estimate"] > right["source"]


def test_pseudo_labels_are_learnt(fitted):
    _, source, model = fitted
    data = heads(9, 1)
    method = methods.get("euclidean_alignment", octaves=2, self_training=True)
    refined = method.adapt(model, source, methods.UnlabelledSet(data["x"], np.zeros(30)), device="cpu")
    assert (refined.predict_proba(data["x"]).argmax(axis=1) == data["y"]).mean() > 0.85
    assert not torch.equal(refined.core.weight, model.core.weight)


def test_vectors_alone_are_refused(vector_source):
    with pytest.raises(ValueError, match=r"aligns signals \(channels, T\) and there is none: take 'zscore'"):
        methods.get("euclidean_alignment").fit_source(vector_source, device="cpu")
    with pytest.raises(ValueError, match="octaves must be an integer from 0"):
        methods.get("euclidean_alignment", octaves=-1)
