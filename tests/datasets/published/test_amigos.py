"""Data_Preprocessed_P01.mat: cells, some of them empty, some full of NaN."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from streamaffect import datasets
from streamaffect.bundle.build import Recipe, gather
from streamaffect.bundle.bundle import ClassEntry
from streamaffect.datasets.dreamer import SITES
from streamaffect.errors import DatasetError
from streamaffect.features.views import eeg_de
from streamaffect.signals import Modality, Recording

VIDEOS = ("10", "13", "138", "18", "19", "20", "23", "30", "31", "34", "36", "4", "5", "58", "80", "9", "N1", "P1", "B1", "U1")
# arousal, valence, dominance, liking, familiarity; neutral, disgust, happiness, surprise, anger, fear, sadness
RATED = [6.5, 2.25, 5.0, 8.0, 1.0, 0, 1, 0, 1, 0, 0, 0]


def content(seconds: float = 8.0) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    cells = {
        key: np.empty((1, 20), object) for key in ("VideoIDs", "joined_data", "labels_selfassessment", "labels_ext_annotation")
    }
    for i, video in enumerate(VIDEOS):
        cells["VideoIDs"][0, i] = video
        cells["joined_data"][0, i] = rng.normal(size=(int((seconds + i % 2 / 2) * 128), 17))
        cells["labels_selfassessment"][0, i] = np.array([RATED])
        cells["labels_ext_annotation"][0, i] = rng.normal(size=(2, 3))
    return cells


def write(root: Path, subject: str = "P01", cells: dict[str, Any] | None = None) -> Path:
    place = root / f"Data_Preprocessed_{subject}"
    place.mkdir(parents=True)
    path = place / f"Data_Preprocessed_{subject}.mat"
    savemat(path, content() if cells is None else cells, do_compression=True)
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A person who saw no long videos, rated one video not at all, and lost the ECG of another."""
    root = tmp_path_factory.mktemp("amigos")
    cells = content()
    for i in range(16, 20):
        for key in ("joined_data", "labels_selfassessment", "labels_ext_annotation"):
            cells[key][0, i] = np.empty((0, 0))
    cells["labels_selfassessment"][0, 2] = np.empty((0, 0))
    cells["labels_selfassessment"][0, 3] = np.array([[np.nan] * 12])
    cells["labels_selfassessment"][0, 4] = np.array([[1.0, 7.5, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]])
    cells["joined_data"][0, 5][:, 14:16] = np.nan
    write(root / "data_preprocessed", cells=cells)
    [one] = datasets.open("amigos", root)
    return one


def test_streams_are_parts_of_the_seventeen_columns(recording: Recording) -> None:
    eeg, ecg, eda = recording.signals
    assert [signal.spec.rate for signal in recording.signals] == [128] * 3
    assert (eeg.spec.channels, eeg.spec.unit, ecg.spec.unit) == (SITES, "uV", "uV")
    assert (eda.spec.modality, eda.spec.unit) == (Modality.EDA, "")
    source = content()["joined_data"][0, 0][: 8 * 128].T
    assert np.allclose(eeg.samples[:, : 8 * 128], source[:14])
    assert np.allclose(ecg.samples[:, : 8 * 128], 1000 * source[14:16], rtol=1e-5)
    assert np.allclose(eda.samples[0, : 8 * 128], source[16])


def test_videos_not_seen_are_not_there_and_begin_after_their_baseline(recording: Recording) -> None:
    assert [trial.name for trial in recording.trials] == [f"v{i:02d}" for i in range(1, 17)]
    assert [(trial.start_s, trial.end_s) for trial in recording.trials][:3] == [(5, 8), (13, 16), (21, 24)]
    assert recording.duration_s == 16 * 8
    assert "v17/video" not in recording.meta
    assert (recording.meta["v01/video"], recording.meta["v16/video"]) == ("10", "9")


def test_valence_over_five_is_high_and_what_was_not_rated_unlabelled(recording: Recording) -> None:
    assert [trial.label for trial in recording.trials][:6] == ["low", "low", None, None, "high", "low"]
    assert recording.meta["v01/valence"] == 2.25
    assert recording.meta["v05/arousal"] == 1
    assert "v03/valence" not in recording.meta
    assert "v04/valence" not in recording.meta


def test_ticked_emotions_share_the_distribution(recording: Recording) -> None:
    shares = recording.trials[0].distributions["emotions"]
    assert shares == {"neutral": 0, "disgust": 0.5, "happiness": 0, "surprise": 0.5, "anger": 0, "fear": 0, "sadness": 0}
    assert [bool(trial.distributions) for trial in recording.trials][:6] == [True, True, False, False, False, True]


def test_lost_signals_stay_lost(recording: Recording) -> None:
    eeg, ecg, _ = recording.signals
    lost = np.isnan(ecg.samples).all(axis=0)
    assert np.array_equal(np.flatnonzero(lost), np.arange(5 * 8 * 128, 6 * 8 * 128))
    assert np.isfinite(eeg.samples).all()


def test_training_takes_the_windows_inside_rated_videos(recording: Recording) -> None:
    eeg = eeg_de(channels=list(SITES), seconds=2)
    classes = (ClassEntry(name="low"), ClassEntry(name="high"))
    windows = gather([recording], Recipe("amigos", (eeg,), classes, hop_s=1.0))
    inside = windows.take(windows.y >= 0)
    rated = {trial.name: trial.label for trial in recording.trials if trial.label}
    # 3 s behind the baseline hold two windows of 2 s
    assert sorted(set(inside.trial)) == sorted(rated)
    assert {name: list(inside.trial).count(name) for name in rated} == dict.fromkeys(rated, 2)
    assert [("low", "high")[y] for y in inside.y] == [rated[str(name)] for name in inside.trial]
    assert np.isfinite(inside.plain[eeg.key]).all()


def test_people_are_in_order_wherever_their_files_lie(tmp_path: Path) -> None:
    write(tmp_path, "P10")
    write(tmp_path, "P02").rename(tmp_path / "Data_Preprocessed_P02.mat")
    assert datasets.open("amigos-arousal", tmp_path).subjects == ("P02", "P10")
    [one] = datasets.open("amigos-arousal", tmp_path, "P02")
    assert {trial.label for trial in one.trials} == {"high"}
    [one] = datasets.open("amigos-dominance", tmp_path, "P02")
    assert {trial.label for trial in one.trials} == {"low"}


def _changed(key: str, i: int, value: Any) -> dict[str, Any]:
    cells = content()
    cells[key][0, i] = value
    return cells


def _cut() -> dict[str, Any]:
    cells = content()
    cells["joined_data"] = cells["joined_data"][:, :16]
    return cells


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (_changed("joined_data", 6, np.zeros((1280, 16))), r"video 7 has shape \(16, 1280\)"),
        (_changed("joined_data", 6, np.zeros((600, 17))), "v07 is 4 s long, after 5 s of lead nothing is left"),
        (_changed("labels_selfassessment", 6, np.ones((1, 11))), "a self-assessment has 11 values, expected 12"),
        (_cut(), "have 16, 20, 20 videos, not 20"),
        ({"joined_data": np.zeros(3)}, "lacks the variable labels_selfassessment, VideoIDs"),
        ({**content(), "joined_data": np.zeros((1, 20))}, r"video 1 has shape"),
    ],
)
def test_broken_files_are_told_in_one_line(tmp_path: Path, cells: dict[str, Any], said: str) -> None:
    path = write(tmp_path, cells=cells)
    with pytest.raises(DatasetError, match=said) as caught:
        next(iter(datasets.open("amigos", tmp_path)))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
