"""Sessions as Empatica exports them: an E4's CSV, an EmbracePlus's Avro."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streamaffect import datasets
from streamaffect.errors import DatasetError
from streamaffect.signals import Modality, Recording, Signal

START = 1_600_000_000.0


def _signal(recording: Recording, modality: Modality) -> Signal:
    return next(signal for signal in recording.signals if signal.spec.modality is modality)


def _e4(folder: Path, seconds: int = 60) -> Path:
    folder.mkdir(parents=True)
    columns = {"BVP": (64, 1, 30.0), "EDA": (4, 1, 0.5), "TEMP": (4, 1, 0.2), "ACC": (32, 3, 10.0)}
    for number, (name, (rate, width, height)) in enumerate(columns.items()):
        t = np.arange(seconds * rate) / rate
        rows = np.stack([height * np.sin(t + k) + (32.0 if name == "TEMP" else 0.0) for k in range(width)], axis=1)
        # The E4 starts its sensors within the same minute, not at the same instant.
        head = [", ".join([f"{START + number:.6f}"] * width), ", ".join([f"{rate:.6f}"] * width)]
        form = "%d" if name == "ACC" else "%.2f"
        text = "\n".join([*head, *(",".join(form % value for value in row) for row in rows)]) + "\n"
        (folder / f"{name}.csv").write_text(text)
    (folder / "IBI.csv").write_text(f"{START:.6f}, IBI\n1.5,0.80\n2.3,0.90\n")
    (folder / "tags.csv").write_text(f"{START + 10:.2f}\n{START + 30:.2f}\n")
    (folder / "HR.csv").write_text(f"{START:.6f}\n1.000000\n70.0\n71.0\n")
    (folder / "info.txt").write_text(".csv files in this archive are in the following format: ...\n")
    return folder


def test_e4_streams_have_their_rates_units_and_starts(tmp_path: Path) -> None:
    _e4(tmp_path / "S1")
    [recording] = datasets.open("empatica", tmp_path)
    assert (recording.dataset, recording.subject) == ("empatica", "S1")
    told = {s.spec.modality: (s.spec.rate, s.spec.unit, s.start_s, s.samples.shape) for s in recording.signals}
    assert told[Modality.PPG] == (64.0, "au", 0.0, (1, 3840))
    assert told[Modality.EDA] == (4.0, "uS", 1.0, (1, 240))
    assert told[Modality.ACC] == (32.0, "g", 3.0, (3, 1920))
    acc = _signal(recording, Modality.ACC).samples
    assert np.array_equal(acc[0] * 64, np.trunc(10 * np.sin(np.arange(1920) / 32)))
    assert recording.meta["start_utc"] == START
    assert recording.meta["ibi_count"] == 2
    assert recording.meta["ibi_mean_s"] == pytest.approx(0.85)


def test_presses_of_the_button_begin_trials_without_a_label(tmp_path: Path) -> None:
    _e4(tmp_path / "S1")
    [recording] = datasets.open("empatica", tmp_path)
    assert [(t.name, t.label, t.start_s, t.end_s) for t in recording.trials] == [
        ("tag-1", None, 10.0, 30.0),
        ("tag-2", None, 30.0, 63.0),
    ]


def test_a_table_of_trials_takes_the_place_of_presses(tmp_path: Path) -> None:
    table = _e4(tmp_path / "S1") / "trials.csv"
    table.write_text("name,label,start_s,end_s\nbaseline,rest,0,20\ntask,stress,25,90\nbreak,,90.5,99\n")
    [recording] = datasets.open("empatica", tmp_path)
    assert [(t.name, t.label, t.start_s, t.end_s) for t in recording.trials] == [
        ("baseline", "rest", 0.0, 20.0),
        ("task", "stress", 25.0, 63.0),
    ]
    table.write_text("name,label,start_s,end_s\nbaseline,rest,20,0\n")
    with pytest.raises(DatasetError, match=r"trials.csv: line 2: start_s and end_s must be seconds in that order"):
        next(iter(datasets.open("empatica", tmp_path)))
    table.write_text("name,start,end\n")
    with pytest.raises(DatasetError, match="lacks the column label, start_s, end_s"):
        next(iter(datasets.open("empatica", tmp_path)))


def test_a_zip_is_a_session_as_its_folder_is(tmp_path: Path) -> None:
    folder = _e4(tmp_path / "plain" / "S1")
    (tmp_path / "zipped").mkdir()
    with zipfile.ZipFile(tmp_path / "zipped" / "S1.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    [plain], [zipped] = (datasets.open("empatica", tmp_path / name) for name in ("plain", "zipped"))
    assert plain.trials == zipped.trials
    for one, other in zip(plain.signals, zipped.signals, strict=True):
        assert (one.spec, one.start_s) == (other.spec, other.start_s)
        assert np.array_equal(one.samples, other.samples)
    assert datasets.read(tmp_path / "zipped" / "S1.zip").subject == "S1"


def test_the_folder_of_one_session_is_a_root_too(tmp_path: Path) -> None:
    assert datasets.open("empatica", _e4(tmp_path / "S1")).subjects == ("S1",)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("BVP.csv", "", "BVP.csv: holds no samples"),
        ("BVP.csv", f"{START}\n64.0\n1.0\nx\n", "BVP.csv: not a CSV file of an E4 .line 4 is 'x'"),
        ("BVP.csv", "0.1\n64.0\n1.0\n", "begins with 0.1 and 64, no start in UTC"),
        ("ACC.csv", f"{START}\n32.0\n1\n", "ACC.csv: has 1 columns, an E4 writes 3"),
        ("ACC.csv", f"{START},{START},{START}\n32,32,32\n1,2,3\n1,2\n", "ACC.csv: not a CSV file of an E4 .line 4 is '1,2'"),
        ("tags.csv", "soon\n", "not the tags.csv of an E4"),
        ("IBI.csv", f"{START}, IBI\n1.0\n", "not the IBI.csv of an E4"),
    ],
)
def test_spoilt_files_of_an_e4(tmp_path: Path, name: str, content: str, said: str) -> None:
    (_e4(tmp_path / "S1") / name).write_text(content)
    with pytest.raises(DatasetError, match=said) as caught:
        next(iter(datasets.open("empatica", tmp_path)))
    assert "\n" not in str(caught.value)


def test_a_truncated_zip(tmp_path: Path) -> None:
    folder = _e4(tmp_path / "plain" / "S1")
    with zipfile.ZipFile(tmp_path / "S1.zip", "w") as archive:
        archive.write(folder / "BVP.csv", "BVP.csv")
    path = tmp_path / "S1.zip"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DatasetError, match=r"truncated or damaged .zip"):
        datasets.read(path)


def _schema(imu: list[str]) -> dict[str, object]:
    """The parts of Empatica's schema that are read, and one that is not."""

    def record(name: str, fields: dict[str, object]) -> dict[str, object]:
        return {"type": "record", "name": name, "fields": [{"name": key, "type": kind} for key, kind in fields.items()]}

    def array(items: str) -> dict[str, str]:
        return {"type": "array", "items": items}

    head = {"timestampStart": "long", "samplingFrequency": "float"}
    raw = {
        "accelerometer": record(
            "Accelerometer",
            {**head, "imuParams": record("ImuParams", dict.fromkeys(imu, "double")), **dict.fromkeys("xyz", array("int"))},
        ),
        "eda": record("Eda", {**head, "values": array("float")}),
        "temperature": record("Temperature", {**head, "values": array("float")}),
        "bvp": record("Bvp", {**head, "values": array("float")}),
        "steps": record("Steps", {**head, "values": array("int")}),
        "tags": record("Tags", {"tagsTimeMicros": array("long")}),
    }
    version = record("Version", dict.fromkeys(("major", "minor", "patch"), "int"))
    return record("Session", {"schemaVersion": version, "rawData": record("RawData", raw)})


