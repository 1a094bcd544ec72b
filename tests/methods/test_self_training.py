"""Self-training: what is smoothed, what is believed, what the gate refuses, and that it helps."""

import dataclasses
import time

import numpy as np
import pytest
import torch

from streamaffect import methods
from streamaffect.methods import self_training
from streamaffect.methods.jobs import Adaptation
from streamaffect.methods.self_training import Seen, believed, refine, refused, smoothed

CPU = torch.device("cpu")


def person(seed, windows=60, person_shift=1.0, block=10):
    """Two classes in blocks of time; each person has class means of their own, which the answers must be learnt from."""
    rng = np.random.default_rng(seed)
    y = np.arange(windows) // block % 2
    mean = np.random.default_rng(7).normal(size=(2, 12)) * 0.6 + person_shift * 0.6 * rng.normal(size=(2, 12))
    x = mean[y] + rng.normal(size=(windows, 12))
    return ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32), y


def job_of(seed=0, trial=True, **changes):
    """A hand-made adaptation of zscore from nine people to one."""
    people = [person(100 * seed + i) for i in range(9)]
    x, y = np.concatenate([p[0] for p in people]), np.concatenate([p[1] for p in people])
    source = methods.LabelledSet({"x": x}, y, np.repeat(np.arange(9), 60), np.tile(np.arange(60) // 10, 9))
    method = methods.get("zscore", C=0.05)
    core = method.fit_source(source, device="cpu").core
    own, truth = person(100 * seed + 50)
    job = Adaptation(
        x={"x": x}, y=source.distribution(2), source=source, seed=0, device=CPU, progress=lambda fraction, terms: None,
        core=core, temperature=1.0, target={"x": own}, trial=np.zeros(60, dtype=int) if trial else None, few=None,
        prior="source", started=time.perf_counter(), budget_s=None,
    )  # fmt: skip
    return dataclasses.replace(job, **changes), method, truth


def right(job, core, truth):
    return float((self_training._look(job, core).target.argmax(axis=1) == truth).mean())


def test_it_learns_a_person_and_helps():
    gains = []
    for seed in range(8):
        job, method, truth = job_of(seed)
        weights = job.core.weight.clone()
        gains.append(right(job, refine(job, method, job.core), truth) - right(job, job.core, truth))
        assert torch.equal(job.core.weight, weights)  # the incumbent is left as it was
    assert np.mean(gains) > 0.03, gains
    assert min(gains) > -0.05, gains


def test_without_order_it_works_without_smoothing():
    gains = []
    for seed in range(6):
        job, method, truth = job_of(seed, trial=False)
        gains.append(right(job, refine(job, method, job.core), truth) - right(job, job.core, truth))
    assert np.mean(gains) > 0.0, gains


def test_smoothing_is_a_bounded_triangle_within_a_run():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1, 1], size=12)
    trial = np.array([0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0])  # trial 0 comes back: another stretch of time
    runs = np.array([0] * 5 + [1] * 3 + [2] * 4)
    expected = np.empty_like(p)
    for i in range(12):
        near = [(j, 1 - abs(i - j) / 3) for j in range(12) if abs(i - j) <= 2 and runs[i] == runs[j]]
        expected[i] = sum(w * p[j] for j, w in near) / sum(w for _, w in near)
    np.testing.assert_allclose(smoothed(p, trial, radius=2), expected)
    np.testing.assert_allclose(smoothed(p, trial, radius=2).sum(axis=1), 1)
    np.testing.assert_array_equal(smoothed(p, None), p)
    np.testing.assert_array_equal(smoothed(p[:1], trial[:1]), p[:1])


def test_the_surest_are_believed_in_the_expected_proportions():
    sure = np.linspace(0.55, 0.99, 20)
    p = np.stack([np.r_[sure, 1 - sure], np.r_[1 - sure, sure]], axis=1)
    weight = believed(p, [0.25, 0.75], 0.5)
    assert np.flatnonzero(weight[:20]).tolist() == [15, 16, 17, 18, 19]
    assert np.flatnonzero(weight[20:]).tolist() == list(range(5, 20))
    assert believed(p, [1.0, 0.0], 1.0)[20:].sum() == 0


def answers(margin, ones=30, windows=60):
    said = np.arange(windows) < ones
    p = 0.5 + margin / 2 * np.where(said, 1, -1)
    return np.stack([1 - p, p], axis=1)


@pytest.mark.parametrize(
    ("now", "trial", "reason"),
    [
        (Seen(answers(0.6), 0.85), np.zeros(60), None),
        (Seen(answers(0.6), 0.79), None, "source accuracy fell"),
        (Seen(answers(0.4), 0.85), None, "margin fell"),
        (Seen(answers(0.6, ones=1), 0.85), None, "class 1 collapsed"),
        (Seen(answers(np.where(np.arange(60) % 2, 0.6, -0.6)), 0.85), np.zeros(60), "change more often"),
        (Seen(answers(0.6) * np.nan, 0.85), None, "not finite"),
    ],
)
def test_the_gate_needs_no_labels(now, trial, reason):
    said = refused(Seen(answers(0.5), 0.85), now, [0.5, 0.5], trial)
    assert (said is None) if reason is None else (said is not None and reason in said)


class Ruins:
    """A method whose rounds forget the source."""

    def _refine(self, job, core, labels, weight):
        import copy

        ruined = copy.deepcopy(core)
        ruined.weight.mul_(-5)
        return ruined


def test_a_ruined_candidate_is_not_kept():
    job, _, _ = job_of()
    assert refine(job, Ruins(), job.core) is job.core


def test_it_ends_at_the_deadline_and_tells_of_its_rounds():
    told = []
    job, method, _ = job_of(progress=lambda fraction, terms: told.append((fraction, dict(terms))))
    assert refine(dataclasses.replace(job, started=time.perf_counter() - 5, budget_s=1.0), method, job.core) is job.core
    assert told == []
    refine(job, method, job.core)
    assert [terms["refine_round"] for _, terms in told] == list(range(1, len(told) + 1))
    assert told[0][0] == pytest.approx(1 / 3)

    def stop(fraction, terms):
        raise methods.Cancelled

    with pytest.raises(methods.Cancelled):
        refine(dataclasses.replace(job, progress=stop), method, job.core)


def test_a_network_relearns_without_touching_the_old_one():
    job, _, truth = job_of(1)
    model = methods.get("source", epochs=15, lr=3e-3).fit_source(job.source, device="cpu")
    job = dataclasses.replace(job, core=model.core)
    before = {name: tensor.clone() for name, tensor in model.core.state_dict().items()}

    class Network:
        def _refine(self, job, core, labels, weight):
            return self_training.relearn(job, core, labels, weight)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        refined = refine(job, Network(), model.core)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.core.state_dict().items())
    assert refined is not model.core
    assert right(job, refined, truth) >= right(job, model.core, truth)
    assert self_training.relearn(job, refined, np.eye(2, dtype=np.float32)[truth], np.zeros(60, np.float32)) is refined


def test_a_network_can_be_stopped_within_a_round():
    job, _, _ = job_of(1)
    model = methods.get("source", epochs=2, lr=3e-3).fit_source(job.source, device="cpu")
    told = []

    def enough(fraction, terms):
        told.append((fraction, sorted(terms)))
        if len(told) == 3:
            raise methods.Cancelled

    with pytest.raises(methods.Cancelled):
        refine(dataclasses.replace(job, core=model.core, progress=enough), methods.get("source"), model.core)
    assert 0 < told[0][0] < told[1][0] < told[2][0] < 1 / 3
    assert told[0][1] == ["epoch", "pseudo_ce", "source_ce"]
