"""The wire contract: what we write is what the published schema says, and what it allows we read."""

from __future__ import annotations

import json
import math
import os
import uuid
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamaffect.errors import UsageError
from streamaffect.messages import (
    EVENT_DETAIL,
    SCHEMAS,
    Answer,
    Command,
    Emotion,
    Event,
    EventType,
    Info,
    Message,
    ModelInfo,
    ModelRef,
    SignalState,
    StreamState,
    Topics,
    check_name,
    json_schema,
    parse,
)
from streamaffect.publish import asyncapi

CONTRACT = Path(__file__).parent / "data" / "emotion.schema.json"
SHARED = Path(
    os.environ.get("STREAMAFFECT_CONTRACT", Path(__file__).parents[1] / ".." / "shared" / "contract" / "emotion.schema.json")
)

names = st.from_regex(r"[a-z0-9_-]{1,32}", fullmatch=True)
text = st.text(max_size=20)
times = st.floats(allow_nan=False, allow_infinity=False)
shares = st.floats(0, 1)
counts = st.integers(0, 2**53)
hashes = st.from_regex(r"[0-9a-f]{12}", fullmatch=True)
scalars = st.one_of(st.none(), st.booleans(), counts, times, text)


@st.composite
def emotions(draw: st.DrawFn) -> Emotion:
    weights = draw(st.dictionaries(text, st.floats(0.01, 1), min_size=2, max_size=6))
    total = sum(weights.values())
    probabilities = {name: weight / total for name, weight in weights.items()}
    abstained = draw(st.booleans())
    return Emotion(
        session=draw(st.uuids()),
        subject=draw(names),
        seq=draw(counts),
        t_start=draw(times),
        t_end=draw(times),
        t_publish=draw(times),
        lsl_end=draw(times),
        probabilities=probabilities,
        label=None if abstained else max(probabilities, key=probabilities.__getitem__),
        confidence=max(probabilities.values()),
        entropy=draw(shares),
        abstained=abstained,
        reason=draw(text) if abstained else None,
        valence=draw(st.none() | st.floats(-1, 1)),
        arousal=draw(st.none() | st.floats(-1, 1)),
        quality=draw(st.dictionaries(text, st.none() | shares, max_size=3)),
        coverage=draw(shares),
        model=ModelRef(name=draw(text), version=draw(counts), method=draw(text), sha256=draw(hashes)),
        late=draw(st.booleans()),
    )


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(EventType))
    detail = draw(st.dictionaries(text, scalars, max_size=3)) | {key: draw(scalars) for key in EVENT_DETAIL[kind]}
    return Event(session=draw(st.uuids()), subject=draw(names), t_publish=draw(times), type=kind, detail=detail)


streams = st.builds(
    StreamState,
    modality=text,
    state=st.sampled_from(["waiting", "running", "stalled", "lost"]),
    rate_nominal=st.floats(0, 1e6),
    rate_measured=st.none() | st.floats(0, 1e6),
    quality=st.none() | shares,
    gaps=counts,
    drops=counts,
)
of_subject = {"session": st.uuids(), "subject": names, "t_publish": times}
signals = st.builds(SignalState, **of_subject, streams=st.dictionaries(text, streams, max_size=3))
models = st.builds(
    ModelInfo,
    **of_subject,
    name=text,
    version=counts,
    parent=st.none() | counts,
    method=text,
    sha256=hashes,
    since_seq=counts,
)
infos = st.builds(Info, version=text, session=st.uuids(), subjects=st.lists(names), classes=st.lists(text))
commands = st.builds(
    Command,
    command=st.sampled_from(["adapt", "rollback", "pause", "resume", "mark"]),
    version=st.none() | counts,
    label=st.text(min_size=1, max_size=20),
)
answers = st.builds(
    Answer, command=st.none() | text, ok=st.booleans(), error=st.none() | text, detail=st.dictionaries(text, scalars)
)
anything = st.one_of(emotions(), events(), signals, models, infos, commands, answers)


def validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


OURS = {kind: validator(json_schema(kind)) for kind in SCHEMAS.values()}
FIXED = validator(json.loads(CONTRACT.read_text(encoding="utf-8")))


def example(**changes: Any) -> dict[str, Any]:
    message = {
        "schema": "streamaffect.emotion/1",
        "session": str(uuid.UUID(int=1)),
        "subject": "s1",
        "seq": 0,
        "t_start": 1.0,
        "t_end": 2,
        "t_publish": 3.0,
        "lsl_end": 4.0,
        "probabilities": {"rest": 0.5, "load": 0.5},
        "label": "rest",
        "confidence": 0.5,
        "entropy": 1,
        "abstained": False,
        "reason": None,
        "valence": None,
        "arousal": -1.0,
        "quality": {"ecg": None},
        "coverage": 1.0,
        "model": {"name": "m", "version": 0, "method": "source", "sha256": "0" * 12},
        "late": False,
    }
    return message | changes


def strict_json(payload: bytes) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(payload.decode("utf-8"), parse_constant=refuse)


@given(anything)
def test_every_message_survives_the_wire(message: Message) -> None:
    payload = message.to_json()
    data = strict_json(payload)
    assert parse(payload) == message
    assert type(message).from_json(payload) == message
    OURS[type(message)].validate(data)


def test_payload_is_compact_utf8() -> None:
    payload = Answer(command="mark", ok=False, error="Ångström", detail={"a": [1, 2]}).to_json()
    schema = '"schema":"streamaffect.answer/1"'
    assert payload == f'{{{schema},"command":"mark","ok":false,"error":"Ångström","detail":{{"a":[1,2]}}}}'.encode()


