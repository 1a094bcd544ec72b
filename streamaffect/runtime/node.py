"""A node: one publisher, any number of subjects, set up from a configuration and run until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from streamaffect import __version__, methods
from streamaffect.bundle import registry
from streamaffect.bundle.bundle import SOURCE, WEIGHTS, Bundle
from streamaffect.bundle.registry import Registry
from streamaffect.clock import Clock, SystemClock
from streamaffect.config import AdaptationConfig, RunConfig, SubjectConfig
from streamaffect.errors import BundleError, UsageError
from streamaffect.features.views import View
from streamaffect.messages import Answer, Command, Info
from streamaffect.publish.address import BrokerUrl, TlsFiles
from streamaffect.publish.broker import EmbeddedBroker
from streamaffect.publish.mqtt import Publisher
from streamaffect.publish.settings import PublisherSettings
from streamaffect.runtime.adaptation import AdaptationSettings, misfit
from streamaffect.runtime.engine import Engine
from streamaffect.runtime.river import River
from streamaffect.runtime.session import Observer, Session
from streamaffect.runtime.trigger import Schedule
from streamaffect.runtime.workshop import Workshop
from streamaffect.signals import Modality
from streamaffect.sources import devices, lsl
from streamaffect.sources.channels import has
from streamaffect.sources.devices import DeviceProfile

_LOG = logging.getLogger(__name__)
_CHILD_NEEDS = ("torch", "onnx", "onnxscript")  # imported by the child alone, and only when it adapts


@dataclass(frozen=True, slots=True)
class Wearer:
    """One subject, checked before anything starts: device and model fit each other."""

    config: SubjectConfig
    device: DeviceProfile
    bundle: Bundle
    registry: Registry


@dataclass(frozen=True, slots=True)
class Plan:
    """A run, checked: no unknown name and no broken model is left to find when it starts."""

    config: RunConfig
    broker: BrokerUrl
    wearers: tuple[Wearer, ...]
    session: UUID

    @property
    def adapts(self) -> bool:
        return self.config.adaptation.method != "source"


def plan(config: RunConfig) -> Plan:
    """Check all that can be checked without the network.

    Raises:
        UsageError: an unknown device, method or parameter, a device that the model cannot read, an extra that is not
            installed, a place for models that cannot be written.
        BundleError: the model is not there, not whole, or cannot be adapted.
    """
    try:
        method = methods.get(config.adaptation.method, **config.adaptation.params)
    except ValueError as error:
        raise UsageError(str(error)) from None
    wearers = tuple(_wearer(subject) for subject in config.subjects)
    planned = Plan(config, BrokerUrl.parse(config.broker.url), wearers, uuid4())
    if planned.adapts:
        _check_adaptable(wearers, method, config.adaptation.method)
    return planned


def _wearer(subject: SubjectConfig) -> Wearer:
    device = devices.get(subject.device)
    base = Bundle.load(registry.find(subject.model or _default_model(device)))
    try:
        own = Registry.of(subject.id, base)
    except OSError as error:
        raise UsageError(
            f"cannot keep {subject.id}'s models in {registry.home()}: {error.strerror}: set STREAMAFFECT_HOME to a folder"
        ) from None
    bundle, troubles = own.load_current()
    for trouble in troubles:
        _LOG.warning("%s: %s; serving version %d instead", subject.id, trouble, bundle.version)
    return Wearer(subject, _fit(device, bundle, subject), bundle, own)


def _modalities(bundle: Bundle) -> set[Modality]:
    return {view.modality for view in bundle.views}


def _sites(view: View) -> list[str]:
    """The channels that a view asks for by name."""
    channels = view.params.get("channels")
    return channels if isinstance(channels, list) else []


def _default_model(device: DeviceProfile) -> str:
    """The shipped model that reads only what the device sends; of several the first that tells states, not shares."""
    sends = {stream.modality: stream for stream in device.streams}
    fits: list[Bundle] = []
    for name in registry.list_shipped():
        bundle = Bundle.load(registry.find(name))
        if all(view.modality in sends and has(sends[view.modality], _sites(view)) for view in bundle.views):
            fits.append(bundle)
    if fits:
        return min(fits, key=lambda bundle: not bundle.exclusive).name
    there = ", ".join(registry.list_shipped()) or "none"
    raise UsageError(f"no shipped model reads what device {device.name!r} sends (there are {there}): pass --model")


def _fit(device: DeviceProfile, bundle: Bundle, subject: SubjectConfig) -> DeviceProfile:
    """The device's streams that the model reads, told exactly what the user and the model say of them."""
    wanted = _modalities(bundle)
    streams = tuple(stream for stream in device.streams if stream.modality in wanted)
    if missing := wanted - {stream.modality for stream in streams}:
        sends = ", ".join(sorted({stream.modality for stream in device.streams}))
        raise UsageError(
            f"model {bundle.name!r} reads {', '.join(sorted(missing))}, device {device.name!r} sends {sends}: "
            "choose another --device or --model"
        )
    device = replace(device, streams=tuple(replace(stream, optional=False) for stream in streams))
    choice = subject.stream.model_dump(exclude_none=True)
    if choice:
        device = device.told(**choice)
    for view in bundle.views:
        if channels := _sites(view):
            device = _with_channels(device, view.modality, tuple(channels), bundle)
    return device


