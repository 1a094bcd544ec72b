"""The simulated person: known truth, recovered by tools that were not told."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import welch

from streamaffect import datasets
from streamaffect.datasets import simulated
from streamaffect.errors import UsageError
from streamaffect.signals import Modality, Recording, Signal

SETTLED_S = 15.0  # of a block, after which the body has followed


def _signal(recording: Recording, modality: Modality) -> Signal:
    return next(signal for signal in recording.signals if signal.spec.modality is modality)


def _heart_rates(recording: Recording) -> dict[str, list[float]]:
    import sleepecg

    ecg = _signal(recording, Modality.ECG)
    beats = sleepecg.detect_heartbeats(ecg.samples[0].astype(float), ecg.spec.rate) / ecg.spec.rate
    rates: dict[str, list[float]] = {"rest": [], "load": []}
    for trial in recording.trials:
        within = beats[(beats >= trial.start_s + SETTLED_S) & (beats < trial.end_s)]
        rates[str(trial.label)].append(60.0 / float(np.mean(np.diff(within))))
    return rates


@pytest.mark.parametrize("subject", ["person-1", "person-2", "person-7"])
def test_detector_recovers_the_intended_heart_rate(subject: str) -> None:
    recording = simulated.person(subject, duration_s=240, modalities=(Modality.ECG,))
    rates = _heart_rates(recording)
    intended = float(recording.meta["resting_heart_rate"])
    assert np.mean(rates["rest"]) == pytest.approx(intended, abs=2.0)
    assert 7.0 < np.mean(rates["load"]) - np.mean(rates["rest"]) < 20.0


def test_alpha_falls_and_theta_rises_under_load() -> None:
    recording = simulated.person("person-3", duration_s=240, modalities=(Modality.EEG,))
    eeg = _signal(recording, Modality.EEG)
    power: dict[str, list[np.ndarray]] = {"rest": [], "load": []}
    for trial in recording.trials:
        start, stop = round((trial.start_s + SETTLED_S) * eeg.spec.rate), round(trial.end_s * eeg.spec.rate)
        frequency, density = welch(eeg.samples[:, start:stop], eeg.spec.rate, nperseg=512)
        power[str(trial.label)].append(density)
    change = np.mean(power["load"], axis=0) / np.mean(power["rest"], axis=0)
    back, front = eeg.spec.channels.index("O1"), eeg.spec.channels.index("Fz")
    assert change[back, (frequency >= 9) & (frequency <= 11)].mean() < 0.8
    assert change[front, (frequency >= 4.5) & (frequency <= 6.5)].mean() > 1.2


def test_same_subject_is_the_same_person_another_is_not() -> None:
    one, same, other = (simulated.person(name, duration_s=20) for name in ("person-4", "person-4", "person-5"))
    for a, b, c in zip(one.signals, same.signals, other.signals, strict=True):
        assert np.array_equal(a.samples, b.samples)
        assert not np.array_equal(a.samples, c.samples)


def test_modality_left_out_changes_nothing_in_the_others() -> None:
    whole = simulated.person("person-6", duration_s=20)
    alone = simulated.person("person-6", duration_s=20, modalities=(Modality.ECG,))
    assert len(alone.signals) == 1
    assert np.array_equal(alone.signals[0].samples, _signal(whole, Modality.ECG).samples)


def test_units_are_those_of_real_recordings() -> None:
    recording = simulated.person(duration_s=60)
    assert 300 < np.ptp(_signal(recording, Modality.ECG).samples) < 4000  # uV
    assert 5 < _signal(recording, Modality.EEG).samples.std() < 40  # uV
    assert 0 < _signal(recording, Modality.EDA).samples.min() < 20  # uS
    assert 0.9 < np.median(np.linalg.norm(_signal(recording, Modality.ACC).samples, axis=0)) < 1.1  # g
    assert all(np.isfinite(signal.samples).all() for signal in recording.signals)


def test_blocks_take_turns_and_the_last_is_cut() -> None:
    trials = simulated.person(duration_s=100, block_s=40, first="load", modalities=()).trials
    assert [(t.name, t.label, t.start_s, t.end_s) for t in trials] == [
        ("load-1", "load", 0, 40),
        ("rest-1", "rest", 40, 80),
        ("load-2", "load", 80, 100),
    ]


def test_is_a_data_set_and_says_that_it_is_simulated() -> None:
    recordings = datasets.open("simulated", subject="person-3")
    assert recordings.subjects == ("person-3",)
    [recording] = recordings
    assert recording.dataset == "simulated"
    assert "simulated" in recording.meta
    assert recording.duration_s == 600


@pytest.mark.parametrize(
    "wrong",
    [{"duration_s": 0}, {"block_s": -1}, {"first": "joy"}, {"modalities": (Modality.RESP,)}, {"duration_s": float("nan")}],
)
def test_values_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="simulated person"):
        simulated.person(**wrong)  # type: ignore[arg-type]
