"""Leave-one-subject-out: what is left out is left out."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from streamaffect import methods
from streamaffect.bundle.build import Recipe, Windows
from streamaffect.bundle.bundle import ClassEntry
from streamaffect.evaluate import loso
from streamaffect.evaluate.card import card
from streamaffect.features import views
from streamaffect.methods import contract

PARAMS = {"epochs": 3, "adapt_epochs": 2}
STRANGER = "s2"
HELO = {"epochs": 25, "adapt_epochs": 1, "width": 8, "heads": 2, "tokens": 2, "feedforward": 8, "lr": 1e-2}


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    view = views.eeg_de(channels=["Cz", "Pz"], seconds=4.0)
    return Recipe("made-up", (view,), (ClassEntry(name="rest"), ClassEntry(name="load")), hop_s=4.0, orders=3)


@pytest.fixture(scope="module")
def windows() -> Windows:
    """Four people, four minutes each: rest, then load, some windows between without a label."""
    rng = np.random.default_rng(0)
    parts = []
    for number in range(4):
        t = np.arange(4.0, 244.0, 4.0)
        y = np.where(t <= 120, 0, 1)
        y[28:33] = -1
        x = rng.normal(size=(t.size, 10)) + 3 * rng.normal(size=10) + 1.2 * (y == 1)[:, None] * (np.arange(10) < 4)
        trial = np.where(y < 0, "", np.where(y == 0, "rest-1", "load-1"))
        parts.append((x.astype(np.float32), y, np.full(t.size, f"s{number}"), trial, t))
    x, y, subject, trial, t = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Windows({"eeg.de": x}, y, subject, trial, t)


def relabelled(windows: Windows, y: np.ndarray) -> Windows:
    """The stranger's labels replaced; which windows have one stays as it is."""
    mine = (windows.subject == STRANGER) & (windows.y >= 0)
    return replace(windows, y=np.where(mine, y, windows.y))


@pytest.fixture(scope="module")
def honest(windows: Windows, recipe: Recipe) -> loso.Fold:
    return loso.fold(windows, recipe, "dynamic", PARAMS, 0, STRANGER)


def test_garbage_labels_of_the_stranger_change_no_prediction(windows: Windows, recipe: Recipe, honest: loso.Fold) -> None:
    garbage = np.random.default_rng(9).integers(0, 2, len(windows))
    misled = loso.fold(relabelled(windows, garbage), recipe, "dynamic", PARAMS, 0, STRANGER)
    assert np.array_equal(misled.probabilities, honest.probabilities)


