"""Checks that try the real thing."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from streamaffect.cli import checks
from streamaffect.config import BrokerConfig


def test_a_whole_installation_passes(cli: Callable):
    outcome = cli("doctor", "--json")
    verdicts = {verdict["name"]: verdict for verdict in json.loads(outcome.out)}
    assert outcome.code == 0, outcome.out
    for name in ("Python", "ONNX Runtime", "adaptation", "LSL", "embedded broker", "data home"):
        assert verdicts[name]["status"] == "ok", verdicts[name]
    assert "CPU" in verdicts["ONNX Runtime"]["text"]
    assert "ms" in verdicts["LSL"]["text"]


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the checks that take a second each."""
    for name in ("adaptation", "lsl", "embedded_broker"):
        monkeypatch.setattr(checks, name, lambda name=name: checks.Verdict(name, "ok", "left out"))


@pytest.mark.usefixtures("light")
def test_a_needed_thing_that_fails_is_code_1_with_its_remedy(cli: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("STREAMAFFECT_HOME", str(tmp_path / "file" / "home"))
    outcome = cli("doctor")
    assert outcome.code == 1
    failing = next(line for line in outcome.out.splitlines() if line.startswith("FAIL"))
    assert failing.endswith("Not a directory: make it writable, or name another folder in STREAMAFFECT_HOME")


@pytest.mark.usefixtures("light")
def test_a_broker_that_is_not_there(cli: Callable, free_port: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STREAMAFFECT_BROKER", f"mqtt://127.0.0.1:{free_port}")
    outcome = cli("doctor")
    assert outcome.code == 1
    assert f"FAIL  broker            mqtt://127.0.0.1:{free_port}: " in outcome.out
    assert "is it running, and are address and port right?" in outcome.out
    assert "no address" in cli("doctor", "--broker", "http://x").out


@pytest.mark.usefixtures("light")
def test_a_port_that_is_taken(cli: Callable):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        outcome = cli("doctor", "--broker", f"embedded:{port}")
    assert outcome.code == 1
    assert f"port {port} is taken" in outcome.out


def test_a_broker_accepts_us_and_keeps_nothing(mosquitto, listen: Callable, until: Callable):
    listener = listen(mosquitto.port, "#", "-V", "5", "-F", "%r %t %p")
    verdict = checks.told_broker(BrokerConfig(url=mosquitto.url))
    assert (verdict.status, verdict.text) == ("ok", f"{mosquitto.url} accepts us with MQTT 5")
    until(lambda: len(listener.lines) >= 2)
    topic = listener.lines[0].split()[1]
    assert listener.lines == [f"0 {topic} online", f"0 {topic} "]


def test_a_broker_that_wants_a_password(mosquitto_with_password, monkeypatch: pytest.MonkeyPatch):
    broker = mosquitto_with_password
    config = BrokerConfig(url=f"mqtt://{broker.user}@127.0.0.1:{broker.port}")
    refused = checks.told_broker(config)
    assert refused.status == "FAIL"
    assert "STREAMAFFECT_MQTT_PASSWORD" in refused.text
    monkeypatch.setenv("STREAMAFFECT_MQTT_PASSWORD", broker.password)
    assert checks.told_broker(config).status == "ok"


def test_two_runtimes_are_one_too_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checks, "_version", lambda package: "1.0")
    verdict = checks.runtime()
    assert verdict.status == "FAIL"
    assert "pip uninstall" in verdict.remedy
