"""FACED: one pickled array a person, and the reports in MATLAB."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from streamaffect import datasets
from streamaffect.datasets.faced import EMOTIONS, SITES
from streamaffect.errors import DatasetError


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(28, 32, 7500)).astype(np.float32)


def _remarks(root: Path, subject: str, order: np.ndarray, *, items: int = 12) -> None:
    """Struct array of 28, in the order of the session, three fields with the clip's number last."""
    dtype = [("score", object), ("trial", object), ("vid", object)]
    remarks = np.empty((28, 1), dtype)
    for i, vid in enumerate(order):
        score = np.full(items, 0.5)
        score[:4] = 7.0 if vid > 16 else 1.0
        score[-1] = float(vid) / 4
        remarks[i, 0] = (score[None], float(i + 1), float(vid))
    place = root / "Data" / subject
    place.mkdir(parents=True)
    savemat(place / "After_remarks.mat", {"After_remark": remarks})


def _write(place: Path, name: str, content: object) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    path = place / name
    path.write_bytes(pickle.dumps(content, 4))
    return path


def test_clips_are_trials_of_thirty_seconds(tmp_path: Path, samples: np.ndarray) -> None:
    _write(tmp_path / "Processed_data", "sub007.pkl", samples)
    [recording] = datasets.open("faced", tmp_path)
    [eeg] = recording.signals
    assert (recording.subject, eeg.spec.rate, eeg.spec.unit, eeg.spec.channels) == ("sub007", 250, "uV", SITES)
    assert len(SITES) == len(set(SITES)) == 30
    assert eeg.samples.shape == (30, 28 * 7500)
    assert np.array_equal(eeg.samples[:, 7500:15000], samples[1, :30])
    assert [(trial.name, trial.start_s, trial.end_s) for trial in recording.trials][26:] == [
        ("c27", 780, 810),
        ("c28", 810, 840),
    ]
    labels = [str(trial.label) for trial in recording.trials]
    assert labels == list(EMOTIONS)
    assert {label: labels.count(label) for label in labels} == {
        **dict.fromkeys(("anger", "disgust", "fear", "sadness", "amusement", "inspiration", "joy", "tenderness"), 3),
        "neutral": 4,
    }
    assert not recording.meta


def test_reports_find_their_clip_whatever_the_order_of_the_session(tmp_path: Path, samples: np.ndarray) -> None:
    _write(tmp_path / "Processed_data", "sub007.pkl", samples)
    _remarks(tmp_path, "sub007", np.random.default_rng(3).permutation(28) + 1)
    [recording] = datasets.open("faced", tmp_path)
    assert recording.meta["c20/liking"] == 5
    assert recording.meta["c01/joy"] == 1
    shares = recording.trials[27].distributions["emotions"]
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["joy"] == pytest.approx(7 / 30)
    assert shares["anger"] == pytest.approx(0.5 / 30)


def test_features_are_a_row_a_second_electrode_by_electrode(tmp_path: Path) -> None:
    entropy = np.random.default_rng(1).normal(size=(28, 32, 30, 5))
    _write(tmp_path / "EEG_Features" / "DE", "sub000.pkl.pkl", entropy)
    _remarks(tmp_path, "sub000", np.arange(28) + 1)
    recordings = datasets.open("faced_de", tmp_path)
    assert recordings.subjects == ("sub000",)
    [table] = recordings.tables()
    x = table.x["eeg.de"]
    assert (x.shape, x.dtype) == ((840, 150), np.float32)
    assert np.allclose(x[31].reshape(30, 5), entropy[1, :30, 1])
    assert (table.label[839], table.trial[839], table.trial[30]) == ("tenderness", "c28", "c02")
    assert table.t_end_s is not None
    assert table.t_end_s[[0, 29, 30]].tolist() == [1, 30, 1]
    assert table.distributions["emotions"]["joy"][[0, 839]] == pytest.approx([1 / 6, 7 / 30])
    assert table.meta["channels"] == " ".join(SITES)


def test_ending_may_have_been_mended(tmp_path: Path) -> None:
    _write(tmp_path, "sub001.pkl", np.zeros((28, 32, 30, 5)))
    _write(tmp_path, "sub000.pkl.pkl", np.zeros((28, 32, 30, 5)))
    tables = list(datasets.open("faced_de", tmp_path).tables())
    assert [table.subject for table in tables] == ["sub000", "sub001"]
    assert not tables[0].distributions


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("faced", np.zeros((28, 32, 7499)), r"holds \(28, 32, 7499\), expected numbers of shape \(28, 32, 7500\)"),
        ("faced", {"data": [1]}, "holds dict, expected"),
        ("faced_de", np.zeros((28, 30, 30, 5)), r"expected numbers of shape \(28, 32, 30, 5\)"),
        ("faced_de", np.array([None]), "an array of 'O8', where a recording has numbers"),
    ],
)
def test_broken_files_are_told_in_one_line(tmp_path: Path, name: str, content: object, said: str) -> None:
    path = _write(tmp_path, "sub003.pkl", content)
    recordings = datasets.open(name, tmp_path)
    with pytest.raises(DatasetError, match=said) as caught:
        list(recordings.tables() if name == "faced_de" else recordings)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_report_with_fewer_items_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "EEG_Features" / "DE", "sub000.pkl.pkl", np.zeros((28, 32, 30, 5)))
    _remarks(tmp_path, "sub000", np.arange(28) + 1, items=11)
    with pytest.raises(DatasetError, match=r"After_remarks.mat: .*11 scores on clip 1, expected 12"):
        list(datasets.open("faced_de", tmp_path).tables())
