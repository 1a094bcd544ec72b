"""From recordings to training data: which window belongs to which trial, and what the statistics have seen by then."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamaffect import methods
from streamaffect.bundle import build
from streamaffect.bundle.bundle import ClassEntry
from streamaffect.features.normalise import Normaliser, Prior
from streamaffect.features.views import View
from streamaffect.signals import Float32, Modality, Recording, Signal, StreamSpec, Trial, Window

TEMP = StreamSpec("temp", Modality.TEMP, ("TEMP",), 4.0, "degC")  # is not filtered


def _ends(window: Window) -> Float32:
    return (window.raw[0, [0, -1]] - 20) * 256


def numbered(seconds: float, trials: tuple[Trial, ...], start_s: float = 0.0) -> Recording:
    """A recording whose samples are their own numbers, in 256ths of a degree above 20: skin may have them."""
    n = round(seconds * 4)
    return Recording("made-up", "p", (Signal(TEMP, 20 + np.arange(n, dtype=np.float32)[None] / 256, start_s),), trials)


def numbering(seconds: float, hop_s: float) -> build.Recipe:
    """A view that tells the first and the last sample that a window saw."""
    view = View("ends/1", {}, Modality.TEMP, seconds, (2,), ("first", "last"), _ends)
    return build.Recipe("made-up", (view,), (ClassEntry(name="a"), ClassEntry(name="b")), hop_s)


@given(
    st.lists(st.integers(5, 240), min_size=2, max_size=5),
    st.sampled_from([2.0, 5.0, 6.25]),
    st.sampled_from([0.5, 1.0, 2.75]),
    st.sampled_from([0.25, 0.1, 1 / 3]),
    st.sampled_from([0.0, 3.1]),
)
@settings(max_examples=60, deadline=None)
def test_no_sample_is_in_windows_of_two_trials(
    lengths: list[int], seconds: float, hop_s: float, unit_s: float, start_s: float
) -> None:
    edges = np.concatenate([[0], np.cumsum(lengths)]) * unit_s
    trials = tuple(Trial(f"t{i}", "ab"[i % 2], float(a), float(b)) for i, (a, b) in enumerate(pairwise(edges)))
    recording = numbered(float(edges[-1]) + seconds + hop_s, trials, start_s)
    windows = build.gather([recording], numbering(seconds, hop_s))
    seen: dict[str, tuple[float, float]] = {}
    for name in np.unique(windows.trial[windows.y >= 0]):
        ends = windows.plain["ends"][windows.trial == name]
        seen[name] = (ends[:, 0].min(), ends[:, 1].max())
        trial = next(t for t in trials if t.name == name)
        # A window's places are the nearest to its times: half a sample is the most that it can lie outside.
        assert trial.start_s - start_s - 0.126 <= seen[name][0] / 4
        assert seen[name][1] / 4 <= trial.end_s - start_s - 0.25 + 0.126
        assert {trial.label} == {"ab"[c] for c in windows.y[windows.trial == name]}
    spans = sorted(seen.values())
    assert all(a[1] < b[0] for a, b in pairwise(spans))


def test_windows_across_a_border_or_without_a_known_label_have_none() -> None:
    trials = (Trial("x", "a", 0, 20), Trial("y", None, 20, 40), Trial("z", "else", 40, 60))
    windows = build.gather([numbered(70, trials)], numbering(4.0, 2.0))
    assert set(windows.t_end_s[windows.y == 0]) == set(np.arange(4.0, 21, 2))
    assert len(windows) > (windows.y == 0).sum() + 15
    assert set(windows.trial[windows.y < 0]) == {"y", "z", ""}


MOODS = ({"calm": 0.6, "glad": 0.3, "sad": 0.1}, {"calm": 0.2, "glad": 0.2, "sad": 0.2, "angry": 0.4})


def moody(seconds: float = 60) -> Recording:
    """Two trials with a report, one without."""
    trials = [Trial(f"t{i}", "x", 20.0 * i, 20.0 * (i + 1), {"mood": mood}) for i, mood in enumerate(MOODS)]
    return numbered(seconds, (*trials, Trial("t2", "x", 40, 60)))


def _entries(*names: str) -> tuple[ClassEntry, ...]:
    return tuple(ClassEntry(name=name) for name in names)


def test_classes_of_a_distribution_are_those_that_most_reports_have() -> None:
    assert build.classes_of([moody()]) == ["x"]
    assert build.classes_of([moody(), numbered(60, ())], "mood") == ["calm", "glad", "sad"]
    skipped = numbered(60, (Trial("t0", "x", 0, 20, {"mood": {"calm": 0.5, "sad": 0.5}}),))
    assert build.classes_of([skipped, moody()], "mood") == ["calm", "sad", "glad"]
    assert not build.gather(
        [skipped], replace(numbering(4.0, 2.0), classes=_entries("calm", "glad"), target="mood")
    ).shares.any()
    with pytest.raises(ValueError, match="no trial has a target 'panas': there is label, mood"):
        build.classes_of([moody()], "panas")


def test_windows_carry_the_distribution_of_their_trial_over_the_common_classes() -> None:
    recipe = replace(numbering(4.0, 2.0), classes=_entries("calm", "glad", "sad"), target="mood")
    windows = build.gather([moody()], recipe)
    assert windows.shares is not None
    first, second, third = (windows.take(windows.trial == f"t{i}") for i in range(3))
    assert np.allclose(first.shares, [0.6, 0.3, 0.1])
    assert np.allclose(second.shares, 1 / 3)
    assert not third.shares.any()
    assert set(third.y) == {-1}
    assert np.array_equal(windows.labels(np.array([0])), first.shares[:1])
    many = build.gather([replace(moody(), subject=f"p{i}") for i in range(5)], recipe)
    taught = build.training_set(many, build.fit_priors(many, recipe), recipe, 0)
    assert taught.y.shape == (len(taught), 3)
    memory = build.remember(many, build.fit_priors(many, recipe), np.array(["p3"]))
    assert memory.known().y.shape[1] == 3
    assert set(memory.known().subject) == {"p0", "p1", "p2", "p4"}


def people(y: np.ndarray) -> methods.LabelledSet:
    """Ten people, ten windows each."""
    n = 100
    x = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    subject = np.repeat([f"p{i}" for i in range(10)], 10)
    return methods.LabelledSet(x={"v": x}, y=y, subject=subject, trial=np.arange(n) // 5)


@pytest.mark.parametrize("name", methods.names())
def test_guards_are_people_that_the_method_does_not_learn_from(name: str) -> None:
    taught, method = people(np.arange(100) % 2), methods.get(name)
    fitted_on, guards = build.spare_guards(taught, method, 3)
    assert guards.size == (2 if hasattr(method, "holdout") else 1)  # of ten
    if hasattr(method, "holdout"):
        assert fitted_on is taught  # it leaves them out by itself, and watches its fit by them
        assert set(guards) == set(methods.held_out(taught, method.holdout, 3))
    else:
        assert set(fitted_on.subject) == set(taught.subject) - set(guards)


def test_nobody_guards_where_nobody_is_to_be_held_out() -> None:
    taught = people(np.arange(100) % 2)
    fitted_on, guards = build.spare_guards(taught, methods.get("source", holdout=0.0), 0)
    assert (len(fitted_on), guards.size) == (100, 0)


@pytest.mark.parametrize("name", ["helo", "zscore"])
def test_guards_of_distributions_need_not_have_every_mode(name: str) -> None:
    """Each person's own mode: no draw of people has them all."""
    shares = np.full((100, 10), 0.05)
    shares[np.arange(100), np.arange(100) // 10] = 0.55
    method = methods.get(name)
    fitted_on, guards = build.spare_guards(people(shares), method, 0)
    assert guards.size == (2 if hasattr(method, "holdout") else 1)  # of ten
    assert set(fitted_on.subject).isdisjoint(guards)


def test_too_short_recordings_are_refused() -> None:
    with pytest.raises(ValueError, match="no trustworthy window"):
        build.gather([numbered(3, ())], numbering(10.0, 1.0))
    unlabelled = build.gather([numbered(30, ())], numbering(5.0, 1.0))
    with pytest.raises(ValueError, match="label among a, b"):
        build.fit_priors(unlabelled, numbering(5.0, 1.0))


def test_normalised_windows_have_seen_themselves_and_the_past_alone(windows: build.Windows, recipe: build.Recipe) -> None:
    priors = build.fit_priors(windows, recipe)
    rows = np.flatnonzero(windows.subject == "p0")[::-1]
    x = build.normalise_in_order(windows, rows, priors)["eeg.de"]
    shorter = build.normalise_in_order(windows, rows[:9], priors)["eeg.de"]
    assert np.array_equal(x[:9], shorter)
    normaliser = Normaliser(priors["eeg.de"])
    for row in rows[:5]:
        normaliser.update(windows.plain["eeg.de"][row])
    assert np.array_equal(x[4], normaliser(windows.plain["eeg.de"][rows[4]]))


def test_whole_normalisation_knows_no_order(windows: build.Windows, recipe: build.Recipe) -> None:
    priors = build.fit_priors(windows, recipe)
    rows = np.flatnonzero(windows.subject == "p1")
    forth = build.normalise_in_order(windows, rows, priors, whole=True)["eeg.de"]
    back = build.normalise_in_order(windows, rows[::-1], priors, whole=True)["eeg.de"]
    assert np.allclose(forth, back[::-1], atol=1e-5)


def test_priors_weigh_classes_alike(windows: build.Windows, recipe: build.Recipe) -> None:
    busy = np.flatnonzero(windows.y == 1)
    repeated = windows.take(np.concatenate([np.arange(len(windows)), busy, busy]))
    prior, again = (build.fit_priors(w, recipe)["eeg.de"] for w in (windows, repeated))
    assert np.allclose(prior.location, again.location, atol=0.1)
    assert np.allclose(prior.scale, again.scale, rtol=0.15)


def test_a_label_that_one_person_alone_has_does_not_make_that_person_the_prior(
    windows: build.Windows, recipe: build.Recipe
) -> None:
    y = windows.y.copy()
    odd = np.flatnonzero((windows.subject == windows.subject[0]) & (y == 0))[:2]
    y[odd] = 2
    three = replace(recipe, classes=(*recipe.classes, ClassEntry(name="typo")))
    prior = build.fit_priors(replace(windows, y=y), three)["eeg.de"]
    assert (prior.spread > 1e-3).all()


def test_orders_are_shuffled_pieces_cuts_and_trials_by_turns(windows: build.Windows, recipe: build.Recipe) -> None:
    plays = build.orders(windows, "p2", replace(recipe, orders=6), np.random.default_rng(0))
    wanted = np.flatnonzero((windows.subject == "p2") & (windows.y >= 0))
    assert len(plays) == 6
    for k, play in enumerate(plays):
        if k % 3 == 1:  # cuts
            assert set(play) < set(wanted)
            assert np.unique(play).size == play.size
        else:
            assert np.array_equal(np.sort(play), wanted)
        assert set(windows.y[play]) == set(windows.y[wanted])
    trials = windows.trial[plays[2]]
    assert (trials[1:] != trials[:-1]).sum() == np.unique(trials).size - 1, "trials stay whole"
    fine = replace(recipe, orders=1, hop_s=15.0)  # a piece of two windows
    pieces = windows.trial[build.orders(windows, "p2", fine, np.random.default_rng(0))[0]]
    assert (pieces[1:] != pieces[:-1]).sum() > np.unique(pieces).size - 1


def test_no_order_is_the_protocol_s_for_everybody(windows: build.Windows, recipe: build.Recipe) -> None:
    rng = np.random.default_rng(1)
    firsts = {windows.trial[build.orders(windows, "p2", replace(recipe, orders=3), rng)[2][0]] for _ in range(20)}
    assert len(firsts) > 1


def test_training_set_is_the_seed_s(windows: build.Windows, recipe: build.Recipe) -> None:
    priors = build.fit_priors(windows, recipe)
    once, again, other = (build.training_set(windows, priors, recipe, seed) for seed in (1, 1, 2))
    assert np.array_equal(once.x["eeg.de"], again.x["eeg.de"])
    assert not np.array_equal(once.x["eeg.de"], other.x["eeg.de"])
    assert set(once.subject) == {"p0", "p1", "p2"}


def test_training_set_normalises_each_person_by_that_person_alone(windows: build.Windows, recipe: build.Recipe) -> None:
    priors = build.fit_priors(windows, recipe)
    alone = build.training_set(windows.take(windows.subject == "p0"), priors, recipe, 0)
    shifted = replace(windows, plain={"eeg.de": windows.plain["eeg.de"] + 5.0 * (windows.subject != "p0")[:, None]})
    among = build.training_set(shifted.take(np.isin(windows.subject, ["p0", "p1"])), priors, recipe, 0)
    assert np.array_equal(among.x["eeg.de"][among.subject == "p0"], alone.x["eeg.de"])


def test_view_without_a_prior_is_left_as_it_is(windows: build.Windows) -> None:
    rows = np.arange(5)
    assert np.array_equal(build.normalise_in_order(windows, rows, {})["eeg.de"], windows.plain["eeg.de"][:5])
    prior = Prior(np.zeros(10), np.ones(10), np.ones(10))
    assert build.normalise_in_order(windows, rows, {"eeg.de": prior})["eeg.de"].shape == (5, 20)
