"""SEED and SEED-IV: a variable a trial, named by somebody's initials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from streamaffect import datasets
from streamaffect.datasets.seed import SITES
from streamaffect.errors import DatasetError

SEED_LABELS = [1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, -1]
SEED_IV_LABELS = {
    1: [1, 2, 3, 0, 2, 0, 0, 1, 0, 1, 2, 1, 1, 1, 2, 3, 2, 2, 3, 3, 0, 3, 0, 3],
    2: [2, 1, 3, 0, 0, 2, 0, 2, 3, 3, 2, 3, 2, 0, 1, 1, 2, 1, 0, 3, 0, 1, 3, 1],
    3: [1, 2, 2, 1, 3, 3, 3, 1, 1, 2, 1, 0, 2, 3, 3, 0, 2, 3, 0, 0, 2, 0, 1, 0],
}
FILES = {"1_20131030.mat": 2, "1_20131027.mat": 1, "1_20131107.mat": 3, "10_20131130.mat": 4, "2_20140404.mat": 5}


def session(seed: int, count: int, initials: str = "djc") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    lengths = {number: 200 * (1 + number % 2) + 37 for number in range(1, count + 1)}
    return {f"{initials}_eeg{number}": rng.normal(size=(62, n)) for number, n in lengths.items()}


def write_seed(place: Path) -> Path:
    place.mkdir(parents=True)
    for name, seed in FILES.items():
        savemat(place / name, session(seed, 15, "ww" if seed == 2 else "djc"), do_compression=True)
    savemat(place / "label.mat", {"label": np.array([SEED_LABELS])})
    (place / "readme.txt").write_text("SEED")
    return place


def test_sessions_are_in_the_order_of_their_dates(tmp_path: Path) -> None:
    write_seed(tmp_path / "Preprocessed_EEG")
    recordings = datasets.open("seed", tmp_path)
    assert recordings.subjects == ("1", "2", "10")
    [recording] = datasets.open("seed", tmp_path, "1")
    [eeg] = recording.signals
    assert (eeg.spec.channels, eeg.spec.rate, eeg.spec.unit) == (SITES, 200, "uV")
    assert recording.meta == {"session1": "20131027", "session2": "20131030", "session3": "20131107"}
    assert [trial.name for trial in recording.trials] == [f"s{s}-t{t:02d}" for s in (1, 2, 3) for t in range(1, 16)]
    words = {1: "positive", 0: "neutral", -1: "negative"}
    assert [trial.label for trial in recording.trials] == [words[label] for label in SEED_LABELS] * 3
    eleventh = next(trial for trial in recording.trials if trial.name == "s2-t11")
    assert (eleventh.start_s, eleventh.end_s) == (23 + 7 + 8, 23 + 7 + 8 + 2)  # lengths are 2, 1, 2, ... whole seconds
    start = round(eleventh.start_s * 200)
    assert np.allclose(eeg.samples[:, start : start + 400], session(2, 15)["djc_eeg11"][:, :400], rtol=1e-6)


def test_sites_are_the_published_62() -> None:
    assert len(SITES) == len(set(SITES)) == 62
    assert [SITES[i] for i in (0, 4, 14, 27, 41, 57, 61)] == ["Fp1", "AF4", "FT7", "Cz", "P7", "CB1", "CB2"]


def test_sessions_of_seed_iv_lie_in_folders(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        place = tmp_path / "eeg_raw_data" / str(number)
        place.mkdir(parents=True)
        # dates of one person need not follow the sessions
        savemat(place / f"4_2015112{9 - number}.mat", session(number, 24, "cz"), do_compression=True)
    [recording] = datasets.open("seed_iv", tmp_path)
    words = ("neutral", "sad", "fear", "happy")
    expected = [words[label] for number in (1, 2, 3) for label in SEED_IV_LABELS[number]]
    assert [trial.label for trial in recording.trials] == expected
    assert recording.trials[24].name == "s2-t01"
    assert recording.meta["session2"] == "20151127"
    assert np.allclose(recording.signals[0].samples[:, :200], session(1, 24)["djc_eeg1"][:, :200], rtol=1e-6)


def test_session_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    write_seed(tmp_path / "seed")
    [recording] = datasets.open("seed", tmp_path, "2")
    assert len(recording.trials) == 15
    assert recording.meta == {"session1": "20140404"}


def test_missing_trial_is_named(tmp_path: Path) -> None:
    trials = session(1, 15)
    del trials["djc_eeg7"], trials["djc_eeg12"]
    savemat(tmp_path / "1_20131027.mat", trials)
    with pytest.raises(DatasetError, match=r"1_20131027.mat: lacks trial 7, 12 of 15"):
        next(iter(datasets.open("seed", tmp_path)))


def test_labels_of_another_set_are_refused(tmp_path: Path) -> None:
    place = write_seed(tmp_path / "Preprocessed_EEG")
    savemat(place / "label.mat", {"label": np.array([SEED_LABELS[::-1]])})
    with pytest.raises(DatasetError, match=r"label.mat: other labels than the set publishes"):
        next(iter(datasets.open("seed", tmp_path)))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.zeros((61, 400)), r"djc_eeg3 has shape \(61, 400\) .*expected 62"),
        (np.zeros((62, 100)), "s1-t03 is 0 s long"),
        (np.array(["nothing"]), "djc_eeg3 is no array of numbers"),
    ],
)
def test_broken_trial_is_told_in_one_line(tmp_path: Path, value: np.ndarray, said: str) -> None:
    savemat(tmp_path / "1_20131027.mat", {**session(1, 15), "djc_eeg3": value})
    with pytest.raises(DatasetError, match=said) as caught:
        next(iter(datasets.open("seed", tmp_path)))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fourth_file_of_a_person_is_refused(tmp_path: Path) -> None:
    for day in range(1, 5):
        savemat(tmp_path / f"1_2013102{day}.mat", {"djc_eeg1": np.zeros(3)})
    with pytest.raises(DatasetError, match="person 1 has 4 files, 'seed' has three sessions"):
        datasets.open("seed", tmp_path)


def test_truncated_file_is_told(tmp_path: Path) -> None:
    path = write_seed(tmp_path / "Preprocessed_EEG") / "2_20140404.mat"
    path.write_bytes(path.read_bytes()[:-90_000])
    with pytest.raises(DatasetError, match=r"2_20140404.mat: .*truncated"):
        next(iter(datasets.open("seed", tmp_path, "2")))
