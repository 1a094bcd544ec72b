"""The figures of a card: what is left out is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from streamaffect import methods
from streamaffect.bundle.build import Recipe, Windows, gather
from streamaffect.bundle.bundle import ClassEntry, DataEntry
from streamaffect.evaluate import folds, loso, people, trained
from streamaffect.evaluate.card import card
from streamaffect.evaluate.folds import Training
from streamaffect.evaluate.people import Gather, People
from streamaffect.features import views
from streamaffect.methods import contract
from streamaffect.signals import Recording

STRANGER = "Subject92"
OTHERS = ("Subject90", "Subject91", "Subject93")
QUICK = {"epochs": 20, "lr": 3e-2, "batch_size": 32, "holdout": 0.0, "dropout": 0.0}
REPORTS = {"rest": {"calm": 0.6, "glad": 0.3, "tense": 0.1}, "load": {"calm": 0.2, "glad": 0.3, "tense": 0.5}}


@dataclass(frozen=True, slots=True)
class Told(People):
    """The same people, of whom someone else tells what their trials are."""

    tell: Callable[[Recording], Recording] = lambda recording: recording

    def load(self, subject: str) -> Recording:
        return self.tell(People.load(self, subject))


def swapped(recording: Recording) -> Recording:
    """The stranger's labels turned round."""
    other = {"rest": "load", "load": "rest"}
    trials = tuple(replace(trial, label=other[str(trial.label)]) for trial in recording.trials)
    return replace(recording, trials=trials) if recording.subject == STRANGER else recording


def asked(recording: Recording) -> Recording:
    """Everybody asked how they felt, the answer a distribution over three moods."""
    shares = {label: MappingProxyType({"mood": MappingProxyType(report)}) for label, report in REPORTS.items()}
    return replace(recording, trials=tuple(replace(t, distributions=shares[str(t.label)]) for t in recording.trials))


@pytest.fixture(scope="module")
def who(root: Path) -> People:
    return People.of("eegmat", root)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe("made-up", (views.ecg_hrv(seconds=20),), (ClassEntry(name="rest"), ClassEntry(name="load")), 5.0, orders=3)


@pytest.fixture(scope="module")
def windows(who: People, recipe: Recipe) -> Windows:
    return gather(who, recipe)


def left_out(who: People, windows: Windows, recipe: Recipe, method: str, params: dict, folder: Path) -> folds.Fold:
    """The stranger's fold."""
    files = {name: Gather(who, recipe, name).file for name in (*OTHERS, STRANGER)}
    for name, file in files.items():
        people.save(folder / file, windows.take(windows.subject == name))
    training = Training(recipe, method, params, 0, {}, tuple(files[name] for name in OTHERS), calibrated=False)
    piece = loso._Stranger(who, STRANGER, method, training)
    piece.do(folder, folder / piece.file)
    return folds.Fold.load(folder / piece.file)


