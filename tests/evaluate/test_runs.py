"""Evaluations from the command line: what they write, what they go on with, what they refuse."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamaffect import datasets
from streamaffect.bundle import registry
from streamaffect.bundle.bundle import Bundle
from streamaffect.cli import main
from streamaffect.cli.evaluate import _command
from streamaffect.datasets import simulated
from streamaffect.evaluate import metrics
from streamaffect.evaluate.folds import Fold
from streamaffect.evaluate.people import People
from streamaffect.evaluate.runs import _seen
from streamaffect.signals import Modality, Trial

LOSO = (
    "loso",
    "eegmat",
    "--subjects",
    "Subject90,Subject91,Subject92",
    "--view",
    "ecg.hrv:seconds=20",
    "--method",
    "zscore",
    "--protocol",
    "transductive",
)
Evaluate = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def evaluate(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluate:
    """``evaluate(*words)`` gives the JSON; the folds are in ``out`` where that is told."""

    def call(*words: object) -> dict[str, Any]:
        file = tmp_path_factory.mktemp("json") / "figures.json"
        assert main(["evaluate", *map(str, words), "--root", str(root), "--processes", "1", "--json", str(file)]) == 0
        result: dict[str, Any] = json.loads(file.read_text())
        return result

    return call


@pytest.fixture(scope="session")
def folds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out") / "loso"


@pytest.fixture(scope="session")
def loso(evaluate: Evaluate, folds: Path) -> dict[str, Any]:
    return evaluate(*LOSO, "--out", folds, "--controls")


@pytest.fixture(scope="session")
def online(evaluate: Evaluate) -> dict[str, Any]:
    return evaluate(
        "bundle", "ecg-load", "eegmat", "--method", "none", "--protocol", "online", "--subjects", "Subject90,Subject92"
    )


def test_figures_are_those_of_the_saved_folds(loso: dict[str, Any], folds: Path) -> None:
    saved = {fold.subject: fold for fold in map(Fold.load, sorted(folds.glob("fold-*.npz")))}
    assert loso["n_subjects"] == len(saved) == 3
    for name in metrics.SCORES:
        people = {subject: metrics.of_person(fold.main)[name] for subject, fold in saved.items()}
        assert loso[name]["per_subject"] == people
        assert loso[name]["mean"] == pytest.approx(np.mean(list(people.values())))
        assert loso[name]["std"] == pytest.approx(np.std(list(people.values())))
    for key, play in (("zscore", "zscore"), ("source_only", "source_only"), ("without_adaptation", "without")):
        people = {s: metrics.of_person(fold.plays[play])["balanced_accuracy"] for s, fold in saved.items()}
        assert loso[key]["per_subject"] == people
    assert np.sum(loso["confusion"]) == loso["n_windows"] == sum(int(f.main.counted.sum()) for f in saved.values())
    assert sum(row["n"] for row in loso["reliability"]) == loso["n_windows"]


def test_all_that_a_reader_relies_on_is_there(loso: dict[str, Any], online: dict[str, Any]) -> None:
    for result, kind, protocol in ((loso, "loso", "transductive"), (online, "bundle", "online")):
        assert (result["schema"], result["kind"], result["protocol"]) == ("streamaffect.evaluation/1", kind, protocol)
        assert result["classes"] == ["rest", "load"]
        assert result["chance"] == 0.5
        assert [row["coverage"] for row in result["selective"]] == [1.0, 0.9, 0.8, 0.7]
        assert set(result["adaptation"]) == {"swaps", "refusals", "failures", "rolled_back"}
        assert {"mean", "std", "per_subject"} <= result["coverage"].keys()
        assert result["command"].startswith("streamaffect")
        assert str(Path.cwd()) not in json.dumps(result)
    assert online["model"]["name"] == "ecg-load"
    assert online["after_s"] == 120.0
    assert online["model"]["seen_in_training"] == []
    assert not online["controls"]["run"]


def test_controls_stand_beside_the_figures(loso: dict[str, Any]) -> None:
    found = loso["controls"]
    assert found["run"]
    assert found["time"]["mean"] == 1.0  # rest always came first
    assert found["null"]["what"].startswith("the first half of rest")
    assert set(found) == {"run", "time", "reference", "null", "composition", "levels_removed"}
    assert found["composition"]["mean"] <= found["reference"]["mean"]


def test_online_counts_late_windows_and_shows_every_minute(online: dict[str, Any]) -> None:
    assert [row["minute"] for row in online["by_minute"]] == [0, 1, 2, 3]
    assert sum(row["n"] for row in online["by_minute"]) > online["n_windows"]
    assert online["rotated"]["mean"] is not None
    assert "rotated_without_adaptation" not in online
    assert online["balanced_accuracy"]["mean"] == online["without_adaptation"]["mean"]


def test_a_second_call_only_reads(evaluate: Evaluate, loso: dict[str, Any], folds: Path) -> None:
    before = {file.name: file.stat().st_mtime_ns for file in folds.iterdir()}
    again = evaluate(*LOSO, "--out", folds)
    assert {file.name: file.stat().st_mtime_ns for file in folds.iterdir()} == before
    assert again["balanced_accuracy"] == loso["balanced_accuracy"]


def test_a_run_that_was_killed_goes_on(root: Path, loso: dict[str, Any], tmp_path: Path, capsys) -> None:
    words = ["evaluate", *LOSO, "--root", str(root), "--out", str(tmp_path / "out"), "--json", str(tmp_path / "figures.json")]
    command = [sys.executable, "-m", "streamaffect", *words, "--processes", "2"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    end = time.monotonic() + 90
    while not list((tmp_path / "out").glob("fold-*.npz")):
        assert time.monotonic() < end
        assert running.poll() is None
        time.sleep(0.01)
    children = _children(running.pid)
    running.send_signal(signal.SIGKILL)
    running.wait()
    kept = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("fold-*.npz")}
    assert not (tmp_path / "figures.json").exists()
    while any(Path(f"/proc/{pid}").exists() for pid in children):  # they must not outlive their parent
        assert time.monotonic() < end
        time.sleep(0.01)
    kept |= {file.name: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("fold-*.npz")}
    assert main([*words, "--processes", "1"]) == 0
    after = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("fold-*.npz")}
    assert len(after) == 3
    assert kept.items() <= after.items()
    assert not list((tmp_path / "out").glob(".[0-9]*-fold*"))
    result = json.loads((tmp_path / "figures.json").read_text())
    assert result["balanced_accuracy"] == loso["balanced_accuracy"]


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_another_evaluation_s_folder_is_left_alone(
    root: Path, loso: dict[str, Any], folds: Path, tmp_path: Path, capsys
) -> None:
    other = ["evaluate", *LOSO, "--root", str(root), "--param", "C=0.5"]
    assert main([*other, "--out", str(folds)]) == 2
    assert "holds another evaluation" in capsys.readouterr().err
    (tmp_path / "letter.txt").write_text("keep me")
    assert main([*other, "--out", str(tmp_path)]) == 2
    assert "not empty and no evaluation" in capsys.readouterr().err


def test_transfer_trains_on_one_side_and_tests_on_the_other(evaluate: Evaluate) -> None:
    words = ["--view", "ecg.hrv:seconds=20", "--method", "zscore", "--protocol", "split", "--orders", "2", "--seeds", "2"]
    result = evaluate("transfer", "eegmat", "eegmat", "--where", "age=20", "--target-where", "age=30", *words)
    assert result["datasets"] == ["eegmat", "eegmat"]
    assert list(result["accuracy"]["per_subject"]) == ["Subject92", "Subject93"]
    assert result["seeds"] == [0, 1]
    assert result["accuracy"]["std_over_seeds"] >= 0
    assert result["n_windows"] > 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["bundle", "nosuch", "eegmat"], 2, "no model 'nosuch'"),
        (["bundle", "ecg-load", "nosuch"], 2, "unknown data set 'nosuch'"),
        (["bundle", "ecg-load", "eegmat", "--method", "magic"], 2, "magic"),
        (["bundle", "ecg-load", "eegmat", "--param", "epochz=1"], 2, "epochz"),
        (["bundle", "ecg-load", "eegmat", "--classes", "rest=joy,load=fear"], 2, "no common class"),
        (["bundle", "ecg-load", "eegmat", "--classes", "joy,fear"], 2, "no class 'joy'"),
        (["bundle", "ecg-load", "eegmat", "--subjects", "Subject99"], 1, "no subject 'Subject99'"),
        (["loso", "eegmat", "--method", "zscore", "--classes", "rest,joy"], 1, "more than one class"),
        (["loso", "eegmat", "--method", "zscore", "--view", "ecg.hvr"], 2, "no view 'ecg.hvr'"),
        (["loso", "eegmat", "--method", "zscore", "--view", "ecg.hrv:second=3"], 2, "second"),
        (["loso", "eegmat", "--method", "zscore", "--view", "ecg.raw"], 2, "reads vectors"),
        (["loso", "eegmat", "--method", "zscore", "--where", "protocol=V1"], 2, "nobody has protocol=V1"),
        (["loso", "eegmat", "--method", "zscore", "--target", "panas"], 2, "no trial has a target 'panas'"),
        (["transfer", "eegmat", "eegmat", "--method", "zscore"], 2, "is on both sides"),
        (["bundle", "ecg-load", "eegmat", "--method", "zscore"], 2, "cannot go on from model 'ecg-load', which 'dynamic' made"),
        (["loso", "eegmat", "--method", "zscore", "--json", "."], 2, "--json . is a folder"),
        (["loso", "eegmat", "--method", "zscore", "--orders", "0"], 2, "must be a number from 1 on"),
        (["loso", "eegmat", "--method", "zscore", "--param", "C=1e-12"], 1, "the fit of 'zscore' collapsed"),
    ],
)
def test_what_cannot_be_evaluated_is_said_in_one_line(root: Path, capsys, words: list[str], code: int, said: str) -> None:
    assert main(["evaluate", *words, "--root", str(root), "--protocol", "online", "--processes", "1"]) == code
    error = capsys.readouterr().err.strip()
    assert said in error
    assert len(error.splitlines()) == 1


def test_labels_that_are_no_names_are_told_with_the_words_that_help(tmp_path: Path, capsys) -> None:
    who = simulated.person("person-1", duration_s=60, modalities=[Modality.ECG])
    for number in (1, 2):
        trials = (Trial("a", "At Rest", 0, 30), Trial("b", "load", 30, 60))
        datasets.save(replace(who, subject=f"p{number}", trials=trials), tmp_path / f"p{number}.npz")
    words = ["npz", "--root", str(tmp_path), "--view", "ecg.hrv:seconds=20", "--method", "zscore"]
    for command in (["evaluate", "loso", *words, "--protocol", "online"], ["train", *words, "--out", str(tmp_path / "m")]):
        assert main(command) == 2
        assert "say --classes 'at-rest=At Rest,load=load'" in capsys.readouterr().err


def test_what_it_writes_beside_the_recordings_is_no_other_evaluation(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "eegmat", tmp_path / "eegmat")
    words = ["evaluate", *LOSO, "--root", str(tmp_path / "eegmat"), "--processes", "1"]
    out, found = tmp_path / "eegmat" / "out", tmp_path / "eegmat" / "found.json"
    assert main([*words, "--out", str(out), "--json", str(found)]) == 0
    first = found.read_text()
    assert main([*words, "--out", str(out), "--json", str(found)]) == 0
    assert found.read_text() == first


def test_who_was_in_the_training_is_known_by_any_name() -> None:
    model = Bundle.load(registry.find("wrist-stress-binary"))
    trained = {data.name: data.subjects for data in model.manifest.data}
    names = tuple(f"{name}/{subject}" for name, own in trained.items() for subject in own)
    assert _seen(model, People("+".join(trained), None, names)) == list(names)
    assert _seen(model, People("wesad_e4", None, (trained["wesad_wrist"][0], "S99"))) == [trained["wesad_wrist"][0]]


def test_the_command_is_kept_without_the_folders_of_this_machine() -> None:
    words = [
        "evaluate",
        "bundle",
        "/home/anna/mine",
        "eegmat",
        "--root",
        "data/sets",
        "--json=/tmp/a.json",
        "--classes=a=b",
    ]
    kept = "streamaffect evaluate bundle DIR/mine eegmat --root DIR/sets --json=DIR/a.json --classes=a=b"
    assert _command(words) == kept


def test_an_empty_root_is_said_in_one_line(tmp_path: Path, capsys) -> None:
    assert main(["evaluate", "bundle", "ecg-load", "eegmat", "--root", str(tmp_path), "--protocol", "online"]) == 1
    error = capsys.readouterr().err.strip()
    assert str(tmp_path) in error
    assert len(error.splitlines()) == 1


def test_real_people_online(data_root: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    words = ["bundle", "ecg-load", "eegmat", "--method", "none", "--protocol", "online", "--subjects", "Subject00,Subject06"]
    assert main(["evaluate", *words, "--root", str(data_root), "--json", str(out), "--processes", "1"]) == 0
    result = json.loads(out.read_text())
    assert result["model"]["seen_in_training"] == ["Subject00", "Subject06"]
    assert result["balanced_accuracy"]["mean"] > 0.8
    assert os.environ["STREAMAFFECT_HOME"]
