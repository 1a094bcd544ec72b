"""No candidate serves that is worse, mute, too sure or not the model it was."""

from __future__ import annotations

import numpy as np
import pytest

from streamaffect.bundle.bundle import SourceMemory
from streamaffect.runtime.engine import Prediction
from streamaffect.runtime.guard import WATCH_WINDOWS, Evidence, Watch, accuracy, judge


@pytest.fixture(scope="module")
def memory(bundle):
    return SourceMemory.load(bundle)


@pytest.fixture
def evidence(engine, memory):
    held = {key: value[memory.held_out] for key, value in memory.x.items()}
    rest = {key: value[~memory.held_out][:60] for key, value in memory.x.items()}
    probes = {key: value[:5] for key, value in rest.items()}
    return Evidence(held, memory.y[memory.held_out], rest, probes, engine(probes).probabilities)


def test_incumbent_itself_passes(engine, evidence):
    verdict = judge(engine, engine, evidence)
    assert verdict.reason is None
    assert verdict.figures["parity"] < 1e-5


@pytest.mark.parametrize(
    ("scale", "shift", "cold", "said"),
    [
        ([np.nan, 1.0], [0.0, 0.0], 0.0, "NaN"),
        ([-1.0, -1.0], [1.0, 1.0], 0.0, "held-out source people fell"),
        ([1.0, 1.0], [0.0, 0.0], 500.0, "sure of everything"),
    ],
)
def test_bad_candidate_is_refused_with_the_reason(engine, evidence, tmp_path, tampered, scale, shift, cold, said):
    candidate = tampered(tmp_path / "candidate", scale, shift, cold=cold)
    expected = candidate(evidence.probes).probabilities
    fair = Evidence(evidence.held_out, evidence.labels, evidence.recent, evidence.probes, np.nan_to_num(expected))
    assert said in (judge(candidate, engine, fair).reason or "")


def test_one_class_for_everything_is_refused(engine, evidence, tmp_path, tampered):
    candidate = tampered(tmp_path / "candidate", [0.01, 0.01], [0.9, 0.09])
    # Held-out people are judged first; with none of one class there that check has nothing to say.
    rest = evidence.labels == 0
    held = {key: value[rest] for key, value in evidence.held_out.items()}
    expected = candidate(evidence.probes).probabilities
    verdict = judge(candidate, engine, Evidence(held, evidence.labels[rest], evidence.recent, evidence.probes, expected))
    assert "one class takes 100%" in (verdict.reason or "")


def test_nobody_held_out_is_no_reason_to_trust(engine, evidence):
    nobody = {key: value[:0] for key, value in evidence.held_out.items()}
    verdict = judge(engine, engine, Evidence(nobody, evidence.labels[:0], evidence.recent, evidence.probes, evidence.expected))
    assert "held out" in (verdict.reason or "")


def test_parity_that_cannot_be_told_is_refused(engine, evidence):
    unknown = np.full_like(evidence.expected, np.nan)
    verdict = judge(engine, engine, Evidence(evidence.held_out, evidence.labels, evidence.recent, evidence.probes, unknown))
    assert "torch disagree" in (verdict.reason or "")


def test_graph_that_is_not_what_torch_said_is_refused(engine, evidence):
    wrong = Evidence(evidence.held_out, evidence.labels, evidence.recent, evidence.probes, evidence.expected + 1e-2)
    assert "torch disagree" in (judge(engine, engine, wrong).reason or "")


def test_agreement_with_distributions_is_what_they_share():
    truth = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]], np.float32)
    said = Prediction(np.array([[0.4, 0.4, 0.2], [0.2, 0.2, 0.6]], np.float32), np.zeros((2, 1), np.float32))
    assert accuracy(said, truth) == pytest.approx(0.95)
    assert accuracy(Prediction(truth, said.embedding), truth) == pytest.approx(1)


def test_watch_rolls_back_what_says_one_thing_only(engine, river, recording, play, tmp_path, tampered):
    stuck = tampered(tmp_path / "stuck", [0.01, 0.01], [0.9, 0.09])
    watch = Watch(engine)
    river.swap(stuck)
    troubles = [trouble for d in play(river, recording) if (trouble := watch.look(d))]
    assert troubles
    assert "one class took 100%" in troubles[0]


def test_watch_ends_quietly_on_a_good_model(engine, river, recording, play):
    watch = Watch(engine)
    assert not any(watch.look(decision) for decision in play(river, recording))
    assert watch.done
    assert recording.duration_s / 5 > WATCH_WINDOWS


def test_watch_sees_nan_at_once(engine, river, recording, play, tmp_path, tampered):
    river.swap(tampered(tmp_path / "nan", [np.nan, 1.0], [0.0, 0.0]))
    watch = Watch(engine)
    assert any("NaN" in (watch.look(decision) or "") for decision in play(river, recording))
