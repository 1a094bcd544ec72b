"""DMER, as the authors' code reads it: one stretch of signals, the clip's number in the last row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from streamaffect import datasets
from streamaffect.datasets.dmer import CLASSES
from streamaffect.errors import DatasetError

REST = 40
# The clip's number by seconds: rest, a clip for two seconds, rest for one, in a shuffled order.
ORDER = np.random.default_rng(2).permutation(32)
SECONDS = np.concatenate([[REST, REST], *([clip, clip, REST] for clip in ORDER)])


def content() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    streams = {"eeg_datas": (18, 300), "gsr_datas": (1, 4), "ppg_datas": (1, 100)}
    label = rng.integers(1, 6, (32, 10)).astype(float)
    return {
        **{
            key: np.vstack([rng.normal(size=(rows, len(SECONDS) * rate)), np.repeat(SECONDS, rate)])
            for key, (rows, rate) in streams.items()
        },
        "dis_label": label / label.sum(axis=1, keepdims=True),
    }


def write(root: Path, subject: str = "10", **changed: Any) -> Path:
    place = root / "MixedEmoR" / subject
    place.mkdir(parents=True)
    savemat(place / "datas.mat", {**content(), **changed}, do_compression=True)
    return place / "datas.mat"


def test_clips_are_found_by_their_number(tmp_path: Path) -> None:
    for subject in ("10", "2"):
        write(tmp_path, subject)
    assert datasets.open("dmer", tmp_path).subjects == ("2", "10")
    [recording] = datasets.open("dmer", tmp_path, "10")
    eeg, eda, ppg = recording.signals
    assert [(signal.spec.rate, len(signal.spec.channels)) for signal in (eeg, eda, ppg)] == [(300, 18), (4, 1), (100, 1)]
    source = content()
    assert np.allclose(eeg.samples, source["eeg_datas"][:18])
    assert np.allclose(ppg.samples, source["ppg_datas"][:1])
    assert len(recording.trials) == 32
    first = recording.trials[0]
    assert (first.name, first.start_s, first.end_s) == (f"v{ORDER[0] + 1:02d}", 2, 4)
    assert recording.trials[31].end_s == len(SECONDS) - 1
    for trial in recording.trials:
        row = source["dis_label"][int(trial.name[1:]) - 1]
        assert trial.distributions["emotions"] == pytest.approx(dict(zip(CLASSES, row, strict=True)))
        assert trial.label == CLASSES[int(row.argmax())]


def test_clip_played_twice_is_numbered(tmp_path: Path) -> None:
    eeg = content()["eeg_datas"]
    eeg[-1, -300:] = ORDER[3]
    write(tmp_path, eeg_datas=eeg)
    [recording] = datasets.open("dmer", tmp_path)
    assert recording.trials[-1].name == f"v{ORDER[3] + 1:02d}-2"


def _without_clip() -> np.ndarray:
    eeg: np.ndarray = content()["eeg_datas"]
    eeg[-1][eeg[-1] == 7] = REST
    return eeg


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"eeg_datas": _without_clip()}, "clip 8 of 32 was not recorded"),
        ({"eeg_datas": np.zeros((18, 3000))}, r"eeg_datas has shape \(18, 3000\)"),
        ({"gsr_datas": np.zeros((2, 40))}, "EEG, GSR and PPG end at 98.0, 10.0, 98.0 s"),
        ({"dis_label": np.full((32, 9), 1 / 9)}, r"dis_label has shape \(32, 9\), expected \(32, 10\)"),
        ({"dis_label": np.full((32, 10), -1.0)}, "a row that is no distribution"),
    ],
)
def test_broken_files_are_told_in_one_line(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    path = write(tmp_path, **changed)
    with pytest.raises(DatasetError, match=said) as caught:
        next(iter(datasets.open("dmer", tmp_path)))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
