"""XDF files chunk by chunk as LabRecorder writes them, sound and broken."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streamaffect import datasets
from streamaffect.errors import DatasetError
from streamaffect.signals import Modality, Recording, Signal, StreamSpec
from streamaffect.sources.outlets import MarkersOutlet, SignalOutlet

pytest.importorskip("pyxdf")

T0 = 5_000.0  # of the recorder's LSL clock


def _chunk(tag: int, content: bytes) -> bytes:
    length = len(content) + 2
    head = struct.pack("<BB", 1, length) if length < 256 else struct.pack("<BI", 4, length)
    return head + struct.pack("<H", tag) + content


def _header(number: int, name: str, kind: str, channels: list[str], rate: float, form: str, unit: str = "") -> bytes:
    labels = "".join(f"<channel><label>{label}</label><unit>{unit}</unit></channel>" for label in channels)
    xml = (
        f'<?xml version="1.0"?><info><name>{name}</name><type>{kind}</type><channel_count>{len(channels)}</channel_count>'
        f"<nominal_srate>{rate}</nominal_srate><channel_format>{form}</channel_format>"
        f"<desc><channels>{labels}</channels></desc></info>"
    )
    return _chunk(2, struct.pack("<I", number) + xml.encode())


def _samples(number: int, stamps: np.ndarray, rows: np.ndarray) -> bytes:
    """float32 rows (n, channels), each with its stamp."""
    body = b"".join(struct.pack("<Bd", 8, at) + row.tobytes() for at, row in zip(stamps, rows.astype("<f4"), strict=True))
    return _chunk(3, struct.pack("<I", number) + struct.pack("<BI", 4, len(stamps)) + body)


def _texts(number: int, marks: list[tuple[float, str]]) -> bytes:
    body = b"".join(struct.pack("<Bd", 8, at) + struct.pack("<BB", 1, len(text.encode())) + text.encode() for at, text in marks)
    return _chunk(3, struct.pack("<I", number) + struct.pack("<BB", 1, len(marks)) + body)


def _offset(number: int, at: float, value: float) -> bytes:
    return _chunk(4, struct.pack("<Idd", number, at, value))


def _footer(number: int) -> bytes:
    return _chunk(6, struct.pack("<I", number) + b"<?xml version='1.0'?><info><sample_count>1</sample_count></info>")


FILE_HEADER = b"XDF:" + _chunk(1, b'<?xml version="1.0"?><info><version>1.0</version></info>')
BOUNDARY = _chunk(5, bytes.fromhex("43a54678e13e4ef59a4e58a8e84aef5b".ljust(32, "0")))
ECG_RATE, SECONDS = 128, 20


def _wave(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.float64) % 100 + 1


def _file(
    path: Path, stamps: np.ndarray, rows: np.ndarray, *, offset: float = 0.0, extra: bytes = b"", unit: str = "uV"
) -> Path:
    """An ECG stream in chunks of half a second, markers, and an offset every five seconds as LabRecorder measures them."""
    content = FILE_HEADER + _header(1, "belt", "ECG", ["ECG"], ECG_RATE, "float32", unit) + extra
    content += _header(2, "tasks", "Markers", ["m"], 0, "string")
    for second in range(0, SECONDS, 5):
        content += _offset(1, T0 + second - offset, offset) + _offset(2, T0 + second, 0.0)
    for part in np.array_split(np.arange(stamps.size), max(1, stamps.size // 64)):
        content += _samples(1, stamps[part] - offset, rows[part])
    content += _texts(2, [(T0 + 2, "rest"), (T0 + 8, "load"), (T0 + 15, "load end")])
    path.write_bytes(content + BOUNDARY + _footer(1) + _footer(2))
    return path


@pytest.fixture
def regular() -> tuple[np.ndarray, np.ndarray]:
    n = ECG_RATE * SECONDS
    return T0 + np.arange(n) / ECG_RATE, _wave(n)[:, None]


def _ecg(recording: Recording) -> Signal:
    return next(signal for signal in recording.signals if signal.spec.modality is Modality.ECG)


def test_streams_become_signals_and_markers_trials(tmp_path: Path, regular: tuple[np.ndarray, np.ndarray]) -> None:
    recording = datasets.read(_file(tmp_path / "anna.xdf", *regular))
    assert (recording.dataset, recording.subject, len(recording.signals)) == ("xdf", "anna", 1)
    ecg = _ecg(recording)
    assert ecg.spec == StreamSpec("belt", Modality.ECG, ("ECG",), 128.0, "uV")
    assert np.array_equal(ecg.samples[0], _wave(ECG_RATE * SECONDS))
    assert [(t.name, t.label, round(t.start_s, 6), round(t.end_s, 6)) for t in recording.trials] == [
        ("rest", "rest", 2.0, 8.0),
        ("load", "load", 8.0, 15.0),
    ]
    assert dict(recording.meta) == {}


def test_the_clock_of_another_machine_is_brought_to_ours(tmp_path: Path, regular: tuple[np.ndarray, np.ndarray]) -> None:
    recording = datasets.read(_file(tmp_path / "anna.xdf", *regular, offset=-1234.5))
    assert np.array_equal(_ecg(recording).samples[0], _wave(ECG_RATE * SECONDS))
    assert [round(trial.start_s, 3) for trial in recording.trials] == [2.0, 8.0]


def test_units_are_converted(tmp_path: Path, regular: tuple[np.ndarray, np.ndarray]) -> None:
    stamps, rows = regular
    recording = datasets.read(_file(tmp_path / "anna.xdf", stamps, rows / 1000, unit="millivolts"))
    assert np.allclose(_ecg(recording).samples[0], _wave(ECG_RATE * SECONDS), rtol=1e-6)
    with pytest.raises(DatasetError, match="stream 'belt' is in 'mmHg', which is no unit of ecg"):
        datasets.read(_file(tmp_path / "anna.xdf", stamps, rows, unit="mmHg"))


def test_lost_samples_are_holes_where_they_were(tmp_path: Path, regular: tuple[np.ndarray, np.ndarray]) -> None:
    stamps, rows = regular
    kept = np.random.default_rng(0).random(stamps.size) >= 0.1
    kept[[0, -1]] = True
    kept[400:700] = False
    samples = _ecg(datasets.read(_file(tmp_path / "anna.xdf", stamps[kept], rows[kept]))).samples[0]
    assert np.array_equal(np.isfinite(samples), kept)
    assert np.array_equal(samples[kept], _wave(stamps.size)[kept])


def test_an_irregular_stream_is_laid_on_the_grid_of_its_own_rate(
    tmp_path: Path, regular: tuple[np.ndarray, np.ndarray]
) -> None:
    at = np.arange(80) / 4
    eda = _header(3, "skin", "GSR", ["GSR"], 0, "float32", "uS") + _samples(3, T0 + 0.5 + at, (5 + at)[:, None])
    recording = datasets.read(_file(tmp_path / "anna.xdf", *regular, extra=eda))
    skin = next(signal for signal in recording.signals if signal.spec.modality is Modality.EDA)
    assert (skin.spec.rate, skin.spec.unit, round(skin.start_s, 6)) == (4.0, "uS", 0.5)
    assert np.array_equal(skin.samples[0], 5 + at)


def test_what_is_of_no_known_type_is_named(tmp_path: Path, regular: tuple[np.ndarray, np.ndarray]) -> None:
    gaze = _header(3, "eyes", "Gaze", ["x"], 50, "float32") + _samples(3, T0 + np.arange(50) / 50, np.zeros((50, 1)))
    assert datasets.read(_file(tmp_path / "anna.xdf", *regular, extra=gaze)).meta["unused_streams"] == "eyes"
    path = tmp_path / "eyes.xdf"
    path.write_bytes(FILE_HEADER + gaze)
    with pytest.raises(DatasetError, match=r"no stream of a known type with samples: it has eyes \(Gaze\)"):
        datasets.read(path)


@pytest.mark.parametrize("lost", [1, 30, 700, 4000])
def test_a_truncated_file_is_read_up_to_its_last_whole_chunk(
    tmp_path: Path, regular: tuple[np.ndarray, np.ndarray], lost: int
) -> None:
    path = _file(tmp_path / "anna.xdf", *regular)
    path.write_bytes(path.read_bytes()[:-lost])
    recording = datasets.read(path)
    samples = _ecg(recording).samples[0]
    assert "truncated" in recording.meta
    assert samples.size >= ECG_RATE * SECONDS - lost // 12 - 70
    assert np.array_equal(samples, _wave(samples.size))


def _cut_in_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_cut_in_header, "has no stream of a known type with samples: it has none"),
        (lambda path: path.write_bytes(b""), "not an XDF file"),
        (lambda path: path.write_text("time,ecg\n"), "not an XDF file"),
        (lambda path: path.write_bytes(FILE_HEADER + _chunk(2, struct.pack("<I", 1) + b"<info>")), "a damaged XDF file"),
        (lambda path: path.unlink(), "no such recording"),
    ],
)
def test_what_is_no_recording(
    tmp_path: Path, regular: tuple[np.ndarray, np.ndarray], spoil: Callable[[Path], object], said: str
) -> None:
    path = _file(tmp_path / "anna.xdf", *regular)
    spoil(path)
    with pytest.raises(DatasetError, match=said) as caught:
        datasets.read(path)
    assert str(path) in str(caught.value)


def test_what_our_own_outlets_say_of_themselves_is_understood(tmp_path: Path) -> None:
    """The headers are those that liblsl sends, as LabRecorder stores them."""
    spec = StreamSpec("muse-eeg", Modality.EEG, ("TP9", "AF7", "AF8", "TP10"), 256.0, "uV")
    outlet, markers = SignalOutlet(spec, "xdf-test-eeg"), MarkersOutlet("muse-markers", "xdf-test-markers")
    outlet.create()
    markers.create()
    headers = [each._handle.get_info().as_xml().encode() for each in (outlet, markers)]
    outlet.destroy()
    markers.destroy()
    rows = np.random.default_rng(0).normal(size=(1280, 4)).astype(np.float32)
    content = FILE_HEADER + b"".join(_chunk(2, struct.pack("<I", number) + xml) for number, xml in enumerate(headers, 1))
    content += _samples(1, T0 + np.arange(1280) / 256, rows) + _texts(2, [(T0 + 1, "rest"), (T0 + 3, "load")])
    path = tmp_path / "anna.xdf"
    path.write_bytes(content)
    recording = datasets.read(path)
    [signal] = recording.signals
    assert signal.spec == spec
    assert np.array_equal(signal.samples, rows.T)
    assert [(trial.label, trial.start_s, trial.end_s) for trial in recording.trials] == [("rest", 1.0, 3.0), ("load", 3.0, 5.0)]
