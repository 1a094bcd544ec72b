"""Messages to publish."""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from collections.abc import Awaitable, Callable

import pytest

from streamaffect.messages import Emotion, Info, ModelRef
from streamaffect.publish.settings import PublisherSettings

SESSION = uuid.UUID("6f9619ff-8b86-4d01-b42d-00cf4fc964ff")


@pytest.fixture
def info() -> Info:
    return Info(version="0.1.0", session=SESSION, subjects=["s1"], classes=["rest", "load"])


@pytest.fixture
def make_emotion() -> Callable[[int], Emotion]:
    def make(seq: int) -> Emotion:
        return Emotion(
            session=SESSION,
            subject="s1",
            seq=seq,
            t_start=1_700_000_000.0 + seq,
            t_end=1_700_000_010.0 + seq,
            t_publish=1_700_000_010.0 + seq,
            lsl_end=10.0 + seq,
            probabilities={"rest": 0.75, "load": 0.25},
            label="rest",
            confidence=0.75,
            entropy=0.81,
            abstained=False,
            reason=None,
            valence=0.2,
            arousal=-0.4,
            quality={"ecg": 0.9, "eeg": None},
            coverage=1.0,
            model=ModelRef(name="ecg-load", version=1, method="dynamic", sha256="0123456789ab"),
        )

    return make


@pytest.fixture
def say() -> Callable[..., Awaitable[None]]:
    """``await say(port, topic, payload, *options)``: mosquitto_pub, QoS 1."""

    async def run(port: int, topic: str, payload: str, *options: str) -> None:
        command = ["mosquitto_pub", "-p", str(port), "-q", "1", "-t", topic, "-m", payload, *options]
        await asyncio.to_thread(subprocess.run, command, check=True, timeout=10)

    return run


@pytest.fixture
def impatient() -> PublisherSettings:
    """Short times, so that an outage in a test is short."""
    return PublisherSettings(
        start_timeout_s=0.5, keepalive_s=2, ack_timeout_s=0.5, backoff_min_s=0.05, backoff_max_s=0.2, settle_max_s=1.5
    )
