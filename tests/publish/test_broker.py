"""The embedded broker: lives as long as we do, no longer; the quirks its docstring tells of are still there."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from streamaffect.errors import BrokerError
from streamaffect.messages import Emotion, Info
from streamaffect.publish.broker import EmbeddedBroker
from streamaffect.publish.mqtt import Publisher
from streamaffect.publish.settings import PublisherSettings


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


async def test_listens_on_loopback_only_and_frees_its_ports(free_port: int) -> None:
    async with EmbeddedBroker(free_port) as broker:
        ports = (broker.port, broker.port_v5, broker.port_ws)
        assert broker.port == free_port
        assert all(accepts(port) for port in ports)
        assert not any(accepts(port, "127.0.0.2") for port in ports)
    assert not any(accepts(port) for port in ports)


async def test_taken_port_is_one_helpful_line(free_port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port))
        other.listen()
        with pytest.raises(BrokerError, match=rf"^port {free_port} is taken.*embedded:PORT.*$"):
            EmbeddedBroker(free_port)


async def test_without_a_wish_any_free_port_will_do() -> None:
    async with EmbeddedBroker() as one, EmbeddedBroker() as other:
        assert len({one.port, one.port_v5, one.port_ws, other.port, other.port_v5, other.port_ws}) == 6


_PARENT = """
import asyncio, sys
from streamaffect.publish.broker import EmbeddedBroker
async def main():
    async with EmbeddedBroker(int(sys.argv[1])):
        print("ready", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def test_dies_with_its_killed_parent(free_port: int, until: Callable[..., None]) -> None:
    command = [sys.executable, "-c", _PARENT, str(free_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        assert accepts(free_port)
        parent.kill()
    until(lambda: not accepts(free_port))


async def test_is_restarted_when_it_dies_and_the_publisher_finds_it_again(
    embedded_broker: EmbeddedBroker,
    info: Info,
    make_emotion: Callable[[int], Emotion],
    impatient: PublisherSettings,
    listen,
    until_async,
) -> None:
    async with Publisher(embedded_broker.url, "lab", info, settings=impatient) as publisher:
        assert await publisher.drain()
        assert embedded_broker.pid is not None
        os.kill(embedded_broker.pid, signal.SIGKILL)
        await until_async(lambda: not publisher.statistics().connected)
        publisher.publish_emotion(make_emotion(0))
        assert await publisher.drain(10)
        assert embedded_broker.restarts == 1
        listener = listen(embedded_broker.port, "streamaffect/v1/lab/s1/emotion/last")
        await until_async(lambda: listener.lines)


async def test_plain_messages_of_either_version_reach_listeners_of_both(
    embedded_broker: EmbeddedBroker, listen, until_async, say
) -> None:
    old = listen(embedded_broker.port, "t/#", "-F", "%t %p")
    new = listen(embedded_broker.port_v5, "t/#", "-V", "5", "-F", "%t %p")
    for port, version in ((embedded_broker.port, "311"), (embedded_broker.port_v5, "5")):
        await say(port, f"t/{version}", "hello", "-V", version)
    for listener in (old, new):
        await until_async(lambda listener=listener: sorted(listener.lines) == ["t/311 hello", "t/5 hello"])
