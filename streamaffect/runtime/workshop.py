"""The workshop of one subject: remembers, decides when to adapt, has the child do it, judges, swaps, and watches on."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from streamaffect.bundle.bundle import Bundle, SourceMemory
from streamaffect.bundle.registry import Registry
from streamaffect.errors import StreamAffectError
from streamaffect.messages import EventType
from streamaffect.runtime.engine import Engine, Prediction
from streamaffect.runtime.guard import Evidence, Verdict, Watch, judge, mean_entropy
from streamaffect.runtime.job import LOG, Job, Order
from streamaffect.runtime.memory import Memory
from streamaffect.runtime.river import Decision, River
from streamaffect.runtime.trigger import Schedule, Trigger
from streamaffect.signals import Float32

Announce = Callable[[EventType, dict[str, JsonValue]], None]
_LOG = logging.getLogger(__name__)
_KEEP_JOBS = 5
_LEAST = 4  # windows that a command may adapt on
_KEEP_VERSIONS = 10
_START_S = 30.0  # what the child may take beyond its budget: importing torch, exporting


class JobFailedError(StreamAffectError):
    """The child ended without a candidate."""


@dataclass(frozen=True, slots=True)
class AdaptationSettings:
    """How one subject's model is adapted. ``fraction`` and ``minimum`` size dynAmiC's coreset."""

    method: str
    params: Mapping[str, JsonValue] = field(default_factory=dict)
    schedule: Schedule = field(default_factory=Schedule)
    fraction: float = 0.01
    minimum: int = 64
    budget_s: float = 60.0
    device: str = "auto"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """For those who look on: ``progress`` 0..1 of the running job, None when there is none."""

    remembered: int
    wanted: int
    progress: float | None
    last: str


class Workshop:
    """Lives on the event loop; its heavy work in a child process and in threads."""

    def __init__(self, river: River, registry: Registry, settings: AdaptationSettings, announce: Announce) -> None:
        self._river, self._registry, self._settings, self._announce = river, registry, settings, announce
        self._memory = Memory()
        self._trigger = Trigger(settings.schedule, exclusive=river.engine.bundle.exclusive)
        self._watch: Watch | None = None
        self._task: asyncio.Task[None] | None = None
        self._progress: float | None = None
        self._deploying = False
        self._last = ""

    @property
    def status(self) -> Status:
        return Status(len(self._memory), self._settings.schedule.first, self._progress, self._last or self._trigger.waits)

    def ask(self) -> None:
        """Adapt at the next trustworthy window.

        Raises:
            StreamAffectError: too few windows to adapt on.
        """
        if len(self._memory) < _LEAST:
            raise StreamAffectError(f"only {len(self._memory)} trustworthy windows so far: ask again when there are {_LEAST}")
        self._trigger.ask()

    def look(self, decision: Decision, group: asyncio.TaskGroup) -> None:
        """Count one decision of the river; may start a job in ``group`` or roll back."""
        self._memory.add(decision)
        if self._watch is not None and not self._deploying and (trouble := self._watch.look(decision)):
            self.rollback(trouble)
        elif self._watch is not None and self._watch.done:
            self._watch = None
        if self._task is None and (reason := self._trigger.look(decision)):
            self._trigger.started(decision.features.t_end_s)
            self._task = group.create_task(self._adapt(reason), name="adaptation")

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

    async def _adapt(self, reason: str) -> None:
        """One adaptation from trigger to swap. What goes wrong is announced; the incumbent serves on."""
        name = uuid.uuid4().hex[:12]
        incumbent = self._river.engine
        try:
            self._announce(EventType.ADAPTATION_TRIGGERED, {"job": name, "reason": reason, "windows": len(self._memory)})
            job = await self._prepare(name, incumbent)
            self._announce(EventType.ADAPTATION_RUNNING, {"job": name, "method": self._settings.method})
            await self._run_child(job)
            verdict = await self._judge(job, incumbent)
            if self._river.engine is not incumbent:
                self._fail(name, "the model that it grew from was rolled back meanwhile")
            elif verdict.reason is not None:
                self._refuse(job, verdict)
            else:
                await self._deploy(job, verdict)
        except Exception as error:  # noqa: BLE001 - plug-ins raise what they like, and must not end the river
            if not isinstance(error, StreamAffectError | ValueError | OSError):
                _LOG.exception("adaptation %s", name)
            self._fail(name, str(error) or type(error).__name__)
        finally:
            self._progress, self._task = None, None
            await asyncio.to_thread(self._tidy)

    async def _prepare(self, name: str, incumbent: Engine) -> Job:
        settings, memory, extractor = self._settings, self._memory.snapshot(), self._river.extractor.snapshot()
        self._progress = 0.0

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

        return await asyncio.to_thread(work)

    async def _run_child(self, job: Job) -> None:
        """Raises JobFailedError unless the child leaves a candidate within its time."""
        with (job.path / LOG).open("ab") as log:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "streamaffect.runtime.worker", str(job.path)),
                stdin=asyncio.subprocess.PIPE,  # closes with us, and the child ends
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                # torch makes a cache folder in TMPDIR: here it goes with the job
                env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TMPDIR": str(job.path)},
                start_new_session=True,  # Ctrl-C is ours
            )
        limit_s = self._settings.budget_s * 1.1 + _START_S
        try:
            async with asyncio.timeout(limit_s):
                await self._follow(child)
                code = await child.wait()
        except TimeoutError:
            raise JobFailedError(f"killed: not done after {limit_s:.0f} s") from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        result = job.result()
        if code < 0:
            raise JobFailedError(f"the adaptation process was killed by signal {-code}")
        if result is None or result.status == "failed":
            raise JobFailedError(result.error if result and result.error else f"exit code {code}: see {job.path / LOG}")

    async def _follow(self, child: asyncio.subprocess.Process) -> None:
        if child.stdout is None:
            return
        async for line in child.stdout:
            try:
                self._progress = float(json.loads(line)["progress"])
            except (ValueError, KeyError, TypeError):
                _LOG.debug("child: %s", line)

    async def _judge(self, job: Job, incumbent: Engine) -> Verdict:
        memory, extractor = self._memory.snapshot(), self._river.extractor.snapshot()

        def work() -> Verdict:
            source = SourceMemory.load(incumbent.bundle)
            held_out: dict[str, Float32] = {key: value[source.held_out] for key, value in source.x.items()}
            probes, expected = job.probes()
            evidence = Evidence(held_out, source.y[source.held_out], memory.recent(extractor), probes, expected)
            return judge(Engine(Bundle.load(job.candidate)), incumbent, evidence)

        return await asyncio.to_thread(work)

    def _refuse(self, job: Job, verdict: Verdict) -> None:
        aside = self._registry.reject(job.path, verdict.reason or "")
        self._trigger.ended(ok=True, refused=True)
        self._last = f"candidate refused: {verdict.reason}"
        figures: dict[str, JsonValue] = {**verdict.figures}
        detail: dict[str, JsonValue] = {"reason": verdict.reason, "kept": aside.name, "figures": figures}
        detail["job"] = job.path.name
        self._announce(EventType.ADAPTATION_REJECTED, detail)

    async def _deploy(self, job: Job, verdict: Verdict) -> None:
        """Promote, warm the new session aside, replace one reference between two windows."""
        memory, extractor = self._memory.snapshot(), self._river.extractor.snapshot()

        def work() -> tuple[Engine, Prediction]:
            engine = Engine(self._registry.promote(job.candidate))
            return engine, engine(memory.recent(extractor))

        self._deploying = True
        try:
            engine, said = await asyncio.to_thread(work)
        finally:
            self._deploying = False
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

    def _fail(self, name: str, reason: str) -> None:
        self._last = f"adaptation failed: {reason}"
        self._announce(EventType.ADAPTATION_FAILED, {"job": name, "reason": reason})
        if self._trigger.ended(ok=False):
            text = f"{self._trigger.failures} failures in a row, the last: {reason}; the command 'adapt' tries again"
            self._announce(EventType.ADAPTATION_DISABLED, {"reason": text})

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
