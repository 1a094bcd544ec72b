"""The main job, end to end, as users run it: real processes, real LSL, Mosquitto, and a subscriber not written here."""

from __future__ import annotations

import json
import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker

SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "emotion.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
RSS_KIB = 350 * 1024
HOP_S = 5.0


def assert_whole(emotions: list[dict]) -> None:
    """Valid every one, one a hop, ``seq`` without a hole, one session."""
    for emotion in emotions:
        VALIDATOR.validate(emotion)
        assert abs(sum(emotion["probabilities"].values()) - 1) <= 1e-6
    assert [emotion["seq"] for emotion in emotions] == list(range(len(emotions)))
    assert len({emotion["session"] for emotion in emotions}) == 1


def assert_light(pid: int) -> None:
    """No torch in the river, and little memory."""
    proc = Path(f"/proc/{pid}")
    if not proc.is_dir():
        return
    assert "torch" not in (proc / "maps").read_text()
    [rss] = [line.split()[1] for line in (proc / "status").read_text().splitlines() if line.startswith("VmRSS")]
    assert int(rss) <= RSS_KIB


def test_the_model_becomes_the_wearers_while_nothing_is_lost(
    start, mosquitto, traffic, retained, a_recording, temporary, until
) -> None:
    run = start("run", "--device", "shimmer", "--method", "dynamic", "--broker", mosquitto.url, "--stream-timeout", 30)
    start("replay", *a_recording, "--as", "shimmer", "--speed", 14)

    until(lambda: any(traffic.events(f"adaptation_{end}") for end in ("deployed", "rejected", "failed")), 90)
    assert traffic.events("adaptation_deployed"), traffic.events("adaptation_rejected") + traffic.events("adaptation_failed")
    until(lambda: sum(emotion["model"]["version"] == 1 for emotion in traffic.emotions()) >= 4, 30)
    assert_light(run.process.pid)
    assert run.end(signal.SIGINT) == 130

    emotions = traffic.emotions()
    assert_whole(emotions)
    assert all(b["lsl_end"] - a["lsl_end"] == pytest.approx(HOP_S) for a, b in pairwise(emotions))
    assert not any(emotion["late"] for emotion in emotions)
    versions = [emotion["model"]["version"] for emotion in emotions]
    assert versions == sorted(versions)
    [deployed] = traffic.events("adaptation_deployed")
    assert (deployed["parent"], deployed["version"]) == (0, 1)
    assert [model["version"] for model in traffic.models()] == [0, 1]
    assert traffic.models()[1]["since_seq"] == versions.index(1)
    assert json.loads(retained("wearer/model"))["version"] == 1
    assert retained("availability") == "offline"
    assert not list(temporary.iterdir()), "what the runtime and torch leave behind, telemetry among it"


def test_faults_are_announced_windows_abstain_and_it_speaks_again(start, mosquitto, traffic, retained, until) -> None:
    run = start("run", "--device", "shimmer", "--method", "source", "--broker", mosquitto.url, "--stream-timeout", 30)
    faults = ("--disconnect", "60/12", "--drop", 0.01, "--jitter", 0.005)  # 12 of the 30 s that the model looks at
    start("replay", "simulated", "--subject", "person-4", "--as", "shimmer", "--speed", 8, *faults)

    def speaks_again() -> bool:
        gaps = traffic.events("gap")
        back_s = gaps[0]["lsl_start"] + gaps[0]["gap_s"] if gaps else float("inf")
        return any(e["lsl_end"] > back_s and e["coverage"] > 0.9 for e in traffic.spoken())

    until(speaks_again, 60)
    assert run.end(signal.SIGTERM) == 0
    assert_whole(traffic.emotions())
    assert traffic.events("stream_lost")
    [recovered, *_] = traffic.events("stream_recovered")
    assert 11 < recovered["outage_s"] < 37, "12 s of the recording, and what it takes to find the stream again, times 8"
    assert {"coverage"} <= {emotion["reason"] for emotion in traffic.emotions()}
    before = [emotion for emotion in traffic.spoken() if emotion["lsl_end"] < traffic.events("gap")[0]["lsl_start"]]
    assert all(emotion["coverage"] > 0.9 for emotion in before[1:]), "one per cent lost and 5 ms of jitter are no trouble"
    assert retained("availability") == "offline"


