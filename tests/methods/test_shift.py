"""Standardisation that tells a person from the classes' proportions."""

import numpy as np
import pytest

from streamaffect import methods
from streamaffect.methods import shift
from streamaffect.methods.scaling import Scaling, standardised


def world(seed, people, windows, shares, offset=1.5, gain=0.5):
    """Rows, one-hot labels and subjects: Gaussian classes, each person with a gain and an offset of their own."""
    rng = np.random.default_rng(seed)
    shares = np.asarray(shares, dtype=float)
    classes = shares.shape[-1]
    mean = np.random.default_rng(99).normal(size=(classes, 10))
    x, y, subject = [], [], []
    for u in range(people):
        share = shares if shares.ndim == 1 else shares[u]
        own = np.repeat(np.arange(classes), np.round(windows * share).astype(int))
        rows = mean[own] + rng.normal(size=(len(own), 10)) + 0.3 * rng.normal(size=10)
        x.append(rows * np.exp(gain * rng.normal(size=10)) + offset * rng.normal(size=10))
        y.append(np.eye(classes)[own])
        subject += [u] * len(own)
    return np.concatenate(x), np.concatenate(y), np.array(subject)


def moments(x):
    return x.mean(axis=0), x.std(axis=0)


def test_balanced_people_are_z_scored():
    x, y, subject = world(0, 3, 60, [0.5, 0.5])
    z = shift.by_person(x, y, subject)
    for u in range(3):
        location, scale = moments(x[subject == u])
        np.testing.assert_allclose(z[subject == u], (x[subject == u] - location) / scale, atol=1e-12)