@given(emotions())
def test_every_emotion_satisfies_the_published_contract(emotion: Emotion) -> None:
    FIXED.validate(strict_json(emotion.to_json()))


def test_the_fixed_copy_is_the_published_contract() -> None:
    if not SHARED.is_file():
        pytest.skip(f"no published contract at {SHARED}: name it in STREAMAFFECT_CONTRACT")
    assert json.loads(CONTRACT.read_text(encoding="utf-8")) == json.loads(SHARED.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"unknown": {"key": 1}},
        {"label": None, "abstained": True, "reason": "quality"},
        {"model": {"name": "m", "version": 3, "method": "x", "sha256": "a" * 12, "more": True}},
    ],
)
def test_what_the_contract_accepts_we_accept(changes: dict[str, Any]) -> None:
    message = example(**changes)
    FIXED.validate(message)
    OURS[Emotion].validate(message)
    assert parse(json.dumps(message)).schema_name() == message["schema"]


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "streamaffect.emotion/2"},
        {"session": "me"},
        {"subject": "Å"},
        {"seq": -1},
        {"seq": "1"},
        {"t_end": None},
        {"probabilities": {"rest": 1.0}},
        {"probabilities": {"rest": 1.5, "load": -0.5}},
        {"label": 3},
        {"valence": 1.1},
        {"quality": {"ecg": 2}},
        {"abstained": None},
        {"model": {"name": "m", "version": 0, "method": "x"}},
        {"model": {"name": "m", "version": 0, "method": "x", "sha256": "0" * 64}},
    ],
)
def test_what_the_contract_refuses_we_refuse(changes: dict[str, Any]) -> None:
    message = example(**changes)
    assert not FIXED.is_valid(message)
    assert not OURS[Emotion].is_valid(message)
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse(json.dumps(message))


def test_our_schema_requires_and_types_what_the_contract_does() -> None:
    fixed, ours = json.loads(CONTRACT.read_text(encoding="utf-8")), json_schema(Emotion)
    assert set(ours["required"]) == set(fixed["required"])
    assert set(ours["properties"]) == set(fixed["properties"])
    for key in fixed["required"]:
        message = example()
        del message[key]
        assert not FIXED.is_valid(message)
        assert not OURS[Emotion].is_valid(message)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"probabilities": {"rest": 0.5, "load": 0.500002}}, "sum"),
        ({"label": None}, "null when abstaining"),
        ({"abstained": True}, "null when abstaining"),
        ({"label": "joy"}, "none of the classes"),
    ],
)
def test_incoherent_emotion_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(json.dumps(example(**changes)))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_never_get_into_a_message(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Emotion.from_json(json.dumps(example())).model_validate(example(t_end=value, session=uuid.UUID(int=1)))
    detail = {"label": [value, np.float32(0.5)], "figures": {"loss": np.float64(value), "n": np.int64(3)}}
    event = Event(session=uuid.UUID(int=1), subject="s", t_publish=0.0, type=EventType.MARK, detail=detail)
    assert strict_json(event.to_json())["detail"] == {"label": [None, 0.5], "figures": {"loss": None, "n": 3}}


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"\xff", b'{"schema":[]}', b'{"schema":"else/1"}', b"NaN"])
def test_foreign_payload_is_refused_in_one_line(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse(payload)


def test_event_without_its_detail_is_refused() -> None:
    assert set(EVENT_DETAIL) == set(EventType)
    with pytest.raises(ValueError, match="lacks detail reason"):
        Event(session=uuid.UUID(int=1), subject="s", t_publish=0.0, type=EventType.ADAPTATION_FAILED, detail={"job": "1"})


def test_command_may_be_written_by_hand() -> None:
    assert Command.from_json('{"command":"rollback"}') == Command(command="rollback")
    for wrong in ('{"command":"mark"}', '{"command":"explode"}', '{"schema":"streamaffect.event/1","command":"adapt"}'):
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            Command.from_json(wrong)


def test_topics_follow_the_contract() -> None:
    topics = Topics("lab-1")
    assert topics.availability == "streamaffect/v1/lab-1/availability"
    assert topics.info == "streamaffect/v1/lab-1/info"
    assert topics.emotion("s1") == "streamaffect/v1/lab-1/s1/emotion"
    assert topics.emotion_last("s1") == "streamaffect/v1/lab-1/s1/emotion/last"
    assert topics.signal("s1") == "streamaffect/v1/lab-1/s1/signal"
    assert topics.model("s1") == "streamaffect/v1/lab-1/s1/model"
    assert topics.event("s1") == "streamaffect/v1/lab-1/s1/event"
    assert topics.command("s1") == "streamaffect/v1/lab-1/s1/command"


@pytest.mark.parametrize("name", ["", "A", "a/b", "+", "#", "a" * 33, "ä", "a\n"])
def test_name_unfit_for_a_topic_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"^subject .+ must be 1 to 32"):
        check_name("subject", name)
    with pytest.raises(UsageError):
        Topics(name)


def test_asyncapi_document_hangs_together() -> None:
    document = asyncapi.document("0.1.0")
    assert strict_json(json.dumps(document).encode()) == document
    addresses = {channel["address"] for channel in document["channels"].values()}
    topics = Topics("node")
    for topic in (topics.availability, topics.info, *(f(s) for s in ("subject",) for f in (topics.emotion, topics.command))):
        assert topic.replace("/node", "/{node}").replace("/subject", "/{subject}") in addresses

    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if "$ref" in part else []
            return own + [ref for value in part.values() for ref in references(value)]
        return [ref for value in part for ref in references(value)] if isinstance(part, list) else []

    for reference in references(document):
        target: Any = document
        for key in reference.removeprefix("#/").split("/"):
            target = target[key]
