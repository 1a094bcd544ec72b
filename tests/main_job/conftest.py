"""What a user starts, as processes of their own: ``run``, ``replay``, Mosquitto; and what ``mosquitto_sub`` heard of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

PATIENCE_S = 30.0


def _mind_hangups() -> None:
    """As in a terminal: a test run under nohup hands down that SIGHUP is ignored."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Program:
    """``python -m streamaffect WORDS``, its output in files."""

    def __init__(self, folder: Path, number: int, words: tuple[object, ...], environment: dict[str, str]) -> None:
        self.out, self.err = folder / f"{number}.out", folder / f"{number}.err"
        command = [sys.executable, "-m", "streamaffect", *map(str, words)]
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=err, env=environment, stdin=subprocess.DEVNULL, preexec_fn=_mind_hangups
            )

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send the signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)


class Start(Protocol):
    def __call__(self, *words: object) -> Program: ...


class Traffic:
    """The messages of one node by topic, as they came."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def _of(self, topic: str) -> list[dict]:
        parsed = (line.split(" ", 1) for line in list(self._lines))
        return [json.loads(payload) for name, payload in parsed if name == f"streamaffect/v1/local/{topic}"]

    def emotions(self, subject: str = "wearer") -> list[dict]:
        return self._of(f"{subject}/emotion")

    def spoken(self, subject: str = "wearer") -> list[dict]:
        """Those that did not abstain."""
        return [emotion for emotion in self.emotions(subject) if not emotion["abstained"]]

    def events(self, kind: str, subject: str = "wearer") -> list[dict]:
        return [event["detail"] for event in self._of(f"{subject}/event") if event["type"] == kind]

    def models(self, subject: str = "wearer") -> list[dict]:
        return self._of(f"{subject}/model")


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """TMPDIR of the programs: what they leave there they leave for good."""
    (tmp_path / "tmp").mkdir()
    return tmp_path / "tmp"


@pytest.fixture
def start(tmp_path: Path, temporary: Path) -> Iterator[Start]:
    """``start(*words)``: the program, with a data home of the test's own; killed at the end if it still runs."""
    mine = {key: value for key, value in os.environ.items() if not key.startswith("STREAMAFFECT_")}
    mine |= {"STREAMAFFECT_HOME": str(tmp_path / "home"), "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    started: list[Program] = []

    def begin(*words: object) -> Program:
        started.append(Program(tmp_path, len(started), words, mine))
        return started[-1]

    yield begin
    for program in reversed(started):
        program.kill()


@pytest.fixture
def traffic(mosquitto, listen) -> Traffic:
    """All that is said on ``mosquitto`` from now on."""
    return Traffic(listen(mosquitto.port, "streamaffect/v1/#", "-F", "%t %p").lines)


@pytest.fixture
def retained(mosquitto) -> Callable[[str], str]:
    """``retained(topic)``: what the broker keeps under ``streamaffect/v1/local/topic``, empty for nothing."""

    def ask(topic: str) -> str:
        command = ["mosquitto_sub", "-p", str(mosquitto.port), "-t", f"streamaffect/v1/local/{topic}"]
        done = subprocess.run([*command, "--retained-only", "-C", "1", "-W", "5"], capture_output=True, text=True)
        return done.stdout.strip()

    return ask


@pytest.fixture(scope="session")
def a_recording(recordings: Path) -> tuple[object, ...]:
    """A real person's recording where there is one, a simulated person's elsewhere."""
    real = recordings / "eegmat" / "Subject05.npz"
    return (real,) if real.is_file() else ("simulated", "--subject", "person-3")


def processes(*words: str) -> list[int]:
    """Processes with every one of ``words`` in command line or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                said = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if said and all(word.encode() in said for word in words):
                found.append(int(entry.name))
    return found


@pytest.fixture(name="processes")
def _processes() -> Callable[..., list[int]]:
    if not Path("/proc/self/environ").is_file():
        pytest.skip("needs /proc")
    return processes
