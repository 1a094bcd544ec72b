"""From a data set to a bundle that serves and adapts, on simulated people."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamaffect.bundle.bundle import Bundle, SourceMemory
from streamaffect.cli import main
from streamaffect.runtime.engine import Engine


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "quick"
    words = ["train", "simulated", "--out", str(out), "--no-loso", "--orders", "2"]
    assert main([*words, *(f"--param={p}" for p in ("epochs=2", "lead=0.5", "lr=0.003"))]) == 0
    return out


def test_bundle_loads_serves_and_remembers_its_source(trained):
    bundle = Bundle.load(trained)
    assert bundle.name == "quick"
    assert set(bundle.classes) == {"rest", "load"}
    engine = Engine(bundle)
    memory = SourceMemory.load(bundle)
    assert engine(memory.x).probabilities.shape == (memory.y.size, 2)
    assert 0 < memory.held_out.mean() < 0.5
    assert set(memory.subject[memory.held_out]).isdisjoint(memory.subject[~memory.held_out])


def test_bundle_that_is_there_is_not_replaced_unasked(trained, capsys):
    before = Bundle.load(trained).sha256
    assert main(["train", "simulated", "--out", str(trained), "--no-loso"]) == 2
    assert "--force" in capsys.readouterr().err
    assert Bundle.load(trained).sha256 == before


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nosuchset"], 2, "unknown data set 'nosuchset'"),
        (["simulated", "--method", "magic"], 2, "magic"),
        (["simulated", "--param", "epochs"], 2, "KEY=VALUE"),
        (["simulated", "--param", "epochz=3"], 2, "epochz"),
        (["simulated", "--prior", "weight=3"], 2, "weight"),
        (["eegmat", "--root", "/nowhere"], 1, "/nowhere"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_line(tmp_path, capsys, words, code, said):
    assert main(["train", *words, "--no-loso", "--out", str(tmp_path / "out")]) == code
    error = capsys.readouterr().err.strip()
    assert said in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()
