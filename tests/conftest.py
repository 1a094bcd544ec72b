"""Shared fixtures: a private LSL session, real brokers on free loopback ports, listeners not written here."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

# liblsl reads this once, when pylsl is first imported: so here, before any test module. Child processes inherit it.
_LSL = tempfile.TemporaryDirectory(prefix="streamaffect-lsl-")
atexit.register(_LSL.cleanup)
_LSL_CONFIG = Path(_LSL.name, "lsl_api.cfg")
_LSL_CONFIG.write_text(
    f"""\
[lab]
SessionID = test-{uuid.uuid4().hex}
KnownPeers = {{127.0.0.1}}
[multicast]
ResolveScope = machine
[ports]
IPv6 = disable
[tuning]
MulticastMinRTT = 0.1
MulticastMaxRTT = 0.5
UnicastMinRTT = 0.1
UnicastMaxRTT = 0.5
ContinuousResolveInterval = 0.1
[log]
level = -2
""",
    encoding="utf-8",
)
os.environ["LSLAPICFG"] = str(_LSL_CONFIG)

_TIMEOUT_S = 10.0
_POLL_S = 0.02


@pytest.fixture(scope="session")
def lsl_session() -> str:
    """The LSL session id that this test run alone uses; read back from the configuration that liblsl was given."""
    line = next(line for line in _LSL_CONFIG.read_text(encoding="utf-8").splitlines() if line.startswith("SessionID"))
    return line.partition("=")[2].strip()


def _until(condition: Callable[[], object], timeout_s: float = _TIMEOUT_S) -> None:
    give_up = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > give_up:
            pytest.fail(f"not within {timeout_s} s: {condition}")
        time.sleep(_POLL_S)


async def _until_async(condition: Callable[[], object], timeout_s: float = _TIMEOUT_S) -> None:
    give_up = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > give_up:
            pytest.fail(f"not within {timeout_s} s: {condition}")
        await asyncio.sleep(_POLL_S)


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Where the open recordings lie, if they are here: STREAMAFFECT_DATA, or shared/data beside the repository."""
    return Path(os.environ.get("STREAMAFFECT_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def data_root(recordings: Path) -> Path:
    """The folder of eegmat, wesad_wrist, ...; skips where they are not."""
    missing = [
        name for name in ("eegmat", "wesad_wrist", "stress_predict", "induced_stress") if not (recordings / name).is_dir()
    ]
    if missing:
        pytest.skip(f"no {', '.join(missing)} in {recordings}: set STREAMAFFECT_DATA to the folder that holds them")
    return recordings


@pytest.fixture
def until() -> Callable[..., None]:
    """``until(condition, timeout_s=10)``: bounded polling, blocking."""
    return _until


@pytest.fixture
def until_async() -> Callable[..., Awaitable[None]]:
    """``await until_async(condition, timeout_s=10)``: bounded polling that lets the loop run."""
    return _until_async


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(name="free_port")
def _free_port() -> int:
    return free_port()


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture
def need_programs() -> Callable[..., None]:
    """``need_programs(*names)`` skips the test where one is missing, but fails it when CI=true."""
    return _need_programs


def _need_programs(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if not missing:
        return
    reason = f"{', '.join(missing)} not installed: apt-get install mosquitto mosquitto-clients openssl"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class Mosquitto:
    """A Mosquitto of one's own; it can be killed and started again on its port. ``options`` are lines of its configuration."""

    user, password = "river", "correct horse"

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", "set_tcp_nodelay true", *options]
        if os.geteuid() == 0:
            lines.insert(0, "user root")  # else it becomes a user who may not read our files
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(["mosquitto", "-c", str(self._config)], **quiet)
        _until(lambda: _accepts(self.port))

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """As a crash would: no goodbye to anyone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(_TIMEOUT_S)
            self._process = None


class StartMosquitto(Protocol):
    def __call__(self, *options: str) -> Mosquitto: ...


@pytest.fixture
def start_mosquitto(tmp_path: Path) -> Iterator[StartMosquitto]:
    """``start_mosquitto(*lines of configuration)``."""
    _need_programs("mosquitto", "mosquitto_passwd")
    brokers: list[Mosquitto] = []

    def start(*options: str) -> Mosquitto:
        folder = tmp_path / f"mosquitto-{len(brokers)}"
        folder.mkdir()
        brokers.append(Mosquitto(folder, *options))
        brokers[-1].start()
        return brokers[-1]

    yield start
    for broker in brokers:
        broker.stop()


@pytest.fixture
def mosquitto(start_mosquitto: StartMosquitto) -> Mosquitto:
    """A running Mosquitto that lets anyone in."""
    return start_mosquitto("allow_anonymous true")


@pytest.fixture
def mosquitto_with_password(start_mosquitto: StartMosquitto, tmp_path: Path) -> Mosquitto:
    """A running Mosquitto that knows one user, ``broker.user`` and ``broker.password``."""
    file = tmp_path / "passwords"
    command = ["mosquitto_passwd", "-b", "-c", str(file), Mosquitto.user, Mosquitto.password]
    subprocess.run(command, check=True, capture_output=True)
    return start_mosquitto("allow_anonymous false", f"password_file {file}")


@pytest.fixture
async def embedded_broker() -> AsyncIterator[object]:
    """A running :class:`streamaffect.publish.broker.EmbeddedBroker` on free ports."""
    from streamaffect.publish.broker import EmbeddedBroker

    async with EmbeddedBroker(free_port()) as broker:
        yield broker


class Listener:
    """``mosquitto_sub``, a client not written here: ``lines`` grows as messages come. It reconnects by itself."""

    def __init__(self, port: int, topic: str, *options: str) -> None:
        # stdbuf: mosquitto_sub does not flush what it tells of the protocol
        command = ["stdbuf", "-oL", "mosquitto_sub", "-p", str(port), "-t", topic, "-q", "1", "-d", *options]
        self.lines: list[str] = []
        self._subscribed = threading.Event()
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._subscribed.wait(_TIMEOUT_S):
            self.stop()
            pytest.fail(f"mosquitto_sub did not subscribe: {self.lines}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:  # -d adds the protocol's packets to the messages
            if line.startswith("Subscribed "):
                self._subscribed.set()
            elif not line.startswith(("Client ", "Subscribed")):
                self.lines.append(line.rstrip("\n"))

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(_TIMEOUT_S)
        self._reader.join(_TIMEOUT_S)
        assert self._process.stdout is not None
        self._process.stdout.close()


class Listen(Protocol):
    def __call__(self, port: int, topic: str, *options: str) -> Listener: ...


@pytest.fixture
def listen() -> Iterator[Listen]:
    """``listen(port, topic, *options)`` starts mosquitto_sub and returns once it is subscribed; lines are payloads."""
    _need_programs("mosquitto_sub", "stdbuf")
    listeners: list[Listener] = []

    def start(port: int, topic: str, *options: str) -> Listener:
        listeners.append(Listener(port, topic, *options))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.stop()
