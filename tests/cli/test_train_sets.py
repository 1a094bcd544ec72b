"""Several modalities, every method, distributions: trained by the command line on recordings made for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streamaffect import methods
from streamaffect.bundle.bundle import Bundle, SourceMemory
from streamaffect.datasets import simulated
from streamaffect.runtime.engine import Engine
from streamaffect.signals import Modality, Recording

SITES = ("Fz", "Cz", "Pz")
ITEMS = ("calm", "alert", "tense", "angry")


def _one(recording: Recording, modality: Modality) -> np.ndarray:
    signal = next(signal for signal in recording.signals if signal.spec.modality is modality)
    rows = [signal.spec.channels.index(site) for site in SITES] if modality is Modality.EEG else [0]
    return signal.samples[rows]


def _eegmat(folder: Path, name: str) -> None:
    """A simulated person's rest and load in EEGMAT's layout."""
    person = simulated.person(name, duration_s=120, block_s=60, modalities=[Modality.ECG, Modality.EEG])
    arrays: dict[str, object] = {"subject": name, "eeg_fs": 256, "ecg_fs": 256, "eeg_channels": list(SITES)}
    for i, run in enumerate(("rest", "arithmetic")):
        part = slice(i * 60 * 256, (i + 1) * 60 * 256)
        arrays |= {f"{run}_eeg": np.rint(_one(person, Modality.EEG)[:, part] * 10), f"{run}_eeg_scale": 0.1}
        arrays |= {f"{run}_ecg": np.rint(_one(person, Modality.ECG)[:, part]), f"{run}_ecg_scale": 1e-3}
    np.savez(folder / f"{name}.npz", **arrays)


def _wesad(folder: Path, name: str, *, pulse: bool = True) -> None:
    """A simulated person's rest and load in the layout of WESAD's wrist, with what they might report after each."""
    person = simulated.person(name, duration_s=160, block_s=80, modalities=[Modality.PPG, Modality.EDA])
    arrays: dict[str, object] = {"subject": name, "panas_items": list(ITEMS), "sam_valence": [7, 3], "sam_arousal": [2, 8]}
    # The last item was asked after load alone.
    arrays |= {"panas": np.array([[5, 3, 1, np.nan], [1, 4, 4, 2]], np.float32)}
    arrays |= {"seg_name": ["baseline", "stress"], "seg_start_s": [0, 80], "seg_end_s": [80, 160]}
    still = {"temp": (np.full(640, 330), 0.1, 4), "acc": (np.ones((5120, 3)), 0.5, 32)}
    for field, (x, scale, rate) in still.items():
        arrays |= {field: x, f"{field}_scale": scale, f"{field}_fs": rate}
    for field, modality, scale in (("bvp", Modality.PPG, 0.01), ("eda", Modality.EDA, 1e-3)):
        rate = simulated.SPECS[modality].rate
        arrays |= {field: np.rint(_one(person, modality)[0] / scale), f"{field}_scale": scale, f"{field}_fs": rate}
    if not pulse:
        arrays["bvp_temp_valid"] = False
    np.savez(folder / f"{name}.npz", **arrays)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    for name in ("eegmat", "wesad_wrist"):
        (folder / name).mkdir()
    for i in range(5):
        if i < 4:
            _eegmat(folder / "eegmat", f"p{i}")
        _wesad(folder / "wesad_wrist", f"p{i}", pulse=i != 4)
    return folder


@pytest.mark.parametrize("method", methods.names())
def test_every_method_is_trained_on_two_modalities_and_serves(method: str, root: Path, tmp_path: Path, cli: Callable) -> None:
    quick = {"epochs": 2, "width": 16}
    words = [f"--param={key}={value}" for key, value in quick.items() if hasattr(methods.get(method), key)]
    words += ["--modality", "eeg,ecg", "--prior", "level=false", "--orders", "2", "--no-loso"]
    outcome = cli("train", "eegmat", "--root", root, "--method", method, "--out", tmp_path / "two", *words)
    assert outcome.code == 0, outcome.err
    bundle = Bundle.load(tmp_path / "two")
    signals = [] if getattr(methods.get(method), "reads", "any") == "vectors" else ["ecg.raw"]
    assert [view.key for view in bundle.views] == ["eeg.de", *signals, "ecg.hrv"]
    assert bundle.manifest.hop_s == 5.0
    memory = SourceMemory.load(bundle)
    assert len(set(memory.subject[memory.held_out])) == 1
    engine = Engine(bundle)
    everything = engine(memory.x).probabilities
    for gone in ("eeg", "ecg"):
        masked = {key: np.full_like(x, np.nan) if key.startswith(gone) else x for key, x in memory.x.items()}
        said = engine(masked).probabilities
        assert np.isfinite(said).all()
        assert not np.array_equal(said, everything)


def test_modality_may_be_repeated_and_the_command_is_kept(root: Path, tmp_path: Path, cli: Callable) -> None:
    words = ("--modality", "ecg", "--modality", "eeg", "--method", "zscore", "--no-loso", "--orders", "2")
    assert cli("train", "eegmat", "--root", root, "--out", tmp_path / "two", *words).code == 0
    assert "--modality ecg,eeg --method zscore" in str(Bundle.load(tmp_path / "two").manifest.provenance["command"])
    cli("train", "eegmat", "--root", root, "--out", tmp_path / "x", "--modality", "ecg,emg").is_error(2, "not 'emg'")


def test_reports_are_learnt_as_distributions(root: Path, tmp_path: Path, cli: Callable) -> None:
    words = ("--modality", "ppg,eda", "--method", "helo", "--target", "panas", "--orders", "2")
    small = ("--param", "epochs=30", "--param", "width=16", "--prior", "level=false")
    outcome = cli("train", "wesad_wrist", "--root", root, "--out", tmp_path / "moods", "--no-loso", *words, *small)
    assert outcome.code == 0, outcome.err
    assert "left out: wesad_wrist/p4 has no ppg" in outcome.out
    assert "with panas over 3 classes" in outcome.out
    bundle = Bundle.load(tmp_path / "moods")
    assert (bundle.classes, bundle.manifest.target, bundle.exclusive) == (ITEMS[:3], "panas", False)
    assert bundle.manifest.data[0].subjects == ["p0", "p1", "p2", "p3"]
    memory = SourceMemory.load(bundle)
    assert {tuple(np.round(row, 4)) for row in memory.y.tolist()} == {(0.5556, 0.3333, 0.1111), (0.1111, 0.4444, 0.4444)}
    held = {key: x[memory.held_out] for key, x in memory.x.items()}
    said = Engine(bundle)(held).probabilities
    assert np.minimum(said, memory.y[memory.held_out]).sum(axis=1).mean() > 0.8


def test_targets_that_are_not_there_are_named(root: Path, tmp_path: Path, cli: Callable) -> None:
    words = ("train", "wesad_wrist", "--root", root, "--out", tmp_path / "x", "--modality", "ppg", "--method", "helo")
    cli(*words, "--target", "mood", "--no-loso").is_error(1, "no trial has a target 'mood': there is label, panas")


def test_a_method_of_vectors_is_evaluated_as_it_ships(root: Path, tmp_path: Path, cli: Callable) -> None:
    words = ("--modality", "eeg,ecg", "--method", "zscore", "--orders", "2", "--processes", "1")
    outcome = cli("train", "eegmat", "--root", root, "--out", tmp_path / "two", *words)
    assert outcome.code == 0, outcome.err
    assert "over 4 people" in outcome.out
    assert Bundle.load(tmp_path / "two").manifest.figures["source"]["n"] == 4