@pytest.fixture(scope="module")
def honest(who: People, windows: Windows, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> folds.Fold:
    return left_out(who, windows, recipe, "zscore", {}, tmp_path_factory.mktemp("honest"))


def test_swapped_labels_change_no_prediction_and_turn_every_figure_round(
    who: People, windows: Windows, recipe: Recipe, honest: folds.Fold, tmp_path: Path
) -> None:
    """Of two classes: balanced accuracy b becomes exactly 1 - b, in each of the figures."""
    mine = (windows.subject == STRANGER) & (windows.y >= 0)
    turned = replace(windows, y=np.where(mine, 1 - windows.y, windows.y))
    liar = Told(who.dataset, who.root, who.subjects, None, swapped)
    misled = left_out(liar, turned, recipe, "zscore", {}, tmp_path)
    for name, play in honest.plays.items():
        assert np.array_equal(play.probabilities, misled.plays[name].probabilities), name
        assert np.array_equal(play.version, misled.plays[name].version)
    before, after = loso.fold(honest), loso.fold(misled)
    for name in loso.FIGURES:
        assert getattr(before, name) is not None
        assert getattr(after, name) == pytest.approx(1 - getattr(before, name), abs=1e-12), name
    assert np.array_equal(before.labels, 1 - after.labels)


class _Witness:
    """A method that notes what it is given and passes it on."""

    def __init__(self, method: contract.Method) -> None:
        self.method, self.holdout = method, getattr(method, "holdout", None)
        self.learned: list[contract.LabelledSet] = []
        self.adapted: list[contract.UnlabelledSet] = []

    def fit_source(self, source: contract.LabelledSet, **options: object) -> contract.Model:
        self.learned.append(source)
        return self.method.fit_source(source, **options)

    def adapt(
        self, model: contract.Model, source: contract.LabelledSet, target: contract.UnlabelledSet, **options: object
    ) -> contract.Model:
        assert "labelled_target" not in options
        self.learned.append(source)
        self.adapted.append(target)
        return self.method.adapt(model, source, target, **options)


def test_the_stranger_is_nowhere_in_what_is_learned(
    who: People, windows: Windows, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    witness = _Witness(methods.get("zscore", normalise=None))
    monkeypatch.setattr(methods, "get", lambda *_, **__: witness)
    left_out(who, windows, recipe, "zscore", {}, tmp_path)
    fitted, *remembered = witness.learned
    assert set(fitted.subject) < set(OTHERS)  # but for the guard's
    assert remembered
    assert all(set(known.subject) == set(fitted.subject) for known in remembered)
    whole, *so_far = witness.adapted
    assert len(whole) == int((windows.subject == STRANGER).sum())
    assert all(24 <= len(target) < len(whole) for target in so_far)  # what has flowed by when the river adapts


def test_a_method_that_watches_people_itself_is_given_all(windows: Windows, recipe: Recipe) -> None:
    _, memory = trained.learn(windows, recipe, "source", {"epochs": 1}, 0)
    witness = _Witness(methods.get("source", normalise=None, epochs=1))
    assert witness.holdout
    assert set(memory.subject) == {*OTHERS, STRANGER}
    assert 0 < len(set(memory.subject[memory.held_out])) < 4


def test_a_fit_that_answers_the_same_to_everything_is_refused(windows: Windows, recipe: Recipe) -> None:
    with pytest.raises(ValueError, match=r"collapsed: it answers \(0\.50, 0\.50\) to every window"):
        trained.learn(windows, recipe, "zscore", {"C": 1e-9}, 0)


def test_distributions_are_judged_by_what_they_share(who: People, recipe: Recipe, tmp_path: Path) -> None:
    moods = replace(recipe, classes=tuple(ClassEntry(name=name) for name in REPORTS["rest"]), target="mood")
    everybody = Told(who.dataset, who.root, who.subjects, None, asked)
    saved = left_out(everybody, gather(everybody, moods), moods, "source", QUICK, tmp_path)
    figures = loso.fold(saved)
    assert figures.labels.shape == figures.probabilities.shape
    rest, load = (np.array(list(REPORTS[label].values())) for label in ("rest", "load"))
    source = gather((everybody.load(name) for name in OTHERS), moods)
    mean = source.shares[source.y >= 0].mean(axis=0)
    common = np.mean([np.minimum(rest, mean).sum(), np.minimum(load, mean).sum()])  # each trial counts the same
    assert figures.lr_source == pytest.approx(common, abs=1e-4)
    assert figures.lr_source < min(figures.lr_zscore, figures.source)
    summed = loso.summary([figures, figures])
    assert "chance" not in summed
    in_common = np.minimum(figures.labels, figures.probabilities).sum(axis=1).mean()
    assert summed["measures"]["intersection"] == pytest.approx(in_common, abs=1e-3)
    text = card(moods, "source", [], summed, [figures], "streamaffect train made-up")
    assert "the mean report of the other people" in text
    assert f"intersection {summed['measures']['intersection']:.3f}" in text


def test_all_folds_then_summary_and_card(who: People, windows: Windows, recipe: Recipe, honest: folds.Fold, home: Path) -> None:
    one_class = (windows.subject == "Subject93") & (windows.y == 1)
    seen: list[str] = []
    params = {"epochs": 1}
    some = windows.take(~one_class)
    done = loso.loso(who, some, recipe, "source", params, processes=1, progress=lambda fold: seen.append(fold.subject))
    assert seen == [fold.subject for fold in done] == ["Subject90", "Subject91", STRANGER]  # who has one class is not tested
    assert not list((home / "evaluations").iterdir())  # windows of people do not stay
    assert loso.fold(honest).windows == done[2].windows
    figures = loso.summary(done)
    assert figures["chance"] == 0.5
    assert figures["source"] == {
        "mean": pytest.approx(np.mean([fold.source for fold in done]), abs=1e-4),
        "std": pytest.approx(np.std([fold.source for fold in done]), abs=1e-4),
        "n": 3,
    }
    text = card(recipe, "source", [], figures, done, "streamaffect train made-up")
    assert "over 3 people" in text
    assert "chance is 0.50" in text
    assert "streamaffect train made-up" in text


def test_a_card_of_joined_sets_tells_each_by_itself(recipe: Recipe, honest: folds.Fold) -> None:
    one = loso.fold(honest)
    done = [
        replace(one, subject="first/S1", source=0.5),
        replace(one, subject="first/S2", source=0.7, causal_rotated=None),
        replace(one, subject="second/S1", source=0.9, causal_rotated=None),
    ]
    data = [DataEntry(name=name, licence="", citation="", subjects=[]) for name in ("first", "second")]
    text = card(recipe, "source", data, loso.summary(done), done, "streamaffect train made-up")
    assert "| model | counted | first (2) | second (1) |\n| --- | --- | --- | --- |" in text
    assert "| this model, normalised per person | whole recording | 0.600 | 0.900 |" in text
    assert f"begun in another state | after 60 s, or half a trial | {done[0].causal_rotated:.3f} |  |" in text
    assert "The people of each set" not in card(recipe, "source", data[:1], loso.summary(done), done, "")


def test_fewer_than_two_people_are_refused(who: People, windows: Windows, recipe: Recipe) -> None:
    with pytest.raises(ValueError, match="two people with two classes, there are 1"):
        loso.loso(who, windows.take(windows.subject == STRANGER), recipe, "source", {})
