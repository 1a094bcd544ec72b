"""``bench``: accuracy tables as a user gets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path


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
