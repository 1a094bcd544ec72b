"""No candidate serves that is worse, mute, too sure or not the model it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from streamaffect.bundle.bundle import MODEL, Bundle, SourceMemory, write
from streamaffect.runtime.engine import Engine
from streamaffect.runtime.guard import WATCH_WINDOWS, Evidence, Watch, judge


@pytest.fixture(scope="module")
def memory(bundle):
    return SourceMemory.load(bundle)


@pytest.fixture
def evidence(engine, memory):
    held = {key: value[memory.held_out] for key, value in memory.x.items()}
    rest = {key: value[~memory.held_out][:60] for key, value in memory.x.items()}
    probes = {key: value[:5] for key, value in rest.items()}
    return Evidence(held, memory.y[memory.held_out], rest, probes, engine(probes).probabilities)


def tampered(bundle: Bundle, where: Path, change: Callable[[onnx.GraphProto], None]) -> Engine:
    """The bundle with its graph's probabilities renamed ``honest`` and ``change`` to make new ones of them."""

    def fill(work: Path) -> None:
        model = onnx.load(bundle.path / MODEL)
        for node in model.graph.node:
            for i, name in enumerate(node.output):
                if name == "probabilities":
                    node.output[i] = "honest"
        change(model.graph)
        onnx.save(model, work / MODEL)

    return Engine(write(where, bundle.manifest, fill))


def _constant(graph: onnx.GraphProto, name: str, values: list[float]) -> str:
    graph.initializer.append(helper.make_tensor(name, onnx.TensorProto.FLOAT, [len(values)], values))
    return name


def _affine(graph: onnx.GraphProto, scale: list[float], shift: list[float]) -> None:
    graph.node.append(helper.make_node("Mul", ["honest", _constant(graph, "scale", scale)], ["scaled"]))
    graph.node.append(helper.make_node("Add", ["scaled", _constant(graph, "shift", shift)], ["probabilities"]))


def _sharpen(graph: onnx.GraphProto) -> None:
    graph.node.append(helper.make_node("Log", ["honest"], ["log"]))
    graph.node.append(helper.make_node("Mul", ["log", _constant(graph, "cold", [500.0])], ["logits"]))
    graph.node.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))


def test_incumbent_itself_passes(engine, evidence):
    verdict = judge(engine, engine, evidence)
    assert verdict.reason is None
    assert verdict.figures["parity"] < 1e-5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda g: _affine(g, [np.nan, 1.0], [0.0, 0.0]), "NaN"),
        (lambda g: _affine(g, [-1.0, -1.0], [1.0, 1.0]), "held-out source people fell"),
        (_sharpen, "sure of everything"),
    ],
)
def test_bad_candidate_is_refused_with_the_reason(bundle, engine, evidence, tmp_path, change, said):
    candidate = tampered(bundle, tmp_path / "candidate", change)
    expected = candidate(evidence.probes).probabilities
    fair = Evidence(evidence.held_out, evidence.labels, evidence.recent, evidence.probes, np.nan_to_num(expected))
    assert said in (judge(candidate, engine, fair).reason or "")


def test_one_class_for_everything_is_refused(bundle, engine, evidence, tmp_path):
    candidate = tampered(bundle, tmp_path / "candidate", lambda g: _affine(g, [0.01, 0.01], [0.9, 0.09]))
    # Held-out people are judged first; with none of one class there that check has nothing to say.
    rest = evidence.labels == 0
    held = {key: value[rest] for key, value in evidence.held_out.items()}
    expected = candidate(evidence.probes).probabilities
    verdict = judge(candidate, engine, Evidence(held, evidence.labels[rest], evidence.recent, evidence.probes, expected))
    assert "one class takes 100%" in (verdict.reason or "")


def test_graph_that_is_not_what_torch_said_is_refused(engine, evidence):
    wrong = Evidence(evidence.held_out, evidence.labels, evidence.recent, evidence.probes, evidence.expected + 1e-2)
    assert "torch disagree" in (judge(engine, engine, wrong).reason or "")


def test_watch_rolls_back_what_says_one_thing_only(bundle, engine, river, recording, play, tmp_path):
    stuck = tampered(bundle, tmp_path / "stuck", lambda g: _affine(g, [0.01, 0.01], [0.9, 0.09]))
    watch = Watch(engine)
    river.swap(stuck)
    troubles = [trouble for d in play(river, recording) if (trouble := watch.look(d))]
    assert troubles
    assert "one class took 100%" in troubles[0]


def test_watch_ends_quietly_on_a_good_model(engine, river, recording, play):
    watch = Watch(engine)
    assert not any(watch.look(decision) for decision in play(river, recording))
    assert watch.done
    assert recording.duration_s / 5 > WATCH_WINDOWS


def test_watch_sees_nan_at_once(bundle, engine, river, recording, play, tmp_path):
    river.swap(tampered(bundle, tmp_path / "nan", lambda g: _affine(g, [np.nan, 1.0], [0.0, 0.0])))
    watch = Watch(engine)
    assert any("NaN" in (watch.look(decision) or "") for decision in play(river, recording))
