"""What a run is told: flag > ``STREAMAFFECT_*`` > TOML > default, validated as one model."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from streamaffect.errors import UsageError

PREFIX = "STREAMAFFECT_"
_NAME = r"^[a-z0-9_-]{1,32}$"
_HELP = "see 'streamaffect config init'"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StreamChoice(_Section):
    """Which LSL stream is meant, where the device's profile leaves it open. Name and source id may be shell patterns."""

    name: str | None = None
    source_id: str | None = None
    type: str | None = None
    rate: float | None = Field(default=None, gt=0)
    channels: list[str] | None = None
    unit: str | None = None


class SubjectConfig(_Section):
    """One wearer: a pseudonym, the device, and the model to start from (None: the one that fits the device)."""

    id: str = Field(default="wearer", pattern=_NAME)
    device: str = "generic"
    model: str | None = None
    stream: StreamChoice = StreamChoice()


class BrokerConfig(_Section):
    """Where messages go. Passwords come by ``STREAMAFFECT_MQTT_PASSWORD`` or the file it names, never from here."""

    url: str = "embedded"
    protocol: Literal["5", "3.1.1"] = "5"
    commands: bool = Field(default=False, description="obey the command topic")
    home_assistant: bool = Field(default=False, description="announce the wearers to Home Assistant")
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


class AdaptationConfig(_Section):
    """When and how the model becomes the wearer's. Times in seconds of the stream."""

    method: str = "dynamic"
    params: dict[str, JsonValue] = {}
    first: int = Field(default=24, ge=4, description="trustworthy windows before the first adaptation")
    min_gap_s: float = Field(default=120.0, ge=0)
    interval_s: float | None = Field(default=900.0, gt=0)
    drift: bool = True
    fraction: float = Field(default=0.01, gt=0, le=1, description="share of what is remembered that the coreset takes")
    minimum: int = Field(default=64, ge=4, description="least windows in the coreset")
    budget_s: float = Field(default=60.0, gt=0)
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:N")
    seed: int = 0


class RunConfig(_Section):
    """The whole of ``streamaffect run``."""

    node: str = Field(default="local", pattern=_NAME)
    stream_timeout_s: float = Field(default=10.0, gt=0, description="how long to look for a device's streams")
    broker: BrokerConfig = BrokerConfig()
    adaptation: AdaptationConfig = AdaptationConfig()
    subjects: list[SubjectConfig] = Field(default=[SubjectConfig()], min_length=1)


# Environment variable (after the prefix) -> place in the configuration.
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "NODE": ("node",),
    "BROKER": ("broker", "url"),
    "METHOD": ("adaptation", "method"),
    "SUBJECT": ("subjects", "0", "id"),
    "DEVICE": ("subjects", "0", "device"),
    "MODEL": ("subjects", "0", "model"),
    "STREAM_TIMEOUT": ("stream_timeout_s",),
}


def load(file: Path | None, flags: Mapping[tuple[str, ...], object], environ: Mapping[str, str] | None = None) -> RunConfig:
    """Read ``file``, overlay the environment, then ``flags`` (place -> value; None is a flag not given).

    Raises:
        UsageError: one line that names the file, key or variable and what is wrong with it.
    """
    environ = os.environ if environ is None else environ
    data = read_toml(file) if file is not None else {}
    for variable, place in VARIABLES.items():
        if (value := environ.get(PREFIX + variable)) is not None:
            _put(data, place, value, file)
    for place, flag in flags.items():
        if flag is not None:
            _put(data, place, flag, file)
    try:
        config = RunConfig.model_validate(data)
    except ValidationError as error:
        raise UsageError(_explain(error, file)) from None
    ids = [subject.id for subject in config.subjects]
    if len(set(ids)) != len(ids):
        raise UsageError(f"{file or 'configuration'}: subjects: ids must differ, got {', '.join(ids)}")
    return config


def read_toml(file: Path) -> dict[str, Any]:
    """The table in ``file``; UsageError when it cannot be read or is no TOML."""
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"configuration {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"configuration {file} is no TOML: {error}") from None


def _put(data: dict[str, Any], place: tuple[str, ...], value: object, file: Path | None) -> None:
    """Set ``place``, making the tables on the way that are not there. Raises UsageError where another thing is there."""
    node: Any = data
    for i, key in enumerate(place):
        listed = key.isdigit()
        if not (isinstance(node, list) and int(key) < len(node) if listed else isinstance(node, dict)):
            wanted = f"a list of at least {int(key) + 1}" if listed else "a table"
            where = ".".join(place[:i])
            raise UsageError(f"{file or 'configuration'}: {where}: must be {wanted}, got {node!r}: {_HELP}")
        index = int(key) if listed else key
        if i == len(place) - 1:
            node[index] = value
        elif listed:
            node = node[index]
        else:
            node = node.setdefault(key, [{}] if place[i + 1].isdigit() else {})


def _explain(error: ValidationError, file: Path | None) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    given = "" if isinstance(first["input"], dict | list) else f", got {first['input']!r}"
    return f"{file or 'configuration'}: {where}: {first['msg']}{given}: {_HELP}"


def sample() -> str:
    """A configuration file with every key, its default and its meaning."""
    lines = ["# streamaffect run --config FILE; flags and STREAMAFFECT_* variables override it.", ""]
    lines += _table(RunConfig, "", skip=("broker", "adaptation", "subjects"))
    lines += ["", "[broker]", *_table(BrokerConfig, ""), "", "[adaptation]", *_table(AdaptationConfig, "")]
    lines += ["", "[[subjects]]  # one table for each wearer", *_table(SubjectConfig, "", skip=("stream",))]
    lines += ["", "[subjects.stream]  # only what the device's profile leaves open", *_table(StreamChoice, "")]
    return "\n".join(lines) + "\n"


def _table(section: type[BaseModel], indent: str, skip: tuple[str, ...] = ()) -> list[str]:
    lines = []
    for name, info in section.model_fields.items():
        if name in skip:
            continue
        value = info.get_default(call_default_factory=True)
        note = f"  # {info.description}" if info.description else ""
        lines.append(f"{indent}# {name} ={note}" if value is None else f"{indent}{name} = {_toml(value)}{note}")
    return lines


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{}"
    return f'"{value}"' if isinstance(value, str) else str(value)
