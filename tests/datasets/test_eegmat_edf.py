"""EEGMAT's published files, and the same content in our own layout of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamaffect import datasets
from streamaffect.errors import DatasetError
from streamaffect.signals import Modality

edfio = pytest.importorskip("edfio")
pytest.importorskip("mne")

SITES = ["Fp1", "Fp2", "F3", "F4", "F7", "F8", "T3", "T4", "C3", "C4", "T5", "T6", "P3", "P4", "O1", "O2", "Fz", "Cz", "Pz"]
RATE = 500
INFO = "Subject,Age,Gender,Recording year,Number of subtractions,Count quality\nSubject07,18,F,2012,14.5,1\n"


def _run(seconds: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """EEG with A2-A1 (20, n) in uV and ECG (1, n) in mV."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 12, (20, seconds * RATE)), rng.normal(0, 0.2, (1, seconds * RATE))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, seconds in ((1, 8), (2, 5)):
        eeg, ecg = _run(seconds, number)
        labels = [f"EEG {site}" for site in [*SITES, "A2-A1"]]
        signals = [
            edfio.EdfSignal(row, RATE, label=label, physical_dimension="uV") for label, row in zip(labels, eeg, strict=True)
        ]
        signals.append(edfio.EdfSignal(ecg[0], RATE, label="ECG ECG", physical_dimension="mV"))
        edfio.Edf(signals).write(tmp_path / f"Subject07_{number}.edf")
    (tmp_path / "subject-info.csv").write_text(INFO)
    return tmp_path


def test_is_the_recording_that_our_own_layout_holds(folder: Path, tmp_path: Path) -> None:
    arrays: dict[str, object] = {"subject": "Subject07", "eeg_fs": RATE, "ecg_fs": RATE, "eeg_channels": [*SITES, "A2-A1"]}
    for number, (run, seconds) in enumerate((("rest", 8), ("arithmetic", 5)), 1):
        eeg, ecg = _run(seconds, number)
        arrays |= {f"{run}_eeg": np.round(eeg / 1e-3).astype(np.int32), f"{run}_eeg_scale": np.full(20, 1e-3)}
        arrays |= {f"{run}_ecg": np.round(ecg / 1e-5).astype(np.int32), f"{run}_ecg_scale": np.full(1, 1e-5)}
    arrays |= {"age": 18, "gender": "F", "n_subtractions": 14.5, "count_quality": 1}
    np.savez(tmp_path / "ours.npz", **arrays)
    ours, [published] = datasets.read(tmp_path / "ours.npz"), datasets.open("eegmat_edf", folder)
    assert (published.dataset, published.subject, published.trials) == (ours.dataset, ours.subject, ours.trials)
    assert dict(published.meta) == dict(ours.meta)
    for one, other in zip(published.signals, ours.signals, strict=True):
        assert one.spec == other.spec
        assert one.samples.shape == other.samples.shape
        assert np.allclose(one.samples, other.samples, atol=0.05)  # uV: EDF's own 16 bits
    eeg = published.signals[1]
    assert (eeg.spec.modality, eeg.spec.channels, eeg.spec.rate) == (Modality.EEG, tuple(SITES), 500.0)


def test_without_the_list_of_subjects_nothing_is_known_of_them(folder: Path) -> None:
    (folder / "subject-info.csv").unlink()
    [recording] = datasets.open("eegmat_edf", folder)
    assert dict(recording.meta) == {"licence": "ODC-BY 1.0"}


def test_a_run_that_is_missing_or_another_subjects(folder: Path) -> None:
    (folder / "Subject07_2.edf").unlink()
    with pytest.raises(DatasetError, match=r"Subject07_2.edf: no such recording"):
        next(iter(datasets.open("eegmat_edf", folder)))
    wave = np.sin(np.arange(2500.0))
    edfio.Edf([edfio.EdfSignal(wave, RATE, label="EEG Fp1"), edfio.EdfSignal(wave, RATE, label="ECG ECG")]).write(
        folder / "Subject07_2.edf"
    )
    with pytest.raises(DatasetError, match="channels or rates are others than those of the rest before"):
        next(iter(datasets.open("eegmat_edf", folder)))


def test_a_subject_that_the_list_lacks(folder: Path) -> None:
    (folder / "subject-info.csv").write_text(INFO.replace("Subject07", "Subject08"))
    with pytest.raises(DatasetError, match="has no line of 'Subject07'"):
        next(iter(datasets.open("eegmat_edf", folder)))
