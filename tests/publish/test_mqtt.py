"""The publisher against real brokers: contract, last will, refusals, commands."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pydantic_core import PydanticSerializationError

from streamaffect.errors import BrokerError, UsageError
from streamaffect.messages import (
    Answer,
    Command,
    Emotion,
    Event,
    EventType,
    Info,
    ModelInfo,
    SignalState,
    StreamState,
    parse,
)
from streamaffect.publish.address import BrokerUrl
from streamaffect.publish.mqtt import Publisher
from streamaffect.publish.settings import PublisherSettings

Make = Callable[[int], Emotion]
SESSION = uuid.UUID(int=7)


@pytest.fixture(params=["mosquitto", "mosquitto 3.1.1", "embedded", "embedded 3.1.1"])
def anywhere(request: pytest.FixtureRequest) -> tuple[BrokerUrl, int, PublisherSettings]:
    """Each broker by each protocol: where to publish, the port to listen on with 3.1.1, and the settings."""
    kind, _, version = request.param.partition(" ")
    settings = PublisherSettings(protocol="3.1.1" if version else "5")
    if kind == "mosquitto":
        broker = request.getfixturevalue("mosquitto")
        return BrokerUrl.parse(broker.url), broker.port, settings
    broker = request.getfixturevalue("embedded_broker")
    return (replace(broker.url, port=broker.port) if version else broker.url), broker.port, settings


async def test_messages_arrive_in_order_between_online_and_offline(
    anywhere, listen, until_async, info: Info, make_emotion: Make
) -> None:
    url, port, settings = anywhere
    listener = listen(port, "streamaffect/#", "-F", "%t %p")
    async with Publisher(url, "lab", info, settings=settings) as publisher:
        for seq in range(100):
            publisher.publish_emotion(make_emotion(seq))
    await until_async(lambda: listener.lines[-1:] == ["streamaffect/v1/lab/availability offline"])
    split = [line.partition(" ")[::2] for line in listener.lines]
    assert split[0] == ("streamaffect/v1/lab/availability", "online")
    seen = [json.loads(payload) for topic, payload in split if topic == "streamaffect/v1/lab/s1/emotion"]
    assert [emotion["seq"] for emotion in seen] == list(range(100))
    assert not any(emotion["late"] for emotion in seen)
    assert [parse(payload) for topic, payload in split if topic == "streamaffect/v1/lab/info"] == [info]
    last = [json.loads(payload)["seq"] for topic, payload in split if topic == "streamaffect/v1/lab/s1/emotion/last"]
    assert last[-1] == 99
    assert len(last) <= 2, "retained, at most once a second and once more at the end"


async def test_every_kind_of_message_has_its_topic_and_retention(anywhere, listen, until_async, info: Info) -> None:
    url, port, settings = anywhere
    of = {"session": SESSION, "subject": "s1", "t_publish": 1.0}
    model = ModelInfo(**of, name="m", version=2, parent=1, method="dynamic", sha256="a" * 12, since_seq=40)
    state = SignalState(**of, streams={"shimmer": StreamState(modality="ecg", state="running", rate_nominal=256.0)})
    event = Event(**of, type=EventType.GAP, detail={"stream": "shimmer", "gap_s": 0.4})
    listener = listen(port, "streamaffect/v1/lab/s1/+", "-F", "%t %p")
    async with Publisher(url, "lab", info, settings=settings) as publisher:
        publisher.publish_model(model)
        publisher.publish_signal(state)
        publisher.publish_event(event)
        assert await publisher.drain()
        await until_async(lambda: len(listener.lines) == 3)
        retained = listen(port, "streamaffect/#", "-F", "%t %r")
        await until_async(lambda: len(retained.lines) == 3)
    seen = {topic.rpartition("/")[2]: parse(payload) for topic, _, payload in (line.partition(" ") for line in listener.lines)}
    assert seen == {"model": model, "signal": state, "event": event}
    expected = {f"streamaffect/v1/lab/{topic} 1" for topic in ("availability", "info", "s1/model")}
    assert set(retained.lines[:3]) == expected


async def test_mqtt5_messages_name_their_content_and_schema_and_expire(
    mosquitto, listen, until_async, info: Info, make_emotion: Make
) -> None:
    listener = listen(mosquitto.port, "streamaffect/+/+/+/emotion", "-V", "5", "-F", "%C %P %E")
    async with Publisher(BrokerUrl.parse(mosquitto.url), "lab", info) as publisher:
        publisher.publish_emotion(make_emotion(0))
        await until_async(lambda: listener.lines)
    assert listener.lines == ["application/json schema:streamaffect.emotion/1 3600"]


_VICTIM = """
import asyncio, sys, uuid
from streamaffect.messages import Info
from streamaffect.publish.address import BrokerUrl
from streamaffect.publish.mqtt import Publisher
from streamaffect.publish.settings import PublisherSettings
async def main(port, protocol, properties):
    url = BrokerUrl("mqtt", "127.0.0.1", int(port), properties=properties == "True")
    info = Info(version="0", session=uuid.UUID(int=1), subjects=["s1"], classes=["a", "b"])
    async with Publisher(url, "victim", info, settings=PublisherSettings(protocol=protocol)) as publisher:
        await publisher.drain()
        print("ready", flush=True)
        await asyncio.Event().wait()
asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def victim(anywhere) -> Iterator[subprocess.Popen[str]]:
    """A publisher in a process of its own, connected."""
    url, _, settings = anywhere
    command = [sys.executable, "-c", _VICTIM, str(url.port), settings.protocol, str(url.properties)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


async def test_killed_publisher_leaves_its_last_will(anywhere, victim, listen, until_async) -> None:
    _, port, _ = anywhere
    listener = listen(port, "streamaffect/v1/victim/availability")
    await until_async(lambda: listener.lines == ["online"])
    os.kill(victim.pid, signal.SIGKILL)
    await until_async(lambda: listener.lines == ["online", "offline"])
    afterwards = listen(port, "streamaffect/v1/victim/availability", "--retained-only")
    await until_async(lambda: afterwards.lines == ["offline"])


async def test_cancelled_publisher_says_offline(mosquitto, listen, until_async, info: Info) -> None:
    publisher = Publisher(BrokerUrl.parse(mosquitto.url), "lab", info)
    running = asyncio.create_task(publisher.run())
    await publisher.wait_connected()
    listener = listen(mosquitto.port, "streamaffect/v1/lab/availability")
    await until_async(lambda: listener.lines == ["online"])
    running.cancel()
    await asyncio.wait({running}, timeout=5)
    assert running.cancelled()
    await until_async(lambda: listener.lines == ["online", "offline"])


async def test_broker_never_reached_is_one_helpful_line(free_port: int, info: Info, impatient: PublisherSettings) -> None:
    publisher = Publisher(BrokerUrl.parse(f"mqtt://127.0.0.1:{free_port}"), "lab", info, settings=impatient)
    began = time.monotonic()
    with pytest.raises(
        BrokerError, match=rf"^no MQTT 5 broker answers at mqtt://127.0.0.1:{free_port} within 0.5 s .*embedded$"
    ):
        await publisher.__aenter__()
    assert time.monotonic() - began < 2


async def test_late_broker_is_waited_for(mosquitto, until_async, info: Info, impatient: PublisherSettings) -> None:
    mosquitto.kill()
    settings = replace(impatient, start_timeout_s=None)
    publisher = Publisher(BrokerUrl.parse(mosquitto.url), "lab", info, settings=settings)
    running = asyncio.create_task(publisher.run())
    began = time.monotonic()
    await until_async(lambda: time.monotonic() - began > 0.5)
    assert not publisher.statistics().connected
    mosquitto.start()
    assert await publisher.drain(5)
    publisher.close()
    await running


async def test_password_from_address_or_environment_lets_us_in(
    mosquitto_with_password, info: Info, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broker = mosquitto_with_password
    address = f"mqtt://river:correct%20horse@127.0.0.1:{broker.port}"
    nameless = address.replace(":correct%20horse", "")
    async with Publisher(BrokerUrl.parse(address), "lab", info) as publisher:
        assert await publisher.drain()
    monkeypatch.setenv("STREAMAFFECT_MQTT_PASSWORD", broker.password)
    async with Publisher(BrokerUrl.parse(nameless), "lab", info) as publisher:
        assert await publisher.drain()
    monkeypatch.delenv("STREAMAFFECT_MQTT_PASSWORD")
    (tmp_path / "secret").write_text(f"{broker.password}\n")
    monkeypatch.setenv("STREAMAFFECT_MQTT_PASSWORD_FILE", str(tmp_path / "secret"))
    async with Publisher(BrokerUrl.parse(nameless), "lab", info) as publisher:
        assert await publisher.drain()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("user", ["", "river:wrong@", "stranger@"])
async def test_refused_publisher_says_why_at_once(mosquitto_with_password, info: Info, user: str, protocol) -> None:
    url = BrokerUrl.parse(f"mqtt://{user}127.0.0.1:{mosquitto_with_password.port}")
    publisher = Publisher(url, "lab", info, settings=PublisherSettings(protocol=protocol))
    began = time.monotonic()
    with pytest.raises(BrokerError, match=r"^broker mqtt://.* .*authorised.*STREAMAFFECT_MQTT_PASSWORD$") as caught:
        await publisher.__aenter__()
    assert "wrong" not in str(caught.value), "the password stays out of messages"
    assert time.monotonic() - began < 2


async def answers_to(port: int, *payloads: str, unanswerable: str | None = None) -> list[tuple[bytes, Answer]]:
    """What a client of MQTT 5 gets back, in order, with its correlation data. Before them it sends ``unanswerable``, a
    command to be answered where no answer can go."""
    answers = []
    async with asyncio.timeout(10), aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe("replies/me", qos=1)
        if unanswerable is not None:
            properties = Properties(PacketTypes.PUBLISH)
            properties.ResponseTopic = "a/#"
            await client.publish("streamaffect/v1/lab/s1/command", unanswerable, qos=1, properties=properties)
        for number, payload in enumerate(payloads):
            properties = Properties(PacketTypes.PUBLISH)
            properties.ResponseTopic, properties.CorrelationData = "replies/me", b"%d" % number
            await client.publish("streamaffect/v1/lab/s1/command", payload, qos=1, properties=properties)
        async for message in client.messages:
            answers.append((message.properties.CorrelationData, Answer.from_json(message.payload)))
            if len(answers) == len(payloads):
                break
    return answers


@pytest.mark.parametrize("anywhere", ["mosquitto", "embedded"], indirect=True)
async def test_commands_are_obeyed_and_answered(anywhere, info: Info) -> None:
    url, _, settings = anywhere
    obeyed: list[tuple[str, Command]] = []

    async def handler(subject: str, command: Command) -> Answer:
        obeyed.append((subject, command))
        if command.command == "adapt":
            raise UsageError("an adaptation is running already")
        if command.command == "pause":
            await asyncio.Event().wait()
        return Answer(command=command.command, ok=True)

    settings = replace(settings, command_timeout_s=0.2)
    async with Publisher(url, "lab", info, on_command=handler, settings=settings) as publisher:
        assert await publisher.drain()
        wishes = ('{"command":"mark","label":"stress"}', '{"command":"adapt"}', "rubbish", '{"command":"pause"}')
        got = await answers_to(url.port, *wishes)
    assert [correlation for correlation, _ in got] == [b"0", b"1", b"2", b"3"]
    assert [answer.ok for _, answer in got] == [True, False, False, False]
    assert got[1][1].error == "an adaptation is running already"
    assert got[3][1].error == "not done within 0.2 s"
    assert obeyed[0] == ("s1", Command(command="mark", label="stress"))
    assert len(obeyed) == 3


@pytest.mark.parametrize("anywhere", ["mosquitto", "embedded"], indirect=True)
async def test_no_command_ends_publishing(anywhere, info: Info, caplog: pytest.LogCaptureFixture) -> None:
    url, _, settings = anywhere

    async def handler(subject: str, command: Command) -> Answer:
        if command.command == "adapt":
            raise OSError("disk full")
        return Answer(command=command.command, ok=True)

    async with Publisher(url, "lab", info, on_command=handler, settings=settings) as publisher:
        assert await publisher.drain()
        wishes = ('{"command":"adapt"}', '{"command":"pause"}')
        got = await answers_to(url.port, *wishes, unanswerable='{"command":"resume"}')
        assert publisher.statistics().reconnects == 0
    assert [(answer.ok, answer.error) for _, answer in got] == [(False, "OSError: disk full"), (True, None)]
    assert "no answer to topic 'a/#'" in caplog.text
    assert "Traceback" in caplog.text


async def test_who_waits_for_the_end_of_publishing_learns_why(mosquitto, info: Info) -> None:
    unwritable = Event.model_construct(session=SESSION, subject="s1", t_publish=0.0, type=EventType.GAP, detail={"x": object()})
    publisher = Publisher(BrokerUrl.parse(mosquitto.url), "lab", info)
    async with asyncio.timeout(10):
        await publisher.__aenter__()
        waiting = asyncio.create_task(publisher.wait_ended())
        await asyncio.wait({waiting}, timeout=0.05)
        waiting.cancel()
        assert await publisher.drain(), "who gives up waiting does not end it"
        publisher.publish_event(unwritable)
        with pytest.raises(ExceptionGroup) as caught:
            await publisher.wait_ended()
    assert caught.group_contains(PydanticSerializationError)


async def test_commands_are_off_unless_enabled_and_old_ones_are_not_obeyed(mosquitto, info: Info, until_async, say) -> None:
    obeyed: list[str] = []

    async def handler(subject: str, command: Command) -> Answer:
        obeyed.append(command.command)
        return Answer(command=command.command, ok=True)

    topic = "streamaffect/v1/lab/s1/command"
    await say(mosquitto.port, topic, '{"command":"rollback"}', "-r")
    async with Publisher(BrokerUrl.parse(mosquitto.url), "lab", info, on_command=handler) as publisher:
        assert await publisher.drain()
        await say(mosquitto.port, topic, '{"command":"adapt"}')
        await until_async(lambda: obeyed)
    assert obeyed == ["adapt"]
    async with Publisher(BrokerUrl.parse(mosquitto.url), "lab", info) as publisher:
        assert await publisher.drain()
        await say(mosquitto.port, topic, '{"command":"adapt"}')
    assert obeyed == ["adapt"]
