"""The contract as an AsyncAPI 3 document, made from the message models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from streamaffect.messages import (
    NAME_PATTERN,
    Answer,
    Command,
    Emotion,
    Event,
    Info,
    Message,
    ModelInfo,
    SignalState,
    json_schema,
)

_ROOT = "streamaffect/v1/{node}"


@dataclass(frozen=True, slots=True)
class Channel:
    """One topic. ``message`` None is plain text; ``action`` is what streamaffect does there."""

    name: str
    address: str | None
    action: Literal["send", "receive"]
    message: type[Message] | None
    qos: int
    retain: bool
    summary: str


CHANNELS = (
    Channel("availability", f"{_ROOT}/availability", "send", None, 1, True, "online or offline, which is the last will"),
    Channel("info", f"{_ROOT}/info", "send", Info, 1, True, "who publishes here"),
    Channel("emotion", f"{_ROOT}/{{subject}}/emotion", "send", Emotion, 1, False, "one message a hop, with expiry"),
    Channel("emotionLast", f"{_ROOT}/{{subject}}/emotion/last", "send", Emotion, 0, True, "for late subscribers; <= 1 Hz"),
    Channel("signal", f"{_ROOT}/{{subject}}/signal", "send", SignalState, 0, False, "the streams' state; <= 1 Hz"),
    Channel("model", f"{_ROOT}/{{subject}}/model", "send", ModelInfo, 1, True, "the model in use"),
    Channel("event", f"{_ROOT}/{{subject}}/event", "send", Event, 1, False, "what happened"),
    Channel("command", f"{_ROOT}/{{subject}}/command", "receive", Command, 1, False, "off unless enabled"),
    Channel("answer", None, "send", Answer, 1, False, "on the command's Response Topic, with its Correlation Data"),
)


def document(version: str) -> dict[str, Any]:
    """AsyncAPI 3.0.0; ``version`` is that of streamaffect."""
    schemas: dict[str, Any] = {}
    messages: dict[str, Any] = {"Availability": {"contentType": "text/plain", "payload": {"enum": ["online", "offline"]}}}
    for kind in filter(None, (channel.message for channel in CHANNELS)):
        schema = json_schema(kind, ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        messages[kind.__name__] = {
            "name": kind.schema_name(),
            "title": kind.__name__,
            "contentType": "application/json",
            "payload": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": schema},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "streamaffect",
            "version": version,
            "description": "Emotion distributions estimated from physiology, over MQTT, contract v1.",
        },
        "defaultContentType": "application/json",
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {f"{channel.action}_{channel.name}": _operation(channel) for channel in CHANNELS},
        "components": {"schemas": schemas, "messages": messages},
    }


def _message_name(channel: Channel) -> str:
    return channel.message.__name__ if channel.message else "Availability"


def _channel(channel: Channel) -> dict[str, Any]:
    name = _message_name(channel)
    parameters = {
        key: {"description": f"{text}; matches {NAME_PATTERN}"}
        for key, text in (("node", "the publishing machine"), ("subject", "a pseudonym of the wearer"))
        if f"{{{key}}}" in (channel.address or "")
    }
    body: dict[str, Any] = {"address": channel.address, "summary": channel.summary}
    body["messages"] = {name: {"$ref": f"#/components/messages/{name}"}}
    return body | ({"parameters": parameters} if parameters else {})


def _operation(channel: Channel) -> dict[str, Any]:
    body: dict[str, Any] = {
        "action": channel.action,
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "messages": [{"$ref": f"#/channels/{channel.name}/messages/{_message_name(channel)}"}],
        "bindings": {"mqtt": {"qos": channel.qos, "retain": channel.retain, "bindingVersion": "0.2.0"}},
    }
    if channel.name == "command":
        body["reply"] = {
            "address": {"location": "$message.header#/responseTopic"},
            "channel": {"$ref": "#/channels/answer"},
        }
    return body