def test_gain_and_offset_of_a_person_are_found_whatever_the_proportions():
    rng = np.random.default_rng(0)
    z, y = (
        rng.normal(size=(90, 4)) + np.repeat([[-1.0, 0, 2, 0], [1, 1, 0, 0], [0, 0, 0, 1]], 30, axis=0),
        np.repeat(np.eye(3), 30, axis=0),
    )
    gain, offset = np.array([2.0, 0.1, 5, 1]), np.array([3.0, -1, 0, 100])
    known = shift.ClassMoments.of(z, y)
    for q in ([0.8, 0.1, 0.1], [0.0, 1.0, 0.0], [0.2, 0.4, 0.4]):
        rows = np.concatenate([np.tile(z[30 * c : 30 * c + 30], (round(10 * share), 1)) for c, share in enumerate(q)])
        location, scale = shift.corrected(*moments(rows * gain + offset), known, q)
        np.testing.assert_allclose(location, offset, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(scale, gain, rtol=1e-9)


def test_who_lacks_a_class_is_placed_by_the_others():
    x, y, subject = world(1, 8, 200, [0.5, 0.5])
    lacks = (subject == 7) & (y[:, 1] == 1)
    z = shift.by_person(x[~lacks], y[~lacks], subject[~lacks])
    whole = shift.by_person(x, y, subject)[~lacks]
    left = subject[~lacks] == 7
    plain = (x[~lacks][left] - x[~lacks][left].mean(axis=0)) / x[~lacks][left].std(axis=0)
    assert np.abs(z[left] - whole[left]).mean() < 0.5 * np.abs(plain - whole[left]).mean()


def test_people_of_one_class_each_still_get_finite_rows():
    x, y, subject = world(2, 6, 30, [[1, 0], [0, 1]] * 3)
    assert np.isfinite(shift.by_person(x, y, subject)).all()


@pytest.mark.parametrize("share", [0.15, 0.5, 0.85])
def test_proportions_are_told_without_labels(share):
    x, y, subject = world(3, 14, 120, [0.5, 0.5])
    told = [shift.estimate(x, y, subject, world(50 + i, 1, 120, [1 - share, share])[0])[1] for i in range(5)]
    assert np.mean(told) == pytest.approx(share, abs=0.12)


def test_uninformative_windows_give_the_proportions_of_the_source():
    rng = np.random.default_rng(0)
    y = np.eye(2)[rng.permutation(np.repeat([0, 1], [300, 300]))]
    q = shift.estimate(rng.normal(size=(600, 5)), y, np.arange(600) % 10, rng.normal(size=(50, 5)))
    assert q[1] == pytest.approx(0.5, abs=0.1)


def test_few_people_or_a_class_without_windows():
    x, y, subject = world(4, 3, 60, [0.7, 0.3])
    assert shift.estimate(x, y, subject, x[:20]).tolist() == y.mean(axis=0).tolist()
    x, y, subject = world(4, 6, 60, [0.5, 0.5, 0.0])
    q = shift.estimate(x, y, subject, x[:20])
    assert q[2] == 0
    assert q.sum() == pytest.approx(1)


def test_estimate_repeats_itself_and_leaves_the_random_state_alone():
    x, y, subject = world(5, 6, 40, [0.5, 0.5])
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what is looked at
    first, second = (shift.estimate(x, y, subject, x[:30], seed=3) for _ in range(2))
    assert first.tolist() == second.tolist()
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def discriminant(z, y, rows):
    return shift._discriminant(z, y, shift.ClassMoments.of(z, y).mean)(rows).argmax(axis=1)


@pytest.mark.parametrize("offset", [1.5, 0.3])
def test_under_label_shift_it_beats_the_z_score_and_never_falls_below_the_source(offset):
    """Each of ten people in turn is a stranger who shows one class four times as often; balanced and plain accuracy."""
    scores = {"source": [], "z-score": [], "corrected": []}
    for seed in range(3):
        x, y, subject = world(seed, 10, 100, [0.5, 0.5], offset)
        for u in range(10):
            left = subject == u
            shown = np.flatnonzero(left)[np.r_[0:50, 50:62] if (u + seed) % 2 else np.r_[0:12, 50:100]]
            own, truth = x[shown], y[shown].argmax(axis=1)
            sx, sy, ss = x[~left], y[~left], subject[~left]
            pooled, plain = moments(sx), moments(own)
            z = shift.by_person(sx, sy, ss)
            personal = shift.corrected(*plain, shift.ClassMoments.of(z, sy), shift.estimate(sx, sy, ss, own))
            said = {
                "source": discriminant((sx - pooled[0]) / pooled[1], sy, (own - pooled[0]) / pooled[1]),
                "z-score": discriminant(z, sy, (own - plain[0]) / plain[1]),
                "corrected": discriminant(z, sy, (own - personal[0]) / personal[1]),
            }
            for name, answer in said.items():
                right = answer == truth
                scores[name].append([right.mean(), (right[truth == 0].mean() + right[truth == 1].mean()) / 2])
    mean = {name: np.mean(rows, axis=0) for name, rows in scores.items()}
    assert (mean["corrected"] >= mean["z-score"] + [0.03, 0.01]).all(), mean
    assert (mean["corrected"] >= mean["source"] - 0.01).all(), mean


def test_sets_are_standardised_view_by_view_and_signals_left_to_the_pool(source, target):
    scaling = Scaling.of(source.x)
    views = shift.standardised(source, scaling, 2)
    plain = standardised(source, scaling, "subject")
    np.testing.assert_array_equal(views["a.wave"], plain["a.wave"])
    np.testing.assert_allclose(views["vector"], plain["vector"], atol=1e-4)  # these people are balanced
    own = shift.personal(source, scaling, target, [0.5, 0.5])
    np.testing.assert_array_equal(own.location["a.wave"], scaling.location["a.wave"])
    np.testing.assert_allclose(own.location["vector"], scaling.personal(target).location["vector"], atol=1e-3)
    skewed = shift.personal(source, scaling, target, [0.2, 0.8])
    assert skewed.location["vector"].shape == (6,)
    assert skewed.location["vector"][0] < own.location["vector"][0]  # class 1 is high in it: its mean is above the middle


def test_signals_alone_have_no_proportions_told(lab):
    waves = lab.only(lab.people(0, 6, 16), "a.wave")
    source, target = methods.LabelledSet(**waves), methods.UnlabelledSet(waves["x"])
    assert shift.proportions(source, target, 2) is None
    scaling = Scaling.of(source.x)
    assert shift.personal(source, scaling, target, [0.5, 0.5]) is scaling
    both = methods.LabelledSet(**lab.people(0, 6, 16))
    assert shift.proportions(both, methods.UnlabelledSet(both.x), 2).sum() == pytest.approx(1)


def test_views_that_the_model_does_not_read_tell_no_proportions(lab):
    people = methods.LabelledSet(**lab.only(lab.people(0, 6, 16), "vector"))
    target = methods.UnlabelledSet(lab.only(lab.people(1, 1, 24), "vector")["x"])
    method = methods.get("zscore", prior="estimate")
    model = method.fit_source(people, device="cpu")
    more = methods.LabelledSet({**people.x, "odd": people.x["vector"][:, :2]}, people.y, people.subject, people.trial)
    seen = methods.UnlabelledSet({**target.x, "odd": target.x["vector"][:, :3]})
    expected = method.adapt(model, people, target, device="cpu").predict_proba(target.x)
    assert np.array_equal(method.adapt(model, more, seen, device="cpu").predict_proba(target.x), expected)
