"""The wire contract, v1: what goes over MQTT, for publishers and subscribers alike.

Every payload is compact UTF-8 JSON without NaN or Infinity and names its own schema. Within ``/1`` keys are added,
never removed or retyped: readers ignore keys they do not know. Times are Unix epoch seconds unless the name says ``lsl``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from enum import StrEnum
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError, model_validator

from streamaffect.errors import UsageError

NAME_PATTERN = r"^[a-z0-9_-]{1,32}$"
SUM_TOLERANCE = 1e-6

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Share = Annotated[float, Field(ge=0, le=1)]
Signed = Annotated[float, Field(ge=-1, le=1)]
Count = Annotated[int, Field(ge=0)]
Sha12 = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]


def check_name(what: str, value: str) -> str:
    """``value`` itself, fit to be a topic level. Raises UsageError naming ``what``."""
    if not re.fullmatch(NAME_PATTERN, value):
        raise UsageError(f"{what} {value!r} must be 1 to 32 of a-z, 0-9, '_' and '-'")
    return value


class Part(BaseModel):
    """A piece of a message."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="ignore",
        json_schema_extra={"additionalProperties": True},  # "ignore" alone leaves that unsaid in the schema
        allow_inf_nan=False,
        populate_by_name=True,
        json_schema_serialization_defaults_required=True,
    )


class Message(Part):
    """One payload, which names its schema under the key ``schema``."""

    @classmethod
    def schema_name(cls) -> str:
        return str(cls.model_fields["schema_id"].default)

    def to_json(self) -> bytes:
        return self.model_dump_json(by_alias=True).encode()

    @classmethod
    def from_json(cls, payload: bytes | str) -> Self:
        """This kind of message, known by its topic: the key ``schema`` may be missing, but not be another's.

        Raises ValueError in one line when the payload is not such a message.
        """
        try:
            return cls.model_validate_json(payload)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "payload"
            raise ValueError(f"{cls.schema_name()}: {where}: {first['msg']} ({error.error_count()} in all)") from None


class ModelRef(Part):
    """The model that spoke: ``sha256`` is the first 12 digits of the bundle's hash."""

    name: str
    version: Count
    method: str
    sha256: Sha12


class Emotion(Message):
    """One observation's emotion distribution."""

    schema_id: Literal["streamaffect.emotion/1"] = Field(default="streamaffect.emotion/1", alias="schema")
    session: UUID
    subject: Name
    seq: Count = Field(description="+1 for each observation of the session, never reused; a hole proves a loss")
    t_start: float = Field(description="Unix epoch, s: first sample of the window")
    t_end: float = Field(description="Unix epoch, s: end of the window")
    t_publish: float = Field(description="Unix epoch, s: stamped by the publisher as it sends")
    lsl_end: float = Field(description="LSL clock, s: end of the window")
    probabilities: dict[str, Share] = Field(
        min_length=2, description="class -> probability; sums to 1 within 1e-6; present also when abstaining"
    )
    label: str | None = Field(description="most probable class; null when abstaining")
    confidence: Share
    entropy: Share = Field(description="Shannon entropy over log(number of classes)")
    abstained: bool
    reason: str | None = Field(
        description="why it abstained: quality, coverage, missing_modality, warming_up, model_error, ..."
    )
    valence: Signed | None
    arousal: Signed | None
    quality: dict[str, Share | None] = Field(description="modality -> signal quality; null when the modality is absent")
    coverage: Share = Field(description="share of the window's samples that were observed")
    model: ModelRef
    late: bool = Field(default=False, description="sent from the backlog after a broker outage")

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        total = sum(self.probabilities.values())
        if abs(total - 1) > SUM_TOLERANCE:
            raise ValueError(f"probabilities sum to {total!r}, not to 1 within {SUM_TOLERANCE}")
        if (self.label is None) != self.abstained:
            raise ValueError(f"label is null when abstaining and only then, got {self.label!r} and {self.abstained}")
        if self.label is not None and self.label not in self.probabilities:
            raise ValueError(f"label {self.label!r} is none of the classes {sorted(self.probabilities)}")
        return self


class StreamState(Part):
    """One stream as the river sees it. ``gaps`` and ``drops`` (samples lost) count from the session's start."""

    modality: str
    state: Literal["waiting", "running", "stalled", "lost"]
    rate_nominal: float = Field(ge=0, description="Hz")
    rate_measured: float | None = Field(default=None, ge=0, description="Hz; null until enough samples came")
    quality: Share | None = None
    gaps: Count = 0
    drops: Count = 0


class SignalState(Message):
    """All streams of one subject, by name; at most once a second."""

    schema_id: Literal["streamaffect.signal/1"] = Field(default="streamaffect.signal/1", alias="schema")
    session: UUID
    subject: Name
    t_publish: float
    streams: dict[str, StreamState]


class ModelInfo(Message):
    """The model now in use, from observation ``since_seq`` on; ``parent`` is the version it was adapted from."""

    schema_id: Literal["streamaffect.model/1"] = Field(default="streamaffect.model/1", alias="schema")
    session: UUID
    subject: Name
    t_publish: float
    name: str
    version: Count
    parent: Count | None
    method: str
    sha256: Sha12
    since_seq: Count


class EventType(StrEnum):
    ADAPTATION_TRIGGERED = "adaptation_triggered"
    ADAPTATION_RUNNING = "adaptation_running"
    ADAPTATION_REJECTED = "adaptation_rejected"
    ADAPTATION_DEPLOYED = "adaptation_deployed"
    ADAPTATION_FAILED = "adaptation_failed"
    ADAPTATION_DISABLED = "adaptation_disabled"
    ROLLED_BACK = "rolled_back"
    STREAM_LOST = "stream_lost"
    STREAM_RECOVERED = "stream_recovered"
    GAP = "gap"
    OUTBOX_OVERFLOW = "outbox_overflow"
    MODEL_ERROR = "model_error"
    MARK = "mark"
    PAUSED = "paused"
    RESUMED = "resumed"


