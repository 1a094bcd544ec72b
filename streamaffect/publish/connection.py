"""One connection to a broker, from `online` to `offline`: the only module that knows aiomqtt."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Literal

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from streamaffect.publish.address import PASSWORD_VARIABLE, BrokerUrl

ONLINE, OFFLINE = b"online", b"offline"
Protocol = Literal["5", "3.1.1"]

_VERSIONS = {"5": aiomqtt.ProtocolVersion.V5, "3.1.1": aiomqtt.ProtocolVersion.V311}
# Without it Nagle's algorithm and the broker's delayed ACK make a QoS 1 message take 42 ms instead of 0.6.
_NODELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
_MAX_INCOMING = 100
_OTHER_VERSION = "try the other of 5 and 3.1.1"
_WHO = f"give user and password in the address, or the password in {PASSWORD_VARIABLE}"
# Reason codes that trying again does not heal (MQTT 5, 3.2.2.2); paho translates those of 3.1.1 into these.
_REFUSALS = {
    132: f"it does not speak this version of MQTT; {_OTHER_VERSION}",
    133: f"it does not accept our client identifier; {_OTHER_VERSION}",
    134: f"bad user name or password; {_WHO}",
    135: f"not authorised; {_WHO}",
    138: f"this client is banned; {_WHO}",
    140: "it wants a way to authenticate that is not supported; allow password or certificate there",
}


class ConnectionLostError(Exception):
    """No connection, or no longer one: try again."""


class RefusedError(Exception):
    """The broker does not want us, or we do not trust it: trying again is no use. The text ends with the remedy."""


@dataclass(frozen=True, slots=True)
class Link:
    """How to connect. ``timeout_s`` bounds each answer of the broker; ``availability`` is the last will's topic."""

    broker: BrokerUrl
    identifier: str
    availability: str
    protocol: Protocol = "5"
    keepalive_s: int = 10
    timeout_s: float = 5.0
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a subscription brought. The last two are of MQTT 5."""

    topic: str
    payload: bytes
    retained: bool
    response_topic: str | None
    correlation: bytes | None


class Connection:
    """An open connection; every method raises ConnectionLostError. Made by :func:`connect`."""

    def __init__(self, client: aiomqtt.Client, link: Link) -> None:
        self._client = client
        self._link = link
        self.lost = False

    async def send(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool = False,
        schema: str | None = None,
        expiry_s: int | None = None,
        correlation: bytes | None = None,
    ) -> None:
        """Returns when a QoS 1 message is acknowledged, a QoS 0 message written. Sends in the order of the calls."""
        properties = self._properties(schema, expiry_s, correlation)
        with self._watched():
            await self._client.publish(topic, payload, qos=qos, retain=retain, properties=properties)

    async def subscribe(self, topic: str) -> None:
        with self._watched():
            await self._client.subscribe(topic, qos=1)

    async def incoming(self) -> AsyncIterator[Incoming]:
        """Ends only by raising: also the quickest sign of a lost connection."""
        with self._watched():
            async for message in self._client.messages:
                extra = message.properties
                yield Incoming(
                    str(message.topic),
                    bytes(message.payload),
                    message.retain,
                    getattr(extra, "ResponseTopic", None),
                    getattr(extra, "CorrelationData", None),
                )

    async def leave(self) -> None:
        """Say `offline` where that still goes, and disconnect: a clean disconnection keeps the last will from being sent."""
        with contextlib.suppress(ConnectionLostError, aiomqtt.MqttError):
            if not self.lost:
                await self.send(self._link.availability, OFFLINE, qos=1, retain=True)
        with contextlib.suppress(aiomqtt.MqttError):
            await self._client.__aexit__(None, None, None)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except aiomqtt.MqttError as error:
            self.lost = True
            raise ConnectionLostError(str(error)) from error

    def _properties(self, schema: str | None, expiry_s: int | None, correlation: bytes | None) -> Properties | None:
        if self._link.protocol != "5" or not (self._link.broker.properties or correlation):
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if correlation is not None:
            properties.CorrelationData = correlation
        if self._link.broker.properties and schema is not None:
            properties.ContentType = "application/json"
            properties.UserProperty = ("schema", schema)
        if self._link.broker.properties and expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        return properties


@contextlib.asynccontextmanager
async def connect(link: Link) -> AsyncIterator[Connection]:
    """Connect and say `online`; on leaving say `offline`, which is also the last will. Both are retained.

    Raises RefusedError or ConnectionLostError.
    """
    client = aiomqtt.Client(
        link.broker.host,
        link.broker.port or 0,
        username=link.broker.username,
        password=link.broker.password,
        identifier=link.identifier,
        protocol=_VERSIONS[link.protocol],
        will=aiomqtt.Will(link.availability, OFFLINE, qos=1, retain=True),
        timeout=link.timeout_s,
        keepalive=link.keepalive_s,
        tls_context=link.tls,
        socket_options=[_NODELAY],
        max_queued_incoming_messages=_MAX_INCOMING,
    )
    client.pending_calls_threshold = _MAX_INCOMING  # several messages in flight are meant, not worth its warning
    await _open(client)
    connection = Connection(client, link)
    try:
        await connection.send(link.availability, ONLINE, qos=1, retain=True)
        yield connection
    finally:
        await connection.leave()


async def _open(client: aiomqtt.Client) -> None:
    # aiomqtt opens the socket in a thread that cannot be cancelled: let it end, within its time-outs, then close it.
    opening = asyncio.create_task(client.__aenter__(), name="mqtt open")
    try:
        await asyncio.shield(opening)
    except asyncio.CancelledError:
        with contextlib.suppress(aiomqtt.MqttError):
            await opening
            await client.__aexit__(None, None, None)
        raise
    except aiomqtt.MqttCodeError as error:
        code = error.rc.value if isinstance(error.rc, ReasonCode) else None
        if code in _REFUSALS:
            raise RefusedError(_REFUSALS[code]) from error
        raise ConnectionLostError(str(error)) from error
    except aiomqtt.MqttError as error:
        cause = error.__context__  # aiomqtt hides it, so that only the text would be left to judge by
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = f"certificate verify failed: {cause.verify_message}"
            raise RefusedError(f"{reason}; name the authority that signed the broker's certificate") from error
        raise ConnectionLostError(str(error)) from error
