"""EDF and BDF files written by edfio, and what is wrong with some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from streamaffect import datasets
from streamaffect.errors import DatasetError, UsageError
from streamaffect.signals import Modality, Recording, Signal

edfio = pytest.importorskip("edfio")
pytest.importorskip("mne")

SECONDS = 12


def _wave(rate: float, amplitude: float, hz: float, offset: float = 0.0) -> np.ndarray:
    return offset + amplitude * np.sin(2 * np.pi * hz * np.arange(round(SECONDS * rate)) / rate)


def _write(
    path: Path, rows: list[tuple[str, str, float, np.ndarray]], notes: Sequence[tuple[float, float | None, str]] = ()
) -> Path:
    bdf = path.suffix == ".bdf"
    kind = edfio.BdfSignal if bdf else edfio.EdfSignal
    signals = [kind(data, rate, label=label, physical_dimension=unit) for label, unit, rate, data in rows]
    annotations = [edfio.EdfAnnotation(onset, duration, text) for onset, duration, text in notes]
    (edfio.Bdf if bdf else edfio.Edf)(signals, annotations=annotations or None).write(path)
    return path


def _wearable(path: Path) -> Path:
    """Three rates in one file, as wearables write them."""
    return _write(
        path,
        [
            ("EEG Fp1-REF", "uV", 256, _wave(256, 40, 10)),
            ("EEG Cz-REF", "uV", 256, _wave(256, 30, 6)),
            ("EKG", "mV", 256, _wave(256, 1.2, 1.1)),
            ("GSR", "uS", 32, _wave(32, 1, 0.1, offset=5)),
            ("Temp skin", "C", 4, _wave(4, 0.5, 0.05, offset=33)),
            ("EEG A2-A1", "uV", 256, _wave(256, 5, 3)),
            ("Battery", "%", 4, _wave(4, 1, 0.01, offset=90)),
        ],
        [(0.0, 5.0, "rest"), (6.0, 4.0, "stress"), (10.0, 1.5, "rest")],
    )


def _signal(recording: Recording, modality: Modality) -> Signal:
    return next(signal for signal in recording.signals if signal.spec.modality is modality)


def test_each_rate_is_kept_and_units_are_ours(tmp_path: Path) -> None:
    recording = datasets.read(_wearable(tmp_path / "anna.edf"))
    assert (recording.dataset, recording.subject) == ("edf", "anna")
    rates = {signal.spec.modality: signal.spec.rate for signal in recording.signals}
    assert rates == {Modality.ECG: 256, Modality.EEG: 256, Modality.EDA: 32, Modality.TEMP: 4}
    eeg, ecg = _signal(recording, Modality.EEG), _signal(recording, Modality.ECG)
    assert eeg.spec.channels == ("Fp1", "Cz")
    assert np.allclose(eeg.samples[0], _wave(256, 40, 10), atol=0.01)
    assert np.allclose(ecg.samples[0], 1000 * _wave(256, 1.2, 1.1), atol=0.1)
    assert np.allclose(_signal(recording, Modality.EDA).samples[0], _wave(32, 1, 0.1, offset=5), atol=1e-3)
    assert np.allclose(_signal(recording, Modality.TEMP).samples[0], _wave(4, 0.5, 0.05, offset=33), atol=1e-3)
    assert {signal.spec.unit for signal in recording.signals} == {"uV", "uS", "degC"}
    assert all(signal.samples.dtype == np.float32 for signal in recording.signals)


def test_channels_that_are_no_signal_of_the_person_are_named(tmp_path: Path) -> None:
    assert datasets.read(_wearable(tmp_path / "anna.edf")).meta["unused_channels"] == "EEG A2-A1, Battery"


def test_annotations_with_a_duration_are_trials(tmp_path: Path) -> None:
    trials = datasets.read(_wearable(tmp_path / "anna.edf")).trials
    assert [(t.name, t.label, t.start_s, t.end_s) for t in trials] == [
        ("rest", "rest", 0.0, 5.0),
        ("stress", "stress", 6.0, 10.0),
        ("rest-2", "rest", 10.0, 11.5),
    ]


def test_annotations_without_a_duration_last_until_the_next(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "x.edf", [("ECG", "uV", 100, _wave(100, 500, 1))], [(1, None, "calm"), (4, None, "film"), (9, None, "end")]
    )
    trials = datasets.read(path).trials
    assert [(t.label, t.start_s, t.end_s) for t in trials] == [("calm", 1.0, 4.0), ("film", 4.0, 9.0)]


def test_bdf_keeps_its_24_bits(tmp_path: Path) -> None:
    wave = _wave(512, 200, 9, offset=20_000)
    recording = datasets.read(
        _write(tmp_path / "anna.bdf", [("Fz", "uV", 512, wave), ("ECG", "uV", 512, wave)], [(2, 3, "film")])
    )
    eeg = _signal(recording, Modality.EEG)
    assert recording.dataset == "bdf"
    assert np.allclose(eeg.samples[0], wave, atol=0.005)
    assert [trial.label for trial in recording.trials] == ["film"]


def test_a_folder_is_a_set_of_subjects(tmp_path: Path) -> None:
    for name in ("p10", "p2"):
        _wearable(tmp_path / f"{name}.edf")
    recordings = datasets.open("edf", tmp_path)
    assert recordings.subjects == ("p2", "p10")
    assert [recording.subject for recording in recordings] == ["p2", "p10"]
    with pytest.raises(DatasetError, match=r"holds no .edf files of 'edf'"):
        datasets.open("edf", tmp_path.parent / "nowhere")
    with pytest.raises(UsageError, match="pass --root"):
        datasets.open("bdf")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def _patch(at: int, text: bytes) -> Callable[[Path], None]:
    def patch(path: Path) -> None:
        whole = bytearray(path.read_bytes())
        whole[at : at + len(text)] = text
        path.write_bytes(bytes(whole))

    return patch


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_cut, "truncated, [0-9,]+ of [0-9,]+ bytes are there"),
        (_patch(236, b"-1      "), "truncated, the recorder never finished it"),
        (_patch(192, b"EDF+D"), "discontinuous"),
        (_patch(252, b"many"), "not an EDF file"),
        (lambda path: path.write_text("time,ecg\n0,1\n"), "not an EDF file"),
        (lambda path: path.write_bytes(b""), "not an EDF file"),
        (lambda path: path.unlink(), "no such recording"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    path = _wearable(tmp_path / "broken.edf")
    spoil(path)
    with pytest.raises(DatasetError, match=said) as caught:
        datasets.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("Foo", "uV")], "no channel is known by its label .it has Foo.: name them like"),
        ([("ECG", "uV"), ("ECG", "uV")], "has two channels 'ECG'"),
        ([("ECG", "mmHg")], "channel 'ECG' is in 'mmHg', no unit of ecg"),
    ],
)
def test_labels_and_units_that_say_nothing(tmp_path: Path, rows: list[tuple[str, str]], said: str) -> None:
    path = _write(tmp_path / "x.edf", [(label, unit, 100, _wave(100, 50, 1)) for label, unit in rows])
    with pytest.raises(DatasetError, match=said):
        datasets.read(path)
