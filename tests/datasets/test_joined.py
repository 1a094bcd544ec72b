"""Several data sets as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamaffect import datasets
from streamaffect.datasets.joined import by_set, person
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


def test_a_person_is_the_same_however_the_set_is_read() -> None:
    assert person("wesad_wrist", "S2") == person("wesad", "S2") == person("wesad_e4+stress_predict", "wesad_e4/S2")
    assert person("seed_iv_de_lds", "1") == person("seed_iv", "1") != person("seed", "1")
    assert person("dreamer-arousal", "3") == person("dreamer", "3")
    assert person("wesad+stress_predict", "stress_predict/S2") == ("stress_predict", "S2")
    assert person("empatica", "2024-05-06_001-X") == person("empatica", "2024-05-07_001-X") != person("empatica", "002-X")
