"""Closed identities of the SPD manifold, and a person's covariances seen from their running mean."""

from __future__ import annotations

import numpy as np
import pytest

from streamaffect.features import spd, views
from streamaffect.features.recentre import Recentre, SpdPrior, from_view
from streamaffect.signals import Float32, Float64, Modality, StreamSpec, Window


def covariances(n: int, c: int = 4, seed: int = 0) -> Float64:
    x = np.random.default_rng(seed).normal(size=(n, c, 3 * c))
    return x @ np.swapaxes(x, -1, -2) / (3 * c)


def vectors(matrices: Float64) -> Float32:
    """As ``eeg.cov/1`` makes them, one band."""
    return spd.to_vector(spd.logm(matrices)).astype(np.float32)


def mixing(c: int = 4, seed: int = 9) -> Float64:
    return np.eye(c) + 0.4 * np.random.default_rng(seed).normal(size=(c, c))


def test_logarithm_and_power_undo_each_other() -> None:
    a = covariances(5)
    assert np.allclose(spd.expm(spd.logm(a)), a)
    assert np.allclose(spd.powm(a, 0.5) @ spd.powm(a, 0.5), a)
    assert np.allclose(spd.powm(a, -1.0), np.linalg.inv(a))


def test_vector_keeps_the_norm_and_comes_back() -> None:
    a = spd.logm(covariances(5))
    assert np.allclose(np.linalg.norm(spd.to_vector(a), axis=-1), np.linalg.norm(a, axis=(-2, -1)))
    assert np.array_equal(spd.to_vector(a).shape, (5, 10))
    assert np.allclose(spd.to_matrix(spd.to_vector(a)), a)
    with pytest.raises(ValueError, match="got 5"):
        spd.to_matrix(np.zeros(5))


def test_distance_is_affine_invariant_and_that_of_inverses() -> None:
    a, b = covariances(2)
    w = mixing()
    there = spd.distance(a, b)
    assert spd.distance(w @ a @ w.T, w @ b @ w.T) == pytest.approx(there)
    assert spd.distance(np.linalg.inv(a), np.linalg.inv(b)) == pytest.approx(there)
    assert spd.distance(a, a) == pytest.approx(0, abs=1e-6)


def test_geodesic_leads_from_start_to_end_at_constant_speed() -> None:
    a, b = covariances(2)
    assert np.allclose(spd.geodesic(a, b, 0.0), a)
    assert np.allclose(spd.geodesic(a, b, 1.0), b)
    assert spd.distance(a, spd.geodesic(a, b, 0.3)) == pytest.approx(0.3 * spd.distance(a, b))
    assert np.allclose(spd.geodesic(a, b, 0.5), spd.geometric_mean(np.stack([a, b])))


def test_geometric_mean_moves_with_the_matrices() -> None:
    a, w = covariances(20), mixing()
    mean = spd.geometric_mean(a)
    assert np.allclose(spd.logm(spd.whiten(a, mean)).mean(axis=0), 0, atol=1e-9)
    assert np.allclose(spd.geometric_mean(w @ a @ w.T), w @ mean @ w.T)
    assert np.allclose(spd.geometric_mean(np.linalg.inv(a)), np.linalg.inv(mean))
    assert np.log(np.linalg.det(mean)) == pytest.approx(np.log(np.linalg.det(a)).mean())


def recentred(matrices: Float64, prior: SpdPrior) -> tuple[Recentre, Float32]:
    person = Recentre(prior)
    out = []
    for x in vectors(matrices):
        person.update(x)
        out.append(person(x))
    return person, np.stack(out)


@pytest.mark.parametrize("metric", ["riemann", "logeuclid"])
def test_person_s_mean_becomes_the_identity(metric: str) -> None:
    a = covariances(400)
    person, _ = recentred(a, SpdPrior(np.eye(4)[None] * 3, 2.0, metric))
    seen = spd.expm(spd.to_matrix(person(vectors(a)).astype(np.float64)))
    mean = spd.geometric_mean(seen) if metric == "riemann" else spd.expm(spd.logm(seen).mean(axis=0))
    assert np.allclose(mean, np.eye(4), atol=0.06)
    assert np.allclose(person(vectors(person.mean[0])), 0, atol=1e-4)


@pytest.mark.parametrize("metric", ["riemann", "logeuclid"])
def test_prior_counts_as_many_windows_as_it_weighs(metric: str) -> None:
    a = covariances(1)[0]
    prior = SpdPrior(2 * np.eye(4)[None], 3.0, metric)
    person = Recentre(prior)
    assert np.allclose(person.mean, prior.mean)
    person.update(vectors(a))
    expected = spd.geodesic(prior.mean[0], a, 0.25)  # the prior commutes with all: both metrics agree
    assert np.allclose(person.mean[0], expected, rtol=1e-5)


