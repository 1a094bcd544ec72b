"""The workshop of one subject: remembers, decides when to adapt, has the child do it, judges, swaps, and watches on."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import uuid
from dataclasses import dataclass

from streamaffect.bundle.registry import Registry
from streamaffect.errors import StreamAffectError
from streamaffect.messages import EventType
from streamaffect.runtime.adaptation import Adaptation, AdaptationSettings, Announce
from streamaffect.runtime.guard import Verdict
from streamaffect.runtime.job import LOG, Job
from streamaffect.runtime.river import Decision, River

__all__ = ["AdaptationSettings", "JobFailedError", "Status", "Workshop"]

_LOG = logging.getLogger(__name__)
_LEAST = 4  # windows that a command may adapt on
_START_S = 30.0  # what the child may take beyond its budget: importing torch, exporting


class JobFailedError(StreamAffectError):
    """The child ended without a candidate."""


@dataclass(frozen=True, slots=True)
class Status:
    """For those who look on: ``progress`` 0..1 of the running job, None when there is none."""

    remembered: int
    wanted: int
    progress: float | None
    last: str


class Workshop(Adaptation):
    """Lives on the event loop; its heavy work in a child process and in threads."""

    def __init__(self, river: River, registry: Registry, settings: AdaptationSettings, announce: Announce) -> None:
        super().__init__(river, registry, settings, announce)
        self._task: asyncio.Task[None] | None = None
        self._progress: float | None = None

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
        self._count(decision)
        if self._task is None and (reason := self._trigger.look(decision)):
            self._trigger.started(decision.features.t_end_s)
            self._task = group.create_task(self._adapt(reason), name="adaptation")

    async def _adapt(self, reason: str) -> None:
        """One adaptation from trigger to swap. What goes wrong is announced; the incumbent serves on."""
        name = uuid.uuid4().hex[:12]
        incumbent = self._river.engine
        try:
            self._triggered(name, reason)
            self._progress = 0.0
            job = await asyncio.to_thread(self._preparation(name, incumbent))
            self._announce(EventType.ADAPTATION_RUNNING, {"job": name, "method": self._settings.method})
            await self._run_child(job)
            verdict = await asyncio.to_thread(self._judgement(job, incumbent))
            if self._river.engine is not incumbent:
                self._fail(name, "the model that it grew from was rolled back meanwhile")
            elif verdict.reason is not None:
                self._refuse(job, verdict)
            else:
                await self._deploy(job, verdict)
        except Exception as error:  # noqa: BLE001 - plug-ins raise what they like, and must not end the river
            self._fail_by(name, error)
        finally:
            self._progress, self._task = None, None
            await asyncio.to_thread(self._tidy)

    async def _deploy(self, job: Job, verdict: Verdict) -> None:
        """Promote, warm the new session aside, replace one reference between two windows."""
        self._deploying = True
        try:
            engine, said = await asyncio.to_thread(self._promotion(job.candidate))
        finally:
            self._deploying = False
        self._serve(job, verdict, engine, said)

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
        budget_s = self._settings.budget_s
        limit_s = None if budget_s is None else budget_s * 1.1 + _START_S
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
