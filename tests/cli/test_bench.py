"""``bench``: accuracy tables as a user gets them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamaffect.cli import bench
from streamaffect.evaluate.comparison import Score


def test_accuracy_prints_a_table_and_keeps_every_score(cli: Callable, tmp_path: Path):
    file = tmp_path / "scores.json"
    few = ("--methods", "zscore", "--problems", "balanced", "--seeds", "1", "--people", "4")
    out = cli("bench", "methods", "--accuracy", *few, "--json", file).out
    assert "over 4 strangers, chance 33.3" in out
    assert "| zscore | " in out
    scored = json.loads(file.read_text())
    assert {row["stranger"] for row in scored} == {"p1000", "p1001", "p1002", "p1003"}
    assert all(0 <= row["balanced_accuracy"] <= 1 for row in scored)


def test_wrong_words_are_told(cli: Callable):
    cli("bench", "features", "--accuracy").is_error(2, "--accuracy goes with methods")
    cli("bench", "methods", "--accuracy", "--methods", "nosuch").is_error(2, "--methods 'nosuch': there are amanda")
    cli("bench", "methods", "--accuracy", "--problems", "eegmat").is_error(2, "it needs --root DIR")
    cli("bench", "methods", "--accuracy", "--seeds", "0").is_error(2, "numbers from 1 on")
    cli("bench", "methods", "--methods", "zscore").is_error(2, "go with --accuracy")
    cli("bench", "methods", "--accuracy", "--json", "/nonexist/a.json").is_error(2, "there is no folder /nonexist")
    signals = ("--methods", "euclidean_alignment", "--problems", "balanced", "--seeds", "1", "--people", "1")
    cli("bench", "methods", "--accuracy", *signals).is_error(2, "euclidean_alignment reads signals")


def test_scores_are_kept_when_a_later_method_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def scored(*_: object) -> Iterator[Score]:
        yield Score("balanced", 0, "zscore", "adapted", "p1000", 0.7, 0.1)
        raise RuntimeError("a method fell over")

    monkeypatch.setattr(bench, "_scored", scored)
    parser = argparse.ArgumentParser()
    bench.arguments(parser)
    with pytest.raises(RuntimeError, match="fell over"):
        bench.call(parser.parse_args(["methods", "--accuracy", "--json", str(tmp_path / "scores.json")]))
    assert [score["method"] for score in json.loads((tmp_path / "scores.json").read_text("utf-8"))] == ["zscore"]
