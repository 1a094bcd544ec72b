"""How one wearer's model is adapted: the steps, without an event loop.

The workshop of a live session and the evaluation of recordings take the same ones; what differs is who waits for whom. A
step that is heavy looks at the wearer at once and returns the work that remains, to be called in another thread.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from streamaffect import methods
from streamaffect.bundle.bundle import WEIGHTS, Bundle, SourceMemory
from streamaffect.bundle.registry import Registry
from streamaffect.errors import StreamAffectError
from streamaffect.messages import EventType
from streamaffect.methods.state import read_state
from streamaffect.runtime.engine import Engine, Prediction
from streamaffect.runtime.guard import Evidence, Verdict, Watch, judge, mean_entropy
from streamaffect.runtime.job import Job, Order
from streamaffect.runtime.memory import Memory
from streamaffect.runtime.river import Decision, River
from streamaffect.runtime.trigger import Schedule, Trigger
from streamaffect.signals import Float32

Announce = Callable[[EventType, dict[str, JsonValue]], None]
_LOG = logging.getLogger(__name__)
_KEEP_JOBS = 5
_KEEP_VERSIONS = 10


def misfit(bundle: Bundle, method: methods.Method, name: str, own: str) -> str | None:
    """Why ``method``, called ``name``, cannot go on from ``bundle``, which is told of as ``own``; None where it can."""
    signals = [view.name for view in bundle.views if not view.is_vector]
    if getattr(method, "reads", "any") == "vectors" and signals:
        return f"method {name!r} reads vector views alone, {own} reads {', '.join(signals)} too: choose another --method"
    kinds: frozenset[str] = getattr(method, "kinds", frozenset())
    config, _ = read_state(bundle.path / WEIGHTS)
    if kinds and config.get("core", {}).get("kind", "network") not in kinds:
        made_by = config["method"]
        return f"method {name!r} cannot go on from {own}, which {made_by!r} made: take --method {made_by}"
    return None


@dataclass(frozen=True, slots=True)
class AdaptationSettings:
    """How one subject's model is adapted. ``fraction`` and ``minimum`` size dynAmiC's coreset; ``budget_s`` None: none."""

    method: str
    params: Mapping[str, JsonValue] = field(default_factory=dict)
    schedule: Schedule = field(default_factory=Schedule)
    fraction: float = 0.01
    minimum: int = 64
    budget_s: float | None = 60.0
    device: str = "auto"
    seed: int = 0


class Adaptation:
    """Remembers, prepares a job, judges its candidate, deploys or refuses it, watches on and rolls back."""

    def __init__(self, river: River, registry: Registry, settings: AdaptationSettings, announce: Announce) -> None:
        self._river, self._registry, self._settings, self._announce = river, registry, settings, announce
        self._memory = Memory()
        self._trigger = Trigger(settings.schedule, exclusive=river.engine.bundle.exclusive)
        self._watch: Watch | None = None
        self._deploying = False
        self._last = ""

    def _count(self, decision: Decision) -> None:
        """Remember one decision of the river and look at it with the watch's eyes; may roll back."""
        self._memory.add(decision)
        if self._watch is not None and not self._deploying and (trouble := self._watch.look(decision)):
            self.rollback(trouble)
        elif self._watch is not None and self._watch.done:
            self._watch = None

    def rollback(self, reason: str) -> None:
        """Serve with the version before the current one; a job that grows from the current one will not be deployed.

        Raises:
            StreamAffectError: there is none before, it does not load, or a new version is just being deployed.
        """
        if self._deploying:
            raise StreamAffectError("a new version is being deployed just now: ask again when it serves")
        before, watched = self._river.engine.bundle, self._watch
        self._watch = None
        if watched is not None:
            # The engine that served before is in memory: whatever the disk says, it serves at once.
            self._river.swap(watched.replaced)
            try:
                self._registry.rollback()
            except (StreamAffectError, OSError) as error:
                _LOG.error("rolled back, but the registry could not note it: %s", error)
        else:
            self._river.swap(Engine(self._registry.rollback()))
        self._trigger.rolled_back()
        bundle = self._river.engine.bundle
        self._last = f"rolled back to version {bundle.version}: {reason}"
        detail: dict[str, JsonValue] = {"version": bundle.version, "from_version": before.version, "reason": reason}
        self._announce(EventType.ROLLED_BACK, detail)

    def _triggered(self, name: str, reason: str) -> None:
        self._announce(EventType.ADAPTATION_TRIGGERED, {"job": name, "reason": reason, "windows": len(self._memory)})

    def _preparation(self, name: str, incumbent: Engine) -> Callable[[], Job]:
        settings, memory, extractor = self._settings, self._memory.snapshot(), self._river.extractor.snapshot()

        def work() -> Job:
            coreset = memory.coreset(
                extractor, incumbent, fraction=settings.fraction, minimum=settings.minimum, seed=settings.seed
            )
            order = Order(
                bundle=str(incumbent.bundle.path),
                method=settings.method,
                params=dict(settings.params),
                seed=settings.seed,
                device=settings.device,
                budget_s=settings.budget_s,
            )
            return Job.create(self._registry.root / "jobs" / name, order, coreset)

        return work

    def _judgement(self, job: Job, incumbent: Engine) -> Callable[[], Verdict]:
        memory, extractor = self._memory.snapshot(), self._river.extractor.snapshot()

        def work() -> Verdict:
            source = SourceMemory.load(incumbent.bundle)
            held_out: dict[str, Float32] = {key: value[source.held_out] for key, value in source.x.items()}
            probes, expected = job.probes()
            evidence = Evidence(held_out, source.y[source.held_out], memory.recent(extractor), probes, expected)
            return judge(Engine(Bundle.load(job.candidate)), incumbent, evidence)

        return work

    def _promotion(self, candidate: Path) -> Callable[[], tuple[Engine, Prediction]]:
        """Promote and warm the new session aside."""
        memory, extractor = self._memory.snapshot(), self._river.extractor.snapshot()

        def work() -> tuple[Engine, Prediction]:
            engine = Engine(self._registry.promote(candidate))
            return engine, engine(memory.recent(extractor))

        return work

    def _serve(self, job: Job, verdict: Verdict, engine: Engine, said: Prediction) -> None:
        """Replace one reference between two windows; ``said`` of the recent windows is what is normal from now on."""
        replaced = self._river.swap(engine)
        self._watch = Watch(replaced)
        self._trigger.ended(ok=True)
        self._trigger.drift.rebase(said.embedding, mean_entropy(said.probabilities))
        version, parent = engine.bundle.version, replaced.bundle.version
        self._last = f"version {version} deployed"
        figures: dict[str, JsonValue] = {**verdict.figures}
        detail: dict[str, JsonValue] = {"version": version, "parent": parent, "figures": figures}
        detail["job"] = job.path.name
        self._announce(EventType.ADAPTATION_DEPLOYED, detail)

    def _refuse(self, job: Job, verdict: Verdict) -> None:
        aside = self._registry.reject(job.path, verdict.reason or "")
        self._trigger.ended(ok=True, refused=True)
        self._last = f"candidate refused: {verdict.reason}"
        figures: dict[str, JsonValue] = {**verdict.figures}
        detail: dict[str, JsonValue] = {"reason": verdict.reason, "kept": aside.name, "figures": figures}
        detail["job"] = job.path.name
        self._announce(EventType.ADAPTATION_REJECTED, detail)

    def _fail(self, name: str, reason: str) -> None:
        self._last = f"adaptation failed: {reason}"
        self._announce(EventType.ADAPTATION_FAILED, {"job": name, "reason": reason})
        if self._trigger.ended(ok=False):
            text = f"{self._trigger.failures} failures in a row, the last: {reason}; the command 'adapt' tries again"
            self._announce(EventType.ADAPTATION_DISABLED, {"reason": text})

    def _fail_by(self, name: str, error: Exception) -> None:
        """As :meth:`_fail`; plug-ins raise what they like, and what is not ours goes to the log whole."""
        if not isinstance(error, StreamAffectError | ValueError | OSError):
            _LOG.error("adaptation %s", name, exc_info=error)
        self._fail(name, str(error) or type(error).__name__)

    def _tidy(self) -> None:
        """Job folders hold windows of the wearer: none but the newest few stay, refused ones included, nor old versions."""
        try:
            for folder in (self._registry.root / "jobs", self._registry.root / "rejected"):
                if folder.is_dir():
                    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)[:-_KEEP_JOBS]:
                        shutil.rmtree(path, ignore_errors=True)
            self._registry.prune(_KEEP_VERSIONS)
        except (OSError, StreamAffectError) as error:
            _LOG.warning("old jobs and versions stay: %s", error)
