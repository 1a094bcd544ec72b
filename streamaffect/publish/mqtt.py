"""The publisher: one node's messages, in order and without loss across broker outages. The engine never waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from types import TracebackType
from typing import NamedTuple, Self
from uuid import UUID, uuid4

from streamaffect.clock import Clock, SystemClock
from streamaffect.errors import BrokerError, UsageError
from streamaffect.messages import Emotion, Event, EventType, Info, ModelInfo, SignalState, Topics
from streamaffect.publish.address import BrokerUrl, TlsFiles
from streamaffect.publish.commands import CommandHandler, obey
from streamaffect.publish.connection import (
    Connection,
    ConnectionLostError,
    Incoming,
    Link,
    RefusedError,
    connect,
)
from streamaffect.publish.homeassistant import BIRTH, BIRTH_TOPIC, discoveries
from streamaffect.publish.outbox import Entry, Outbox, OutboxStatistics
from streamaffect.publish.settings import PublisherSettings
from streamaffect.publish.waiting import wait_for

_LOG = logging.getLogger(__name__)


class PublisherStatistics(NamedTuple):
    connected: bool
    reconnects: int
    outbox: OutboxStatistics


class Publisher:
    """Publishes one node's messages: ``async with Publisher(...)``, or ``run()`` in a task group.

    All methods belong to the event loop's thread; ``publish_*`` never wait, and never fail for the broker's sake.
    """

    def __init__(
        self,
        broker: BrokerUrl,
        node: str,
        info: Info,
        *,
        clock: Clock | None = None,
        settings: PublisherSettings | None = None,
        tls: TlsFiles | None = None,
        on_command: CommandHandler | None = None,
        home_assistant: bool = False,
    ) -> None:
        """Commands are subscribed to only where ``on_command`` is given.

        Raises UsageError on a bad node name or TLS file, or where ``broker`` is yet to be started.
        """
        if broker.embedded:
            raise UsageError("an embedded broker must be started first: give the publisher EmbeddedBroker's url")
        self.topics = Topics(node)
        self._node = node
        self._home_assistant = home_assistant
        self.settings = settings = settings or PublisherSettings()
        self._clock = clock or SystemClock()
        self._on_command = on_command
        self._link = Link(
            broker.with_secrets(),
            # One id for life: a broker then ends our half-open old connection, last will included, before the new one
            # says `online`; under a new id the old will would come later and stay.
            identifier=f"streamaffect-{node}-{uuid4().hex[:8]}",
            availability=self.topics.availability,
            protocol=settings.protocol,
            keepalive_s=settings.keepalive_s,
            timeout_s=settings.ack_timeout_s,
            tls=(tls or TlsFiles()).context() if broker.scheme == "mqtts" else None,
        )
        self._outbox = Outbox(settings.outbox_capacity)
        self._dropped: Counter[str] = Counter()
        self._news = asyncio.Event()
        self._empty = asyncio.Event()
        self._connected = asyncio.Event()
        self._closing = asyncio.Event()
        self._close_by_s = 0.0
        self._draining = 0
        self._connections = 0
        self._told = False
        self._lost_at_s = 0.0
        self._task: asyncio.Task[None] | None = None
        self.publish_info(info)

    def publish_emotion(self, emotion: Emotion) -> None:
        """``t_publish`` and ``late`` are stamped as it is sent. Also updates the retained ``emotion/last``."""
        entry = Entry(self.topics.emotion(emotion.subject), emotion, qos=1, expiry_s=self.settings.emotion_expiry_s)
        self._put(entry, emotion.session, emotion.subject)
        last = Entry(self.topics.emotion_last(emotion.subject), emotion, qos=0, retain=True)
        self._put_latest(last, self.settings.latest_interval_s)

    def publish_signal(self, signal: SignalState) -> None:
        self._put_latest(Entry(self.topics.signal(signal.subject), signal, qos=0), self.settings.latest_interval_s)

    def publish_model(self, model: ModelInfo) -> None:
        self._put_latest(Entry(self.topics.model(model.subject), model, qos=1, retain=True))

    def publish_event(self, event: Event) -> None:
        self._put(Entry(self.topics.event(event.subject), event, qos=1), event.session, event.subject)

    def publish_info(self, info: Info) -> None:
        """Also announces the subjects to Home Assistant, where that was asked for."""
        self._info = info
        self._put_latest(Entry(self.topics.info, info, qos=1, retain=True))
        if self._home_assistant:
            self._announce()

    async def drain(self, timeout_s: float | None = None) -> bool:
        """Send all, what is held back to keep its rate included, and wait until it is acknowledged.

        False if it is not within the time-out (the outbox keeps what remains).
        """
        timeout_s = self.settings.drain_timeout_s if timeout_s is None else timeout_s
        self._draining += 1
        self._news.set()
        try:
            return await wait_for(self._empty, timeout_s, self._clock)
        finally:
            self._draining -= 1

    async def wait_connected(self) -> None:
        """For who runs ``run()`` in a task group, which ends this wait should ``run()`` fail."""
        await self._connected.wait()

    async def wait_ended(self) -> None:
        """Within ``async with``: until publishing has ended. Raises what ended it; cancelling the wait does not end it."""
        if self._task is not None:
            await asyncio.wait({self._task})
            await self._task

    def statistics(self) -> PublisherStatistics:
        return PublisherStatistics(self._connected.is_set(), max(self._connections - 1, 0), self._outbox.statistics())

    def close(self) -> None:
        """Ask ``run()`` to send what it has, for at most ``drain_timeout_s``, to say `offline` and to return."""
        self._close_by_s = self._clock.monotonic() + self.settings.drain_timeout_s
        self._closing.set()
        self._news.set()

    async def __aenter__(self) -> Self:
        """Raises BrokerError when the broker refuses us, or is not reached within ``start_timeout_s``."""
        self._task = asyncio.create_task(self.run(), name="mqtt publisher")
        connected = asyncio.create_task(self._connected.wait(), name="mqtt first connection")
        try:
            await asyncio.wait({self._task, connected}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._task.cancel()
            await asyncio.wait({self._task})
            raise
        finally:
            connected.cancel()
        if self._task.done():
            await self._task
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if self._task is not None:
            await self._task

    async def run(self) -> None:
        """Keep connected and send, until closed or cancelled: either way it says `offline` first.

        Raises BrokerError when the broker refuses us or is not reached within ``start_timeout_s``; a broker that was
        reached once is tried again for ever.
        """
        began_s = self._clock.monotonic()
        backoff_s = self.settings.backoff_min_s
        while not self._closing.is_set():
            connections, failure = self._connections, None
            try:
                await self._connection()
            except* (ConnectionLostError, RefusedError) as failures:
                failure = _first(failures)
            if self._connections > connections:
                backoff_s = self.settings.backoff_min_s
            if failure is not None:
                self._judge(failure, self._clock.monotonic() + backoff_s - began_s)
            await wait_for(self._closing, backoff_s, self._clock)
            backoff_s = min(2 * backoff_s, self.settings.backoff_max_s)
        if unsent := self._outbox.statistics().waiting:
            _LOG.warning("closed with %d messages unsent", unsent)

    def _judge(self, error: Exception, next_try_s: float) -> None:
        """Is there a point in trying again, ``next_try_s`` after the start? Raises BrokerError if not."""
        broker, limit_s = self._link.broker, self.settings.start_timeout_s
        if self._connections == 0 and isinstance(error, RefusedError):
            raise BrokerError(f"broker {broker}: {error}") from error
        if self._connections == 0 and limit_s is not None and next_try_s > limit_s:
            raise BrokerError(
                f"no MQTT {self.settings.protocol} broker answers at {broker} within {limit_s:g} s ({error}): "
                "start one there, or pass --broker embedded"
            ) from error
        # Once an outage; a first connection that may fail says so by its error.
        level = logging.DEBUG if self._told or (self._connections == 0 and limit_s is not None) else logging.WARNING
        _LOG.log(level, "broker %s: %s; trying again", broker, error)
        self._told = True

    async def _connection(self) -> None:
        """One connection from first to last; returns when closed. Raises as :func:`connect`, in groups too."""
        async with connect(self._link) as connection:
            self._connections += 1
            self._told = False
            self._connected.set()
            try:
                await self._serve(connection)
            finally:
                self._connected.clear()
                self._outbox.stop_flowing()
                self._empty.clear()
                self._lost_at_s = self._clock.monotonic()

    async def _serve(self, connection: Connection) -> None:
        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(self._receive(connection), name="mqtt receive")
            if self._connections > 1:
                outage_s = self._clock.monotonic() - self._lost_at_s
                _LOG.info("broker %s is back after %.1f s", self._link.broker, outage_s)
                await wait_for(self._closing, min(outage_s, self.settings.settle_max_s), self._clock)
            self._outbox.start_flowing()
            await self._send_all(connection, group)
            receiving.cancel()

    async def _send_all(self, connection: Connection, group: asyncio.TaskGroup) -> None:
        """Several in flight, in order: tasks start in the order of their making, and sending is their first step."""
        slots = asyncio.Semaphore(self.settings.max_in_flight)
        while not (self._closing.is_set() and (self._outbox.empty or self._clock.monotonic() >= self._close_by_s)):
            await slots.acquire()
            entry = self._outbox.take(self._clock.monotonic(), flush=self._draining > 0 or self._closing.is_set())
            if entry is None:
                slots.release()
                await self._wait_for_news()
            else:
                group.create_task(self._send(connection, entry, slots), name="mqtt send")

    async def _wait_for_news(self) -> None:
        self._news.clear()
        due_s = self._close_by_s if self._closing.is_set() else self._outbox.next_due_s()
        await wait_for(self._news, None if due_s is None else due_s - self._clock.monotonic(), self._clock)

    async def _send(self, connection: Connection, entry: Entry, slots: asyncio.Semaphore) -> None:
        message = entry.message
        if isinstance(message, Emotion):
            message = message.model_copy(update={"late": entry.late, "t_publish": self._clock.utc()})
        await connection.send(
            entry.topic,
            message.to_json(),
            qos=entry.qos,
            retain=entry.retain,
            schema=message.schema_name(),
            expiry_s=entry.expiry_s,
        )
        self._outbox.acknowledge(entry)
        slots.release()
        if self._outbox.empty:
            self._empty.set()
            self._news.set()

    async def _receive(self, connection: Connection) -> None:
        """Commands, Home Assistant's birth, and the news that the connection is lost."""
        if self._on_command is not None:
            await connection.subscribe(self.topics.commands)
        if self._home_assistant:
            await connection.subscribe(BIRTH_TOPIC)
        async for message in connection.incoming():
            if message.retained:  # an old wish, an old birth
                continue
            if message.topic == BIRTH_TOPIC:
                if message.payload == BIRTH:
                    self._announce()
            elif self._on_command is not None:
                await self._answer(connection, self._on_command, message)

    async def _answer(self, connection: Connection, handler: CommandHandler, message: Incoming) -> None:
        subject = message.topic.split("/")[-2]
        answer = await obey(handler, subject, message.payload, self.settings.command_timeout_s)
        if not answer.ok:
            _LOG.warning("command for %s: %s", subject, answer.error)
        if message.response_topic:
            schema, correlation = answer.schema_name(), message.correlation
            try:
                await connection.send(message.response_topic, answer.to_json(), qos=1, schema=schema, correlation=correlation)
            except ValueError as error:  # the sender chose the topic: wildcards in it, or no UTF-8
                _LOG.warning("command for %s: no answer to topic %r: %s", subject, message.response_topic, error)

    def _announce(self) -> None:
        for discovery in discoveries(self._node, self._info):
            self._put_latest(Entry(discovery.topic, discovery, qos=1, retain=True))

    def _put(self, entry: Entry, session: UUID, subject: str) -> None:
        """Queue it; what falls out at the other end is counted in an event."""
        self._empty.clear()
        if self._outbox.put(entry) is not None:
            self._dropped[subject] += 1
            event = Event(
                session=session,
                subject=subject,
                t_publish=self._clock.utc(),
                type=EventType.OUTBOX_OVERFLOW,
                detail={"dropped": self._dropped[subject]},
            )
            overflow = Entry(self.topics.event(subject), event, qos=1)
            self._outbox.put_latest(f"overflow {subject}", overflow, self.settings.latest_interval_s)
        self._news.set()

    def _put_latest(self, entry: Entry, interval_s: float = 0.0) -> None:
        self._empty.clear()
        self._outbox.put_latest(entry.topic, entry, interval_s)
        self._news.set()


def _first(failures: BaseExceptionGroup[Exception]) -> Exception:
    """The first failure itself, out of however many groups."""
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure
