"""The features of the SEED family: .mat with every kind of feature, .npz with pickled dictionaries."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from streamaffect import datasets
from streamaffect.datasets.registry import BUILT_IN
from streamaffect.datasets.seed_v import SEED_V_PROTOCOL
from streamaffect.errors import DatasetError, UsageError

WINDOWS = {number: 3 + number % 3 for number in range(1, 25)}


def features(seed: int, count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    kinds = {"de_movingAve": 62, "de_LDS": 62, "psd_movingAve": 62, "psd_LDS": 62, "dasm_LDS": 27, "asm_movingAve": 54}
    return {
        f"{kind}{number}": rng.normal(size=(rows, WINDOWS[number], 5))
        for number in range(1, count + 1)
        for kind, rows in kinds.items()
    }


def write_seed(root: Path, folder: str = "ExtractedFeatures") -> None:
    place = root / folder
    place.mkdir(parents=True)
    for i, date in enumerate(("20131027", "20131030", "20131107"), 1):
        savemat(place / f"1_{date}.mat", features(i, 15), do_compression=True)
    savemat(place / "label.mat", {"label": np.array([[1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, -1]])})


@pytest.mark.parametrize(("name", "variable"), [("seed_de", "de_movingAve"), ("seed_de_lds", "de_LDS")])
def test_rows_are_windows_and_columns_channel_by_channel(tmp_path: Path, name: str, variable: str) -> None:
    write_seed(tmp_path)
    [table] = datasets.open(name, tmp_path).tables()
    x, n = table.x["eeg.de"], sum(WINDOWS[number] for number in range(1, 16))
    assert (x.shape, x.dtype) == ((3 * n, 310), np.float32)
    assert len(table.label) == len(table.trial) == 3 * n
    source = features(2, 15)[f"{variable}1"]
    row = n + 2  # the third window of session 2
    assert np.allclose(x[row].reshape(62, 5), source[:, 2], rtol=1e-6)
    assert (table.trial[row], table.label[row]) == ("s2-t01", "positive")
    assert table.t_end_s is not None
    assert table.t_end_s[row] == 3
    assert (table.dataset, table.subject) == (name, "1")


def test_windows_of_the_later_release_are_as_long_as_its_folder_says(tmp_path: Path) -> None:
    write_seed(tmp_path / "SEED", "ExtractedFeatures_4s")
    [table] = datasets.open("seed_de", tmp_path).tables()
    assert table.t_end_s is not None
    assert table.t_end_s[:3].tolist() == [4, 8, 12]


def test_seed_iv_lies_in_folders_and_its_windows_are_four_seconds(tmp_path: Path) -> None:
    for session in (1, 2, 3):
        place = tmp_path / "eeg_feature_smooth" / str(session)
        place.mkdir(parents=True)
        savemat(place / f"15_2015050{session}.mat", features(session, 24))
    [table] = datasets.open("seed_iv_de", tmp_path).tables()
    assert (table.label[0], table.t_end_s[1]) == ("sad", 8)  # type: ignore[index]
    assert set(table.label) == {"neutral", "sad", "fear", "happy"}
    assert table.trial[-1] == "s3-t24"
    [smoothed] = datasets.open("seed_iv_de_lds", tmp_path).tables()
    assert not np.allclose(smoothed.x["eeg.de"], table.x["eeg.de"])


def seed_v(windows: int = 4) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    rng = np.random.default_rng(5)
    labels = [label for session in SEED_V_PROTOCOL.labels for label in session]
    data = {i: rng.normal(size=(windows, 310)) for i in range(45)}
    return data, {i: np.full(windows, float(label)) for i, label in enumerate(labels)}


def write_seed_v(root: Path, data: object, label: object) -> Path:
    """As the publisher's notebook reads it: pickle.loads(npz["data"])."""
    place = root / "EEG_DE_features"
    place.mkdir(parents=True, exist_ok=True)
    np.savez(place / "1_123.npz", data=pickle.dumps(data, 3), label=pickle.dumps(label, 3))
    return place / "1_123.npz"


