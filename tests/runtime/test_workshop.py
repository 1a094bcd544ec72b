"""The workshop with real child processes: it adapts, and whatever goes wrong the incumbent serves on."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from streamaffect.bundle.bundle import Bundle
from streamaffect.messages import EventType
from streamaffect.runtime import job as jobs
from streamaffect.runtime.engine import Engine
from streamaffect.runtime.guard import Watch
from streamaffect.runtime.trigger import Schedule
from streamaffect.runtime.worker import run as run_job
from streamaffect.runtime.workshop import AdaptationSettings, Workshop


class Case:
    """A workshop on a river, and what it announced."""

    def __init__(self, river, own, method: str, **settings) -> None:
        self.river, self.own = river, own
        self.events: list[tuple[EventType, dict]] = []
        schedule = Schedule(first=16, min_gap_s=settings.pop("min_gap_s", 1e9), interval_s=settings.pop("interval_s", None))
        params = {**own.base.manifest.params, "adapt_epochs": 2} if method == "dynamic" else {}
        settings = AdaptationSettings(method, params, schedule, minimum=16, **settings)
        self.workshop = Workshop(river, own, settings, lambda kind, detail: self.events.append((kind, detail)))

    async def run(self, decisions) -> None:
        async with asyncio.TaskGroup() as group:
            for decision in decisions:
                self.workshop.look(decision, group)
                await asyncio.sleep(0)

    @property
    def kinds(self) -> list[EventType]:
        return [kind for kind, _ in self.events]


async def test_adapts_promotes_and_swaps(river, own, recording, play):
    case = Case(river, own, "dynamic")
    await case.run(play(river, recording))
    assert case.kinds[:2] == [EventType.ADAPTATION_TRIGGERED, EventType.ADAPTATION_RUNNING]
    kind, detail = case.events[2]
    if kind is EventType.ADAPTATION_REJECTED:
        pytest.fail(f"a mild adaptation was refused: {detail}")
    assert kind is EventType.ADAPTATION_DEPLOYED
    assert river.engine.bundle.version == own.current == 1
    assert river.engine.bundle.manifest.parent == own.base.sha256
    assert river.engine.bundle.manifest.method == "dynamic"


async def test_rolls_back_on_request_and_serves_the_base_again(river, own, recording, play):
    case = Case(river, own, "dynamic")
    await case.run(play(river, recording))
    case.workshop.rollback("command")
    assert case.kinds[-1] is EventType.ROLLED_BACK
    assert river.engine.bundle.version == own.current == 0


@pytest.mark.usefixtures("saboteurs")
@pytest.mark.parametrize(
    ("kind", "event", "said"),
    [
        ("nan", EventType.ADAPTATION_REJECTED, "NaN"),
        ("worse", EventType.ADAPTATION_REJECTED, "held-out source people"),
        ("truncated", EventType.ADAPTATION_FAILED, "cannot load"),
        ("fails", EventType.ADAPTATION_FAILED, "no luck today"),
        ("dies", EventType.ADAPTATION_FAILED, "signal 9"),
    ],
)
async def test_sabotage_leaves_the_incumbent_serving_and_says_why(river, own, recording, play, kind, event, said):
    incumbent = river.engine
    case = Case(river, own, f"saboteur-{kind}")
    await case.run(play(river, recording))
    assert case.kinds[2] is event, case.events
    assert said in str(case.events[2][1]["reason"])
    assert river.engine is incumbent
    assert own.current == 0
    if event is EventType.ADAPTATION_REJECTED:
        kept = own.root / "rejected" / str(case.events[2][1]["kept"])
        assert (kept / "reason.json").is_file()


@pytest.mark.usefixtures("saboteurs")
async def test_rollback_meanwhile_stops_a_deployment(river, own, recording, play):
    case = Case(river, own, "dynamic")
    await case.run(play(river, recording))
    assert own.current == 1
    first = river.engine
    case.workshop.ask()
    decisions = play(river, recording)
    river.windower.restart()

    async def meddle(decision):
        case.workshop.look(decision, group)
        if case.kinds.count(EventType.ADAPTATION_TRIGGERED) == 2 and river.engine is first:
            case.workshop.rollback("command")
        await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for decision in decisions:
            await meddle(decision)
    assert case.kinds[-1] is EventType.ADAPTATION_FAILED
    assert "rolled back meanwhile" in str(case.events[-1][1]["reason"])
    assert river.engine.bundle.version == own.current == 0


async def test_watch_that_finds_fault_brings_the_old_model_back(
    bundle, engine, river, own, recording, play, tampered, tmp_path
):
    stuck = own.promote(tampered(tmp_path / "stuck", [0.01, 0.01], [0.9, 0.09]).bundle.path)
    case = Case(river, own, "source")
    case.workshop._trigger.failures = 3  # no adaptation of its own
    decisions = play(river, recording)
    for _ in range(16):  # to the middle of the minute of load: the old model will be seen to tell both states
        next(decisions)
    river.swap(Engine(stuck))
    case.workshop._watch = Watch(engine)
    await case.run(decisions)
    assert case.kinds == [EventType.ROLLED_BACK]
    assert "one class took 100%" in str(case.events[0][1]["reason"])
    assert river.engine is engine
    assert own.current == 0


@pytest.mark.usefixtures("saboteurs")
async def test_child_killed_from_outside_is_announced(river, own, recording, play, until_async):
    case = Case(river, own, "saboteur-hangs")
    running = asyncio.create_task(case.run(play(river, recording)))
    await until_async(lambda: _children(own.root), 30)
    for pid in _children(own.root):
        os.kill(pid, signal.SIGKILL)
    await asyncio.wait_for(running, 30)
    assert case.kinds[2] is EventType.ADAPTATION_FAILED
    assert "killed by signal 9" in str(case.events[2][1]["reason"])


@pytest.mark.usefixtures("saboteurs")
async def test_child_over_its_budget_is_killed(river, own, recording, play, monkeypatch):
    monkeypatch.setattr("streamaffect.runtime.workshop._START_S", 5.0)
    case = Case(river, own, "saboteur-hangs", budget_s=0.1)
    await case.run(play(river, recording))
    assert "killed: not done" in str(case.events[2][1]["reason"])
    assert not _children(own.root)


@pytest.mark.usefixtures("saboteurs")
async def test_three_failures_in_a_row_switch_adaptation_off(river, own, recording, play, until_async):
    case = Case(river, own, "saboteur-fails", min_gap_s=0.0, interval_s=5.0)

    async with asyncio.TaskGroup() as group:
        for decision in play(river, recording):
            case.workshop.look(decision, group)
            await asyncio.sleep(0)  # lets a job begin
            await until_async(lambda: case.workshop.status.progress is None, 60)
    assert case.kinds.count(EventType.ADAPTATION_FAILED) == 3
    assert case.kinds[-1] is EventType.ADAPTATION_DISABLED


def test_a_job_folder_can_be_run_again(bundle, engine, river, recording, play, tmp_path):
    decisions = [d for d in play(river, recording) if d.reason is None]
    coreset = {key: _stack(decisions, key) for key in bundle.input_shapes}
    order = jobs.Order(bundle=str(bundle.path), method="dynamic", params={"adapt_epochs": 1}, seed=3)
    candidates = []
    for name in ("one", "two"):
        job = jobs.Job.create(tmp_path / name, order, coreset)
        assert run_job(job).status == "done"
        candidates.append(Bundle.load(job.candidate))
    assert candidates[0].manifest.files["weights.npz"] == candidates[1].manifest.files["weights.npz"]
    assert oct((tmp_path / "one").stat().st_mode)[-3:] == "700"


def _stack(decisions, key):
    import numpy as np

    return np.stack([d.features.x[key] for d in decisions])


def _children(root: Path) -> list[int]:
    """Processes that run a job of ``root``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if "streamaffect.runtime.worker" in line and any(str(root) in part for part in line):
                found.append(int(entry.name))
    return found
