"""The subscriber that the examples offer works against any broker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from streamaffect.messages import Emotion, Info
from streamaffect.publish.broker import EmbeddedBroker
from streamaffect.publish.mqtt import Publisher

SUBSCRIBE = Path(__file__).parents[2] / "examples" / "subscribe.py"


@pytest.fixture
def printed(embedded_broker: EmbeddedBroker, tmp_path: Path) -> Iterator[Path]:
    """What the running example prints."""
    file = tmp_path / "printed"
    command = [sys.executable, "-u", str(SUBSCRIBE), "127.0.0.1", str(embedded_broker.port)]
    with file.open("w") as output, subprocess.Popen(command, stdout=output) as subscriber:
        yield file
        subscriber.kill()


async def test_subscriber_prints_what_is_published(
    embedded_broker: EmbeddedBroker, info: Info, make_emotion: Callable[[int], Emotion], printed: Path, until_async
) -> None:
    seqs = count()
    async with Publisher(embedded_broker.url, "lab", info) as publisher:

        def published_and_printed() -> bool:
            publisher.publish_emotion(make_emotion(next(seqs)))
            return "rest {'rest': 0.75, 'load': 0.25}" in printed.read_text()

        await until_async(published_and_printed)