def _avro(path: Path, start: float, seconds: int, *, old: bool = False, tags: tuple[float, ...] = ()) -> Path:
    fastavro = pytest.importorskip("fastavro")
    path.parent.mkdir(parents=True, exist_ok=True)
    imu = (
        {"physicalMin": -16.0, "physicalMax": 16.0, "digitalMin": -32768.0, "digitalMax": 32767.0}
        if old
        else {"conversionFactor": 1 / 2048}
    )
    head = lambda rate: {"timestampStart": round(start * 1e6), "samplingFrequency": rate}  # noqa: E731
    counts = [2048] * (64 * seconds)
    raw = {
        "accelerometer": {**head(64.0019), "imuParams": imu, "x": counts, "y": [0] * len(counts), "z": [-c for c in counts]},
        "eda": {**head(4.0), "values": [start % 1000 + 0.25 * k for k in range(4 * seconds)]},
        "temperature": {**head(1.0), "values": [33.0] * seconds},
        "bvp": {**head(64.0), "values": [float(k % 64) for k in range(64 * seconds)]},
        "steps": {**head(0.2), "values": []},
        "tags": {"tagsTimeMicros": [round(at * 1e6) for at in tags]},
    }
    session = {"schemaVersion": {"major": 6, "minor": 4 if old else 5, "patch": 0}, "rawData": raw}
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(_schema(list(imu))), [session], codec="deflate")
    return path


