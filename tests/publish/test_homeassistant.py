"""Home Assistant's discovery: retained, complete, and sent again on its birth."""

from __future__ import annotations

import json
from collections.abc import Callable

from streamaffect.messages import Emotion, Info, Topics
from streamaffect.publish.address import BrokerUrl
from streamaffect.publish.homeassistant import Discovery, discoveries
from streamaffect.publish.mqtt import Publisher

CONFIG = "homeassistant/device/streamaffect_lab_s1/config"


async def test_discovery_is_retained_and_sent_again_on_birth(mosquitto, listen, until_async, say, info: Info) -> None:
    async with Publisher(BrokerUrl.parse(mosquitto.url), "lab", info, home_assistant=True) as publisher:
        assert await publisher.drain()
        listener = listen(mosquitto.port, "homeassistant/device/#", "-F", "%r %t")
        await until_async(lambda: listener.lines == [f"1 {CONFIG}"])
        await say(mosquitto.port, "homeassistant/status", "offline")
        await say(mosquitto.port, "homeassistant/status", "online")
        await until_async(lambda: listener.lines == [f"1 {CONFIG}", f"0 {CONFIG}"])


async def test_nothing_is_announced_unless_asked(mosquitto, listen, until_async, say, info: Info) -> None:
    async with Publisher(BrokerUrl.parse(mosquitto.url), "lab", info) as publisher:
        assert await publisher.drain()
        listener = listen(mosquitto.port, "#", "-F", "%t")
        await say(mosquitto.port, "end", "of the retained")
        await until_async(lambda: listener.lines[-1:] == ["end"])
    assert not any(line.startswith("homeassistant") for line in listener.lines)


def test_every_sensor_reads_what_is_published(info: Info, make_emotion: Callable[[int], Emotion]) -> None:
    [discovery] = discoveries("lab", info)
    assert discovery.topic == CONFIG
    document = json.loads(discovery.to_json())
    topics = Topics("lab")
    assert document["availability_topic"] == topics.availability
    sensors = document["components"]
    assert len({sensor["unique_id"] for sensor in sensors.values()}) == len(sensors)
    assert sensors["label"]["options"] == info.classes
    emotion = json.loads(make_emotion(0).to_json())
    for sensor in sensors.values():
        assert sensor["state_topic"] in {topics.emotion_last("s1"), topics.model("s1")}
        assert sensor["platform"] == "sensor"
    assert [sensors[f"probability_{n}"]["value_template"] for n in range(2)] == [
        '{{ value_json.probabilities["rest"] * 100 }}',
        '{{ value_json.probabilities["load"] * 100 }}',
    ]
    for key in ("label", "confidence", "valence", "arousal"):
        assert sensors[key]["value_template"].removeprefix("{{ value_json.").split(" ")[0] in emotion


def test_class_names_are_quoted_in_templates() -> None:
    discovery = Discovery("lab", "s1", ('say "cheese"',), "0")
    sensor = json.loads(discovery.to_json())["components"]["probability_0"]
    assert sensor["value_template"] == '{{ value_json.probabilities["say \\"cheese\\""] * 100 }}'
