"""``train --recipe auto`` on recordings made for it, with a small grid."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streamaffect.bundle.bundle import Bundle
from streamaffect.cli.auto import untested
from streamaffect.datasets import simulated
from streamaffect.evaluate import recipe_grid
from streamaffect.signals import Modality


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people's ECG in EEGMAT's layout: 75 s of rest, 75 s of load."""
    folder = tmp_path_factory.mktemp("auto") / "eegmat"
    folder.mkdir()
    for i in range(3):
        played = simulated.person(f"p{i}", duration_s=150, block_s=75, modalities=[Modality.ECG])
        ecg = np.rint(played.signals[0].samples)
        arrays: dict[str, object] = {"subject": f"p{i}", "eeg_fs": 8, "ecg_fs": 256, "eeg_channels": ["Cz"]}
        for k, run in enumerate(("rest", "arithmetic")):
            arrays |= {f"{run}_ecg": ecg[:, k * 75 * 256 : (k + 1) * 75 * 256], f"{run}_ecg_scale": 1e-3}
            arrays |= {f"{run}_eeg": np.zeros((1, 75 * 8), np.int16), f"{run}_eeg_scale": 0.1}
        np.savez(folder / f"p{i}.npz", **arrays)
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe_grid, "BLOCKS", recipe_grid.BLOCKS[:2])
    monkeypatch.setattr(recipe_grid, "CLASSIFIERS", recipe_grid.CLASSIFIERS[:2])
    monkeypatch.setattr(recipe_grid, "SMOOTHINGS_S", (0.0, 10.0))


@pytest.mark.usefixtures("small")
def test_recipe_is_chosen_told_kept_and_makes_the_same_model_when_typed(root: Path, tmp_path: Path, cli: Callable) -> None:
    words = ("eegmat", "--root", root, "--orders", "2", "--processes", "1")
    outcome = cli("train", *words, "--recipe", "auto:ecg", "--no-loso", "--out", tmp_path / "models" / "auto")
    assert outcome.code == 0, outcome.err
    assert "mean +- standard error" in outcome.out
    assert "selection score (optimistic): 0." in outcome.out or "selection score (optimistic): 1." in outcome.out
    bundle = Bundle.load(tmp_path / "models" / "auto")
    kept = bundle.manifest.provenance
    assert "--recipe auto:ecg" in str(kept["command"])
    chosen = kept["recipe"]
    assert isinstance(chosen, dict)
    assert f"the same recipe, told: {chosen['command']}" in outcome.out
    assert chosen["taken_without"] == {}
    typed = shlex.split(str(chosen["taken"]))
    assert cli("train", *words, *typed, "--no-loso", "--out", tmp_path / "models" / "typed").code == 0
    same = Bundle.load(tmp_path / "models" / "typed")
    assert same.manifest.views == bundle.manifest.views
    assert (same.path / "source.npz").read_bytes() == (bundle.path / "source.npz").read_bytes()
    assert (same.manifest.method, same.manifest.params) == (bundle.manifest.method, bundle.manifest.params)
    assert (same.manifest.hop_s, same.manifest.smoothing_s) == (bundle.manifest.hop_s, bundle.manifest.smoothing_s)


@pytest.mark.usefixtures("small")
def test_each_stranger_is_tested_by_a_recipe_chosen_without_them(root: Path, tmp_path: Path, cli: Callable) -> None:
    words = ("--recipe", "auto:ecg", "--orders", "2", "--processes", "1", "--out", tmp_path / "models" / "auto")
    outcome = cli("train", "eegmat", "--root", root, *words)
    assert outcome.code == 0, outcome.err
    assert "made again without each of 3 people" in outcome.out
    assert "people are tested by: --view ecg.hrv" in outcome.out
    bundle = Bundle.load(tmp_path / "models" / "auto")
    chosen = bundle.manifest.provenance["recipe"]
    assert isinstance(chosen, dict)
    assert set(chosen["taken_without"]) == {"p0", "p1", "p2"}
    assert bundle.manifest.figures["subjects"] == 3
    assert "## Choice of the recipe" in (bundle.path / "CARD.md").read_text("utf-8")


def test_people_in_no_figure_are_named() -> None:
    assert untested(["p0", "p1", "p2"], {"p1"}).endswith(": p0, p2")
    assert untested(["p0"], {"p0"}) == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--recipe", "magic"], "--recipe takes auto or auto:KIND, a kind of ecg, eeg, wrist, got 'magic'"),
        (["--recipe", "auto:emg"], "got 'auto:emg'"),
        (["--recipe", "auto", "--view", "ecg.hrv"], "chooses what --view says"),
        (["--recipe", "auto", "--modality", "ecg"], "chooses what --modality says"),
        (["--recipe", "auto", "--prior", "level=false"], "chooses what --prior says"),
        (["--recipe", "auto", "--smoothing", "10"], "chooses what --smoothing says"),
        (["--recipe", "auto", "--method", "dynamic"], "chooses what --method says"),
        (["--recipe", "auto", "--param", "lr=1"], "chooses what --param says"),
        (["--recipe", "auto", "--target", "panas"], "leave out --target panas"),
    ],
)
def test_what_a_recipe_excludes_is_said_in_one_line(words: list[str], said: str, tmp_path: Path, cli: Callable) -> None:
    cli("train", "simulated", *words, "--out", tmp_path / "x").is_error(2, said)
