"""Methods beside each other: what is generated, what is scored, and that nothing of a stranger's labels is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamaffect import methods
from streamaffect.evaluate import comparison
from streamaffect.evaluate.comparison import COLUMNS, UNBALANCED, Score, generated, holm, rows, scores, unlabelled
from streamaffect.evaluate.shifted import Shift, joined, person, world
from streamaffect.methods import LabelledSet

SMALL = Shift(features=12, trials=6, windows=6)


def test_same_seed_same_people_and_each_person_another():
    common = world(SMALL, 3)
    one, again, other = (person(common, SMALL, 3, number) for number in (0, 0, 1))
    assert np.array_equal(one.x["body.a"], again.x["body.a"])
    assert not np.array_equal(one.x["body.a"], other.x["body.a"])
    assert not np.array_equal(world(SMALL, 4).means, common.means)


def test_people_without_differences_have_the_common_means_at_the_separation():
    calm = replace(SMALL, rotation=0, gain=0, offset=0, conditional=0, trial=0, correlation=0, trials=300)
    common = world(calm, 0)
    apart = [np.linalg.norm(common.means[a] - common.means[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert apart == pytest.approx([calm.separation] * 3)
    someone = person(common, calm, 0, 5)
    x = np.concatenate(list(someone.x.values()), axis=1)
    for c in range(3):
        np.testing.assert_allclose(x[someone.y == c].mean(axis=0), common.means[c], atol=0.15)
    np.testing.assert_allclose((x - common.means[someone.y]).std(axis=0), common.spread, rtol=0.1)


def test_rotation_turns_without_stretching_and_noise_is_correlated_in_time():
    turned = replace(SMALL, gain=0, offset=0, conditional=0, trial=0, trials=60, windows=40)
    common = world(turned, 1)
    someone = person(common, turned, 1, 0)
    x = np.concatenate(list(someone.x.values()), axis=1)
    centres = np.stack([x[someone.y == c].mean(axis=0) for c in range(3)])
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.linalg.norm(centres[a] - centres[b]) == pytest.approx(turned.separation, rel=0.05)
    assert np.linalg.norm(centres - (common.means - common.means.mean(0) + centres.mean(0))) > 1
    left = x - centres[someone.y]
    inside = someone.trial[1:] == someone.trial[:-1]
    assert (left[1:] * left[:-1])[inside].mean() / left.var() == pytest.approx(turned.correlation, abs=0.05)


def test_proportions_are_kept_and_trials_have_one_class():
    shares = replace(SMALL, trials=10, proportions=UNBALANCED)
    someone = person(world(shares, 0), shares, 0, 0)
    assert np.bincount(someone.y).tolist() == [42, 12, 6]
    assert all(len(set(someone.y[someone.trial == t])) == 1 for t in range(10))


def test_strangers_are_nobody_of_the_source():
    for case in generated(seeds=2, people=3, shift=SMALL):
        assert not {str(s.subject[0]) for s in case.strangers} & set(case.source.subject.tolist())


def test_every_column_is_scored_for_every_stranger():
    case = next(generated(seeds=1, people=4, shift=SMALL))
    scored = scores(case, "zscore", {})
    assert {(s.column, s.stranger) for s in scored} == {(c, str(p.subject[0])) for c in COLUMNS for p in case.strangers}
    table = rows(scored)[0]
    assert table.mean["adapted"] == pytest.approx(table.mean["standardised"])
    assert table.mean["standardised"] > 0.5


def test_garbage_labels_of_strangers_change_no_answer(monkeypatch):
    """What a method says of strangers is the same whatever their labels are."""
    said: list[np.ndarray] = []
    monkeypatch.setattr(comparison, "balanced_accuracy", lambda y, answer: float(said.append(answer) or 0))
    case = next(generated(seeds=1, people=4, shift=SMALL))
    rng = np.random.default_rng(0)
    garbage = tuple(LabelledSet(s.x, rng.integers(0, 3, len(s)), s.subject, rng.permutation(s.trial)) for s in case.strangers)
    scores(case, "zscore", {})
    honest, said[:] = list(said), []
    scores(replace(case, strangers=garbage), "zscore", {})
    assert len(said) == len(honest) == len(COLUMNS) * 4
    assert all(np.array_equal(a, b) for a, b in zip(honest, said, strict=True))


def test_a_stranger_is_one_stretch_of_time_without_bounds():
    case = next(generated(seeds=1, people=4, shift=SMALL))
    seen = unlabelled(case.strangers[0])
    assert isinstance(seen, methods.UnlabelledSet)
    assert set(seen.trial.tolist()) == {0}


def test_tables_compare_in_pairs_with_the_methods_own_source_and_with_zscore():
    rng = np.random.default_rng(0)
    base = rng.uniform(0.5, 0.7, 12)

    def column(method: str, name: str, values: np.ndarray) -> list[Score]:
        return [Score("p", 0, method, name, str(i), float(v), 1.0) for i, v in enumerate(values)]

    scored = [
        *column("zscore", "source-only", base),
        *column("zscore", "standardised", base + 0.05),
        *column("zscore", "adapted", base + 0.05),
        *column("better", "source-only", base),
        *column("better", "adapted", base + 0.1 + 0.01 * rng.normal(size=12)),
        *column("worse", "source-only", base),
        *column("worse", "adapted", base - 0.02),
    ]
    zscore, better, worse = rows(scored)
    assert better.gain == pytest.approx(0.1, abs=0.01)
    assert better.over_zscore == pytest.approx(0.05, abs=0.01)
    assert better.gain_p < 0.01
    assert worse.gain_p == 1.0
    assert np.isnan(zscore.over_zscore)


def test_holm_steps_down_and_leaves_what_is_not_there():
    assert holm([0.01, 0.04, float("nan"), 0.03]) == pytest.approx([0.03, 0.06, float("nan"), 0.06], nan_ok=True)
    assert holm([0.6, 0.9]) == [1.0, 1.0]


def test_joined_keeps_who_is_who():
    common = world(SMALL, 0)
    people = [person(common, SMALL, 0, i) for i in range(2)]
    both = joined(people)
    assert len(both) == sum(map(len, people))
    assert np.array_equal(both.take(both.subject == "p001").x["body.b"], people[1].x["body.b"])
