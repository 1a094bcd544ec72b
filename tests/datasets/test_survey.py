"""What a folder holds, and how sound it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamaffect import datasets
from streamaffect.datasets import survey
from streamaffect.errors import DatasetError
from streamaffect.signals import Modality, Recording, Signal, StreamSpec, Trial

ECG = StreamSpec("ecg", Modality.ECG, ("ECG",), 100.0, "uV")


def _save(folder: Path, subject: str, samples: np.ndarray, *trials: Trial, spec: StreamSpec = ECG) -> Path:
    signal = Signal(spec, np.atleast_2d(samples).astype(np.float32))
    return datasets.save(Recording("own", subject, (signal,), trials), folder / f"{subject}.npz")


def _wave(n: int = 2000) -> np.ndarray:
    return np.sin(np.arange(n) / 7)


def _only(folder: Path) -> survey.SubjectReport:
    [found], _ = survey.recognise(folder)
    [report] = survey.subjects(found)
    return report


def test_streams_and_labels_of_a_subject(tmp_path: Path) -> None:
    trials = (Trial("a", "rest", 0, 5), Trial("b", "load", 5, 9), Trial("c", "rest", 10, 12), Trial("d", None, 13, 14))
    _save(tmp_path, "anna", _wave(), *trials)
    report = _only(tmp_path)
    [stream] = report.streams
    assert (report.subject, report.error) == ("anna", None)
    assert (stream.name, stream.modality, stream.channels, stream.rate, stream.unit, stream.seconds) == (
        "ecg", "ecg", 1, 100.0, "uV", 20.0,
    )  # fmt: skip
    assert (stream.nan, stream.flat, stream.clipped) == (0, 0, 0)
    assert [(each.label, each.trials, each.seconds) for each in report.labels] == [("rest", 2, 7), ("load", 1, 4), (None, 1, 1)]


def test_shares_of_holes_of_standing_still_and_of_clipping(tmp_path: Path) -> None:
    holes, still, clipped = _wave(), _wave(), np.clip(_wave(), -0.8, 2)
    holes[:200] = np.nan
    still[500:1100] = 0.3
    _save(tmp_path / "a", "x", holes)
    _save(tmp_path / "b", "x", still)
    _save(tmp_path / "c", "x", clipped)
    reports = [_only(tmp_path / folder).streams[0] for folder in "abc"]
    assert [report.nan for report in reports] == [0.1, 0, 0]
    assert [report.flat for report in reports] == [0, pytest.approx(0.3, abs=0.001), 0]
    assert [report.clipped for report in reports[:2]] == [0, 0]
    assert reports[2].clipped == pytest.approx(np.mean(clipped == -0.8), abs=0.01)


def test_skin_may_stand_still_for_half_a_minute(tmp_path: Path) -> None:
    spec = StreamSpec("temp", Modality.TEMP, ("T",), 4.0, "degC")
    rounded = np.repeat(np.arange(33, 35, 0.02), 120)
    _save(tmp_path, "x", rounded, spec=spec)
    assert (_only(tmp_path).streams[0].flat, _only(tmp_path).streams[0].clipped) == (0, 0)


def test_a_broken_file_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    _save(tmp_path, "s1", _wave())
    path = _save(tmp_path, "s2", _wave())
    path.write_bytes(path.read_bytes()[:-60])
    [found], _ = survey.recognise(tmp_path)
    good, bad = survey.subjects(found)
    assert (good.error, bad.streams) == (None, ())
    assert "truncated or damaged" in str(bad.error)


def test_sets_are_recognised_by_name_and_by_content(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays: dict[str, object] = {"subject": "S", "eeg_fs": 100, "ecg_fs": 100, "eeg_channels": ["Fz"]}
    for run in ("rest", "arithmetic"):
        arrays |= {f"{run}_eeg": rng.integers(-9, 9, (1, 200)), f"{run}_eeg_scale": 0.1}
        arrays |= {f"{run}_ecg": rng.integers(-9, 9, 200), f"{run}_ecg_scale": 0.1}
    for folder in ("eegmat", "renamed", "ours", "tables", "notes"):
        (tmp_path / folder).mkdir()
    np.savez(tmp_path / "eegmat" / "S.npz", **arrays)
    np.savez(tmp_path / "renamed" / "S.npz", **arrays)
    _save(tmp_path / "ours", "x", _wave())
    (tmp_path / "tables" / "a.csv").write_text("time,ecg\n0,1\n1,2\n2,3\n")
    (tmp_path / "notes" / "README.md").write_text("nothing")
    found, others = survey.recognise(tmp_path)
    told = {each.folder.name: each.dataset.name for each in found}
    assert told == {"eegmat": "eegmat", "renamed": "eegmat", "ours": "npz", "tables": "csv"}
    assert [path.name for path in others] == ["notes"]
    assert [each.folder for each in survey.recognise(tmp_path / "tables")[0]] == [tmp_path / "tables"]


def test_a_folder_in_the_publishers_spelling(tmp_path: Path) -> None:
    for name in ("Wesad-Wrist", "XDF"):
        (tmp_path / name).mkdir()
    _save(tmp_path / "Wesad-Wrist", "x", _wave())
    (tmp_path / "XDF" / "a.xdf").write_bytes(b"XDF:")
    (tmp_path / "a.csv").write_text("time,ecg\n0,1\n")  # a root that holds sets is none itself
    told = [(each.folder.name, each.dataset.name) for each in survey.recognise(tmp_path)[0]]
    assert told == [("Wesad-Wrist", "npz"), ("XDF", "xdf")]  # the first is named like a set that it is not


def test_every_format_in_a_mixed_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,ecg\n0,1\n")
    (tmp_path / "b.xdf").write_bytes(b"XDF:")
    found, _ = survey.recognise(tmp_path)
    assert sorted(each.dataset.name for each in found) == ["csv", "xdf"]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        survey.recognise(tmp_path / "none")
    assert survey.recognise(tmp_path) == ([], [])


def test_features_are_counted_by_rows(tmp_path: Path) -> None:
    rows = {"x.sight": np.zeros((4, 3, 2), np.float32), "label": np.array(["joy", "joy", "", "fear"])}
    np.savez(tmp_path / "msp.npz", **rows, subject=np.array(["a"] * 4), trial=np.array(["1", "1", "2", "2"]))
    report = _only(tmp_path)
    assert [(stream.name, stream.channels) for stream in report.streams] == [("sight", 6)]
    assert [(each.label, each.trials, each.rows) for each in report.labels] == [("joy", 1, 2), (None, 1, 1), ("fear", 1, 1)]


def test_the_open_sets_are_recognised_and_readable(data_root: Path) -> None:
    found, others = survey.recognise(data_root)
    assert {each.dataset.name: each.folder.name for each in found} == {
        name: name for name in ("eegmat", "induced_stress", "stress_predict", "wesad_wrist")
    }
    assert others == []
    wesad = next(each for each in found if each.dataset.name == "wesad_wrist")
    for report in survey.subjects(wesad):
        assert report.error is None
        assert {label.label for label in report.labels} == {"baseline", "stress", "amusement", "meditation"}
        assert max(stream.flat for stream in report.streams) < 0.2
