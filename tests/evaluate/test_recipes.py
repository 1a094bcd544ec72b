"""The choice of a recipe: on whom it depends, what wins a tie, what of a play is scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamaffect.bundle.build import Recipe, Windows
from streamaffect.bundle.bundle import ClassEntry
from streamaffect.datasets.simulated import person
from streamaffect.evaluate import people, recipes
from streamaffect.evaluate.people import Gather, People
from streamaffect.evaluate.recipe_grid import BLOCKS, CLASSIFIERS, Grid, Option, Reading, grid_of
from streamaffect.evaluate.recipes import Choice, choose, nested, starts
from streamaffect.features import views
from streamaffect.signals import Modality

BASE = Recipe("x", (), (ClassEntry(name="rest"), ClassEntry(name="load")), 0.0, orders=2)
NAMES = ("Subject90", "Subject91", "Subject92", "Subject93")
READINGS = tuple(Reading((views.ecg_hrv(seconds=seconds),), 5.0) for seconds in (20, 30))
GRID = Grid(READINGS, BLOCKS[:2], CLASSIFIERS[:2], (0.0, 10.0))


def _windows(width: float, *, useful: bool) -> Windows:
    """Six people of two classes in four trials; one feature tells the classes apart by ``width``, or all is noise."""
    rng = np.random.default_rng(0)
    y = np.tile(np.repeat([0, 1, 0, 1], 12), 6)
    x = rng.normal(size=(y.size, 12)) * 0.2 + (width * y[:, None] if useful else 0.0)
    subject = np.repeat([f"p{i}" for i in range(6)], 48)
    trial = np.tile(np.repeat(["a", "b", "c", "d"], 12), 6)
    key = READINGS[0].views[0].key
    return Windows({key: x.astype(np.float32)}, y, subject, trial, np.tile(np.arange(48) * 5.0 + 30, 6))


@pytest.fixture(scope="module")
def gathered(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[People, Path]:
    """Four simulated people, and the folder that holds their windows for each reading."""
    who = People("eegmat", root / "eegmat", NAMES)
    folder = tmp_path_factory.mktemp("gathered")
    recipes.gather_all(who, GRID, BASE, folder, 1)
    return who, folder


def test_what_tells_the_classes_apart_wins():
    readings = (READINGS[0], READINGS[1])
    choice = choose([_windows(1.0, useful=False), _windows(1.0, useful=True)], replace(GRID, readings=readings), BASE)
    assert choice.at[0] == 1
    assert choice.score.mean > 0.9
    assert "nothing simpler is within one standard error" in choice.rounds[0].why


def test_what_learns_nothing_is_at_chance_and_loses():
    dead = Option("dead", {"C": 1e-12}, "zscore")
    choice = choose([_windows(1.0, useful=True)] * 2, replace(GRID, classifiers=(dead, CLASSIFIERS[0])), BASE)
    assert choice.rounds[2].tried[0].mean == pytest.approx(0.5, abs=0.05)
    assert choice.at[2] == 1


def test_of_equals_the_simplest_wins():
    same = _windows(1.0, useful=True)
    choice = choose([same, same], GRID, BASE)
    assert choice.at == (0, 0, 0, 0)
    assert [one.axis for one in choice.rounds] == ["views", "blocks", "classifier", "smoothing"]
    assert all(one.tried[0].behind == 0 for one in choice.rounds[:1])


@pytest.mark.parametrize(
    ("scores", "taken", "why"),
    [
        ([0.70, 0.71, 0.72, 0.71], 0, "simplest within one standard error of the best, b"),
        ([0.50, 0.51, 0.50, 0.49], 1, "nothing simpler is within one standard error: a is 0.217 +- 0.051"),
        ([0.90, 0.91, 0.92, 0.91], 0, "a is best, and simplest."),
    ],
)
def test_simpler_is_taken_within_one_standard_error_in_the_same_people(scores, taken, why):
    best = [0.80, 0.62, 0.81, 0.64]
    first, second = ({f"p{i}": value for i, value in enumerate(own)} for own in (scores, best))
    found, counted = recipes._round("views", ["a", "b"], [first, second])
    assert (found.taken, counted) == (taken, 4)
    assert why in found.why


def test_labels_of_a_stranger_change_nothing_in_the_choice_made_for_the_stranger(gathered, tmp_path):
    who, folder = gathered
    honest = nested(who, GRID, BASE, folder, processes=1)
    assert set(honest) == set(NAMES)
    for i in range(len(READINGS)):
        (tmp_path / f"views-{i}").mkdir()
        for name in NAMES:
            file = Gather(who, BASE, name).file
            windows = people.load(folder / f"views-{i}" / file)
            assert isinstance(windows, Windows)
            turned = np.where(windows.y >= 0, 1 - windows.y, -1)
            people.save(tmp_path / f"views-{i}" / file, replace(windows, y=turned) if name == NAMES[0] else windows)
    turned_choices = nested(who, GRID, BASE, tmp_path, processes=1)
    assert turned_choices[NAMES[0]] == honest[NAMES[0]]
    assert turned_choices[NAMES[1]] != honest[NAMES[1]]  # of whom the first is a source


def test_choice_is_the_same_again_and_after_a_trip_to_disk():
    sets = [_windows(0.2, useful=True), _windows(0.1, useful=True)]
    choice = choose(sets, GRID, BASE, folds=3)
    assert choose(sets, GRID, BASE, folds=3) == choice
    assert Choice.of_json(choice.to_json()) == choice


def test_play_from_another_state_begins_there_and_both_leave_the_first_minutes_out():
    one = _windows(1.0, useful=True)
    one = one.take(one.subject == "p0")
    (recorded, t_s, scored), (turned, turned_t_s, turned_scored) = starts(one, 5.0)
    assert recorded.tolist() == list(range(48))
    assert turned.tolist() == [*range(12, 48), *range(12)]
    for times, kept in ((t_s, scored), (turned_t_s, turned_scored)):
        assert np.diff(times) == pytest.approx(5.0)
        assert kept.tolist() == (times >= 55.0 / 2).tolist()


def test_person_of_one_class_is_played_once_and_counts_for_nothing():
    one = _windows(1.0, useful=True).take(np.arange(12))
    assert len(list(starts(one, 5.0))) == 1
    whole = _windows(1.0, useful=True)
    choice = choose([whole.take((whole.subject != "p0") | (whole.y == 0))], replace(GRID, readings=READINGS[:1]), BASE)
    assert choice.people == 5


def test_two_people_are_the_least():
    one = _windows(1.0, useful=True).take(np.arange(48))
    with pytest.raises(ValueError, match="needs two with every view tried, not 1"):
        choose([one], replace(GRID, readings=READINGS[:1]), BASE)


def test_grid_has_what_the_recording_can_be_read_for():
    kinds = (Modality.ECG, Modality.EDA, Modality.TEMP)
    first = person("person-1", duration_s=10, modalities=kinds)
    grid = grid_of(first)
    assert [reading.name for reading in grid.readings] == [
        "ecg.hrv 30 s",
        "ecg.hrv 45 s",
        "eda.stats+eda.tonic+temp.stats 30 s",
        "eda.stats+eda.tonic+temp.stats 60 s",
    ]
    assert [reading.hop_s for reading in grid_of(first, "wrist", 4.0).readings] == [4.0, 4.0]
    with pytest.raises(ValueError, match="views of eeg: person-1 has temp, eda, ecg"):
        grid_of(first, "eeg")


def test_every_option_is_one_that_methods_and_priors_take():
    from streamaffect import methods
    from streamaffect.features.normalise import Prior

    for option in CLASSIFIERS:
        methods.get(option.method, normalise=None, **option.params)
    x, subject = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32), np.repeat(["a", "b"], 4)
    widths = [Prior.fit(x, subject, **option.params).width for option in BLOCKS]
    assert widths == [3, 12, 15]
    assert isinstance(BLOCKS[0], Option)
