"""Several data sets as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamaffect import datasets
from streamaffect.datasets.joined import by_set
from streamaffect.errors import UsageError
from streamaffect.signals import Modality


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A saved recording of somebody whom another set has too."""
    (tmp_path / "npz").mkdir()
    datasets.save(next(iter(datasets.open("simulated", None, "person-1"))), tmp_path / "npz" / "person-1.npz")
    return tmp_path


def test_people_of_the_same_name_stay_apart(root: Path) -> None:
    both = datasets.open("npz+simulated", root)
    assert both.subjects[:2] == ("npz/person-1", "simulated/person-1")
    saved, simulated = (next(iter(datasets.open("npz+simulated", root, s))) for s in both.subjects[:2])
    assert (saved.subject, simulated.subject) == ("npz/person-1", "simulated/person-1")
    assert {s.spec.modality for s in saved.signals} == {s.spec.modality for s in simulated.signals} >= {Modality.ECG}


def test_an_unknown_part_is_refused(root: Path) -> None:
    with pytest.raises(UsageError, match="unknown data set 'nothing'"):
        datasets.open("simulated+nothing", root)


def test_subjects_are_told_by_set() -> None:
    assert by_set("a+b", ["a/S1", "b/S1", "a/S2"]) == {"a": ["S1", "S2"], "b": ["S1"]}
    assert by_set("a", ["S1", "S2"]) == {"a": ["S1", "S2"]}
