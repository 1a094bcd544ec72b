"""DREAMER.mat: a struct of cells of structs of cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from streamaffect import datasets
from streamaffect.datasets.dreamer import SITES, Dreamer
from streamaffect.datasets.published import Threshold
from streamaffect.errors import DatasetError
from streamaffect.signals import Recording

SCORES = [1, 2, 3, 4, 5, 3] * 3


def _cells(rng: np.random.Generator, rate: int, channels: int, seconds: list[float], offset: float) -> np.ndarray:
    cells = np.empty((18, 1), object)
    for i, length in enumerate(seconds):
        cells[i, 0] = offset + rng.normal(size=(int(length * rate), channels))
    return cells


def person(number: int, **changed: Any) -> dict[str, Any]:
    rng = np.random.default_rng(number)
    stimuli, baseline = [3 + 0.1 * (i % 3) for i in range(18)], [2.0] * 18
    kinds = {"EEG": (128, 14, 4200.0), "ECG": (256, 2, 2000.0)}
    return {
        "Age": str(20 + number),
        "Gender": "male" if number % 2 else "female",
        **{
            kind: {
                "baseline": _cells(rng, rate, channels, baseline, offset),
                "stimuli": _cells(rng, rate, channels, stimuli, offset),
            }
            for kind, (rate, channels, offset) in kinds.items()
        },
        "ScoreValence": np.array(SCORES, float)[:, None],
        "ScoreArousal": np.array(SCORES[::-1], float)[:, None],
        "ScoreDominance": np.full((18, 1), 4.0),
        **changed,
    }


def write(root: Path, *people: dict[str, Any]) -> Path:
    data = np.empty((1, len(people)), object)
    data[0, :] = people
    content = {
        "Data": data,
        "EEG_SamplingRate": 128.0,
        "ECG_SamplingRate": 256.0,
        "EEG_Electrodes": np.array([list(SITES)], object),
        "noOfSubjects": float(len(people)),
        "noOfVideoSequences": 18.0,
        "Disclaimer": "While every care has been taken",
        "Provider": "University of the West of Scotland",
        "Version": "1.0.2",
        "Acknowledgement": "The authors would like to thank",
    }
    path = root / "DREAMER.mat"
    savemat(path, {"DREAMER": content}, do_compression=True)
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("dreamer")
    write(place, *(person(number) for number in (1, 2, 3)))
    return place


@pytest.fixture(scope="module")
def second(root: Path) -> Recording:
    [one] = datasets.open("dreamer", root, "2")
    return one


def test_people_are_numbered(root: Path) -> None:
    assert datasets.open("dreamer", root).subjects == ("1", "2", "3")
    assert [recording.meta["age"] for recording in datasets.open("dreamer-arousal", root)] == ["21", "22", "23"]


def test_clips_follow_each_other_with_the_neutral_film_before(second: Recording) -> None:
    eeg, ecg = second.signals
    assert (eeg.spec.channels, eeg.spec.rate, eeg.spec.unit) == (SITES, 128, "uV")
    assert (len(ecg.spec.channels), ecg.spec.rate, ecg.spec.unit) == (2, 256, "uV")
    assert eeg.end_s == ecg.end_s == 18 * (2 + 3)
    names = [(trial.name, trial.start_s, trial.end_s) for trial in second.trials]
    assert names[:3] == [("c01-before", 0, 2), ("c01", 2, 5), ("c02-before", 5, 7)]
    assert names[-1] == ("c18", 87, 90)
    source = person(2)
    assert np.allclose(eeg.samples[:, 7 * 128 : 10 * 128], source["EEG"]["stimuli"][1, 0][: 3 * 128].T, rtol=1e-5)
    counts = source["ECG"]["stimuli"][17, 0][: 3 * 256].T
    assert np.allclose(ecg.samples[:, 87 * 256 :], counts * 3e6 / 4095 / 175, rtol=1e-4)


def test_ratings_up_to_three_are_low(second: Recording) -> None:
    labels = [trial.label for trial in second.trials if "before" not in trial.name]
    assert labels == ["low", "low", "low", "high", "high", "low"] * 3
    assert {trial.label for trial in second.trials if "before" in trial.name} == {None}
    assert (second.meta["c04/valence"], second.meta["c01/arousal"], second.meta["c18/dominance"]) == (4, 3, 4)
    assert second.meta["label"] == "valence"


def test_every_scale_is_a_data_set(root: Path) -> None:
    [arousal] = datasets.open("dreamer-arousal", root, "1")
    [dominance] = datasets.open("dreamer-dominance", root, "1")
    assert [trial.label for trial in arousal.trials if trial.label][:3] == ["low", "high", "high"]
    assert {trial.label for trial in dominance.trials if trial.label} == {"high"}


@pytest.mark.parametrize(("middle", "counts"), [("high", (6, 12)), ("low", (12, 6)), (None, (6, 6))])
def test_the_middle_may_be_high_low_or_nothing(root: Path, middle: str | None, counts: tuple[int, int]) -> None:
    recording = Dreamer("own", threshold=Threshold(3.0, middle)).load(root, "1")
    labels = [trial.label for trial in recording.trials]
    assert (labels.count("low"), labels.count("high")) == counts


def _short(part: str, kind: str) -> dict[str, Any]:
    broken = person(1)
    broken[kind][part][4, 0] = broken[kind][part][4, 0][:50]
    return broken


def _with_cell(value: np.ndarray) -> dict[str, Any]:
    broken = person(1)
    broken["EEG"]["stimuli"][4, 0] = value
    return broken


def _fewer() -> dict[str, Any]:
    broken = person(1)
    broken["EEG"]["stimuli"] = broken["EEG"]["stimuli"][:17]
    return broken


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (person(1, ScoreValence=np.full((18, 1), 6.0)), "ScoreValence must be 18 ratings from 1 to 5"),
        (person(1, ScoreArousal=np.ones((17, 1))), "ScoreArousal must be 18 ratings"),
        (_short("stimuli", "ECG"), "c05 is 0 s long"),
        (_with_cell(np.zeros((400, 13))), r"stimuli 5 has shape \(13, 400\)"),
        (_with_cell(np.array(["text"])), "stimuli 5 is no array of numbers"),
        (_fewer(), "stimuli has 17 and 18 clips, expected 18"),
        ({key: value for key, value in person(1).items() if key != "ECG"}, "ECG"),
    ],
)
def test_broken_people_are_told_in_one_line(tmp_path: Path, broken: dict[str, Any], said: str) -> None:
    path = write(tmp_path, broken)
    with pytest.raises(DatasetError, match=said) as caught:
        next(iter(datasets.open("dreamer", tmp_path)))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_without_the_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds no DREAMER/DREAMER.mat of data set 'dreamer'"):
        datasets.open("dreamer", tmp_path)


def test_truncated_file_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, person(1), person(2))
    path.write_bytes(path.read_bytes()[:-100_000])
    with pytest.raises(DatasetError, match="truncated"):
        list(datasets.open("dreamer", tmp_path))