def _embrace(root: Path) -> Path:
    folder = root / "participant_data" / "2024-05-06" / "001-3YK3L151F8" / "raw_data" / "v6"
    _avro(folder / "1-1-001_1600000000.avro", START, 60, tags=(START + 5.0,))
    _avro(folder / "1-1-001_1600000090.avro", START + 90, 60, tags=(START + 100.0,))
    return folder


def test_embrace_files_follow_each_other_with_a_hole_between(tmp_path: Path) -> None:
    _embrace(tmp_path)
    [recording] = datasets.open("empatica", tmp_path)
    assert recording.subject == "001-3YK3L151F8"
    bvp, eda, acc = (_signal(recording, modality) for modality in (Modality.PPG, Modality.EDA, Modality.ACC))
    assert bvp.samples.shape == (1, 150 * 64)
    assert np.isnan(bvp.samples[0, 60 * 64 : 90 * 64]).all()
    assert np.isfinite(bvp.samples).sum() == 120 * 64
    assert np.array_equal(bvp.samples[0, 90 * 64 :], np.tile(np.arange(64), 60))
    assert eda.samples[0, 90 * 4] == 90.0
    assert (acc.spec.rate, acc.spec.unit) == (64.0, "g")
    assert np.nanmin(acc.samples[0]) == np.nanmax(acc.samples[0]) == 1.0
    assert [(t.name, t.start_s, t.end_s) for t in recording.trials] == [("tag-1", 5.0, 100.0), ("tag-2", 100.0, 150.0)]


def test_counts_of_older_schemas_are_converted_by_their_range(tmp_path: Path) -> None:
    _avro(tmp_path / "P1" / "raw_data" / "v6" / "a.avro", START, 10, old=True)
    [recording] = datasets.open("empatica", tmp_path)
    assert recording.subject == "P1"
    assert _signal(recording, Modality.ACC).samples[0] == pytest.approx(1.0, abs=1e-4)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_cut, "truncated, damaged or no Avro file"),
        (lambda path: path.write_bytes(b""), "truncated, damaged or no Avro file"),
        (lambda path: path.write_text("a,b\n1,2\n"), "truncated, damaged or no Avro file"),
    ],
)
def test_spoilt_files_of_an_embrace(tmp_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    folder = _embrace(tmp_path)
    spoil(folder / "1-1-001_1600000090.avro")
    with pytest.raises(DatasetError, match=said) as caught:
        next(iter(datasets.open("empatica", tmp_path)))
    assert "_1600000090.avro" in str(caught.value)


def test_an_avro_file_of_something_else(tmp_path: Path) -> None:
    fastavro = pytest.importorskip("fastavro")
    folder = tmp_path / "P1" / "raw_data" / "v6"
    folder.mkdir(parents=True)
    schema = fastavro.parse_schema({"type": "record", "name": "Foo", "fields": [{"name": "a", "type": "int"}]})
    with (folder / "a.avro").open("wb") as file:
        fastavro.writer(file, schema, [{"a": 1}])
    with pytest.raises(DatasetError, match="none of an EmbracePlus"):
        next(iter(datasets.open("empatica", tmp_path)))


def _zip(tmp_path: Path) -> Path:
    folder, path = _e4(tmp_path / "plain" / "S1"), tmp_path / "S1.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "BVP.csv", "BVP.csv")
    return path


def test_a_zip_with_damaged_data(tmp_path: Path) -> None:
    path = _zip(tmp_path)
    content = bytearray(path.read_bytes())
    content[60:80] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"truncated or damaged .zip"):
        datasets.read(path)


def test_a_zip_under_a_password(tmp_path: Path) -> None:
    path = _zip(tmp_path)
    content = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + at] |= 1
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"cannot be unpacked .*encrypted"):
        datasets.read(path)


@pytest.mark.parametrize("name", ["BVP.csv", "trials.csv"])
def test_text_that_is_not_utf8(tmp_path: Path, name: str) -> None:
    (_e4(tmp_path / "S1") / name).write_bytes("name,label,start_s,end_s\nMüde,müde,0,5\n".encode("latin-1"))
    with pytest.raises(DatasetError, match=r"plain text|not UTF-8 text"):
        next(iter(datasets.open("empatica", tmp_path)))


def test_a_wearer_of_two_days_is_two_sessions(tmp_path: Path) -> None:
    for day in ("2024-05-06", "2024-05-07"):
        _avro(tmp_path / day / "001-X" / "raw_data" / "v6" / "a.avro", START, 10)
    assert datasets.open("empatica", tmp_path).subjects == ("2024-05-06_001-X", "2024-05-07_001-X")
