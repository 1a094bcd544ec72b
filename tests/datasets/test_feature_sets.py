"""Feature sets: corpora of many speakers, read speaker by speaker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamaffect import datasets
from streamaffect.datasets import feature_sets
from streamaffect.errors import DatasetError, UsageError

CLASSES = ["neutral", "happy", "sad", "angry"]
SPEAKERS = np.array(["F1", "M1", "F1", "F2", "M1", "F1"])


def _corpus(path: Path, **changed: object) -> Path:
    rng = np.random.default_rng(len(path.stem))
    arrays: dict[str, object] = {
        "x.acoustic": rng.normal(size=(6, 40, 12)).astype(np.float32),
        "x.visual": rng.normal(size=(6, 8, 5)).astype(np.float32),
        "x.lexical": rng.normal(size=(6, 7)),
        "label": np.array([0, 1, 2, 3, -1, 1]),
        "classes": np.array(CLASSES),
        "subject": SPEAKERS,
        "trial": np.array(["d1", "d1", "d2", "d3", "d2", "d2"]),
    }
    arrays |= changed
    np.savez_compressed(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def test_a_speakers_rows_in_their_order(tmp_path: Path) -> None:
    path = _corpus(tmp_path / "iemocap.npz")
    there = datasets.open("amanda", tmp_path)
    assert there.subjects == ("F1", "F2", "M1")
    table = next(there.tables())
    assert (table.dataset, table.subject, table.meta["corpus"]) == ("amanda", "F1", "iemocap")
    with np.load(path) as raw:
        for name in ("acoustic", "visual", "lexical"):
            assert table.x[name].dtype == np.float32
            assert np.array_equal(table.x[name], raw[f"x.{name}"][[0, 2, 5]].astype(np.float32))
    assert table.label.tolist() == ["neutral", "sad", "happy"]
    assert table.trial.tolist() == ["d1", "d2", "d2"]
    assert table.t_end_s is None


def test_blocks_smaller_than_a_corpus_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _corpus(tmp_path / "iemocap.npz")
    [whole] = datasets.open("amanda", tmp_path, "M1").tables()
    monkeypatch.setattr(feature_sets, "_BLOCK", 4000)
    [parts] = datasets.open("amanda", tmp_path, "M1").tables()
    assert all(np.array_equal(whole.x[name], parts.x[name]) for name in whole.x)
    assert parts.label.tolist() == ["happy", ""]


def test_speakers_of_several_corpora_do_not_mix(tmp_path: Path) -> None:
    for corpus in ("iemocap", "msp"):
        _corpus(tmp_path / f"{corpus}.npz")
    assert datasets.open("amanda", tmp_path).subjects[:4] == ("iemocap:F1", "iemocap:F2", "iemocap:M1", "msp:F1")
    [table] = datasets.open("amanda", tmp_path, "msp:F2").tables()
    assert table.meta["corpus"] == "msp"


def test_names_for_labels_and_no_trials(tmp_path: Path) -> None:
    _corpus(tmp_path / "meld.npz", label=np.array(["sad", "", "sad", "happy", "sad", "angry"]), classes=None, trial=None)
    table = next(datasets.open("amanda", tmp_path).tables())
    assert (table.label.tolist(), table.trial.tolist()) == (["sad", "sad", "angry"], ["0", "2", "5"])


def test_features_are_no_recordings(tmp_path: Path) -> None:
    _corpus(tmp_path / "iemocap.npz")
    assert datasets.kind_of(datasets.get("amanda")) == "features"
    with pytest.raises(UsageError, match="publishes features, no samples"):
        next(iter(datasets.open("amanda", tmp_path)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"x.visual": np.zeros((5, 3), np.float32)}, r"x.visual is float32 \(5, 3\), expected floats \(6, d\)"),
        ({"x.visual": np.zeros((6, 3), np.int64)}, "x.visual is int64"),
        ({"x.visual": np.array([[{}]] * 6, dtype=object)}, "x.visual must be a plain array"),
        ({"label": np.array([0, 1, 2, 4, 0, 1])}, "label 4 is beyond its 4 classes"),
        ({"label": np.zeros(6)}, "label must be names or whole numbers, is float64"),
        ({"label": np.zeros(5, int)}, r"label is \(5,\), expected \(6,\)"),
        ({"trial": np.array(["a"])}, r"trial is \(1,\), expected \(6,\)"),
    ],
)
def test_arrays_that_do_not_belong_together(tmp_path: Path, changed: dict[str, object], said: str) -> None:
    _corpus(tmp_path / "iemocap.npz", **changed)
    with pytest.raises(DatasetError, match=said):
        list(datasets.open("amanda", tmp_path).tables())


def test_a_truncated_corpus_is_none(tmp_path: Path) -> None:
    path = _corpus(tmp_path / "iemocap.npz")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match="holds no feature sets"):
        datasets.open("amanda", tmp_path)
    spoilt = bytearray(whole)
    spoilt[2000:2064] = bytes(64)
    path.write_bytes(bytes(spoilt))
    with pytest.raises(DatasetError, match=r"x\.acoustic is truncated or damaged"):
        next(datasets.open("amanda", tmp_path).tables())