def test_seed_v_is_unpickled_into_45_trials(tmp_path: Path) -> None:
    data, label = seed_v()
    path = write_seed_v(tmp_path, data, label)
    with np.load(path) as raw:
        assert pickle.loads(raw["data"])[44].shape == (4, 310)  # the publisher's way works on it
    [table] = datasets.open("seed_v_de", tmp_path).tables()
    assert table.x["eeg.de"].shape == (180, 310)
    assert np.allclose(table.x["eeg.de"][60:64], data[15], rtol=1e-6)
    assert (table.trial[60], table.label[60], table.t_end_s[63]) == ("s2-t01", "sad", 16)  # type: ignore[index]
    assert [str(table.label[4 * i]) for i in range(5)] == ["happy", "fear", "neutral", "sad", "disgust"]


class _Evil:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.trace}",)


def test_seed_v_file_that_would_run_something_is_refused(tmp_path: Path) -> None:
    data, _ = seed_v()
    write_seed_v(tmp_path, data, {0: _Evil(tmp_path / "trace")})
    with pytest.raises(DatasetError, match=r"1_123.npz: label: asks for (posix|nt).system, which no recording needs"):
        list(datasets.open("seed_v_de", tmp_path).tables())
    assert not (tmp_path / "trace").exists()


def _broken_seed_v(change: str) -> tuple[object, object]:
    data, label = seed_v()
    match change:
        case "missing":
            del data[44]
        case "shape":
            data[3] = np.zeros((4, 309))
        case "labels":
            label[3] = np.zeros(3)
        case "other":
            label[0] = np.zeros(4)
        case _:
            return [1], label
    return data, label


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("missing", "has a field 44 there, this file lacks it"),
        ("shape", r"trial 3 has shape \(4, 309\)"),
        ("labels", "trial 3 has shape .* and 3 labels"),
        ("other", "trial 0 is not labelled happy, as the set publishes it"),
        ("list", "data and label must be dictionaries"),
    ],
)
def test_broken_seed_v_is_told_in_one_line(tmp_path: Path, change: str, said: str) -> None:
    path = write_seed_v(tmp_path, *_broken_seed_v(change))
    with pytest.raises(DatasetError, match=said) as caught:
        list(datasets.open("seed_v_de", tmp_path).tables())
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"de_movingAve3": np.zeros((62, 4))}, r"de_movingAve3 has shape \(62, 4\), expected \(62, windows, 5\)"),
        ({"de_movingAve3": np.full((62, 4, 5), np.nan)}, "a feature is not finite"),
        ({"de_movingAve3": None}, "lacks trial 3 of 15"),
    ],
)
def test_broken_seed_is_told(tmp_path: Path, change: dict[str, np.ndarray | None], said: str) -> None:
    content = {key: value for key, value in {**features(1, 15), **change}.items() if value is not None}
    savemat(tmp_path / "1_20131027.mat", content)
    with pytest.raises(DatasetError, match=said):
        list(datasets.open("seed_de", tmp_path).tables())


def test_features_and_signals_of_the_same_names_are_told_apart(tmp_path: Path) -> None:
    write_seed(tmp_path / "features")
    (tmp_path / "signals").mkdir()
    savemat(tmp_path / "signals" / "1_20131027.mat", {"djc_eeg1": np.zeros((62, 9))})
    names = ("seed", "seed_de", "seed_iv", "seed_iv_de", "seed_v_de", "faced", "wesad")
    found = {
        place: [name for name in names if BUILT_IN[name].recognises(tmp_path / place)] for place in ("features", "signals")
    }  # type: ignore[attr-defined]
    assert found == {"features": ["seed_de"], "signals": ["seed"]}


def test_tables_are_no_recordings_and_recordings_no_tables(tmp_path: Path) -> None:
    write_seed_v(tmp_path, *seed_v())
    with pytest.raises(UsageError, match="'seed_v_de' publishes features, no samples to play or window"):
        list(datasets.open("seed_v_de", tmp_path))
    with pytest.raises(UsageError, match="'simulated' yields recordings"):
        next(datasets.open("simulated").tables())
