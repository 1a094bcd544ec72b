"""Each method in the river: real LSL, a real broker, a real child. Small models, trained here on simulated people."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from streamaffect import methods
from streamaffect.bundle import build
from streamaffect.bundle.bundle import LABEL, Bundle, ClassEntry
from streamaffect.config import RunConfig
from streamaffect.datasets import simulated
from streamaffect.features import views
from streamaffect.messages import Emotion
from streamaffect.runtime.node import Node, plan
from streamaffect.signals import Modality, Recording
from streamaffect.sources import devices
from streamaffect.sources.replay import Replay

SPEED = 20.0
# What a self-report after rest and after load may look like.
MOODS = {
    "rest": {"calm": 0.5, "attentive": 0.3, "nervous": 0.1, "stressed": 0.1},
    "load": {"calm": 0.1, "attentive": 0.3, "nervous": 0.25, "stressed": 0.35},
}


def person(name: str, modalities: Sequence[Modality], duration_s: float = 240.0) -> Recording:
    """Rest and load by turns of 40 s, each with its report."""
    recording = simulated.person(name, duration_s=duration_s, block_s=40.0, modalities=modalities)
    moods = {label: MappingProxyType({"panas": MappingProxyType(mood)}) for label, mood in MOODS.items()}
    trials = tuple(replace(trial, distributions=moods[str(trial.label)]) for trial in recording.trials)
    return replace(recording, trials=trials)


def train(
    where: Path, method: str, chosen: Sequence[views.View], params: Mapping[str, object], target: str = LABEL
) -> Bundle:
    """A bundle of six simulated people, as ``streamaffect train --no-loso`` makes it."""
    people = [person(f"teacher-{i}", [view.modality for view in chosen]) for i in range(6)]
    classes = tuple(ClassEntry(name=name) for name in build.classes_of(people, target))
    recipe = build.Recipe("small", tuple(chosen), classes, 5.0, {"level": False, "location_weight": 1.0}, 2, target)
    learner = methods.get(method, normalise=None, **params)
    windows = build.gather(people, recipe)
    priors = build.fit_priors(windows, recipe)
    taught, guards = build.spare_guards(build.training_set(windows, priors, recipe, 0), learner, 0)
    model = learner.fit_source(taught, device="cpu")
    memory = build.remember(windows, priors, recipe, 0, guards)
    about = {"data": [], "figures": {}, "provenance": {}, "card": "# small\n"}
    return build.build(where, recipe, model, priors, memory, params=learner.params(), **about)


@dataclass
class Run:
    """What is played and what a subscriber, not written here, heard of it."""

    replay: Replay
    lines: list[str]
    seen: int = field(default=0)

    def _of(self, topic: str) -> list[dict]:
        parsed = (line.split(" ", 1) for line in list(self.lines))
        return [json.loads(payload) for name, payload in parsed if name == f"streamaffect/v1/local/anna/{topic}"]

    @property
    def emotions(self) -> list[dict]:
        return self._of("emotion")

    def events(self, kind: str) -> list[dict]:
        return [event["detail"] for event in self._of("event") if event["type"] == kind]

    @property
    def ended(self) -> bool:
        """Whether an adaptation came to its end, well or not."""
        return any(self.events(f"adaptation_{how}") for how in ("deployed", "rejected", "failed"))

    @property
    def models(self) -> list[dict]:
        return self._of("model")


@pytest.fixture
def live(home, mosquitto, listen) -> Callable[..., contextlib.AbstractAsyncContextManager[Run]]:
    """``async with live(bundle, method)``: a person nobody has seen before wears what the bundle reads."""

    @contextlib.asynccontextmanager
    async def start(bundle: Bundle, method: str) -> AsyncIterator[Run]:
        modalities = list(dict.fromkeys(view.modality for view in bundle.views))
        device = devices.get("generic")
        wearer = person("stranger", modalities, 600.0)
        replay = Replay(wearer, device, speed=SPEED, loop=True, suffix=bundle.manifest.method, wait_for_consumer_s=30)
        config = RunConfig.model_validate(
            {
                "stream_timeout_s": 20,
                "broker": {"url": mosquitto.url},
                "adaptation": {"method": method, "first": 20, "minimum": 20, "interval_s": None, "budget_s": 20},
                "subjects": [
                    {"id": "anna", "model": str(bundle.path), "stream": {"source_id": f"replay-*-{bundle.manifest.method}"}}
                ],
            }
        )
        run = Run(replay, listen(mosquitto.port, "streamaffect/v1/#", "-F", "%t %p").lines)
        tasks = [asyncio.create_task(replay.run()), asyncio.create_task(Node(plan(config), lambda _: None).run())]
        try:
            yield run
            assert not any(task.done() for task in tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return start


def assert_whole(emotions: list[dict], classes: Sequence[str]) -> None:
    """No hole in the stream, every message by the contract."""
    assert [emotion["seq"] for emotion in emotions] == list(range(len(emotions)))
    for emotion in emotions:
        Emotion.from_json(json.dumps(emotion))
        assert list(emotion["probabilities"]) == list(classes)


async def until_it_becomes_theirs(run: Run, method: str, until_async) -> None:
    """The first adaptation is deployed and its model speaks."""
    await until_async(lambda: run.ended, 60)
    assert run.events("adaptation_deployed"), run.events("adaptation_rejected") + run.events("adaptation_failed")
    await until_async(lambda: any(e["model"]["version"] == 1 and not e["abstained"] for e in run.emotions), 20)
    assert run.models[-1]["version"] == 1
    assert run.models[-1]["method"] == method
    assert {e["model"]["method"] for e in run.emotions if e["model"]["version"] == 1} == {method}


def accuracy(run: Run) -> float:
    """Balanced accuracy of what was said in windows of one state."""
    right: dict[str, list[bool]] = {"rest": [], "load": []}
    for emotion in run.emotions:
        end_s = (emotion["lsl_end"] - run.replay.t0_s) % run.replay.pass_s
        inside = [t for t in run.replay.recording.trials if t.start_s <= end_s - 30 and end_s <= t.end_s]
        if inside and not emotion["abstained"]:
            right[str(inside[0].label)].append(emotion["label"] == inside[0].label)
    return float(np.mean([np.mean(each) for each in right.values()]))


SMALL = {
    "sdcnet": {"epochs": 20, "adapt_epochs": 10},
    "m3d": {},
}


@pytest.mark.parametrize("method", list(SMALL))
async def test_a_method_of_vectors_adapts_to_a_stranger(method, live, tmp_path, until_async):
    chosen = [views.ecg_hrv(), views.eeg_de(channels=["C3", "Pz", "Fz"], seconds=10.0)]
    bundle = train(tmp_path / "small", method, chosen, SMALL[method])
    async with live(bundle, method) as run:
        await until_it_becomes_theirs(run, method, until_async)
    assert_whole(run.emotions, ["rest", "load"])
    assert accuracy(run) > 0.8
