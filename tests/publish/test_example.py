"""The subscriber that the examples offer works against any broker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

from streamaffect.messages import Emotion, Info
from streamaffect.publish.broker import EmbeddedBroker
from streamaffect.publish.mqtt import Publisher

SUBSCRIBE = Path(__file__).parents[2] / "examples" / "subscribe.py"


async def test_subscriber_prints_what_is_published(
    embedded_broker: EmbeddedBroker, info: Info, make_emotion: Callable[[int], Emotion], tmp_path: Path, until_async
) -> None:
    printed = tmp_path / "printed"
    command = [sys.executable, "-u", str(SUBSCRIBE), "127.0.0.1", str(embedded_broker.port)]
    seqs = count()
    with printed.open("w") as output, subprocess.Popen(command, stdout=output) as subscriber:
        async with Publisher(embedded_broker.url, "lab", info) as publisher:

            def published_and_printed() -> str:
                publisher.publish_emotion(make_emotion(next(seqs)))
                return printed.read_text()

            await until_async(published_and_printed)
        subscriber.kill()
    assert "rest {'rest': 0.75, 'load': 0.25}" in printed.read_text()