def _with_channels(device: DeviceProfile, modality: Modality, channels: tuple[str, ...], bundle: Bundle) -> DeviceProfile:
    """``modality``'s stream asked for just the sites that the model reads, by label."""
    streams = []
    for stream in device.streams:
        if stream.modality is modality:
            if stream.by_label and len(stream.channels) < len(channels):
                raise UsageError(
                    f"model {bundle.name!r} reads {len(channels)} channels ({', '.join(channels)}), "
                    f"device {device.name!r} has {', '.join(stream.channels)}: choose another --device or --model"
                )
            stream = replace(stream, channels=channels, by_label=True)
        streams.append(stream)
    return replace(device, streams=tuple(streams))


class Node:
    """Runs a plan: ``await node.run()`` until cancelled. ``sessions`` are there once the streams are."""

    def __init__(self, plan: Plan, observe: Observer, clock: Clock | None = None) -> None:
        self.plan, self._observe, self._clock = plan, observe, clock or SystemClock()
        self.sessions: dict[str, Session] = {}
        self.publisher: Publisher | None = None
        self.broker: EmbeddedBroker | None = None

    async def run(self, ready: asyncio.Event | None = None) -> None:
        """Connect, find the streams, then run every session. ``ready`` is set when the sessions run.

        Raises:
            BrokerError: no broker, or it refuses us.
            SourceError: a device's stream is not there, or not as its profile says.
            Exception: the publisher or a session failed, in whatever way; the others are stopped.
        """
        engines = {wearer.config.id: Engine(wearer.bundle) for wearer in self.plan.wearers}
        async with self._broker() as url, self._publisher(url) as self.publisher:
            opened = await self._open_all()
            if self.broker is not None:
                _LOG.info("embedded broker: mqtt://127.0.0.1:%d", self.broker.port)
            for wearer, sources in zip(self.plan.wearers, opened, strict=True):
                session = self._session(wearer, engines[wearer.config.id], sources, self.publisher)
                self.sessions[wearer.config.id] = session
                names = ", ".join(source.spec.name for source in sources)
                _LOG.info("%s: %s -> %s", wearer.config.id, names, self.publisher.topics.emotion(wearer.config.id))
            try:
                async with asyncio.TaskGroup() as both:
                    publishing = both.create_task(self.publisher.wait_ended(), name="publisher's end")
                    async with asyncio.TaskGroup() as group:
                        for subject, session in self.sessions.items():
                            group.create_task(session.run(), name=f"session {subject}")
                        if ready is not None:
                            ready.set()
                    publishing.cancel()
            finally:
                _LOG.info("stopping: sending what is left, saying offline")

    @contextlib.asynccontextmanager
    async def _broker(self) -> AsyncIterator[BrokerUrl]:
        if not self.plan.broker.embedded:
            yield self.plan.broker
            return
        async with EmbeddedBroker(self.plan.broker.port, clock=self._clock) as self.broker:
            yield self.broker.url

    def _publisher(self, url: BrokerUrl) -> Publisher:
        config = self.plan.config
        info = Info(
            version=__version__,
            session=self.plan.session,
            subjects=[wearer.config.id for wearer in self.plan.wearers],
            classes=list(dict.fromkeys(name for wearer in self.plan.wearers for name in wearer.bundle.classes)),
        )
        return Publisher(
            url,
            config.node,
            info,
            clock=self._clock,
            settings=PublisherSettings(protocol=config.broker.protocol),
            tls=TlsFiles(config.broker.ca, config.broker.cert, config.broker.key),
            on_command=self._obey if config.broker.commands else None,
            home_assistant=config.broker.home_assistant,
        )

    async def _obey(self, subject: str, command: Command) -> Answer:
        session = self.sessions.get(subject)
        if session is None:
            raise UsageError(f"no subject {subject!r} here: there are {', '.join(self.sessions)}")
        return await session.obey(command)

    def _session(self, wearer: Wearer, engine: Engine, sources: Sequence[lsl.LslSource], publisher: Publisher) -> Session:
        river = River(engine, {source.spec.modality: source.spec for source in sources})
        river.warm()
        session = Session(wearer.config.id, self.plan.session, river, sources, publisher, self._clock, self._observe)
        if self.plan.adapts:
            settings = adaptation_settings(self.plan.config.adaptation, wearer.bundle)
            session.workshop = Workshop(river, wearer.registry, settings, session.event)
        return session

    async def _open_all(self) -> list[Sequence[lsl.LslSource]]:
        """Every wearer's streams, looked for at the same time; all of them or none."""
        async with contextlib.AsyncExitStack() as undo:
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._open(wearer, undo)) for wearer in self.plan.wearers]
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from None
            undo.pop_all()
        return [task.result() for task in tasks]

    async def _open(self, wearer: Wearer, undo: contextlib.AsyncExitStack) -> Sequence[lsl.LslSource]:
        timeout_s = self.plan.config.stream_timeout_s
        sources = await lsl.find(wearer.device, timeout_s, clock=self._clock)
        for source in sources:
            undo.push_async_callback(source.close)
        await asyncio.gather(*(source.open(timeout_s) for source in sources))
        return sources


