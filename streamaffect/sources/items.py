"""What a source yields beside chunks, and what it tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from streamaffect.signals import Chunk


class SourceState(StrEnum):
    IDLE = "idle"  # not opened yet
    LIVE = "live"  # samples arrive
    LOST = "lost"  # none do; looking for the stream
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class StreamLost:
    """No more samples come. ``at_s``: LSL time of the last one; ``reason``: one line for people."""

    at_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class StreamRecovered:
    """Samples come again. ``at_s``: LSL time of the first one; ``gap_s``: the time without samples.

    ``gap_s`` is negative where the sender's clock went back (a sender restarted, a replay begun anew): windows must
    then start afresh, for time stamps increase strictly only between two such events.
    """

    at_s: float
    gap_s: float


SourceItem: TypeAlias = Chunk | StreamLost | StreamRecovered


class SourceStats(NamedTuple):
    state: SourceState
    nominal_rate: float  # Hz, that of the StreamSpec
    measured_rate: float  # Hz over the last 30 s of time stamps, holes and lost samples included; NaN before 1 s of them
    samples: int  # received since opening
    dropped_chunks: int  # pushed out of the full hand-over queue, the oldest first
    dropped_samples: int  # the samples in them
    queued_s: float  # seconds of samples waiting in that queue
    retimed_samples: int  # whose time stamp did not increase and was set 1 us after the one before
    losses: int  # StreamLost events
    last_timestamp_s: float  # LSL time of the newest sample; NaN before the first
    last_arrival_age_s: float  # wall seconds since samples last arrived (or since opening)
    utc_offset_s: float  # UTC = LSL time + this; read afresh at each call
