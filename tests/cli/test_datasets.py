"""``datasets``: what can be read, what is there, and all of it as our own files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streamaffect import datasets


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Two people's CSV, and one that is none."""
    folder = tmp_path / "tables"
    folder.mkdir()
    for name in ("anna", "bert"):
        rows = [f"{k / 64},{np.sin(k / 9):.4f},{'rest' if k < 320 else 'joy'}" for k in range(640)]
        (folder / f"{name}.csv").write_text("\n".join(["time,ecg[mV],label", *rows]) + "\n")
    (folder / "carl.csv").write_text("time,pulse\n0,1\n1,2\n")
    return folder


def test_list_says_what_where_and_under_which_licence(cli: Callable):
    listed = {entry["name"]: entry for entry in json.loads(cli("datasets", "list", "--json").out)}
    assert sorted(listed) == datasets.names()
    assert all(entry["where"] for entry in listed.values())
    assert listed["eegmat"]["licence"].endswith("(ODC-BY 1.0)")
    assert listed["amanda"]["kind"] == "features"
    assert (listed["xdf"]["where"], listed["xdf"]["kind"]) == ("your own files", "recordings")
    out = cli("datasets", "list").out
    assert all(any(line.startswith(f"{name} ") for line in out.splitlines()) for name in listed)


def test_check_tells_streams_labels_and_what_is_broken(tables: Path, cli: Callable):
    outcome = cli("datasets", "check", tables)
    assert (outcome.code, outcome.err) == (1, "")
    lines = outcome.out.splitlines()
    assert lines[0] == f"csv  {tables}: 3 subjects, 2 readable"
    assert lines[2].split() == ["ecg", "2", "1", "64", "Hz", "uV", "0", "0.0", "%", "0.0", "%", "0.0", "%"]
    assert [line.split() for line in lines[4:6]] == [["rest", "2", "10"], ["joy", "2", "10"]]
    assert lines[6].startswith(f"  BROKEN carl: {tables / 'carl.csv'}: no column is a signal")


def test_check_is_content_where_all_can_be_read(tables: Path, cli: Callable):
    (tables / "carl.csv").unlink()
    (tables.parent / "empty").mkdir()
    outcome = cli("datasets", "check", tables.parent, "--json")
    [told] = json.loads(outcome.out)
    assert (outcome.code, told["name"], told["kind"]) == (0, "csv", "recordings")
    anna = told["subjects"][0]
    assert anna["streams"][0]["seconds"] == 10
    assert anna["labels"] == [
        {"label": "rest", "trials": 1, "seconds": 5.0, "rows": None},
        {"label": "joy", "trials": 1, "seconds": 5.0, "rows": None},
    ]
    assert "not recognised" in cli("datasets", "check", tables.parent).err


def test_check_of_a_known_set(recording: Path, cli: Callable):
    outcome = cli("datasets", "check", recording.parent.parent)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f"eegmat  {recording.parent}: 1 subjects, 1 readable\n")


def test_check_of_features_counts_rows(tmp_path: Path, cli: Callable):
    arrays = {
        "x.sight": np.zeros((3, 4), np.float32),
        "label": np.array(["joy", "joy", "fear"]),
        "subject": np.array(["a"] * 3),
    }
    (tmp_path / "sets").mkdir()
    np.savez(tmp_path / "sets" / "msp.npz", **arrays)
    out = cli("datasets", "check", tmp_path / "sets").out
    assert "joy    2       - (2 rows)" in out
    cli("datasets", "convert", "amanda", "--root", tmp_path / "sets", "--out", tmp_path / "o").is_error(2, "holds features")


def test_convert_writes_what_replay_plays(tables: Path, tmp_path: Path, cli: Callable):
    out = tmp_path / "out"
    outcome = cli("datasets", "convert", "csv", "--root", tables, "--out", out)
    assert outcome.code == 1
    assert outcome.out.splitlines()[0].startswith(f"{out / 'anna.npz'}: 1 streams, 2 trials, 0.0 MB")
    assert "BROKEN carl" in outcome.out
    assert sorted(path.name for path in out.iterdir()) == ["anna.npz", "bert.npz"]
    [anna] = datasets.open("csv", tables, "anna")
    again = datasets.read(out / "anna.npz")
    assert again.trials == anna.trials
    assert np.array_equal(again.signals[0].samples, anna.signals[0].samples)
    played = cli("replay", out / "anna.npz", "--speed", "max", "--wait", 0)
    assert played.out.splitlines()[0] == "csv anna as generic: 10 s at speed 20"
    assert "640 samples sent" in played.out


def test_convert_replaces_nothing_unless_told(tables: Path, tmp_path: Path, cli: Callable):
    words = ("datasets", "convert", "csv", "--root", tables, "--subject", "anna", "--out", tmp_path / "out")
    assert cli(*words).code == 0
    cli(*words).is_error(2, "anna.npz is there already", "--force")
    assert cli(*words, "--force", "--int16").code == 0
    assert datasets.read(tmp_path / "out" / "anna.npz").subject == "anna"


def test_what_cannot_be(tmp_path: Path, cli: Callable):
    cli("datasets", "check", tmp_path / "none").is_error(1, "no such folder")
    cli("datasets", "check", tmp_path).is_error(1, "holds no data set that is known")
    cli("datasets", "convert", "nosuch", "--out", tmp_path).is_error(2, "unknown data set 'nosuch'")
    cli("datasets", "convert", "xdf", "--out", tmp_path).is_error(2, "pass --root DIR")
    cli("datasets", "convert", "xdf", "--root", tmp_path, "--out", tmp_path).is_error(1, "holds no .xdf files")


def test_a_missing_package_is_named_with_its_extra(tables: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyarrow.csv", None)
    replayed = cli("replay", tables / "anna.csv", "--wait", 0)
    replayed.is_error(2, "reading CSV tables needs pyarrow", "pip install 'streamaffect[datasets]'")
