"""When to adapt, on a stream's own clock."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from streamaffect.runtime.trigger import SEEN, Drift, Schedule, Trigger


def window(k: int, *, embedding=0.0, sure=0.8, whole=True, load=None):
    """Window ``k`` of a 5 s hop, every other one of the second class; embeddings scatter by 1 around ``embedding``."""
    rng = np.random.default_rng(k)
    said = np.array([1 - sure, sure] if (k % 2 if load is None else load) else [sure, 1 - sure], np.float32)
    return SimpleNamespace(
        whole=whole,
        embedding=(embedding + rng.normal(size=8)).astype(np.float32),
        probabilities=said,
        instant=said,
        features=SimpleNamespace(t_end_s=5.0 * k),
    )


def fired(trigger: Trigger, windows) -> list[tuple[int, str]]:
    out = []
    for k, decision in enumerate(windows):
        if reason := trigger.look(decision):
            out.append((k, reason))
            trigger.started(decision.features.t_end_s)
    return out


def test_first_when_the_coreset_is_full_then_by_interval():
    trigger = Trigger(Schedule(first=10, min_gap_s=60, interval_s=200, drift=False))
    assert fired(trigger, [window(k) for k in range(100)]) == [(9, "coreset_full"), (49, "interval"), (89, "interval")]


def test_a_sender_whose_clock_went_back_is_not_waited_for():
    trigger = Trigger(Schedule(first=2, min_gap_s=50, interval_s=100, drift=False))
    trigger.started(1e6)
    assert fired(trigger, [window(k) for k in range(30)]) == [(21, "interval")]


def test_windows_that_abstain_do_not_count():
    trigger = Trigger(Schedule(first=10, interval_s=None))
    assert fired(trigger, [window(k, whole=k % 2 == 0, load=k % 4) for k in range(30)]) == [(18, "coreset_full")]


def test_waits_until_the_wearer_was_in_two_states():
    trigger = Trigger(Schedule(first=10, interval_s=None, drift=False))
    calm = [window(k, load=False) for k in range(60)]
    assert fired(trigger, calm) == [], "aligning one state with the source people's mixture does harm"
    stirred = [window(k, load=True) for k in range(60, 80)]
    times = fired(trigger, stirred)
    assert times == [(int(np.ceil(60 * SEEN / (1 - SEEN))) - 1, "coreset_full")]


def test_shares_of_a_distribution_are_no_states_to_wait_for():
    trigger = Trigger(Schedule(first=10, interval_s=None, drift=False), exclusive=False)
    assert fired(trigger, [window(k, load=False) for k in range(20)]) == [(9, "coreset_full")]
    assert trigger.waits == ""


def test_drift_asks_but_never_within_the_gap():
    trigger = Trigger(Schedule(first=4, min_gap_s=300, interval_s=None))
    stream = [window(k) for k in range(40)]
    assert fired(trigger, stream) == [(3, "coreset_full")]
    trigger.drift.rebase(np.stack([w.embedding for w in stream]), 0.5)
    moved = [window(k, embedding=3.0) for k in range(40, 120)]
    assert next((k + 40, reason) for k, reason in fired(trigger, moved)) == (63, "drift")


def test_drift_has_hysteresis():
    drift = Drift(n=12)
    drift.rebase(np.stack([window(k).embedding for k in range(100)]), 0.5)
    flags = [drift.look(window(k)) for k in range(30)]
    assert not any(flags)
    assert any(drift.look(window(k, embedding=2.0)) for k in range(30, 60))
    assert drift.look(window(60, embedding=0.9)), "still on between the limits"
    assert not [drift.look(window(k)) for k in range(61, 100)][-1]


def test_refusals_double_the_gap():
    trigger = Trigger(Schedule(first=2, min_gap_s=50, interval_s=50, drift=False))
    times = []
    for k in range(200):
        if trigger.look(decision := window(k)):
            trigger.started(decision.features.t_end_s)
            trigger.ended(ok=True, refused=True)
            times.append(decision.features.t_end_s)
    gaps = np.diff(times)
    assert gaps.tolist() == pytest.approx([100, 200, 400], abs=5)


def test_three_failures_switch_it_off_until_asked():
    trigger = Trigger(Schedule(first=2, min_gap_s=0, interval_s=5, drift=False))
    assert [trigger.ended(ok=False) for _ in range(3)] == [False, False, True]
    assert fired(trigger, [window(k) for k in range(20)]) == []
    trigger.ask()
    assert fired(trigger, [window(20)]) == [(0, "command")]
