import json
import logging
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from streamaffect import methods


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    model.calibrated(1.7).export_onnx(path)
    return path


def run(path, x):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(["probabilities", "embedding"], x)


def test_probabilities_are_float32_rows_that_sum_to_one(model, source):
    p = model.predict_proba(source.x)
    assert p.dtype == np.float32
    assert p.shape == (240, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    assert model.embed(source.x).shape == (240, 64)
    assert (model.classes, model.views) == (2, {"vector": (6,), "a.wave": (2, 96)})


def test_views_not_asked_for_are_ignored_and_absent_ones_named(model, source):
    extra = {**source.x, "more": np.zeros((240, 2))}
    assert np.array_equal(model.predict_proba(extra), model.predict_proba(source.x))
    with pytest.raises(ValueError, match=r"x lacks view 'a.wave'"):
        model.predict_proba({"vector": source.x["vector"]})
    with pytest.raises(ValueError, match=r"view 'vector' has shape \(5,\) a window, the model reads \(6,\)"):
        model.predict_proba({**source.x, "vector": source.x["vector"][:, :5]})
    with pytest.raises(ValueError, match="differ in their number of windows"):
        model.predict_proba({**source.x, "vector": source.x["vector"][:5]})


def test_missing_view_leaves_the_others_to_answer(lab, model):
    data = lab.people(9, 1, 80)
    for view in data["x"]:
        x = {**data["x"], view: np.full_like(data["x"][view], np.nan)}
        p = model.predict_proba(x)
        assert np.isfinite(p).all()
        assert (p.argmax(axis=1) == data["y"]).mean() > 0.75
    nothing = {view: np.full_like(x, np.nan) for view, x in data["x"].items()}
    assert np.isfinite(model.predict_proba(nothing)).all()


def test_one_missing_sample_is_a_missing_view(model, source):
    part, whole = dict(source.x), dict(source.x)
    part["a.wave"] = np.where(np.arange(96) == 3, np.inf, source.x["a.wave"])
    whole["a.wave"] = np.full_like(source.x["a.wave"], np.nan)
    np.testing.assert_allclose(model.predict_proba(part), model.predict_proba(whole), atol=1e-6)


def test_temperature_flattens_and_makes_a_copy(model, source):
    hot = model.calibrated(5.0)
    assert (model.temperature, hot.temperature) == (1.0, 5.0)
    assert hot.predict_proba(source.x).max() < model.predict_proba(source.x).max()
    with pytest.raises(ValueError, match="temperature must be positive"):
        model.calibrated(0)


@pytest.mark.parametrize("n", [1, 2, 33])
def test_graph_agrees_with_the_model(lab, model, exported, n):
    x = {view: data[:n] for view, data in lab.people(5, 1, 40)["x"].items()}
    hot = model.calibrated(1.7)
    probabilities, embedding = run(exported, x)
    np.testing.assert_allclose(probabilities, hot.predict_proba(x), atol=1e-5)
    np.testing.assert_allclose(embedding, hot.embed(x), atol=1e-5, rtol=1e-5)


def test_graph_treats_missing_views_as_the_model_does(lab, model, exported):
    x = {view: data[:8].copy() for view, data in lab.people(5, 1, 40)["x"].items()}
    x["vector"][2, 1] = np.nan
    x["a.wave"][4] = np.inf
    np.testing.assert_allclose(run(exported, x)[0], model.calibrated(1.7).predict_proba(x), atol=1e-5)


def test_graph_is_one_file_named_as_the_views_and_free_of_paths(exported):
    graph = onnx.load(exported, load_external_data=False)
    onnx.checker.check_model(graph)
    assert [i.name for i in graph.graph.input] == ["vector", "a.wave"]
    assert [o.name for o in graph.graph.output] == ["probabilities", "embedding"]
    assert all(v.type.tensor_type.shape.dim[0].dim_param == "batch" for v in (*graph.graph.input, *graph.graph.output))
    assert list(exported.parent.iterdir()) == [exported]
    assert b".py" not in exported.read_bytes()


def test_exporter_is_silenced_for_the_call_only(model, tmp_path, capfd):
    level = logging.getLogger("torch.onnx").level
    with warnings.catch_warnings():
        before = warnings.filters[:]
        model.export_onnx(tmp_path / "model.onnx")
        assert warnings.filters == before
    assert logging.getLogger("torch.onnx").level == level
    assert capfd.readouterr() == ("", "")


def test_saved_model_is_the_same_and_goes_on_adapting(model, source, target, tmp_path):
    path = tmp_path / "model.npz"
    model.calibrated(2.0).save(path)
    before = torch.random.get_rng_state()
    loaded = methods.load(path)
    assert torch.equal(before, torch.random.get_rng_state())
    assert (loaded.method, loaded.classes, loaded.views, loaded.temperature) == ("source", 2, model.views, 2.0)
    assert np.array_equal(loaded.predict_proba(source.x), model.calibrated(2.0).predict_proba(source.x))
    method = methods.get("dynamic", normalise=None, adapt_epochs=1)
    again = method.adapt(loaded, source, target, device="cpu")
    assert again.temperature == 2.0
    here = method.adapt(model.calibrated(2.0), source, target, device="cpu")
    assert np.array_equal(again.predict_proba(source.x), here.predict_proba(source.x))
    again.save(path)
    assert methods.load(path).method == "dynamic"


def test_parameters_of_numpy_types_are_saved(vector_model, vector_source, tmp_path):
    method = methods.get("dynamic", normalise=None, adapt_epochs=np.int64(1), prior=np.array([0.4, 0.6]), tau=np.float32(0.8))
    seen = methods.UnlabelledSet({"vector": vector_source.x["vector"][:9]})
    method.adapt(vector_model, vector_source, seen, device="cpu").save(tmp_path / "model.npz")
    assert methods.load(tmp_path / "model.npz").params["prior"] == [0.4, 0.6]


def test_saved_model_holds_no_pickle(model, tmp_path):
    path = tmp_path / "model.npz"
    model.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.npz"]
    with np.load(path, allow_pickle=False) as file:
        assert all(file[name].dtype.kind in "fiU" for name in file.files)
        assert json.loads(str(file["config"]))["params"]["weight_decay"] == 1e-5


def test_foreign_and_broken_files_are_refused(model, tmp_path):
    path = tmp_path / "model.npz"
    model.save(path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ValueError, match="no saved model"):
        methods.load(path)
    np.savez(path, x=np.zeros(3))
    with pytest.raises(ValueError, match="no saved model"):
        methods.load(path)
    np.savez(path, config=np.array(json.dumps({"format": "streamaffect.model/1", "method": "dynamic"})))
    with pytest.raises(ValueError, match="do not fit its config"):
        methods.load(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match="no saved model"):
        methods.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="no saved model"):
        methods.load(path)
    with pytest.raises(FileNotFoundError):
        methods.load(tmp_path / "absent.npz")
