"""Broker outages: everything arrives, in order, and says that it is late."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable
from dataclasses import replace

from streamaffect.messages import Emotion, EventType, Info
from streamaffect.publish.address import BrokerUrl
from streamaffect.publish.mqtt import Publisher
from streamaffect.publish.settings import PublisherSettings

Make = Callable[[int], Emotion]


def emotions(listener) -> list[dict]:
    return [json.loads(line) for line in listener.lines]


async def test_killed_broker_loses_nothing_and_the_backlog_is_late(
    mosquitto, listen, until_async, info: Info, make_emotion: Make, impatient: PublisherSettings
) -> None:
    listener = listen(mosquitto.port, "streamaffect/v1/lab/s1/emotion")
    async with Publisher(BrokerUrl.parse(mosquitto.url), "lab", info, settings=impatient) as publisher:
        for seq in range(20):
            publisher.publish_emotion(make_emotion(seq))
        assert await publisher.drain()
        mosquitto.kill()
        began = time.monotonic()
        await until_async(lambda: not publisher.statistics().connected)
        for seq in range(20, 60):
            publisher.publish_emotion(make_emotion(seq))
        # mosquitto_sub tries every second: the outage is longer than that, so the settling time lets it come back first
        await until_async(lambda: time.monotonic() - began > 1.5)
        mosquitto.start()
        await until_async(lambda: publisher.statistics().connected)
        assert await publisher.drain(10)
        for seq in range(60, 70):
            publisher.publish_emotion(make_emotion(seq))
        await until_async(lambda: len(listener.lines) >= 70)
    seen = emotions(listener)
    assert [emotion["seq"] for emotion in seen] == list(range(70))
    assert [emotion["seq"] for emotion in seen if emotion["late"]] == list(range(20, 60))
    assert all(emotion["t_publish"] > 1_700_100_000 for emotion in seen), "stamped as sent"


async def test_messages_published_across_repeated_outages_keep_their_order(
    mosquitto, listen, until_async, info: Info, make_emotion: Make, impatient: PublisherSettings
) -> None:
    listener = listen(mosquitto.port, "streamaffect/v1/lab/s1/emotion")

    total = 0

    async def stream(publisher: Publisher, ended: asyncio.Event) -> None:
        nonlocal total
        while not ended.is_set():
            publisher.publish_emotion(make_emotion(total))
            total += 1
            await asyncio.sleep(0.01)  # the rate of the stream

    def caught_up(count: int) -> bool:
        """The subscriber has all but the newest few: a broker killed amid a backlog takes with it what it acknowledged and
        still had queued for a subscriber, which no publisher can know."""
        return len(listener.lines) > count + 20 and emotions(listener)[-1]["seq"] >= total - 3

    async with Publisher(BrokerUrl.parse(mosquitto.url), "lab", info, settings=impatient) as publisher:
        ended = asyncio.Event()
        streaming = asyncio.create_task(stream(publisher, ended))
        for _ in range(2):
            count = len(listener.lines)
            await until_async(lambda count=count: caught_up(count), 20)
            mosquitto.kill()
            began = time.monotonic()
            await until_async(lambda began=began: time.monotonic() - began > 1.3)
            mosquitto.start()
        count = len(listener.lines)
        await until_async(lambda: caught_up(count), 20)
        ended.set()
        await streaming
        assert await publisher.drain(10)
        await until_async(lambda: emotions(listener)[-1]["seq"] == total - 1)
    first_seen = list(dict.fromkeys(emotion["seq"] for emotion in emotions(listener)))  # QoS 1 may repeat
    assert first_seen == list(range(total))


async def test_stalled_broker_is_noticed_by_the_missing_acknowledgement(
    mosquitto, listen, until_async, info: Info, make_emotion: Make, impatient: PublisherSettings
) -> None:
    listener = listen(mosquitto.port, "streamaffect/v1/lab/s1/emotion")
    async with Publisher(BrokerUrl.parse(mosquitto.url), "lab", info, settings=impatient) as publisher:
        publisher.publish_emotion(make_emotion(0))
        assert await publisher.drain()
        mosquitto.signal(signal.SIGSTOP)
        for seq in range(1, 30):
            publisher.publish_emotion(make_emotion(seq))
        await until_async(lambda: not publisher.statistics().connected, 3)
        mosquitto.signal(signal.SIGCONT)
        assert await publisher.drain(10)
        await until_async(lambda: emotions(listener)[-1]["seq"] == 29)
        status = listen(mosquitto.port, "streamaffect/v1/lab/availability")
        await until_async(lambda: status.lines)
        assert status.lines == ["online"], "the old connection's last will must not stay"
    first_seen = list(dict.fromkeys(emotion["seq"] for emotion in emotions(listener)))
    assert first_seen == list(range(30))


async def test_restarted_broker_gets_its_retained_messages_back(
    mosquitto, listen, until_async, info: Info, make_emotion: Make, impatient: PublisherSettings
) -> None:
    async with Publisher(BrokerUrl.parse(mosquitto.url), "lab", info, settings=impatient) as publisher:
        publisher.publish_emotion(make_emotion(0))
        assert await publisher.drain()
        mosquitto.kill()
        await until_async(lambda: not publisher.statistics().connected)
        mosquitto.start()
        await until_async(lambda: publisher.statistics().connected)
        assert await publisher.drain()
        listener = listen(mosquitto.port, "streamaffect/#", "--retained-only", "-F", "%t")
        await until_async(lambda: len(listener.lines) == 3)
    topics = {line.removeprefix("streamaffect/v1/lab/") for line in listener.lines}
    assert topics == {"availability", "info", "s1/emotion/last"}


async def test_overflow_drops_the_oldest_and_says_how_many(
    mosquitto, listen, until_async, info: Info, make_emotion: Make, impatient: PublisherSettings
) -> None:
    settings = replace(impatient, outbox_capacity=5)
    async with Publisher(BrokerUrl.parse(mosquitto.url), "lab", info, settings=settings) as publisher:
        assert await publisher.drain()
        mosquitto.kill()
        await until_async(lambda: not publisher.statistics().connected)
        for seq in range(12):
            publisher.publish_emotion(make_emotion(seq))
        assert publisher.statistics().outbox.dropped == 7
        began = time.monotonic()
        await until_async(lambda: time.monotonic() - began > 1.0)  # so long, then, the publisher lets subscribers settle
        mosquitto.start()
        listener = listen(mosquitto.port, "streamaffect/v1/lab/s1/+")
        await until_async(lambda: len(listener.lines) >= 6)
    seen = emotions(listener)
    assert [message["detail"] for message in seen if message.get("type") == EventType.OUTBOX_OVERFLOW] == [{"dropped": 7}]
    assert [message["seq"] for message in seen if "seq" in message] == [7, 8, 9, 10, 11]
