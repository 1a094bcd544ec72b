import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from streamaffect.methods.ssmix import MixedRows, SSMix

CPU = torch.device("cpu")


@st.composite
def recordings(draw):
    n = draw(st.integers(1, 60))
    subject = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    trial = draw(st.lists(st.sampled_from(["a", "b", "c"]), min_size=n, max_size=n))
    return np.array(subject), np.array(trial), draw(st.integers(0, 2**32 - 1))


@settings(deadline=None, max_examples=200)
@given(recordings())
def test_partner_is_another_window_of_the_same_subject_and_trial(recording):
    subject, trial, seed = recording
    partner, omega = SSMix(trial, subject).draw(np.random.default_rng(seed))
    np.testing.assert_array_equal(subject[partner], subject)
    np.testing.assert_array_equal(trial[partner], trial)
    alone = np.array([((subject == s) & (trial == t)).sum() == 1 for s, t in zip(subject, trial, strict=True)])
    np.testing.assert_array_equal(partner == np.arange(len(subject)), alone)
    assert omega.min() >= 0
    assert omega.max() <= 1


def test_every_other_window_of_the_trial_is_a_partner_in_turn():
    trial = np.array([0, 1, 0, 1, 0, 0])
    mixer, rng = SSMix(trial), np.random.default_rng(0)
    seen = np.array([mixer.draw(rng).partner for _ in range(4000)])
    shares = {int(j): (seen[:, 0] == j).mean() for j in np.unique(seen[:, 0])}
    assert set(shares) == {2, 4, 5}
    assert all(share == pytest.approx(1 / 3, abs=0.04) for share in shares.values())


def test_omega_is_beta_and_the_rest_of_the_share_is_left_alone():
    omega = SSMix(np.zeros(40_000)).draw(np.random.default_rng(0), alpha=0.5, share=0.5).omega
    mixed = omega[omega < 1]
    assert len(mixed) / len(omega) == pytest.approx(0.5, abs=0.02)
    assert mixed.mean() == pytest.approx(0.5, abs=0.01)
    assert mixed.var() == pytest.approx(1 / 8, abs=0.01)  # of Beta(1/2, 1/2)


def rows(trial, subject=None, n=12):
    rng = np.random.default_rng(0)
    x = {"a": rng.normal(size=(n, 3)).astype(np.float32), "b": rng.normal(size=(n, 2)).astype(np.float32)}
    y = np.eye(2, dtype=np.float32)[np.arange(n) % 2]
    return MixedRows(x, y, np.ones(2), CPU, trial, subject)


def test_rows_are_originals_until_they_are_mixed():
    kept = rows(np.arange(12) % 2)
    taken = kept.take(np.array([3, 5]))
    assert torch.equal(taken.views[0], kept.views[0][[3, 5]])


def test_taken_rows_are_equations_3_and_4_of_one_draw_for_all_views():
    given_rows = rows(np.arange(12) % 2, np.arange(12) // 6)
    given_rows.remix(np.random.default_rng(1), 0.5)
    partner, omega = SSMix(np.arange(12) % 2, np.arange(12) // 6).draw(np.random.default_rng(1), 0.5, 0.5)
    index = np.array([7, 0, 4, 11])
    taken = given_rows.take(index)
    for got, view in zip([*taken.views, taken.y], [*given_rows.views, given_rows.y], strict=True):
        w = torch.tensor(omega[index])[:, None]
        torch.testing.assert_close(got, w * view[index] + (1 - w) * view[partner[index]])
    assert torch.equal(taken.y, given_rows.y[index])  # a trial has one label
    assert taken.index.tolist() == index.tolist()
    assert (omega < 1).any()


def test_taking_from_what_was_taken_does_not_mix_again():
    given_rows = rows(np.zeros(12)).remix(np.random.default_rng(1), 0.5)
    taken = given_rows.take(np.arange(12))
    assert torch.equal(taken.take(np.array([2])).views[0], taken.views[0][[2]])


def test_without_trials_each_window_is_its_own():
    given_rows = rows(None).remix(np.random.default_rng(1), 0.5)
    assert torch.equal(given_rows.take(np.arange(12)).views[0], given_rows.views[0])


def test_each_epoch_draws_anew():
    given_rows = rows(np.zeros(12))
    rng = np.random.default_rng(1)
    first = given_rows.remix(rng, 0.5).take(np.arange(12)).views[0]
    second = given_rows.remix(rng, 0.5).take(np.arange(12)).views[0]
    assert not torch.equal(first, second)
