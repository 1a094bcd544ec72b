"""The embedded broker: rumqttd, as PyPI's ``iotcore`` ships it, in a child process that dies with us.

Measured with iotcore 0.4 (rumqttd 0.20):

- Each MQTT version needs a port of its own: ``port`` speaks 3.1.1, the default of most clients, ``port_v5`` MQTT 5 and
  ``port_ws`` 3.1.1 over WebSocket. All see the same messages, retained ones and last wills included.
- An MQTT 5 message *with properties* makes it panic on delivery to a 3.1.1 subscriber, who is thrown out. So ``url``
  says ``properties=False``: the publisher then speaks MQTT 5 (commands need it) but sends plain messages.
- It keeps nothing on disk and knows no passwords here: it listens on 127.0.0.1 only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from types import TracebackType
from typing import Self

from streamaffect.clock import Clock, SystemClock
from streamaffect.errors import BrokerError
from streamaffect.publish.address import BrokerUrl
from streamaffect.publish.rumqttd import HOST

DEFAULT_PORT = 1883
_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 3.0
_POLL_S = 0.02
_RESTART_DELAY_S = 0.5
_LOG = logging.getLogger(__name__)


class EmbeddedBroker:
    """``async with EmbeddedBroker() as broker``: accepts connections at ``broker.url``, and is restarted should it die.

    ``port`` None takes 1883, or any free one where that is taken; the other two listeners take the next ports, or any.
    """

    def __init__(self, port: int | None = None, *, clock: Clock | None = None) -> None:
        """Raises BrokerError when the port asked for is taken."""
        if port is not None and not _is_free(port):
            raise BrokerError(
                f"port {port} is taken, so the embedded broker cannot listen there: pass --broker embedded:PORT with a "
                f"free one, or use what listens there with --broker mqtt://{HOST}:{port}"
            )
        self.port = _free_port(port or DEFAULT_PORT)
        self.port_v5 = _free_port(self.port + 1, self.port)
        self.port_ws = _free_port(self.port + 2, self.port, self.port_v5)
        self.restarts = 0
        self._clock = clock or SystemClock()
        self._process: asyncio.subprocess.Process | None = None
        self._guardian: asyncio.Task[None] | None = None

    @property
    def url(self) -> BrokerUrl:
        """Where our own publisher connects."""
        return BrokerUrl("mqtt", HOST, self.port_v5, properties=False)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def __aenter__(self) -> Self:
        """Raises BrokerError when it does not come up."""
        try:
            process = await self._start()
        except BaseException:
            await self._stop()
            raise
        self._guardian = asyncio.create_task(self._guard(process), name="embedded broker guardian")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._guardian is not None:
            self._guardian.cancel()
            await asyncio.wait({self._guardian})
        await self._stop()

    async def _guard(self, process: asyncio.subprocess.Process) -> None:
        """Restart it on the same ports whenever it ends: the publisher's outbox bridges the gap."""
        while True:
            code = await process.wait()
            _LOG.error("the embedded broker ended with code %d: restarting it", code)
            self.restarts += 1
            await self._clock.sleep(_RESTART_DELAY_S)
            try:
                process = await self._start()
            except BrokerError as error:
                _LOG.error("%s", error)
                await self._stop()

    async def _start(self) -> asyncio.subprocess.Process:
        ports = (self.port, self.port_v5, self.port_ws)
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "streamaffect.publish.rumqttd", *map(str, ports)),
            stdin=asyncio.subprocess.PIPE,  # it ends when this closes
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,  # its panics are the reader's business, not the terminal's
            start_new_session=True,  # Ctrl-C is ours: the broker must live to carry our `offline`
        )
        give_up_s = self._clock.monotonic() + _START_TIMEOUT_S
        while not all([await _accepts(port) for port in ports]):
            if process.returncode is not None or self._clock.monotonic() > give_up_s:
                raise BrokerError(
                    f"the embedded broker does not come up on ports {', '.join(map(str, ports))} of {HOST}: run a broker "
                    f"such as Mosquitto and pass --broker mqtt://{HOST}:1883"
                )
            await self._clock.sleep(_POLL_S)
        return process

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        if os.name == "posix":  # as rumqttd does: a port whose last connections only linger is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _free_port(wish: int, *taken: int) -> int:
    """``wish`` where it is free, else any free port that is none of ``taken``."""
    if wish < 65536 and wish not in taken and _is_free(wish):
        return wish
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