def test_swapped_labels_of_the_stranger_turn_every_figure_round(windows: Windows, recipe: Recipe, honest: loso.Fold) -> None:
    """Of two classes: where no prediction changes, balanced accuracy b becomes exactly 1 - b, in each of the figures."""
    # `late` begins in the trial of load: rest must have windows there too for a figure, so the trials alternate.
    turns = replace(windows, y=np.where(windows.y < 0, -1, (windows.t_end_s // 40 % 2).astype(np.int64)))
    turns = replace(turns, trial=np.char.add("t", (windows.t_end_s // 40).astype(np.int64).astype(np.str_)))
    before = loso.fold(turns, recipe, "dynamic", PARAMS, 0, STRANGER)
    after = loso.fold(relabelled(turns, 1 - turns.y), recipe, "dynamic", PARAMS, 0, STRANGER)
    for name in loso.FIGURES:
        assert getattr(before, name) is not None
        assert getattr(after, name) == pytest.approx(1 - getattr(before, name), abs=1e-12), name
    assert np.array_equal(before.probabilities, after.probabilities)
    assert np.array_equal(before.labels, 1 - after.labels)


class _Witness:
    """A method that notes what it is given and passes it on."""

    def __init__(self, method: contract.Method) -> None:
        self.method, self.holdout = method, method.holdout
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


def test_the_stranger_is_nowhere_in_what_is_learned(windows: Windows, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    witness = _Witness(methods.get("source", normalise=None, epochs=2))
    monkeypatch.setattr(loso.methods, "get", lambda *_, **__: witness)
    loso.fold(windows, recipe, "source", {}, 0, STRANGER)
    fitted, *remembered = witness.learned
    assert set(fitted.subject) == {"s0", "s1", "s3"}
    assert all(set(known.subject) <= {"s0", "s1", "s3"} for known in remembered)
    whole, *so_far = witness.adapted
    assert len(whole) == 60
    assert all(30 <= len(target) < 60 for target in so_far)  # what has flowed by, after two minutes at the earliest


def test_a_method_that_holds_nobody_out_is_kept_from_the_guards(
    windows: Windows, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = _Witness(methods.get("source", normalise=None, epochs=1))
    witness.holdout = None
    monkeypatch.setattr(loso.methods, "get", lambda *_, **__: witness)
    loso.fold(windows, recipe, "source", {}, 0, STRANGER)
    fitted, *remembered = (set(known.subject) for known in witness.learned)
    assert len(fitted) == 2
    assert all(known == fitted for known in remembered)


def test_the_stranger_s_signals_change_nothing_that_is_learned(
    windows: Windows, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learned(w: Windows) -> set[bytes]:
        witness = _Witness(methods.get("source", normalise=None, epochs=1))
        monkeypatch.setattr(loso.methods, "get", lambda *_, **__: witness)
        loso.fold(w, recipe, "source", {}, 0, STRANGER)
        return {known.x["eeg.de"].tobytes() + known.y.tobytes() for known in witness.learned}

    strange = windows.plain["eeg.de"] + 100 * (windows.subject == STRANGER)[:, None].astype(np.float32)
    assert learned(replace(windows, plain={"eeg.de": strange})) == learned(windows)


def test_causal_predictions_do_not_know_the_future(windows: Windows, recipe: Recipe, honest: loso.Fold) -> None:
    later = (windows.subject == STRANGER) & (windows.t_end_s > 160)
    changed = windows.plain["eeg.de"] + 50 * later[:, None].astype(np.float32)
    other = loso.fold(replace(windows, plain={"eeg.de": changed}), recipe, "dynamic", PARAMS, 0, STRANGER)
    labelled = (windows.subject == STRANGER) & (windows.y >= 0)
    before = windows.t_end_s[labelled] <= 160
    assert np.array_equal(other.probabilities[before], honest.probabilities[before])
    assert not np.array_equal(other.probabilities[~before], honest.probabilities[~before])


REPORTS = np.array([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]], np.float32)


def reported(windows: Windows) -> Windows:
    """The same people asked how they felt, the answer a distribution over three moods."""
    shares = np.where(windows.y[:, None] >= 0, REPORTS[windows.y], 0).astype(np.float32)
    return replace(windows, shares=shares, y=np.where(windows.y >= 0, shares.argmax(axis=1), -1))


def test_distributions_are_judged_by_what_they_share(windows: Windows, recipe: Recipe) -> None:
    moods = replace(recipe, classes=tuple(ClassEntry(name=name) for name in ("calm", "glad", "tense")), target="panas")
    asked = reported(windows)
    folds = [loso.fold(asked, moods, "helo", HELO, 0, s) for s in ("s1", STRANGER)]
    for fold in folds:
        assert fold.labels.shape == fold.probabilities.shape == (55, 3)
        assert fold.lr_source == pytest.approx(np.minimum(REPORTS, REPORTS.mean(axis=0)).sum(axis=1).mean(), abs=0.01)
        assert fold.lr_source < min(fold.lr_zscore, fold.source, fold.causal or 0)
    garbage = np.random.default_rng(0).dirichlet([1, 1, 1], len(asked)).astype(np.float32)
    mine = (asked.subject == STRANGER) & (asked.y >= 0)
    misled = loso.fold(
        replace(asked, shares=np.where(mine[:, None], garbage, asked.shares)),
        moods, "helo", HELO, 0, STRANGER,
    )  # fmt: skip
    assert np.array_equal(misled.probabilities, folds[1].probabilities)
    figures = loso.summary(folds)
    assert "chance" not in figures
    assert figures["measures"]["intersection"] > 0.8
    text = card(moods, "helo", [], figures, folds, "streamaffect train made-up")
    assert "the mean report of the other people" in text
    assert f"intersection {figures['measures']['intersection']:.3f}" in text


def test_balanced_accuracy_weighs_classes_alike() -> None:
    y = np.array([0] * 90 + [1] * 10)
    assert loso.balanced(y, np.zeros(100, np.int64)) == 0.5
    assert loso.balanced(y, y) == 1.0
    assert loso.balanced(y[:90], y[:90]) is None


def test_all_folds_in_processes_of_their_own_then_summary_and_card(
    windows: Windows, recipe: Recipe, honest: loso.Fold, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_class = (windows.subject == "s3") & (windows.y == 1)
    some = windows.take(~one_class)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ)
    seen: list[str] = []
    folds = loso.loso(some, recipe, "source", {"epochs": 1}, processes=1, progress=lambda fold: seen.append(fold.subject))
    assert seen == [fold.subject for fold in folds] == ["s0", "s1", "s2"]  # s3 has one class: a source, but not tested
    assert dict(os.environ) == before
    again = loso.fold(some, recipe, "source", {"epochs": 1}, 0, "s1")
    assert np.allclose(again.probabilities, folds[1].probabilities, atol=1e-6)
    figures = loso.summary(folds)
    assert figures["chance"] == 0.5
    assert figures["source"] == {
        "mean": pytest.approx(np.mean([fold.source for fold in folds]), abs=1e-4),
        "std": pytest.approx(np.std([fold.source for fold in folds]), abs=1e-4),
        "n": 3,
    }
    text = card(recipe, "source", [], figures, folds, "streamaffect train made-up")
    assert "over 3 people" in text
    assert "chance is 0.50" in text
    assert "streamaffect train made-up" in text


def test_fewer_than_two_people_are_refused(windows: Windows, recipe: Recipe) -> None:
    with pytest.raises(ValueError, match="two people with two classes, there are 1"):
        loso.loso(windows.take(windows.subject == "s0"), recipe, "source", {})
