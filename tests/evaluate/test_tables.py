"""Features that a data set publishes go through the protocols over windows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from streamaffect.bundle.build import Recipe
from streamaffect.bundle.bundle import ClassEntry
from streamaffect.cli import main
from streamaffect.evaluate.labels import ClassMap
from streamaffect.evaluate.tables import trials_of, views_of, windows_of
from streamaffect.signals import FeatureTable


@pytest.fixture
def table() -> FeatureTable:
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    x[5, 0] = np.nan
    label, trial = np.array(["joy", "joy", "", "fear", "fear", "fear"]), np.array(["a", "a", "b", "c", "c", "d"])
    shares = {"mood": {"calm": np.array([3, 3, np.nan, 1, 1, 1], np.float32), "tense": np.ones(6, np.float32)}}
    return FeatureTable("made", "up", {"eeg.de": x}, label, trial, None, MappingProxyType(shares))


def recipe(table: FeatureTable, *names: str, target: str = "label") -> Recipe:
    return Recipe("made", views_of(table), tuple(ClassEntry(name=name) for name in names), 1.0, target=target)


def test_rows_become_windows_but_for_those_not_finite(table: FeatureTable) -> None:
    windows = windows_of(table, recipe(table, "good", "bad"), ClassMap.parse("good=joy,bad=fear"))
    assert windows.y.tolist() == [0, 0, -1, 1, 1]
    assert windows.trial.tolist() == ["a", "a", "b", "c", "c"]
    assert np.array_equal(windows.plain["eeg.de"], table.x["eeg.de"][:5])
    assert windows_of(table, recipe(table, "fear", "joy"), None).y.tolist() == [1, 1, -1, 0, 0]


def test_distributions_sum_to_one_where_they_are_whole(table: FeatureTable) -> None:
    windows = windows_of(table, recipe(table, "calm", "tense", target="mood"), None)
    assert windows.shares is not None
    assert windows.shares.tolist() == [[0.75, 0.25], [0.75, 0.25], [0, 0], [0.5, 0.5], [0.5, 0.5]]
    assert windows.y.tolist() == [0, 0, -1, 0, 0]


def test_trials_of_a_table_are_labelled(table: FeatureTable) -> None:
    trials = trials_of(table).trials
    assert [(t.name, t.label) for t in trials] == [("a", "joy"), ("b", None), ("c", "fear"), ("d", "fear")]
    assert trials[0].distributions["mood"] == {"calm": 3.0, "tense": 1.0}


def test_trials_with_clocks_of_their_own_are_put_one_behind_the_other(table: FeatureTable) -> None:
    of_trials = replace(table, t_end_s=np.array([2.0, 4.0, 2.0, 2.0, 4.0, 2.0]))
    windows = windows_of(of_trials, recipe(table, "joy", "fear"), None)
    assert windows.t_end_s.tolist() == [2, 4, 6, 8, 10]
    of_the_day = replace(table, t_end_s=np.array([1.0, 2.0, 7.0, 9.0, 10.0, 20.0]))
    assert windows_of(of_the_day, recipe(table, "joy", "fear"), None).t_end_s.tolist() == [1, 2, 7, 9, 10]


def test_a_person_with_other_arrays_is_told_by_name(table: FeatureTable) -> None:
    read = recipe(table, "joy", "fear")
    with pytest.raises(ValueError, match=r"made/up has no eeg.de: it has acoustic"):
        windows_of(replace(table, x={"acoustic": table.x["eeg.de"]}), read, None)
    with pytest.raises(ValueError, match=r"made/up: eeg.de is \(1,\) a row, not \(2,\)"):
        windows_of(replace(table, x={"eeg.de": table.x["eeg.de"][:, :1]}), read, None)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three speakers of ten clips, two classes apart in one of the modalities."""
    rng = np.random.default_rng(0)
    n = 90
    y = np.arange(n) % 2
    x = {"x.acoustic": rng.normal(size=(n, 4)) + 2.5 * y[:, None], "x.lexical": rng.normal(size=(n, 3))}
    who, clip = np.repeat(["ann", "bob", "cyd"], 30), np.char.add("clip", (np.arange(n) // 3).astype(str))
    folder = tmp_path_factory.mktemp("amanda")
    arrays = {name: value.astype(np.float32) for name, value in x.items()}
    np.savez(folder / "talk.npz", label=np.array(["calm", "angry"])[y], subject=who, trial=clip, **arrays)
    return folder


@pytest.mark.parametrize("protocol", ["transductive", "split"])
def test_leave_one_speaker_out(corpus: Path, tmp_path: Path, protocol: str) -> None:
    words = ["loso", "amanda", "--root", str(corpus), "--method", "zscore", "--protocol", protocol, "--processes", "1"]
    assert main(["evaluate", *words, "--json", str(tmp_path / "out.json")]) == 0
    result = json.loads((tmp_path / "out.json").read_text())
    assert sorted(result["classes"]) == ["angry", "calm"]
    assert result["n_windows"] == (90 if protocol == "transductive" else 45)
    assert result["balanced_accuracy"]["mean"] > 0.9


def test_there_is_nothing_to_play(corpus: Path, capsys) -> None:
    root = ["--root", str(corpus), "--protocol", "online"]
    assert main(["evaluate", "loso", "amanda", "--method", "zscore", *root]) == 2
    assert "nothing to play" in capsys.readouterr().err
    assert main(["evaluate", "bundle", "ecg-load", "amanda", *root]) == 2
    assert "no common class" in capsys.readouterr().err
    assert main(["evaluate", "bundle", "ecg-load", "amanda", *root, "--classes", "rest=calm,load=angry"]) == 2
    assert "a bundle reads recordings" in capsys.readouterr().err
