"""One variable, one cell at a time, as scipy would read them all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from streamaffect.datasets import matlab
from streamaffect.errors import DatasetError


def _people(count: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    people = np.empty((1, count), object)
    for i in range(count):
        people[0, i] = {"Age": f"{20 + i}", "EEG": {"stimuli": rng.normal(size=(300 + i, 14))}}
    return people


def _saved(path: Path, *, packed: bool = True) -> np.ndarray:
    people = _people()
    content = {"before": np.arange(9), "DREAMER": {"First": 1.0, "Data": people, "Rate": 128.0}, "after": np.zeros(3)}
    savemat(path, content, do_compression=packed)
    return people


@pytest.mark.parametrize("packed", [True, False])
def test_each_cell_is_read_alone(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "x.mat"
    people = _saved(path, packed=packed)
    assert matlab.cells(path, "DREAMER", "Data") == 3
    for i in (2, 0, 1):
        person = matlab.cell(path, "DREAMER", "Data", i)[0, 0]
        assert person["Age"].item() == f"{20 + i}"
        assert np.array_equal(person["EEG"][0, 0]["stimuli"], people[0, i]["EEG"]["stimuli"])


def test_cell_behind_damage_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    _saved(path, packed=False)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert matlab.cell(path, "DREAMER", "Data", 0)[0, 0]["Age"].item() == "20"
    with pytest.raises(DatasetError, match="truncated or damaged MATLAB file"):
        matlab.cell(path, "DREAMER", "Data", 2)


def test_variables_are_named_and_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    _saved(path)
    assert matlab.variables(path) == ["before", "DREAMER", "after"]
    assert set(matlab.load(path, "after")) >= {"after"}
    with pytest.raises(DatasetError, match="lacks the variable label"):
        matlab.load(path, "after", "label")


@pytest.mark.parametrize(
    ("variable", "field", "index", "said"),
    [
        ("AMIGOS", "Data", 0, "lacks the variable AMIGOS"),
        ("DREAMER", "People", 0, "DREAMER lacks the field People"),
        ("DREAMER", "Rate", 0, "DREAMER.Rate is no cell array"),
        ("before", "Data", 0, "before is no struct"),
        ("DREAMER", "Data", 3, "has 3 cells, no number 4"),
        ("DREAMER", "Data", -1, "has 3 cells, no number 0"),
    ],
)
def test_what_is_not_there_is_told(tmp_path: Path, variable: str, field: str, index: int, said: str) -> None:
    path = tmp_path / "x.mat"
    _saved(path)
    with pytest.raises(DatasetError, match=said):
        matlab.cell(path, variable, field, index)


def _cut(path: Path) -> None:
    _saved(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def _flipped(path: Path) -> None:
    _saved(path)
    whole = bytearray(path.read_bytes())
    for i in range(300, 340):
        whole[i] ^= 0xFF
    path.write_bytes(bytes(whole))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_cut, "truncated"),
        (_flipped, "truncated or damaged MATLAB file"),
        (lambda path: path.write_bytes(b""), "no MATLAB 5 file"),
        (lambda path: path.write_text("<html>" * 99), "no MATLAB 5 file"),
        (lambda path: path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF"), "a MATLAB 7.3 file.*save it with -v7"),
        (lambda path: path.write_bytes(b"\x89HDF" * 99), "a MATLAB 7.3 file"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: None, "no such recording"),
    ],
)
def test_unreadable_file_is_told_in_one_line(tmp_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    path = tmp_path / "broken.mat"
    spoil(path)
    for read in (lambda: matlab.load(path, "after", "DREAMER"), lambda: matlab.cell(path, "DREAMER", "Data", 2)):
        with pytest.raises(DatasetError, match=said) as caught:
            read()
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
