"""The readers on the real files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from streamaffect import datasets
from streamaffect.errors import DatasetError, UsageError
from streamaffect.signals import Modality, Recording, Signal

NPZ = ("eegmat", "induced_stress", "stress_predict", "wesad_wrist")


def _signal(recording: Recording, modality: Modality) -> Signal:
    return next(signal for signal in recording.signals if signal.spec.modality is modality)


@pytest.mark.parametrize("name", NPZ)
def test_every_recording_is_finite_labelled_and_in_order(data_root: Path, name: str) -> None:
    recordings = datasets.open(name, data_root)
    assert len(recordings) == len(recordings.subjects) > 10
    for recording in recordings:
        assert recording.dataset == name
        for signal in recording.signals:
            assert signal.samples.dtype == np.float32
            assert signal.samples.shape[0] == len(signal.spec.channels)
            assert np.isfinite(signal.samples).all()
        trials = recording.trials
        assert len({trial.name for trial in trials}) == len(trials) > 1
        assert len({trial.label for trial in trials}) > 1
        assert all(0 <= trial.start_s < trial.end_s <= recording.duration_s + 1 for trial in trials)
        assert all(a.end_s <= b.start_s for a, b in pairwise(trials))


def test_eegmat_joins_rest_and_arithmetic_on_one_clock(data_root: Path) -> None:
    path = data_root / "eegmat" / "Subject05.npz"
    recording = datasets.read(path)
    ecg, eeg = _signal(recording, Modality.ECG), _signal(recording, Modality.EEG)
    rest, load = recording.trials
    assert (rest.name, rest.label, load.name, load.label) == ("rest", "rest", "arithmetic", "load")
    assert rest.end_s == load.start_s
    assert ecg.end_s == eeg.end_s == load.end_s
    assert len(eeg.spec.channels) == 19
    assert "A2-A1" not in eeg.spec.channels
    with np.load(path) as raw:
        joint = round(rest.end_s * 250)
        millivolts = raw["arithmetic_ecg"][0] * float(raw["arithmetic_ecg_scale"][0])
        assert np.allclose(ecg.samples[0, joint:], 1000 * millivolts[: ecg.samples.shape[1] - joint], rtol=1e-6)
        sites = raw["eeg_channels"].tolist()
        row = eeg.spec.channels.index("Pz")
        microvolts = raw["rest_eeg"][sites.index("Pz")] * float(raw["rest_eeg_scale"][sites.index("Pz")])
        assert np.allclose(eeg.samples[row, :1000], microvolts[:1000], rtol=1e-6)
    assert ecg.spec.unit == eeg.spec.unit == "uV"


def test_heart_is_faster_under_load_in_most_of_eegmat(data_root: Path) -> None:
    """The units and labels make sense to a detector that knows nothing of them."""
    import sleepecg

    rises = []
    for recording in datasets.open("eegmat", data_root):
        ecg = _signal(recording, Modality.ECG)
        beats = sleepecg.detect_heartbeats(ecg.samples[0].astype(float), 250) / 250
        rates = [
            60 * np.mean((beats >= t.start_s) & (beats < t.end_s)) * beats.size / (t.end_s - t.start_s)
            for t in recording.trials
        ]
        rises.append(rates[1] - rates[0])
    assert np.mean(np.array(rises) > 0) > 0.85


def test_wrist_units_are_physical(data_root: Path) -> None:
    recording = datasets.read(data_root / "wesad_wrist" / "S2.npz")
    rates = {signal.spec.modality: signal.spec.rate for signal in recording.signals}
    assert rates == {Modality.PPG: 64, Modality.EDA: 4, Modality.TEMP: 4, Modality.ACC: 32}
    assert 25 < np.median(_signal(recording, Modality.TEMP).samples) < 40
    gravity = np.linalg.norm(_signal(recording, Modality.ACC).samples, axis=0)
    assert 0.9 < np.median(gravity) < 1.1
    assert 0 <= np.median(_signal(recording, Modality.EDA).samples) < 30


def test_stages_held_twice_get_names_of_their_own(data_root: Path) -> None:
    recording = datasets.read(data_root / "wesad_wrist" / "S2.npz")
    assert [trial.name for trial in recording.trials] == ["baseline", "stress", "meditation", "amusement", "meditation-2"]
    assert [trial.label for trial in recording.trials][-1] == "meditation"


def test_self_reports_are_kept(data_root: Path) -> None:
    wesad = datasets.read(data_root / "wesad_wrist" / "S2.npz").meta
    assert wesad["stress/sam.valence"] == 5.0
    assert wesad["baseline/sam.arousal"] == 2.0
    assert 1 <= float(wesad["stress/panas.active"]) <= 5
    induced = datasets.read(data_root / "induced_stress" / "f07.npz")
    assert induced.meta["tmct/stress"] == 4.0
    assert induced.meta["protocol"] == "V2"


def test_panas_is_a_distribution_over_the_items_that_were_rated(data_root: Path) -> None:
    wesad = datasets.read(data_root / "wesad_wrist" / "S2.npz")
    for trial in wesad.trials:
        shares = trial.distributions["panas"]
        assert sum(shares.values()) == pytest.approx(1)
        rated = {name.partition("panas.")[2]: score for name, score in wesad.meta.items() if f"{trial.name}/panas." in name}
        assert shares.keys() == rated.keys()
        assert ("angry" in shares) == (trial.name == "stress")
        assert shares["alert"] / shares["happy"] == pytest.approx(rated["alert"] / rated["happy"])


def test_sensors_flagged_invalid_are_left_out(data_root: Path) -> None:
    recording = datasets.read(data_root / "induced_stress" / "f07.npz")
    assert {signal.spec.modality for signal in recording.signals} == {Modality.EDA, Modality.ACC}


def test_trials_follow_the_clock_even_where_the_file_does_not(data_root: Path) -> None:
    recording = datasets.read(data_root / "stress_predict" / "S01.npz")
    assert [trial.name for trial in recording.trials][:3] == ["stroop", "relax1", "baseline"]
    assert [trial.label for trial in recording.trials][:3] == ["stress", "rest", "rest"]


def test_root_may_be_the_folder_itself_and_subjects_are_in_natural_order(data_root: Path) -> None:
    recordings = datasets.open("wesad_wrist", data_root / "wesad_wrist")
    assert recordings.subjects[:3] == ("S2", "S3", "S4")
    [one] = datasets.open("wesad_wrist", data_root, subject="S13")
    assert one.subject == "S13"


def test_unknown_subject_lists_those_there(data_root: Path) -> None:
    with pytest.raises(DatasetError, match=r"no subject 'S99'.*S2, S3"):
        datasets.open("wesad_wrist", data_root, subject="S99")


def test_folder_of_another_set_is_refused(data_root: Path) -> None:
    recordings = datasets.open("eegmat", data_root / "wesad_wrist")
    with pytest.raises(DatasetError, match="not a recording of 'eegmat', it lacks"):
        next(iter(recordings))


def test_root_is_needed() -> None:
    with pytest.raises(UsageError, match="pass --root"):
        datasets.open("eegmat")
