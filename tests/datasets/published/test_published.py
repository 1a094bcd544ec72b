"""Where files lie, and how clips are put on one clock."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamaffect import datasets
from streamaffect.datasets.agreements import AGREEMENTS
from streamaffect.datasets.published import Clip, Threshold, folder, joined, shares
from streamaffect.datasets.registry import BUILT_IN, PUBLISHED, kind_of
from streamaffect.datasets.sources import PROVENANCE
from streamaffect.errors import DatasetError, UsageError
from streamaffect.signals import Modality, StreamSpec

EEG = StreamSpec("eeg", Modality.EEG, ("Fp1", "Fp2"), 128.0)
ECG = StreamSpec("ecg", Modality.ECG, ("ECG",), 256.0)


def _clip(name: str, eeg_s: float, ecg_s: float, lead_s: float = 0.0) -> Clip:
    eeg, ecg = np.ones((2, round(eeg_s * 128)), np.float32), np.ones((1, round(ecg_s * 256)), np.float32)
    return Clip(name, "low", (eeg * eeg_s, ecg * ecg_s), lead_s)


def test_clips_are_cut_to_the_whole_seconds_that_all_streams_have() -> None:
    (eeg, ecg), trials = joined((EEG, ECG), iter([_clip("a", 3.9, 2.95), _clip("b", 2.0, 4.0, lead_s=1)]))
    assert (eeg.samples.shape, ecg.samples.shape) == ((2, 4 * 128), (1, 4 * 256))
    assert [(trial.name, trial.start_s, trial.end_s) for trial in trials] == [("a", 0, 2), ("b", 3, 4)]
    assert eeg.samples[0, [0, 255, 256, 511]] == pytest.approx([3.9, 3.9, 2, 2])


def test_no_clip_and_a_clip_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no clip"):
        joined((EEG,), [])
    with pytest.raises(ValueError, match="a is 2 s long, after 2 s of lead nothing is left"):
        joined((EEG, ECG), [_clip("a", 2.5, 2.5, lead_s=2)])


def test_folder_is_found_at_the_root_below_it_and_under_the_sets_name(tmp_path: Path) -> None:
    place = tmp_path / "seed" / "Preprocessed_EEG"
    place.mkdir(parents=True)
    (place / "1_20131027.mat").touch()
    for root in (tmp_path, tmp_path / "seed", place):
        assert folder("seed", root, ("Preprocessed_EEG",), "*.mat") == place
    with pytest.raises(DatasetError, match=r"holds no Preprocessed_EEG/\*.cnt of data set 'seed': unpack the set there"):
        folder("seed", tmp_path, ("Preprocessed_EEG",), "*.cnt")


@pytest.mark.parametrize("dataset", PUBLISHED, ids=lambda dataset: dataset.name)
def test_every_published_set_needs_a_root_that_holds_it(tmp_path: Path, dataset: datasets.Dataset) -> None:
    assert BUILT_IN[dataset.name] is dataset
    assert dataset.name in datasets.names()
    with pytest.raises(UsageError, match="pass --root DIR"):
        datasets.open(dataset.name)
    with pytest.raises(DatasetError, match=f"of data set '{dataset.name}'"):
        datasets.open(dataset.name, tmp_path)
    assert not dataset.recognises(tmp_path)  # type: ignore[attr-defined]


def test_every_published_set_says_its_terms_and_where_it_is_to_be_had() -> None:
    assert set(AGREEMENTS) == {dataset.name for dataset in PUBLISHED}
    for dataset in PUBLISHED:
        assert PROVENANCE[dataset.name].citation == AGREEMENTS[dataset.name].citation
        assert "." in dataset.where  # type: ignore[attr-defined]
        assert dataset.about  # type: ignore[attr-defined]


def test_no_two_sets_say_the_same_of_themselves() -> None:
    assert len({dataset.about for dataset in PUBLISHED}) == len(PUBLISHED)  # type: ignore[attr-defined]


def test_sets_of_features_say_so() -> None:
    features = {dataset.name for dataset in PUBLISHED if kind_of(dataset) == "features"}
    assert features == {"seed_de", "seed_de_lds", "seed_iv_de", "seed_iv_de_lds", "seed_v_de", "faced_de"}
    assert kind_of(BUILT_IN["eegmat"]) == "recordings"


def test_shares_sum_to_one_or_are_none() -> None:
    assert shares({"joy": 1, "fear": 3}) == {"joy": 0.25, "fear": 0.75}
    for unfit in ({"joy": 0, "fear": 0}, {"joy": np.nan, "fear": 1}, {"joy": -1, "fear": 2}):
        assert shares(unfit) == {}


def test_threshold_leaves_what_was_not_rated() -> None:
    assert [Threshold(3)(rating) for rating in (2.9, 3, 3.1)] == ["low", "low", "high"]
    assert Threshold(3, None)(3) is None
    assert Threshold(3)(float("nan")) is None