def test_running_mean_of_one_matrix_is_that_matrix_whatever_the_order() -> None:
    a = covariances(1)[0]
    person = Recentre(SpdPrior(a[None], 1.0))
    for _ in range(10):
        person.update(vectors(a))
    assert np.allclose(person.mean[0], a, rtol=1e-5)


def test_what_mixes_a_person_s_channels_cancels_out() -> None:
    """Affine invariance: after recentring the spread and the distances of an unknown mixing's windows are those without it."""
    a, w = covariances(300), mixing()
    plain, _ = recentred(a, SpdPrior(np.eye(4)[None], 1.0))
    mixed, _ = recentred(w @ a @ w.T, SpdPrior((w @ w.T)[None], 1.0))
    assert np.allclose(mixed.mean[0], w @ plain.mean[0] @ w.T, rtol=1e-3)
    there, here = (person(vectors(m)) for person, m in ((mixed, w @ a @ w.T), (plain, a)))
    assert np.allclose(np.linalg.norm(there, axis=1), np.linalg.norm(here, axis=1), rtol=1e-3)


def test_person_with_another_gain_looks_like_the_others() -> None:
    a = covariances(200)
    prior = SpdPrior.fit(vectors(np.concatenate([a, 4 * a])), np.repeat(["p", "q"], 200))
    assert np.allclose(prior.mean[0], 2 * spd.geometric_mean(a), rtol=1e-4)
    _, loud = recentred(50 * a, prior)
    _, still = recentred(a, prior)
    assert np.allclose(loud[150:], still[150:], atol=0.25 / prior.scale)
    assert np.abs(vectors(50 * a)[150:, 0] - vectors(a)[150:, 0]).min() > 3


def test_scale_is_that_of_an_element_within_people_and_far_values_are_clipped() -> None:
    a = covariances(200)
    prior = SpdPrior.fit(vectors(np.concatenate([a, 4 * a])), np.repeat(["p", "q"], 200))
    person, _ = recentred(a, prior)
    assert np.sqrt(np.mean(person(vectors(a)) ** 2)) == pytest.approx(1, abs=0.05)
    assert prior.width == person(vectors(a)).shape[1] == 10
    assert np.abs(person(vectors(1e9 * a))).max() == 10


def test_holes_count_for_nothing_and_stay_holes() -> None:
    a = covariances(3)
    person, _ = recentred(a, SpdPrior(np.eye(4)[None]))
    before = person.mean
    gone = np.full(10, np.nan, np.float32)
    person.update(gone)
    assert person.n == 3
    assert person.mean is before
    rows = person(np.stack([vectors(a[0]), gone]))
    assert np.isnan(rows[1]).all()
    assert np.array_equal(rows[0], person(vectors(a[0])))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((np.eye(3),), "bands"),
        ((np.eye(3)[None], 0.0), "weigh"),
        ((np.eye(3)[None], 1.0, "wasserstein"), "metric"),
        ((np.diag([1.0, 0.0, 1.0])[None],), "positive definite"),
        ((np.full((1, 2, 2), np.nan),), "positive definite"),
        ((np.eye(3)[None], 1.0, "riemann", 0.0), "scale"),
    ],
)
def test_prior_that_cannot_be_is_refused(arguments: tuple[object, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SpdPrior(*arguments)  # type: ignore[arg-type]


def test_prior_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no row of 2"):
        SpdPrior.fit(np.full((2, 10), np.nan, np.float32), np.asarray(["p", "p"]))


def test_bands_of_a_view_are_recentred_each_by_itself() -> None:
    spec = StreamSpec("eeg", Modality.EEG, ("Cz", "Pz", "Oz"), 128.0, "uV")
    view = views.make("eeg.cov/1", channels=["Cz", "Pz", "Oz"], bands=["theta", "alpha"], reference="none")
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(60):
        x = (np.asarray([[10.0], [5.0], [3.0]]) * rng.normal(size=(3, 1024))).astype(np.float32)
        rows.append(view(Window(spec, 0.0, 8.0, x, x, np.ones(1024, bool))))
    x = np.stack(rows)
    prior = SpdPrior.fit(x, np.repeat(["p", "q"], 30), bands=2)
    assert prior.mean.shape == (2, 3, 3)
    assert np.allclose(from_view(x, 2)[:, 0, 0, 0].mean() / from_view(x, 2)[:, 0, 2, 2].mean(), 100 / 9, rtol=0.5)
    person = Recentre(prior)
    for row in x:
        person.update(row)
    assert np.abs(person(x).mean(axis=0)).max() < 0.05
    assert np.abs(x.mean(axis=0)).max() > 1
