"""Tables of one's own: what their columns say, and what is wrong with some."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamaffect import datasets
from streamaffect.errors import DatasetError
from streamaffect.signals import Modality, Recording, Signal

pa = pytest.importorskip("pyarrow")

RATE, SECONDS = 64, 20
T = np.arange(RATE * SECONDS) / RATE
WAVE = np.round(1.2 * np.sin(2 * np.pi * T), 4)


def _csv(path: Path, columns: dict[str, object], delimiter: str = ",") -> Path:
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([delimiter.join(columns), *(delimiter.join(map(str, row)) for row in rows)]) + "\n")
    return path


def _signal(recording: Recording, modality: Modality) -> Signal:
    return next(signal for signal in recording.signals if signal.spec.modality is modality)


def _labels() -> tuple[list[str], list[str]]:
    """Rest for 8 s, nothing for 2 s, two films of joy."""
    label = np.where(T < 8, "rest", np.where(T < 10, "", "joy"))
    trial = np.where(T < 8, "baseline", np.where(T < 10, "", np.where(T < 15, "film-a", "film-b")))
    return label.tolist(), trial.tolist()


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_columns_say_kind_channel_and_unit(tmp_path: Path, form: str) -> None:
    label, trial = _labels()
    columns = {
        "time": T + 1e6,
        "ecg[mV]": WAVE,
        "eeg:Fz[uV]": WAVE * 20,
        "eeg:Cz": WAVE * 10,
        "ACC:x[mg]": WAVE * 1000,
        "mood": np.zeros(T.size),
        "label": label,
        "trial": trial,
    }
    path = tmp_path / f"anna.{form}"
    if form == "csv":
        _csv(path, columns)
    else:
        import pyarrow.parquet

        pyarrow.parquet.write_table(pa.table(columns), path)
    [recording] = datasets.open(form, tmp_path)
    assert (recording.dataset, recording.subject) == (form, "anna")
    ecg, eeg, acc = (_signal(recording, modality) for modality in (Modality.ECG, Modality.EEG, Modality.ACC))
    assert (ecg.spec.rate, ecg.spec.unit, ecg.spec.channels) == (64.0, "uV", ("ecg",))
    assert eeg.spec.channels == ("Fz", "Cz")
    assert acc.spec.unit == "g"
    assert np.allclose(ecg.samples[0], 1000 * WAVE, atol=1e-3)
    assert np.allclose(eeg.samples, [WAVE * 20, WAVE * 10], atol=1e-5)
    assert np.allclose(acc.samples[0], WAVE, atol=1e-6)
    assert recording.meta["unused_columns"] == "mood"
    assert [(t.name, t.label, t.start_s, t.end_s) for t in recording.trials] == [
        ("baseline", "rest", 0.0, 8.0),
        ("film-a", "joy", 10.0, 15.0),
        ("film-b", "joy", 15.0, 20.0),
    ]


def test_a_table_a_stream_has_a_rate_of_its_own(tmp_path: Path) -> None:
    slow = np.arange(4 * SECONDS) / 4
    _csv(tmp_path / "anna.ecg.csv", {"time": T, "II[mV]": WAVE})
    _csv(tmp_path / "anna.eda.csv", {"time": slow + 2.0, "skin": 5 + slow})
    (tmp_path / "anna.trials.csv").write_text("name,label,start_s,end_s\nfilm,joy,3,9\n")
    [recording] = datasets.open("csv", tmp_path)
    ecg, eda = _signal(recording, Modality.ECG), _signal(recording, Modality.EDA)
    assert (ecg.spec.channels, ecg.start_s, ecg.spec.rate) == (("II",), 0.0, 64.0)
    assert (eda.spec.channels, eda.start_s, eda.spec.rate) == (("skin",), 2.0, 4.0)
    assert [(trial.name, trial.label) for trial in recording.trials] == [("film", "joy")]
    assert datasets.read(tmp_path / "anna.ecg.csv").signals[1].spec == eda.spec


def test_times_may_be_durations_of_any_unit(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for unit, factor in (("ms", 1e3), ("us", 1e6)):
        time = pa.array(np.round(np.arange(400) * 0.25 * factor).astype(np.int64)).cast(pa.duration(unit))
        parquet.write_table(pa.table({"time": time, "eda": 5 + np.arange(400.0)}), tmp_path / f"{unit}.parquet")
    for recording in datasets.open("parquet", tmp_path):
        assert _signal(recording, Modality.EDA).spec.rate == 4.0


def test_a_wide_table_may_mix_rates_and_have_holes(tmp_path: Path) -> None:
    ecg, eda = [f"{value}" for value in WAVE], [""] * T.size
    eda[::16] = [f"{5 + value:.3f}" for value in T[::16]]
    ecg[640:704] = [""] * 64
    _csv(tmp_path / "anna.csv", {"time": T, "ecg": ecg, "eda": eda})
    [recording] = datasets.open("csv", tmp_path)
    heart, skin = _signal(recording, Modality.ECG), _signal(recording, Modality.EDA)
    assert (heart.spec.rate, skin.spec.rate) == (64.0, 4.0)
    assert np.flatnonzero(np.isnan(heart.samples[0])).tolist() == list(range(640, 704))
    assert np.allclose(skin.samples[0], 5 + T[::16], atol=1e-3)


def test_a_sidecar_translates_names_and_tells_rates(tmp_path: Path) -> None:
    _csv(tmp_path / "anna.csv", {"Heart": WAVE, "Sweat": WAVE + 5})
    (tmp_path / "streams.toml").write_text('rate = 64\n[columns]\nHeart = "ecg:II[mV]"\nSweat = "eda"\n')
    [recording] = datasets.open("csv", tmp_path)
    ecg = _signal(recording, Modality.ECG)
    assert (ecg.spec.rate, ecg.spec.channels) == (64.0, ("II",))
    assert np.allclose(ecg.samples[0], 1000 * WAVE, atol=1e-3)
    _csv(tmp_path / "anna.csv", {"Timestamp": np.round(T * 1000), "Heart": WAVE})
    (tmp_path / "streams.toml").write_text('[columns]\nTimestamp = "time[ms]"\nHeart = "ecg"\n')
    [recording] = datasets.open("csv", tmp_path)
    assert _signal(recording, Modality.ECG).samples.shape == (1, T.size)  # stamps in whole milliseconds
    assert _signal(recording, Modality.ECG).spec.rate == 64.0


@pytest.mark.parametrize(("delimiter", "point"), [(";", ","), ("\t", ".")])
def test_other_delimiters_and_decimal_commas(tmp_path: Path, delimiter: str, point: str) -> None:
    told = {"time": [f"{t:.6f}".replace(".", point) for t in T], "ecg": [f"{value}".replace(".", point) for value in WAVE]}
    _csv(tmp_path / "anna.csv", told, delimiter)
    [recording] = datasets.open("csv", tmp_path)
    assert np.allclose(_signal(recording, Modality.ECG).samples[0], WAVE, atol=1e-4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("ecg\n1\n2\n", "anna.csv: has no column 'time': add one in seconds, or streams.toml"),
        ("time,pulse\n0,1\n1,2\n", "no column is a signal .it has pulse.: see streams.toml"),
        ("time,ecg\n0,high\n1,low\n", "column 'ecg' must hold numbers, but holds 'high'"),
        ("time,ecg[mmHg]\n0,1\n1,2\n", "a column is in 'mmHg', which is no unit of ecg"),
        ("time[h],ecg\n0,1\n1,2\n", "time is in one of s, ms, us, ns, not 'h'"),
        ("time,ecg,ecg\n0,1,1\n1,2,1\n", "has two columns 'ecg'"),
        ("time,ecg\n", "holds no rows"),
        ("time,ecg\n0,1\n1\n", "not a whole table of its kind"),
        ("", "not a whole table of its kind"),
        ("time,ecg\n3,1\n3,1\n", "ecg has too few samples to tell a rate"),
        ("ti\0me,ecg\n0,1\n", "not a whole table of its kind .it is binary"),
    ],
)
def test_tables_that_say_too_little(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "anna.csv").write_text(content)
    with pytest.raises(DatasetError, match=said) as caught:
        next(iter(datasets.open("csv", tmp_path)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["rate = ", "rate = -1", "rate = 'fast'", "speed = 3", "columns = 3"])
def test_a_sidecar_that_says_nothing(tmp_path: Path, content: str) -> None:
    _csv(tmp_path / "anna.csv", {"time": T, "ecg": WAVE})
    (tmp_path / "streams.toml").write_text(content)
    with pytest.raises(DatasetError, match=r"streams\.toml: (is no TOML|may hold)"):
        next(iter(datasets.open("csv", tmp_path)))


def test_a_truncated_parquet_file(tmp_path: Path) -> None:
    import pyarrow.parquet

    path = tmp_path / "anna.parquet"
    pyarrow.parquet.write_table(pa.table({"time": T, "ecg": WAVE}), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DatasetError, match="not a whole table of its kind"):
        datasets.read(path)
