"""Our own layout: what is written comes back."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamaffect import datasets
from streamaffect.datasets import simulated
from streamaffect.datasets.saved import KEY
from streamaffect.errors import DatasetError
from streamaffect.signals import Modality, Recording, Signal, StreamSpec, Trial


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    names = st.text(min_size=1, max_size=8)
    signals = []
    for modality in draw(st.lists(st.sampled_from(list(Modality)), min_size=1, max_size=3, unique=True)):
        channels = draw(st.lists(names, min_size=1, max_size=3, unique=True))
        spec = StreamSpec(draw(names), modality, tuple(channels), draw(st.sampled_from([0.5, 4.0, 256.0])), draw(names))
        values = st.floats(width=32, allow_infinity=False)
        n = draw(st.integers(0, 6))
        rows = [draw(st.lists(values, min_size=n, max_size=n)) for _ in channels]
        signals.append(Signal(spec, np.array(rows, np.float32).reshape(len(channels), n), draw(st.floats(0, 9))))
    shares = MappingProxyType({"panas": MappingProxyType({"calm": 0.25, "tense": 0.75})})
    trials = (Trial(draw(names), draw(st.none() | names), 0.0, 3.5, shares), Trial("t2", None, 4.0, 5.0))
    meta = draw(st.dictionaries(names, names | st.floats(allow_nan=False), max_size=3))
    return Recording(draw(names), draw(names), tuple(signals), trials, MappingProxyType(meta))


@given(recordings())
def test_a_recording_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, recording: Recording) -> None:
    path = datasets.save(recording, tmp_path_factory.mktemp("saved") / "x.npz")
    again = datasets.read(path)
    assert (again.dataset, again.subject, again.trials) == (recording.dataset, recording.subject, recording.trials)
    assert dict(again.meta) == dict(recording.meta)
    for one, other in zip(again.signals, recording.signals, strict=True):
        assert (one.spec, one.start_s, one.samples.dtype) == (other.spec, other.start_s, np.float32)
        assert np.array_equal(one.samples, other.samples, equal_nan=True)


def test_int16_rounds_to_a_part_of_each_channels_range(tmp_path: Path) -> None:
    recording = simulated.person("person-3", duration_s=20)
    whole = datasets.save(recording, tmp_path / "whole.npz").stat().st_size
    path = datasets.save(recording, tmp_path / "small.npz", int16=True)
    assert path.stat().st_size < 0.6 * whole
    for one, other in zip(datasets.read(path).signals, recording.signals, strict=True):
        step = np.ptp(other.samples, axis=1, keepdims=True) / 65534
        assert (np.abs(one.samples - other.samples) <= 0.51 * step + 1e-6 * np.abs(other.samples)).all()


def test_int16_keeps_holes_and_constants(tmp_path: Path) -> None:
    samples = np.array([[1.0, np.nan, 3.0], [7.0, 7.0, 7.0], [np.nan] * 3], np.float32)
    spec = StreamSpec("acc", Modality.ACC, ("x", "y", "z"), 4.0, "g")
    path = datasets.save(Recording("d", "s", (Signal(spec, samples),), ()), tmp_path / "x.npz", int16=True)
    assert np.allclose(datasets.read(path).signals[0].samples, samples, atol=1e-4, equal_nan=True)


def test_a_folder_of_them_is_a_data_set(tmp_path: Path) -> None:
    for subject in ("person-2", "person-10"):
        datasets.save(simulated.person(subject, duration_s=4), tmp_path / "npz" / f"{subject}.npz")
    there = datasets.open("npz", tmp_path)
    assert there.subjects == ("person-2", "person-10")
    assert [recording.dataset for recording in there] == ["simulated", "simulated"]


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as loaded:
        return dict(loaded)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda arrays: arrays.pop("signal_0"), "needs the field 'signal_0'"),
        (lambda arrays: arrays.update(signal_0=np.zeros((3, 4))), "signal_0 is .3, 4., expected 1 channels"),
        (lambda arrays: arrays.update({KEY: np.array("{")}), "not as layout 'npz' has it"),
        (lambda arrays: arrays.update({KEY: np.array('{"format": 9}')}), "format 9, this release reads 1: update"),
        (lambda arrays: arrays.update({KEY: np.array('{"format": 1}')}), "needs the field 'signals'"),
    ],
)
def test_a_file_that_was_changed(tmp_path: Path, change: object, said: str) -> None:
    path = datasets.save(simulated.person(duration_s=4), tmp_path / "x.npz")
    arrays = _arrays(path)
    change(arrays)
    np.savez(path, **arrays)
    with pytest.raises(DatasetError, match=said):
        datasets.read(path)


def test_nothing_is_left_where_it_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatasetError, match="cannot be written"):
        datasets.save(simulated.person(duration_s=4), tmp_path / "file" / "x.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
