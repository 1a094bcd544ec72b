"""Simulated people as a data set of EEGMAT's layout: ECG of minutes, read in milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamaffect.bundle import registry
from streamaffect.bundle.bundle import Bundle
from streamaffect.datasets.simulated import person
from streamaffect.signals import Modality, Recording

PEOPLE = ("Subject90", "Subject91", "Subject92", "Subject93")
REST_S, LOAD_S = 150, 75


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("STREAMAFFECT_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds ``eegmat``: four people, two of them 20 and two 30 years old, 150 s of rest and 75 s of load."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "eegmat").mkdir()
    for name in PEOPLE:
        played = person(name, duration_s=REST_S + LOAD_S, block_s=REST_S, modalities=(Modality.ECG,))
        ecg = played.signals[0]
        arrays = {"subject": name, "eeg_fs": 8, "ecg_fs": ecg.spec.rate, "eeg_channels": ["Cz"]}
        arrays["age"] = 20 if name in PEOPLE[:2] else 30
        cut = round(REST_S * ecg.spec.rate)
        for run, samples in (("rest", ecg.samples[0, :cut]), ("arithmetic", ecg.samples[0, cut:])):
            seconds = round(samples.size / ecg.spec.rate)
            arrays |= {f"{run}_eeg": np.zeros((1, seconds * 8), np.int16), f"{run}_eeg_scale": 0.1}
            arrays |= {f"{run}_ecg": np.round(samples).astype(np.int16), f"{run}_ecg_scale": 1e-3}
        np.savez(folder / "eegmat" / f"{name}.npz", **arrays)
    return folder


@pytest.fixture(scope="session")
def shipped() -> Bundle:
    return Bundle.load(registry.find("ecg-load"))


@pytest.fixture(scope="session")
def recording() -> Recording:
    """Five minutes of a simulated person's ECG, rest and load by turns of a minute."""
    return person("person-3", duration_s=300, modalities=(Modality.ECG,))
