"""The publisher's settings."""

from __future__ import annotations

from dataclasses import dataclass

from streamaffect.publish.connection import Protocol
from streamaffect.publish.outbox import CAPACITY


@dataclass(frozen=True, slots=True)
class PublisherSettings:
    """Times in seconds."""

    protocol: Protocol = "5"
    start_timeout_s: float | None = 10.0  # never reached for so long: give up; None: try for ever
    keepalive_s: int = 10
    ack_timeout_s: float = 5.0  # a message unacknowledged for so long: the connection is dead
    backoff_min_s: float = 0.25
    backoff_max_s: float = 5.0
    # A restarted broker has forgotten its subscribers, who come back with a back-off of their own. Before the backlog
    # goes out they get as long as the outage took, at most this: what nobody subscribes to, a broker throws away.
    settle_max_s: float = 5.0
    # HiveMQ takes 10 unacknowledged messages, Mosquitto 20, EMQX 32; paho does not heed the limit a broker announces.
    max_in_flight: int = 10
    outbox_capacity: int = CAPACITY
    emotion_expiry_s: int = 3600
    latest_interval_s: float = 1.0  # of emotion/last and signal
    drain_timeout_s: float = 5.0
    command_timeout_s: float = 5.0
