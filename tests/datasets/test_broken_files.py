"""Files that are not what they should be: one line that says so."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streamaffect import datasets
from streamaffect.errors import DatasetError, UsageError
from streamaffect.signals import Modality


def _eegmat(seconds: float = 4.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {
        "subject": np.array("made-up"),
        "eeg_fs": np.array(128),
        "ecg_fs": np.array(250),
        "eeg_channels": np.array(["Fp1", "Cz", "A2-A1"]),
    }
    for run in ("rest", "arithmetic"):
        arrays[f"{run}_eeg"] = rng.integers(-999, 999, (3, int(128 * seconds)), dtype=np.int16)
        arrays[f"{run}_eeg_scale"] = np.full(3, 0.01, np.float32)
        arrays[f"{run}_ecg"] = rng.integers(-999, 999, (1, int(250 * seconds)), dtype=np.int16)
        arrays[f"{run}_ecg_scale"] = np.full(1, 1e-5, np.float32)
    return arrays


def _saved(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def test_layout_is_recognised_by_its_keys(tmp_path: Path) -> None:
    recording = datasets.read(_saved(tmp_path / "any-name.npz", _eegmat()))
    assert (recording.dataset, recording.subject) == ("eegmat", "made-up")
    assert recording.signals[1].spec.channels == ("Fp1", "Cz")


def test_runs_are_cut_to_whole_seconds_so_that_grids_meet(tmp_path: Path) -> None:
    recording = datasets.read(_saved(tmp_path / "x.npz", _eegmat(seconds=4.6)))
    assert recording.trials[1].start_s == 4.0
    assert {signal.end_s for signal in recording.signals} == {8.0}


def _truncated(path: Path) -> None:
    whole = _saved(path, _eegmat()).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def _flipped(path: Path) -> None:
    whole = bytearray(_saved(path, _eegmat()).read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 64] = bytes(byte ^ 0xFF for byte in whole[middle : middle + 64])
    path.write_bytes(bytes(whole))


def _pickled_inside(path: Path) -> None:
    _saved(path, {**_eegmat(), "subject": np.array([{"a": 1}], dtype=object)})


def _single_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_truncated, "truncated or damaged"),
        (_flipped, "truncated or damaged"),
        (lambda path: path.write_bytes(b""), "truncated or damaged"),
        (lambda path: path.write_text("subject,hr\n1,60\n"), "not an .npz archive of plain arrays"),
        (lambda path: path.write_bytes(pickle.dumps({"rest_ecg": 1})), "not an .npz archive of plain arrays"),
        (_pickled_inside, "pickled content is never loaded"),
        (_single_array, "a single array"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: None, "no such recording"),
    ],
)
def test_unreadable_file_is_told_in_one_line(tmp_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    path = tmp_path / "broken.npz"
    spoil(path)
    with pytest.raises(DatasetError, match=said) as caught:
        datasets.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_layout_names_the_known_ones(tmp_path: Path) -> None:
    path = _saved(tmp_path / "x.npz", {"foo": np.zeros(2)})
    with pytest.raises(DatasetError, match=r"no known recording layout .known: eegmat, .*keys begin foo"):
        datasets.read(path)


def test_missing_field_is_named(tmp_path: Path) -> None:
    arrays = _eegmat()
    del arrays["rest_ecg_scale"]
    with pytest.raises(DatasetError, match="needs the field 'rest_ecg_scale'"):
        datasets.read(_saved(tmp_path / "x.npz", arrays))


def test_field_of_a_wrong_shape_is_told(tmp_path: Path) -> None:
    arrays = {**_eegmat(), "rest_eeg_scale": np.ones(7, np.float32)}
    with pytest.raises(DatasetError, match="not as layout 'eegmat' has it"):
        datasets.read(_saved(tmp_path / "x.npz", arrays))


def test_file_among_good_ones_fails_only_when_reached(tmp_path: Path) -> None:
    _saved(tmp_path / "S1.npz", _eegmat())
    (tmp_path / "S2.npz").write_bytes(b"")
    recordings = iter(datasets.open("eegmat", tmp_path))
    assert next(recordings).signals[0].spec.modality is Modality.ECG
    with pytest.raises(DatasetError):
        next(recordings)


def test_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds no .npz recordings of 'eegmat'"):
        datasets.open("eegmat", tmp_path)


def test_unknown_data_set_lists_the_names() -> None:
    with pytest.raises(UsageError, match=r"unknown data set 'seed_ix'.*eegmat.*simulated"):
        datasets.open("seed_ix", ".")