# What ``detail`` holds at least, by type; more keys may be there.
EVENT_DETAIL: Mapping[EventType, tuple[str, ...]] = {
    EventType.ADAPTATION_TRIGGERED: ("job", "reason"),
    EventType.ADAPTATION_RUNNING: ("job",),
    EventType.ADAPTATION_REJECTED: ("job", "reason"),
    EventType.ADAPTATION_DEPLOYED: ("job", "version", "parent"),
    EventType.ADAPTATION_FAILED: ("job", "reason"),
    EventType.ADAPTATION_DISABLED: ("reason",),
    EventType.ROLLED_BACK: ("version", "from_version", "reason"),
    EventType.STREAM_LOST: ("stream", "reason"),
    EventType.STREAM_RECOVERED: ("stream", "outage_s"),
    EventType.GAP: ("stream", "gap_s"),
    EventType.OUTBOX_OVERFLOW: ("dropped",),
    EventType.MODEL_ERROR: ("reason",),
    EventType.MARK: ("label",),
    EventType.PAUSED: (),
    EventType.RESUMED: (),
}


def _json_ready(value: object) -> object:
    """numpy's numbers as Python's, tuples as lists; a number that JSON lacks becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_ready(item) for item in value]
    if isinstance(value, bool | int):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    return value


# News of a broken model must get through, its NaN figures included.
Detail = Annotated[dict[str, JsonValue], BeforeValidator(_json_ready)]


class Event(Message):
    """Something happened; ``detail`` holds at least the keys of ``EVENT_DETAIL``."""

    schema_id: Literal["streamaffect.event/1"] = Field(default="streamaffect.event/1", alias="schema")
    session: UUID
    subject: Name
    t_publish: float
    type: EventType
    detail: Detail = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [key for key in EVENT_DETAIL[self.type] if key not in self.detail]
        if missing:
            raise ValueError(f"event {self.type.value!r} lacks detail {', '.join(missing)}")
        return self


class Info(Message):
    """Who publishes here, retained."""

    schema_id: Literal["streamaffect.info/1"] = Field(default="streamaffect.info/1", alias="schema")
    version: str = Field(description="of streamaffect")
    session: UUID
    subjects: list[Name]
    classes: list[str]
    schemas: list[str] = Field(default_factory=lambda: sorted(SCHEMAS), description="ids of the messages sent here")


class Command(Message):
    """A wish from outside. ``label`` belongs to mark; rollback goes to the version before, so ``version`` is refused."""

    schema_id: Literal["streamaffect.command/1"] = Field(default="streamaffect.command/1", alias="schema")
    command: Literal["adapt", "rollback", "pause", "resume", "mark"]
    version: Count | None = None
    label: str | None = Field(default=None, max_length=200)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.command == "mark" and not self.label:
            raise ValueError("command 'mark' needs a label")
        return self


class Answer(Message):
    """What became of a command; ``error`` says why when not ``ok``."""

    schema_id: Literal["streamaffect.answer/1"] = Field(default="streamaffect.answer/1", alias="schema")
    command: str | None = Field(description="null when the command could not be read")
    ok: bool
    error: str | None = None
    detail: Detail = Field(default_factory=dict)


SCHEMAS: Mapping[str, type[Message]] = {
    kind.schema_name(): kind for kind in (Emotion, SignalState, ModelInfo, Event, Info, Command, Answer)
}


def parse(payload: bytes | str) -> Message:
    """The message in ``payload``, whatever its kind. Raises ValueError in one line: no JSON, no known schema, or wrong."""
    try:
        data = json.loads(payload)
    except ValueError as error:  # UnicodeDecodeError among them
        raise ValueError(f"not JSON: {error}") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    kind = SCHEMAS.get(schema) if isinstance(schema, str) else None
    if kind is None:
        raise ValueError(f"unknown schema {schema!r}: known are {', '.join(sorted(SCHEMAS))}")
    return kind.from_json(payload)


def json_schema(kind: type[Message], ref_template: str = "#/$defs/{model}") -> dict[str, Any]:
    """JSON Schema (2020-12) of one message as it is on the wire."""
    # People write commands by hand and leave out what has a default; what we write ourselves is always whole.
    mode: Literal["validation", "serialization"] = "validation" if kind is Command else "serialization"
    schema = kind.model_json_schema(by_alias=True, mode=mode, ref_template=ref_template)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": kind.schema_name(), **schema}


class Topics:
    """Every topic of one node."""

    def __init__(self, node: str) -> None:
        self.root = f"streamaffect/v1/{check_name('node', node)}"
        self.availability = f"{self.root}/availability"
        self.info = f"{self.root}/info"
        self.commands = f"{self.root}/+/command"

    def _of(self, subject: str, what: str) -> str:
        return f"{self.root}/{check_name('subject', subject)}/{what}"

    def emotion(self, subject: str) -> str:
        return self._of(subject, "emotion")

    def emotion_last(self, subject: str) -> str:
        return self._of(subject, "emotion/last")

    def signal(self, subject: str) -> str:
        return self._of(subject, "signal")

    def model(self, subject: str) -> str:
        return self._of(subject, "model")

    def event(self, subject: str) -> str:
        return self._of(subject, "event")

    def command(self, subject: str) -> str:
        return self._of(subject, "command")
