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
from pathlib import Path

from pydantic import JsonValue

from streamaffect.bundle.bundle import Bundle, SourceMemory
from streamaffect.bundle.registry import Registry
from streamaffect.errors import StreamAffectError
from streamaffect.messages import EventType
from streamaffect.runtime.engine import Engine
from streamaffect.runtime.guard import Evidence, Verdict, Watch, judge, mean_entropy
from streamaffect.runtime.job import LOG, Job, Order
from streamaffect.runtime.memory import Memory
from streamaffect.runtime.river import Decision, River
from streamaffect.runtime.trigger import Schedule, Trigger
from streamaffect.signals import Float32

Announce = Callable[[EventType, dict[str, JsonValue]], None]
_LOG = logging.getLogger(__name__)
_KEEP_JOBS = 5
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
    """Lives on the event loop; its heavy work in a child process and in threads. Never raises into the river."""

    def __init__(self, river: River, registry: Registry, settings: AdaptationSettings, announce: Announce) -> None:
        self._river, self._registry, self._settings, self._announce = river, registry, settings, announce
        self._memory = Memory()
        self._trigger = Trigger(settings.schedule)
        self._watch: Watch | None = None
        self._task: asyncio.Task[None] | None = None
        self._progress: float | None = None
        self._last = ""

    @property
    def status(self) -> Status:
        return Status(len(self._memory), self._settings.schedule.first, self._progress, self._last or self._trigger.waits)

    def ask(self) -> None:
        """Adapt as soon as there is anything to adapt on."""
        self._trigger.ask()

    def look(self, decision: Decision, group: asyncio.TaskGroup) -> None:
        """Count one decision of the river; may start a job in ``group`` or roll back."""
        self._memory.add(decision)
        if self._watch is not None and (trouble := self._watch.look(decision)):
            self.rollback(trouble)
        elif self._watch is not None and self._watch.done:
            self._watch = None
        if self._task is None and (reason := self._trigger.look(decision)):
            self._trigger.started(decision.features.t_end_s)
            self._task = group.create_task(self._adapt(reason), name="adaptation")

    def rollback(self, reason: str) -> None:
        """Serve with the version before the current one.

        Raises:
            BundleError: there is none, or it does not load.
        """
        before = self._river.engine.bundle
        watched, self._watch = self._watch, None
        bundle = self._registry.rollback()
        known = watched is not None and watched.replaced.bundle.sha256 == bundle.sha256
        engine = watched.replaced if watched is not None and known else Engine(bundle)
        self._river.swap(engine)
        self._last = f"rolled back to version {bundle.version}: {reason}"
        detail: dict[str, JsonValue] = {"version": bundle.version, "from_version": before.version, "reason": reason}
        self._announce(EventType.ROLLED_BACK, detail)

    async def _adapt(self, reason: str) -> None:
        """One adaptation from trigger to swap. What goes wrong is announced; the incumbent serves on."""
        name = uuid.uuid4().hex[:12]
        self._announce(EventType.ADAPTATION_TRIGGERED, {"job": name, "reason": reason, "windows": len(self._memory)})
        incumbent = self._river.engine
        try:
            job = await self._prepare(name, incumbent)
            self._announce(EventType.ADAPTATION_RUNNING, {"job": name, "method": self._settings.method})
            await self._run_child(job)
            verdict, engine = await self._judge(job, incumbent)
            if verdict.reason is not None:
                self._refuse(job, verdict)
                return
            await self._deploy(job, engine, verdict)
        except (StreamAffectError, ValueError, OSError) as error:
            self._fail(name, str(error))
        finally:
            self._progress = None
            self._task = None
            _prune(self._registry.root / "jobs")

    async def _prepare(self, name: str, incumbent: Engine) -> Job:
        settings, memory = self._settings, self._memory.snapshot()
        self._progress = 0.0

        def work() -> Job:
            coreset = memory.coreset(
                self._river.extractor, incumbent, fraction=settings.fraction, minimum=settings.minimum, seed=settings.seed
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

    async def _judge(self, job: Job, incumbent: Engine) -> tuple[Verdict, Engine]:
        memory = self._memory.snapshot()

        def work() -> tuple[Verdict, Engine]:
            candidate = Engine(Bundle.load(job.candidate))
            source = SourceMemory.load(incumbent.bundle)
            held_out: dict[str, Float32] = {key: value[source.held_out] for key, value in source.x.items()}
            probes, expected = job.probes()
            recent = memory.recent(self._river.extractor)
            evidence = Evidence(held_out, source.y[source.held_out], recent, probes, expected)
            return judge(candidate, incumbent, evidence), candidate

        return await asyncio.to_thread(work)

    def _refuse(self, job: Job, verdict: Verdict) -> None:
        aside = self._registry.reject(job.path, verdict.reason or "")
        self._trigger.ended(ok=True, refused=True)
        self._last = f"candidate refused: {verdict.reason}"
        figures: dict[str, JsonValue] = {**verdict.figures}
        detail: dict[str, JsonValue] = {"reason": verdict.reason, "kept": aside.name, "figures": figures}
        detail["job"] = job.path.name
        self._announce(EventType.ADAPTATION_REJECTED, detail)

    async def _deploy(self, job: Job, candidate: Engine, verdict: Verdict) -> None:
        """Promote, warm the new session aside, replace one reference between two windows."""
        parent = self._river.engine.bundle.version
        bundle = await asyncio.to_thread(self._registry.promote, job.candidate)
        engine = await asyncio.to_thread(Engine, bundle)
        replaced = self._river.swap(engine)
        self._watch = Watch(replaced)
        self._trigger.ended(ok=True)
        said = candidate(self._memory.recent(self._river.extractor))
        self._trigger.drift.rebase(said.embedding, mean_entropy(said.probabilities))
        self._last = f"version {bundle.version} deployed"
        figures: dict[str, JsonValue] = {**verdict.figures}
        detail: dict[str, JsonValue] = {"version": bundle.version, "parent": parent, "figures": figures}
        detail["job"] = job.path.name
        self._announce(EventType.ADAPTATION_DEPLOYED, detail)

    def _fail(self, name: str, reason: str) -> None:
        self._last = f"adaptation failed: {reason}"
        self._announce(EventType.ADAPTATION_FAILED, {"job": name, "reason": reason})
        if self._trigger.ended(ok=False):
            text = f"{self._trigger.failures} failures in a row, the last: {reason}; the command 'adapt' tries again"
            self._announce(EventType.ADAPTATION_DISABLED, {"reason": text})


def _prune(jobs: Path) -> None:
    """Job folders hold the wearer's windows: none but the newest few stay."""
    if not jobs.is_dir():
        return
    old = sorted(jobs.iterdir(), key=lambda path: path.stat().st_mtime)[:-_KEEP_JOBS]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
