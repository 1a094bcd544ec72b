"""The outbox: whatever happens to the connection, order holds and nothing but the counted oldest is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamaffect.messages import Answer
from streamaffect.publish.outbox import Entry, Outbox


def entry(number: int, topic: str = "t", *, retain: bool = False) -> Entry:
    return Entry(topic, Answer(command=str(number), ok=True), qos=1, retain=retain)


def number(entry: Entry) -> int:
    assert isinstance(entry.message, Answer)
    return int(entry.message.command or -1)


@given(st.lists(st.sampled_from(["put", "put", "take", "acknowledge", "lose", "flow"])), st.integers(1, 8))
def test_order_holds_and_only_the_counted_oldest_are_lost(steps: list[str], capacity: int) -> None:
    outbox = Outbox(capacity)
    put = 0
    sent: list[Entry] = []
    delivered: list[int] = []
    dropped: list[int] = []
    for step in steps:
        if step == "put":
            if (victim := outbox.put(entry(put))) is not None:
                dropped.append(number(victim))
            put += 1
        elif step == "take" and (taken := outbox.take(0.0)) is not None:
            sent.append(taken)
        elif step == "acknowledge" and sent:
            acknowledged = sent.pop(0)
            outbox.acknowledge(acknowledged)
            delivered.append(number(acknowledged))
        elif step == "lose":
            outbox.stop_flowing()
            sent.clear()
        elif step == "flow":
            outbox.start_flowing()
        statistics = outbox.statistics()
        assert statistics.waiting + statistics.in_flight <= capacity + 1
    for remaining in sent:
        outbox.acknowledge(remaining)
        delivered.append(number(remaining))
    while (taken := outbox.take(0.0)) is not None:
        outbox.acknowledge(taken)
        delivered.append(number(taken))
    assert delivered == sorted(delivered)
    assert sorted(delivered + dropped) == list(range(put))
    assert outbox.empty
    assert outbox.statistics()[2:4] == (len(delivered), len(dropped))


def test_late_is_what_was_put_or_unacknowledged_in_an_outage() -> None:
    outbox = Outbox()
    outbox.start_flowing()
    on_time, interrupted, waiting, offline, back = (entry(n) for n in range(5))
    outbox.put(on_time)
    outbox.put(interrupted)
    outbox.put(waiting)
    assert outbox.take(0.0) is on_time
    outbox.acknowledge(on_time)
    assert outbox.take(0.0) is interrupted
    outbox.stop_flowing()
    outbox.put(offline)
    outbox.start_flowing()
    outbox.put(back)
    assert [outbox.take(0.0) for _ in range(4)] == [interrupted, waiting, offline, back]
    assert [each.late for each in (on_time, interrupted, waiting, offline, back)] == [False, True, True, True, False]


def test_latest_leaves_at_most_once_an_interval_and_the_last_one_always() -> None:
    outbox = Outbox()
    left = []
    for tick in range(11):  # ten a second for a second
        outbox.put_latest("k", entry(tick), interval_s=1.0)
        if (taken := outbox.take(tick / 10)) is not None:
            left.append((tick / 10, number(taken)))
            outbox.acknowledge(taken)
    assert left == [(0.0, 0), (1.0, 10)]
    outbox.put_latest("k", entry(11), interval_s=1.0)
    assert outbox.take(1.5) is None
    assert outbox.next_due_s() == 2.0
    assert not outbox.empty
    flushed = outbox.take(1.5, flush=True)
    assert flushed is not None
    assert number(flushed) == 11
    assert outbox.statistics().replaced == 9


def test_lost_connection_brings_back_the_retained_and_the_unacknowledged_latest() -> None:
    outbox = Outbox()
    outbox.start_flowing()
    for key, retain in (("retained", True), ("seen", False), ("unseen", False)):
        outbox.put_latest(key, entry(0, key, retain=retain))
    retained, seen, unseen = (outbox.take(0.0) for _ in range(3))
    assert retained is not None
    assert seen is not None
    assert unseen is not None
    outbox.acknowledge(retained)
    outbox.acknowledge(seen)
    outbox.put_latest("new", entry(1, "new"))
    overtaken = outbox.take(0.0)
    outbox.put_latest("new", entry(2, "new"))
    assert overtaken is not None
    outbox.stop_flowing()
    again = [taken for _ in range(5) if (taken := outbox.take(0.0)) is not None]
    assert [(each.topic, number(each)) for each in again] == [("retained", 0), ("unseen", 0), ("new", 2)]


def test_capacity_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Outbox(0)
