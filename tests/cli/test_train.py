"""From a data set to a bundle that serves and adapts, on simulated people."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamaffect import datasets
from streamaffect.bundle import registry
from streamaffect.bundle.build import classes_of
from streamaffect.bundle.bundle import Bundle, SourceMemory
from streamaffect.cli import main
from streamaffect.cli.train import _classes, _figures, _places, _replace
from streamaffect.config import RunConfig
from streamaffect.errors import UsageError
from streamaffect.runtime.engine import Engine
from streamaffect.runtime.node import plan


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "quick"
    words = ["train", "simulated", "--out", str(out), "--no-loso", "--orders", "1", "--hop", "10"]
    words += ["--valence-arousal", "load=-0.5,0.5"]
    assert main([*words, *(f"--param={p}" for p in ("epochs=2", "lead=0.5", "lr=0.003"))]) == 0
    return out


def test_bundle_loads_serves_and_remembers_its_source(trained):
    bundle = Bundle.load(trained)
    assert bundle.name == "quick"
    assert {entry.name: entry.valence for entry in bundle.manifest.classes} == {"rest": None, "load": -0.5}
    engine = Engine(bundle)
    memory = SourceMemory.load(bundle)
    assert engine(memory.x).probabilities.shape == (memory.y.size, 2)
    assert 0 < memory.held_out.mean() < 0.5
    assert set(memory.subject[memory.held_out]).isdisjoint(memory.subject[~memory.held_out])


def test_card_of_a_model_not_measured_says_so_and_names_data_and_command(trained):
    card = (trained / "CARD.md").read_text()
    assert "Not measured" in card
    assert "no person: a simulation" in card
    assert "streamaffect train simulated" in card


def test_a_method_for_vectors_is_refused_where_the_model_reads_signals(trained):
    subject = {"id": "anna", "device": "shimmer", "model": str(trained)}
    config = RunConfig.model_validate({"adaptation": {"method": "m3d"}, "subjects": [subject]})
    with pytest.raises(UsageError, match=r"'m3d' reads vector views alone, model 'quick' reads ecg.raw/1 too"):
        plan(config)


def test_bundle_that_is_there_is_not_replaced_unasked(trained, capsys):
    before = Bundle.load(trained).sha256
    assert main(["train", "simulated", "--out", str(trained), "--no-loso"]) == 2
    assert "--force" in capsys.readouterr().err
    assert Bundle.load(trained).sha256 == before


def test_what_is_no_bundle_is_not_replaced_even_if_asked(tmp_path, capsys):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear-anna.txt").write_text("keep me")
    assert main(["train", "simulated", "--out", str(tmp_path / "letters"), "--no-loso", "--force"]) == 2
    assert "no bundle" in capsys.readouterr().err
    assert (tmp_path / "letters" / "dear-anna.txt").read_text() == "keep me"


def test_name_that_no_bundle_can_have_is_refused_before_training(tmp_path, capsys):
    assert main(["train", "simulated", "--out", str(tmp_path / "My Model"), "--no-loso"]) == 2
    assert "'My Model'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def old_and_new(tmp_path: Path) -> tuple[Path, Path]:
    out, new = tmp_path / "models" / "mine", tmp_path / "models" / ".mine.work" / "new"
    for folder in (out, new):
        folder.mkdir(parents=True)
        (folder / "bundle.json").write_text(folder.name)
    return out, new


def test_new_bundle_takes_the_place_of_the_old(old_and_new):
    out, new = old_and_new
    _replace(out, new)
    assert (out / "bundle.json").read_text() == "new"
    assert sorted(path.name for path in out.parent.iterdir()) == [".mine.work", "mine"]


def test_old_bundle_stays_where_the_new_one_cannot_be_put(old_and_new):
    out, new = old_and_new
    with pytest.raises(FileNotFoundError):
        _replace(out, new.with_name("gone"))
    assert (out / "bundle.json").read_text() == "mine"
    assert sorted(path.name for path in out.parent.iterdir()) == [".mine.work", "mine"]


def test_class_placed_must_occur():
    with pytest.raises(UsageError, match="no class joy here: there are rest"):
        _classes(_places(["joy=1,0.5"]), classes_of(datasets.open("simulated", None, "person-1")), "simulated")


def test_figures_are_those_of_the_card():
    shown = _figures((registry.shipped() / "ecg-load" / "CARD.md").read_text("utf-8"))
    assert shown.startswith("Balanced accuracy")
    assert "| this model, adapted | whole recording |" in shown
    assert "#" not in shown


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nosuchset"], 2, "unknown data set 'nosuchset'"),
        (["simulated", "--method", "magic"], 2, "magic"),
        (["simulated", "--param", "epochs"], 2, "KEY=VALUE"),
        (["simulated", "--param", "epochz=3"], 2, "epochz"),
        (["simulated", "--prior", "weight=3"], 2, "weight"),
        (["simulated", "--prior", "recentre=maybe"], 2, "recentre is true or false, got 'maybe'"),
        (["simulated", "--valence-arousal", "load=high"], 2, "'load=high'"),
        (["simulated", "--valence-arousal", "load=0.5"], 2, "CLASS=V,A"),
        (["simulated", "--valence-arousal", "load=0,2"], 2, "-1..1"),
        (["eegmat", "--root", "/nowhere"], 1, "/nowhere"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_line(tmp_path, capsys, words, code, said):
    assert main(["train", *words, "--no-loso", "--out", str(tmp_path / "out")]) == code
    error = capsys.readouterr().err.strip()
    assert said in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()
