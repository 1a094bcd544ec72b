"""Home Assistant finds each wearer as a device: MQTT device discovery (2024.12 and later)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from streamaffect.messages import Info, Topics

BIRTH_TOPIC = "homeassistant/status"
BIRTH = b"online"


@dataclass(frozen=True, slots=True)
class Discovery:
    """One wearer's discovery message, retained under ``topic``."""

    node: str
    subject: str
    classes: tuple[str, ...]
    version: str

    @property
    def identifier(self) -> str:
        return f"streamaffect_{self.node}_{self.subject}"

    @property
    def topic(self) -> str:
        return f"homeassistant/device/{self.identifier}/config"

    def schema_name(self) -> str:
        return "homeassistant.device"

    def to_json(self) -> bytes:
        topics = Topics(self.node)
        document = {
            "device": {
                "identifiers": [self.identifier],
                "name": f"streamaffect {self.node} {self.subject}",
                "sw_version": self.version,
            },
            "origin": {"name": "streamaffect", "sw_version": self.version},
            "availability_topic": topics.availability,
            "qos": 1,
            "components": self._components(topics),
        }
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()

    def _components(self, topics: Topics) -> dict[str, dict[str, Any]]:
        # The retained topic, once a second at most: a restarted Home Assistant has values at once, and a small data base.
        last, model = topics.emotion_last(self.subject), topics.model(self.subject)
        sensors = {
            # A null label renders as None, which is Home Assistant's word for unknown.
            "label": _sensor("Emotion", last, "label") | {"device_class": "enum", "options": list(self.classes)},
            "confidence": _percentage("Confidence", last, "confidence"),
            "valence": _sensor("Valence", last, "valence") | {"state_class": "measurement"},
            "arousal": _sensor("Arousal", last, "arousal") | {"state_class": "measurement"},
            "model": _sensor("Model version", model, "version") | {"entity_category": "diagnostic"},
        }
        for index, name in enumerate(self.classes):
            # JSON's quoting is Jinja's too
            expression = f"probabilities[{json.dumps(name)}]"
            sensors[f"probability_{index}"] = _percentage(f"Probability of {name}", last, expression)
        return {key: sensor | {"unique_id": f"{self.identifier}_{key}"} for key, sensor in sensors.items()}


def discoveries(node: str, info: Info) -> list[Discovery]:
    return [Discovery(node, subject, tuple(info.classes), info.version) for subject in info.subjects]


def _sensor(name: str, topic: str, expression: str) -> dict[str, Any]:
    return {
        "platform": "sensor",
        "name": name,
        "state_topic": topic,
        "value_template": f"{{{{ value_json.{expression} }}}}",
    }


def _percentage(name: str, topic: str, expression: str) -> dict[str, Any]:
    extra = {"unit_of_measurement": "%", "state_class": "measurement", "suggested_display_precision": 0}
    return _sensor(name, topic, f"{expression} * 100") | extra
