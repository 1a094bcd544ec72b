"""Commands over MQTT 5, by a client not written here: mosquitto_rr asks and prints the answer."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

TOPIC = "streamaffect/v1/local/wearer/command"


@pytest.fixture
def ask(mosquitto, need_programs) -> Callable[..., dict]:
    """``ask("mark", label="x")``: the answer to a command."""
    need_programs("mosquitto_rr")

    def send(command: str, **rest: object) -> dict:
        words = ["mosquitto_rr", "-h", "127.0.0.1", "-p", str(mosquitto.port), "-V", "5", "-q", "1", "-W", "10"]
        words += ["-t", TOPIC, "-e", f"answers/{command}", "-m", json.dumps({"command": command, **rest})]
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)
        answer = json.loads(done.stdout)
        assert answer["command"] == command
        return answer

    return send


def test_wearers_session_obeys_and_says_what_it_cannot_do(start, mosquitto, traffic, ask, until) -> None:
    start("run", "--device", "shimmer", "--broker", mosquitto.url, "--commands", "--first", 5000, "--stream-timeout", 30)
    start("replay", "simulated", "--as", "shimmer", "--speed", 12, "--loop")
    until(lambda: traffic.emotions(), 60)

    assert "only" in ask("adapt")["error"]
    assert "nothing to roll back" in ask("rollback")["error"]
    assert ask("mark", label="coffee")["ok"]
    until(lambda: [event["label"] for event in traffic.events("mark")] == ["coffee"])

    assert ask("pause")["ok"]
    until(lambda: traffic.emotions()[-1]["reason"] == "paused", 20)
    assert "resume first" in ask("adapt")["error"]
    assert ask("resume")["ok"]
    until(lambda: len(traffic.spoken()) >= 8, 60)

    assert ask("adapt")["ok"]
    until(lambda: traffic.events("adaptation_running"), 30)
    assert [event["reason"] for event in traffic.events("adaptation_triggered")] == ["command"]
    until(lambda: any(traffic.events(f"adaptation_{end}") for end in ("deployed", "rejected")), 60)
    if traffic.events("adaptation_deployed"):
        assert ask("rollback")["ok"]
        until(lambda: [event["version"] for event in traffic.events("rolled_back")] == [0])
        until(lambda: traffic.models()[-1]["version"] == 0)
    seqs = [emotion["seq"] for emotion in traffic.emotions()]
    assert seqs == list(range(len(seqs)))
