"""A node does not live on without its publisher."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pylsl
import pytest
from pydantic_core import PydanticSerializationError

from streamaffect import config
from streamaffect.messages import Event, EventType
from streamaffect.runtime.node import Node, plan


@pytest.fixture
def silent_shimmer() -> Iterator[None]:
    info = pylsl.StreamInfo("shimmer-main-job", "ECG", 1, 256, "float32", "shimmer-main-job")
    info.desc().append_child("channels").append_child("channel").append_child_value("unit", "mV")
    outlet = pylsl.StreamOutlet(info)
    yield
    del outlet


@pytest.mark.usefixtures("silent_shimmer")
async def test_run_ends_with_what_ended_publishing(mosquitto, listen, until_async, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("STREAMAFFECT_HOME", str(tmp_path))
    told = {
        ("subjects", "0", "device"): "shimmer",
        ("subjects", "0", "stream", "name"): "shimmer-main-job",
        ("adaptation", "method"): "source",
        ("broker", "url"): mosquitto.url,
    }
    listener = listen(mosquitto.port, "streamaffect/v1/local/availability")
    node = Node(plan(config.load(None, told, {})), lambda *_: None)
    ready = asyncio.Event()
    async with asyncio.timeout(30):
        running = asyncio.create_task(node.run(ready))
        await asyncio.wait({running, asyncio.ensure_future(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
        assert not running.done(), running.exception()
        assert node.publisher is not None
        unwritable = Event.model_construct(
            session=uuid4(), subject="wearer", t_publish=0.0, type=EventType.GAP, detail={"x": object()}
        )
        node.publisher.publish_event(unwritable)
        with pytest.raises(ExceptionGroup) as caught:
            await running
    assert caught.group_contains(PydanticSerializationError)
    await until_async(lambda: listener.lines == ["online", "offline"])