def _check_adaptable(wearers: Sequence[Wearer], method: methods.Method, name: str) -> None:
    if missing := [name for name in _CHILD_NEEDS if importlib.util.find_spec(name) is None]:
        raise UsageError(
            f"adapting needs {', '.join(missing)}: pip install 'streamaffect[adapt]', or do without: --method source"
        )
    for wearer in wearers:
        bundle = wearer.bundle
        if missing := [file for file in (SOURCE, WEIGHTS) if file not in bundle.manifest.files]:
            raise BundleError(f"bundle {bundle.path} lacks {', '.join(missing)}: run it with --method source")
        _check_method(wearer, method, name)


def _check_method(wearer: Wearer, method: methods.Method, name: str) -> None:
    """Raises UsageError where ``method`` cannot go on from the wearer's model: said now, not when it first adapts."""
    bundle = wearer.bundle
    own = f"version {bundle.version} of {wearer.config.id}'s {bundle.name!r}" if bundle.version else f"model {bundle.name!r}"
    if (why := misfit(bundle, method, name, own)) is not None:
        roll = f"streamaffect models rollback {wearer.config.id} {wearer.config.model or bundle.name}"
        raise UsageError(f"{why}, train a model with --method {name}" + (f", or '{roll}'" if bundle.version else ""))


def adaptation_settings(config: AdaptationConfig, bundle: Bundle) -> AdaptationSettings:
    """The workshop's settings from the configuration's.

    A model made by the same method brings the parameters that it was made and evaluated with; the configuration's win.
    """
    own = bundle.manifest.params if bundle.manifest.method == config.method else {}
    return AdaptationSettings(
        method=config.method,
        params={**own, **config.params},
        schedule=Schedule(config.first, config.min_gap_s, config.interval_s, config.drift),
        fraction=config.fraction,
        minimum=config.minimum,
        budget_s=config.budget_s,
        device=config.device,
        seed=config.seed,
    )
