"""What waits to be sent: a bounded queue in order, and the topics of which only the latest counts."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple, Protocol

CAPACITY = 10_000


class Payload(Protocol):
    """A message of the contract, or what looks like one."""

    def to_json(self) -> bytes: ...

    def schema_name(self) -> str: ...


@dataclass(slots=True, eq=False)
class Entry:
    """One message on its way. ``late``: it waited out an outage. ``expiry_s``: how long a broker may hold it back."""

    topic: str
    message: Payload
    qos: int
    retain: bool = False
    expiry_s: int | None = None
    late: bool = False


class OutboxStatistics(NamedTuple):
    waiting: int  # in order, not yet sent
    in_flight: int  # sent, not yet acknowledged
    sent: int  # acknowledged
    dropped: int  # the oldest, for want of room
    replaced: int  # latest-only messages that a newer one overtook


@dataclass(slots=True)
class _Slot:
    entry: Entry
    interval_s: float
    pending: bool = True
    sent_s: float = -math.inf


class Outbox:
    """Pure and single-threaded; times are the caller's monotonic seconds.

    Entries leave when acknowledged, so a lost connection loses none: what was in flight goes first again, in order.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        if capacity < 1:
            raise ValueError(f"outbox capacity must be at least 1, got {capacity}")
        self.capacity = capacity
        self._waiting: deque[Entry] = deque()
        self._in_flight: dict[int, Entry] = {}  # by id(): in the order of sending
        self._latest_in_flight: dict[int, Entry] = {}
        self._slots: dict[str, _Slot] = {}
        self._flowing = False
        self._sent = self._dropped = self._replaced = 0

    def put(self, entry: Entry) -> Entry | None:
        """Queue an entry behind all others; the oldest one, which had to go, comes back when there was no room."""
        entry.late = entry.late or not self._flowing
        self._waiting.append(entry)
        if len(self._waiting) + len(self._in_flight) <= self.capacity or len(self._waiting) == 1:
            return None
        self._dropped += 1
        return self._waiting.popleft()

    def put_latest(self, key: str, entry: Entry, interval_s: float = 0.0) -> None:
        """Replace what waits under ``key``; leaves at most every ``interval_s``, and the last one always leaves."""
        entry.late = entry.late or not self._flowing
        slot = self._slots.get(key)
        if slot is None:
            self._slots[key] = _Slot(entry, interval_s)
            return
        self._replaced += slot.pending
        slot.entry, slot.interval_s, slot.pending = entry, interval_s, True

    def take(self, now_s: float, *, flush: bool = False) -> Entry | None:
        """The next entry to send, now in flight; ``flush`` ignores the intervals. None: nothing to send yet."""
        for slot in self._slots.values():
            if slot.pending and (flush or slot.sent_s + slot.interval_s <= now_s):
                slot.pending, slot.sent_s = False, now_s
                self._latest_in_flight[id(slot.entry)] = slot.entry
                return slot.entry
        if not self._waiting:
            return None
        entry = self._waiting.popleft()
        self._in_flight[id(entry)] = entry
        return entry

    def next_due_s(self) -> float | None:
        """When the next held-back latest entry may leave."""
        return min((slot.sent_s + slot.interval_s for slot in self._slots.values() if slot.pending), default=None)

    def acknowledge(self, entry: Entry) -> None:
        self._sent += 1
        if self._in_flight.pop(id(entry), None) is None:
            del self._latest_in_flight[id(entry)]

    def start_flowing(self) -> None:
        """What is put from now on is on time."""
        self._flowing = True

    def stop_flowing(self) -> None:
        """The connection is lost: all that is here, and all that comes until it flows again, is late.

        Retained entries go out again too: a broker that was restarted may have forgotten them.
        """
        self._flowing = False
        for slot in self._slots.values():
            slot.pending = slot.pending or slot.entry.retain or id(slot.entry) in self._latest_in_flight
            slot.entry.late, slot.sent_s = True, -math.inf
        self._latest_in_flight.clear()
        self._waiting.extendleft(reversed(self._in_flight.values()))
        self._in_flight.clear()
        for entry in self._waiting:
            entry.late = True

    @property
    def empty(self) -> bool:
        in_flight = self._in_flight or self._latest_in_flight
        return not (self._waiting or in_flight or any(slot.pending for slot in self._slots.values()))

    def statistics(self) -> OutboxStatistics:
        in_flight = len(self._in_flight) + len(self._latest_in_flight)
        return OutboxStatistics(len(self._waiting), in_flight, self._sent, self._dropped, self._replaced)
