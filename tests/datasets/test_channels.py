"""Channel labels as amplifiers write them."""

from __future__ import annotations

import pytest

from streamaffect.datasets.channels import guess, modality_of
from streamaffect.signals import Modality


@pytest.mark.parametrize(
    ("label", "modality", "channel"),
    [
        ("Fp1", Modality.EEG, "Fp1"),
        ("EEG Fp1-REF", Modality.EEG, "Fp1"),
        ("EEG FPZ", Modality.EEG, "FPZ"),
        ("FC3-LE", Modality.EEG, "FC3"),
        ("Cz..", Modality.EEG, "Cz"),
        ("EEG Fpz-Cz", Modality.EEG, "Fpz-Cz"),
        ("AFF5h", Modality.EEG, "AFF5h"),
        ("CB1", Modality.EEG, "CB1"),
        ("EEG 12", Modality.EEG, "12"),
        ("ECG ECG", Modality.ECG, "ECG"),
        ("EKG1", Modality.ECG, "EKG1"),
        ("ECG II", Modality.ECG, "ECG II"),
        ("GSR", Modality.EDA, "GSR"),
        ("Skin conductance", Modality.EDA, "Skin conductance"),
        ("Resp chest", Modality.RESP, "Resp chest"),
        ("TEMP_hand", Modality.TEMP, "TEMP_hand"),
        ("EMG chin", Modality.EMG, "EMG chin"),
        ("BVP", Modality.PPG, "BVP"),
        ("Pleth", Modality.PPG, "Pleth"),
        ("ACC X", Modality.ACC, "ACC X"),
    ],
)
def test_label_tells_what_a_channel_measures(label: str, modality: Modality, channel: str) -> None:
    assert guess(label) == (modality, channel)


@pytest.mark.parametrize("label", ["EEG A2-A1", "M1", "A1", "EOG left", "Status", "Trigger", "SpO2", "", "Battery", "secg"])
def test_ears_eyes_and_triggers_are_nothing_of_ours(label: str) -> None:
    assert guess(label) is None


def test_types_of_streams() -> None:
    told = {
        word: modality_of(word) for word in ("ECG", "EKG", "GSR", "EDA", "BVP", "PPG", "eeg", "Accelerometer", "Markers", "")
    }
    assert list(told.values()) == ["ecg", "ecg", "eda", "eda", "ppg", "ppg", "eeg", "acc", None, None]
