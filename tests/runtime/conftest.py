"""A real bundle that ships, a real (simulated) person, and saboteurs as a plug-in of their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamaffect import datasets
from streamaffect.bundle import registry
from streamaffect.bundle.bundle import MODEL, Bundle, write
from streamaffect.bundle.registry import Registry
from streamaffect.features.extract import chunks_of, specs_of
from streamaffect.runtime.engine import Engine
from streamaffect.runtime.river import Decision, River
from streamaffect.signals import Modality, Recording, Signal

SABOTEURS = '''
"""Methods that hand over what must never serve."""
import os, signal, time
import numpy as np
from streamaffect.methods.dynamic import Dynamic


class Sabotaged:
    def __init__(self, model, kind):
        self._model, self._kind = model, kind
        self.method, self.classes, self.views, self.temperature = model.method, model.classes, model.views, model.temperature

    def predict_proba(self, x):
        p = self._model.predict_proba(x)
        return p[:, ::-1].copy() if self._kind == "worse" else p

    def save(self, path):
        self._model.save(path)

    def export_onnx(self, path):
        import onnx
        from onnx import helper, numpy_helper

        self._model.export_onnx(path)
        graph = onnx.load(path)
        if self._kind == "truncated":
            data = open(path, "rb").read()
            open(path, "wb").write(data[: len(data) // 2])
            return
        for node in graph.graph.node:
            for i, name in enumerate(node.output):
                if name == "probabilities":
                    node.output[i] = "honest"
        if self._kind == "nan":
            poison = helper.make_tensor("poison", onnx.TensorProto.FLOAT, [], [float("nan")])
            graph.graph.initializer.append(poison)
            graph.graph.node.append(helper.make_node("Mul", ["honest", "poison"], ["probabilities"]))
        else:
            order = helper.make_tensor("order", onnx.TensorProto.INT64, [2], [1, 0])
            graph.graph.initializer.append(order)
            graph.graph.node.append(helper.make_node("Gather", ["honest", "order"], ["probabilities"], axis=1))
        onnx.save(graph, path)


class Saboteur(Dynamic):
    def adapt(self, model, source, target, **rest):
        kind = type(self).kind
        if kind == "fails":
            raise ValueError("no luck today")
        if kind == "hangs":
            time.sleep(600)
        if kind == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        return Sabotaged(model, kind)


def make(kind):
    return type("Saboteur", (Saboteur,), {"kind": kind, "name": f"saboteur-{kind}"})


nan, worse, truncated, fails, hangs, dies = map(make, ("nan", "worse", "truncated", "fails", "hangs", "dies"))
'''


@pytest.fixture
def saboteurs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Installs the methods ``saboteur-*`` as a distribution with entry points, for this process and its children."""
    place = tmp_path / "site"
    info = place / "saboteurs-1.dist-info"
    info.mkdir(parents=True)
    (place / "saboteurs.py").write_text(SABOTEURS)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: saboteurs\nVersion: 1\n")
    kinds = ("nan", "worse", "truncated", "fails", "hangs", "dies")
    lines = "\n".join(f"saboteur-{kind} = saboteurs:{kind}" for kind in kinds)
    (info / "entry_points.txt").write_text(f"[streamaffect.methods]\n{lines}\n")
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(place), os.environ.get("PYTHONPATH")))))
    yield
    sys.modules.pop("saboteurs", None)


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return Bundle.load(registry.find("ecg-load"))


@pytest.fixture(scope="session")
def engine(bundle: Bundle) -> Engine:
    return Engine(bundle)


@pytest.fixture(scope="session")
def recording() -> Recording:
    """The first five minutes of a simulated person's ECG."""
    person = next(iter(datasets.open("simulated", subject="person-3")))
    ecg = next(signal for signal in person.signals if signal.spec.modality is Modality.ECG)
    return replace(person, signals=(Signal(ecg.spec, ecg.samples[:, : round(300 * ecg.spec.rate)]),))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMAFFECT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def own(home: Path, bundle: Bundle) -> Registry:
    return Registry.of("anna", bundle)


def play(river: River, recording: Recording, chunk_s: float = 1.0) -> Iterator[Decision]:
    """The recording through the river, offline."""
    for modality, chunk in chunks_of(recording, specs_of(recording, river.extractor.views), chunk_s):
        yield from river.push(modality, chunk)[0]


@pytest.fixture
def river(engine: Engine, recording: Recording) -> River:
    return River(engine, specs_of(recording, engine.bundle.views))


@pytest.fixture(name="play")
def _play() -> Callable[..., Iterator[Decision]]:
    return play


@pytest.fixture
def tampered(bundle: Bundle) -> Callable[..., Engine]:
    """``tampered(where, scale, shift)``: the bundle with its probabilities ``p * scale + shift``; ``cold``: sharpened."""

    def make(where: Path, scale: list[float], shift: list[float], *, cold: float = 0.0) -> Engine:
        import onnx
        from onnx import helper

        def constant(name: str, values: list[float]) -> Any:
            return helper.make_tensor(name, onnx.TensorProto.FLOAT, [len(values)], values)

        def fill(work: Path) -> None:
            model = onnx.load(bundle.path / MODEL)
            graph = model.graph
            for node in graph.node:
                for i, name in enumerate(node.output):
                    if name == "probabilities":
                        node.output[i] = "honest"
            graph.initializer.extend([constant("scale", scale), constant("shift", shift), constant("cold", [cold])])
            if cold:
                graph.node.append(helper.make_node("Log", ["honest"], ["log"]))
                graph.node.append(helper.make_node("Mul", ["log", "cold"], ["logits"]))
                graph.node.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
            else:
                graph.node.append(helper.make_node("Mul", ["honest", "scale"], ["scaled"]))
                graph.node.append(helper.make_node("Add", ["scaled", "shift"], ["probabilities"]))
            onnx.save(model, work / MODEL)

        return Engine(write(where, bundle.manifest, fill))

    return make