def test_a_broker_killed_and_restarted_gets_every_message_in_order(start, mosquitto, traffic, until) -> None:
    start("run", "--device", "shimmer", "--method", "source", "--broker", mosquitto.url, "--stream-timeout", 30)
    start("replay", "simulated", "--subject", "person-5", "--as", "shimmer", "--speed", 8)
    until(lambda: len(traffic.emotions()) >= 2, 30)
    mosquitto.kill()
    began = time.monotonic()
    # mosquitto_sub tries every second: the outage is longer, so the settling time lets it come back first
    until(lambda: time.monotonic() - began > 3, 10)
    mosquitto.start()
    until(lambda: any(e["late"] for e in traffic.emotions()) and not traffic.emotions()[-1]["late"], 30)
    emotions = traffic.emotions()
    assert_whole(emotions)
    late = [emotion["seq"] for emotion in emotions if emotion["late"]]
    assert late == list(range(late[0], late[0] + len(late)))


def test_a_sender_that_begins_anew_is_followed(start, mosquitto, traffic, until) -> None:
    replay = ("replay", "simulated", "--subject", "person-6", "--as", "shimmer", "--speed", 16)
    start("run", "--device", "shimmer", "--method", "source", "--broker", mosquitto.url, "--stream-timeout", 30)
    first = start(*replay)
    until(traffic.spoken, 30)
    assert first.end(signal.SIGINT) == 130
    until(lambda: traffic.events("stream_lost"), 20)
    said = len(traffic.spoken())
    start(*replay)
    until(lambda: any(back["restarted"] for back in traffic.events("stream_recovered")), 30)
    until(lambda: len(traffic.spoken()) > said, 30)
    assert_whole(traffic.emotions())


def test_two_wearers_and_the_killed_adaptation_of_one(start, mosquitto, traffic, tmp_path, processes, until) -> None:
    config = tmp_path / "two.toml"
    people = {"anna": "person-1", "ben": "person-2"}
    tables = [
        f'[[subjects]]\nid = "{name}"\ndevice = "shimmer"\nstream = {{ source_id = "replay-shimmer-ecg-{person}" }}\n'
        for name, person in people.items()
    ]
    # Hardly a change, which no guard refuses: what it does to the model is not the point here.
    params = "params = { adapt_epochs = 2, adapt_lr = 1e-6 }"
    adaptation = f"stream_timeout_s = 30\n[adaptation]\nfirst = 12\nminimum = 12\n{params}\n"
    config.write_text(adaptation + "".join(tables))
    run = start("run", "--config", config, "--broker", mosquitto.url, "--json")
    for person in people.values():
        start("replay", "simulated", "--subject", person, "--as", "shimmer", "--speed", 12)

    annas = ("streamaffect.runtime.worker", "subjects/anna", f"STREAMAFFECT_HOME={tmp_path}")
    until(lambda: processes(*annas), 60)
    for pid in processes(*annas):
        os.kill(pid, signal.SIGKILL)
    until(lambda: traffic.events("adaptation_failed", "anna") and traffic.events("adaptation_deployed", "ben"), 60)
    said = len(traffic.emotions("anna"))
    until(lambda: len(traffic.emotions("anna")) > said, 20)
    assert_light(run.process.pid)
    assert run.end() == 0
    for name in people:
        assert_whole(traffic.emotions(name))
    assert "signal 9" in traffic.events("adaptation_failed", "anna")[0]["reason"]
    assert {emotion["model"]["version"] for emotion in traffic.emotions("anna")} == {0}
    written = [json.loads(line) for line in run.out.read_text().splitlines()]
    seen = [message["seq"] for message in written if message["subject"] == "ben" and "seq" in message]
    assert seen == [emotion["seq"] for emotion in traffic.emotions("ben")]


def test_the_demo_needs_nothing_and_leaves_nothing(start, temporary, processes, until) -> None:
    demo = start("run", "--demo", "--json")
    until(lambda: '"seq":0' in demo.out.read_text() or demo.process.poll() is not None, 60)
    VALIDATOR.validate(json.loads(demo.out.read_text().splitlines()[0]))
    assert demo.end() == 0, demo.err.read_text()
    assert not list(temporary.iterdir())
    until(lambda: not processes(f"TMPDIR={temporary}"), 10)


def test_the_demos_person_does_not_outlive_a_killed_demo(start, temporary, processes, until) -> None:
    demo = start("run", "--demo", "--json")
    player = ("--until-stdin-closes", f"TMPDIR={temporary}")
    until(lambda: processes(*player) or demo.process.poll() is not None, 30)
    assert demo.process.poll() is None, demo.err.read_text()
    demo.kill()
    until(lambda: not processes(*player), 15)


def test_a_closed_terminal_ends_it_properly(start, mosquitto, listen, retained, until) -> None:
    run = start("run", "--device", "shimmer", "--method", "source", "--broker", mosquitto.url, "--stream-timeout", 30)
    listener = listen(mosquitto.port, "streamaffect/v1/local/availability")
    until(lambda: listener.lines == ["online"], 30)
    assert run.end(signal.SIGHUP) == 0
    assert retained("availability") == "offline"
