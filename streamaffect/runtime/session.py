"""One live subject: its sources feed the river, the river's decisions go to the publisher and the workshop."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
from pydantic import JsonValue

from streamaffect.clock import Clock
from streamaffect.errors import UsageError
from streamaffect.features.windows import Gap
from streamaffect.messages import Answer, Command, Emotion, Event, EventType, ModelInfo, ModelRef, SignalState, StreamState
from streamaffect.publish.mqtt import Publisher
from streamaffect.runtime.river import Decision, River
from streamaffect.runtime.workshop import Workshop
from streamaffect.signals import Chunk, Modality
from streamaffect.sources.items import SourceState, StreamLost, StreamRecovered
from streamaffect.sources.lsl import LslSource

TICK_S = 0.5
_LOG = logging.getLogger(__name__)
_STATES = {SourceState.IDLE: "waiting", SourceState.LIVE: "running", SourceState.LOST: "lost", SourceState.CLOSED: "lost"}


@dataclass(slots=True)
class Pace:
    """How fast a stream's time runs against the wall clock: 1 for a device, X for a replay at speed X."""

    first: tuple[float, float] | None = None
    last: tuple[float, float] = (math.nan, math.nan)

    def saw(self, stream_s: float, wall_s: float) -> None:
        self.first = self.first or (stream_s, wall_s)
        self.last = (stream_s, wall_s)

    def now(self, wall_s: float) -> float:
        """Stream time at wall time ``wall_s``, were samples still to come."""
        if self.first is None:
            return math.nan
        stream, wall = (b - a for a, b in zip(self.first, self.last, strict=True))
        speed = stream / wall if wall > 1.0 else 1.0
        speed = 1.0 if abs(speed - 1.0) < 0.1 else speed
        return self.last[0] + (wall_s - self.last[1]) * speed


@dataclass(slots=True)
class Feed:
    """One stream of the subject and what is counted of it."""

    modality: Modality
    source: LslSource
    pace: Pace = field(default_factory=Pace)
    gaps: int = 0
    quality: float | None = None


Observer = Callable[[Emotion | Event], None]
"""Called on the loop with what goes out as it goes out; must not wait."""


class Session:
    """Runs until cancelled. ``sources`` are open; without a ``workshop`` there is no adaptation."""

    def __init__(
        self,
        subject: str,
        session: UUID,
        river: River,
        sources: Sequence[LslSource],
        publisher: Publisher,
        clock: Clock,
        observe: Observer,
    ) -> None:
        self.subject, self.river = subject, river
        self._session, self._publisher, self._clock, self._observe = session, publisher, clock, observe
        self.feeds = {source.spec.modality: Feed(source.spec.modality, source) for source in sources}
        self.workshop: Workshop | None = None
        self._paused = False
        self._model_failed = False
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Feed, decide, publish."""
        self.announce_model()
        try:
            async with asyncio.TaskGroup() as self._group:
                for feed in self.feeds.values():
                    self._group.create_task(self._read(feed), name=f"{self.subject} {feed.modality}")
                self._group.create_task(self._tick(), name=f"{self.subject} tick")
        finally:
            for feed in self.feeds.values():
                await feed.source.close()

    async def _read(self, feed: Feed) -> None:
        async for item in feed.source:
            match item:
                case Chunk():
                    if feed.source.stats().queued_s < 1.0:  # a backlog from before the start says nothing of the pace
                        feed.pace.saw(float(item.timestamps[-1]), self._clock.monotonic())
                    decisions, gaps = self.river.push(feed.modality, item)
                    self._tell_gaps(feed, gaps)
                    self._handle(decisions)
                case StreamLost(at_s=_, reason=reason):
                    self.event(EventType.STREAM_LOST, {"stream": feed.source.spec.name, "reason": reason})
                    others = [f for f in self.feeds.values() if f is not feed]
                    if any(f.source.stats().state is SourceState.LIVE for f in others):
                        self._handle(self.river.stall(feed.modality))
                case StreamRecovered(at_s=_, gap_s=gap_s):
                    restarted = gap_s < 0  # the sender's clock: it does not tell how long it was away
                    detail: dict[str, JsonValue] = {"stream": feed.source.spec.name, "restarted": restarted}
                    detail["outage_s"] = None if restarted else round(gap_s, 3)
                    self.event(EventType.STREAM_RECOVERED, detail)
                    feed.pace = Pace()
                    if restarted:
                        self.river.windower.restart()
                    for other in self.feeds.values():
                        # When all were lost nobody was stalled: who is back must not wait for who is not.
                        if other is not feed and other.source.stats().state is SourceState.LOST:
                            self._handle(self.river.stall(other.modality))

    async def _tick(self) -> None:
        """Once in a while: how the streams do, and time passing while all of them are silent."""
        while True:
            await self._clock.sleep(TICK_S)
            stats = {feed.modality: feed.source.stats() for feed in self.feeds.values()}
            if all(s.state is SourceState.LOST for s in stats.values()):
                now = [feed.pace.now(self._clock.monotonic()) for feed in self.feeds.values()]
                if all(math.isfinite(t) for t in now):
                    # Two seconds of grace: what returns first of all belongs to the past.
                    self._handle(self.river.advance(min(now) - 2.0))
            self._publisher.publish_signal(self.signal())

    def _tell_gaps(self, feed: Feed, gaps: Sequence[Gap]) -> None:
        for gap in gaps:
            feed.gaps += 1
            seconds = round(gap.t_end_s - gap.t_start_s, 3)
            self.event(EventType.GAP, {"stream": feed.source.spec.name, "gap_s": seconds, "lsl_start": round(gap.t_start_s, 3)})

    def _handle(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            for modality, quality in decision.features.quality.items():
                self.feeds[modality].quality = quality
            failed = decision.reason == "model_error"
            if failed and not self._model_failed:
                bundle = decision.bundle
                reason = f"{bundle.name} version {bundle.version} gives NaN or infinity"
                self.event(EventType.MODEL_ERROR, {"reason": reason, "seq": decision.features.seq})
            self._model_failed = failed
            emotion = self.emotion(decision)
            self._publisher.publish_emotion(emotion)
            self._observe(emotion)
            if self.workshop is not None and self._group is not None and not self._paused:
                try:
                    self.workshop.look(decision, self._group)
                except Exception:  # noqa: BLE001 - the workshop may burn down (a full disk, a plug-in): the river runs on
                    _LOG.exception("%s: the workshop failed", self.subject)

    def emotion(self, decision: Decision) -> Emotion:
        """The message of one decision."""
        offset = next(iter(self.feeds.values())).source.stats().utc_offset_s
        features, bundle = decision.features, decision.bundle
        reason = "paused" if self._paused else decision.reason
        p = decision.probabilities.astype(np.float64)
        p = np.round(p / p.sum(), 9)
        p[p.argmax()] += 1.0 - p.sum()
        return Emotion(
            session=self._session,
            subject=self.subject,
            seq=features.seq,
            t_start=features.t_start_s + offset,
            t_end=features.t_end_s + offset,
            t_publish=self._clock.utc(),
            lsl_end=features.t_end_s,
            probabilities=dict(zip(bundle.classes, p.tolist(), strict=True)),
            label=None if reason else bundle.classes[int(p.argmax())],
            confidence=float(p.max()),
            entropy=decision.entropy,
            abstained=reason is not None,
            reason=reason,
            valence=decision.expectation("valence"),
            arousal=decision.expectation("arousal"),
            quality={str(modality): q for modality, q in features.quality.items()},
            coverage=features.coverage,
            model=ModelRef(name=bundle.name, version=bundle.version, method=bundle.manifest.method, sha256=bundle.sha256[:12]),
        )

    def announce_model(self) -> None:
        """Say which model serves from the next window on."""
        bundle = self.river.engine.bundle
        adapted_from = bundle.manifest.provenance.get("adapted_from")
        self._publisher.publish_model(
            ModelInfo(
                session=self._session,
                subject=self.subject,
                t_publish=self._clock.utc(),
                name=bundle.name,
                version=bundle.version,
                parent=adapted_from if isinstance(adapted_from, int) else None,
                method=bundle.manifest.method,
                sha256=bundle.sha256[:12],
                since_seq=self.river.windower.seq,
            )
        )

    def event(self, type_: EventType, detail: dict[str, JsonValue]) -> None:
        """Tell the world; a new model is also announced under ``model``."""
        now = self._clock.utc()
        event = Event(session=self._session, subject=self.subject, t_publish=now, type=type_, detail=detail)
        self._publisher.publish_event(event)
        self._observe(event)
        if type_ in (EventType.ADAPTATION_DEPLOYED, EventType.ROLLED_BACK):
            self.announce_model()

    def signal(self) -> SignalState:
        """How the streams do."""
        streams = {}
        for feed in self.feeds.values():
            stats, track = feed.source.stats(), self.river.windower.tracks.get(feed.modality)
            measured = stats.measured_rate
            streams[feed.source.spec.name] = StreamState(
                modality=str(feed.modality),
                state=_STATES[stats.state],  # type: ignore[arg-type]
                rate_nominal=stats.nominal_rate,
                rate_measured=round(measured, 3) if math.isfinite(measured) else None,
                quality=feed.quality,
                gaps=feed.gaps,
                drops=stats.dropped_samples + (track.missing if track is not None else 0),
            )
        return SignalState(session=self._session, subject=self.subject, t_publish=self._clock.utc(), streams=streams)

    async def obey(self, command: Command) -> Answer:
        """Do what the command topic asks; what cannot be done raises UsageError, which is answered."""
        match command.command:
            case "adapt" | "rollback":
                if self.workshop is None:
                    raise UsageError("this session does not adapt: it runs with --method source")
                if command.version is not None:
                    raise UsageError("rollback goes to the version before the current one: give no version")
                if command.command == "rollback":
                    self.workshop.rollback("command")
                elif self._paused:
                    raise UsageError("paused: resume first")
                else:
                    self.workshop.ask()
            case "pause" | "resume":
                self._paused = command.command == "pause"
                self.event(EventType.PAUSED if self._paused else EventType.RESUMED, {})
            case "mark":
                self.event(EventType.MARK, {"label": command.label})
        return Answer(command=command.command, ok=True)
