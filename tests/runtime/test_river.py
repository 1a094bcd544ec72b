"""Decisions from samples: abstention, continuity over a swap, and the same bits over LSL as offline."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from streamaffect import datasets
from streamaffect.features import views
from streamaffect.features.extract import Extractor, specs_of, windows_of
from streamaffect.features.windows import Windower
from streamaffect.runtime.engine import Engine
from streamaffect.runtime.river import River
from streamaffect.signals import Chunk, Modality, Recording, Signal
from streamaffect.sources import devices
from streamaffect.sources.lsl import LslSource
from streamaffect.sources.replay import Replay


def test_every_hop_is_decided_once_and_in_order(river, recording, play):
    decisions = list(play(river, recording))
    assert [d.features.seq for d in decisions] == list(range(int(recording.duration_s / 5)))
    assert all(abs(d.probabilities.sum() - 1) < 1e-6 for d in decisions)


def test_warms_up_then_speaks(river, recording, play):
    reasons = [d.reason for d in play(river, recording)]
    assert reasons[:4] == ["warming_up"] * 4
    assert reasons[6:] == [None] * len(reasons[6:])


def test_does_not_depend_on_how_the_stream_is_cut(engine, recording, play):
    rivers = [River(engine, specs_of(recording, engine.bundle.views)) for _ in range(2)]
    coarse, fine = (list(play(river, recording, chunk_s)) for river, chunk_s in zip(rivers, (7.0, 0.11), strict=True))
    for a, b in zip(coarse, fine, strict=True):
        assert np.array_equal(a.probabilities, b.probabilities)


@pytest.mark.parametrize(("what", "reason"), [("flat", "quality"), ("noise", "quality"), ("nan", "missing_modality")])
def test_abstains_on_what_is_no_ecg(river, recording, play, what, reason):
    samples = recording.signals[0].samples.copy()
    half = slice(samples.shape[1] // 2, None)
    noise = np.random.default_rng(0).normal(0, 100, samples[:, half].shape)
    samples[:, half] = {"flat": 12.0, "noise": noise, "nan": np.nan}[what]
    spoilt = replace(recording, signals=(Signal(recording.signals[0].spec, samples),))
    last = list(play(river, spoilt))[-4:]
    assert {d.reason for d in last} == {reason}
    assert all(d.label is None for d in last)
    assert all(np.isfinite(d.probabilities).all() for d in last)


def test_swap_leaves_no_hole_and_changes_the_next_window(bundle, river, recording, play):
    other = Engine(replace(bundle, manifest=bundle.manifest.model_copy(update={"version": 7})))
    seen = []
    for decision in play(river, recording):
        seen.append((decision.features.seq, decision.bundle.version))
        if decision.features.seq == 9:
            river.swap(other)
    assert seen == [(seq, 0 if seq <= 9 else 7) for seq in range(len(seen))]


def test_clock_that_goes_back_starts_windows_afresh_but_not_seq(river, recording, play):
    list(play(river, recording))
    before = river.windower.seq
    river.windower.restart()
    again = list(play(river, recording))
    assert [d.features.seq for d in again] == list(range(before, before + len(again)))
    assert again[0].reason == "warming_up"


def test_silence_is_abstained_through_in_real_time(river, recording, play):
    spec = recording.signals[0].spec
    list(play(river, recording))
    end = recording.duration_s
    silent = river.advance(end + 60)
    assert len(silent) == 12
    assert silent[-1].reason == "missing_modality"
    n = round(60 * spec.rate)
    later = Chunk(end + 60 + np.arange(n) / spec.rate, recording.signals[0].samples[:, :n])
    back, gaps = river.push(Modality.ECG, later)
    assert back[0].features.seq == silent[-1].features.seq + 1
    assert back[-1].reason is None
    assert not gaps or gaps[0].t_end_s - gaps[0].t_start_s <= 61


WARM = """
import sys
from streamaffect import datasets
from streamaffect.bundle import registry
from streamaffect.bundle.bundle import Bundle
from streamaffect.features.extract import chunks_of, specs_of
from streamaffect.runtime.engine import Engine
from streamaffect.runtime.river import River

engine = Engine(Bundle.load(registry.find("ecg-load")))
person = next(iter(datasets.open("simulated", subject="person-3")))
specs = specs_of(person, engine.bundle.views)
river = River(engine, specs)
river.warm()
before = set(sys.modules)
parts = (river.push(modality, chunk)[0] for modality, chunk in chunks_of(person, specs, 1.0))
first = next(decision for decisions in parts for decision in decisions if decision.reason is None)
print(first.features.seq, *sorted(set(sys.modules) - before))
"""


def test_a_warm_river_has_nothing_left_to_import():
    done = subprocess.run([sys.executable, "-c", WARM], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "4"), done.stdout + done.stderr


async def _through_lsl(recording: Recording, extractor: Extractor, hop_s: float, device: str) -> list[dict[str, np.ndarray]]:
    """The recording over real LSL, as fast as it is consumed, through the live windower and extractor."""
    done_s = [math.nan]
    player = Replay(
        recording, devices.get(device), speed=math.inf, suffix="bits", consumed=lambda: done_s[0], wait_for_consumer_s=30
    )
    seen: list[dict[str, np.ndarray]] = []

    async def receive(source: LslSource, total: int) -> None:
        windower = Windower({source.spec.modality: source.spec}, extractor.context_s(), hop_s)
        got = 0
        async for item in source:
            assert isinstance(item, Chunk)
            for observation in windower.push(source.spec.modality, item)[0]:
                features = extractor(observation)
                seen.append({**features.plain, **{f"x.{key}": value for key, value in features.x.items()}})
            done_s[0] = float(item.timestamps[-1])
            got += item.timestamps.size
            if got == total:
                return

    async with asyncio.TaskGroup() as group:
        playing = group.create_task(player.run())
        profile = replace(devices.get(device).streams[0], source_id=player.source_ids[0])
        if device == "generic":
            wanted = recording.signals[0].spec.modality
            profile = replace(
                next(s for s in devices.get(device).streams if s.modality is wanted), source_id=player.source_ids[0]
            )
        source = LslSource(profile)
        await source.open(20)
        async with asyncio.timeout(60):
            await receive(source, player.recording.signals[0].samples.shape[1])
        await source.close()
        await playing
    return seen


@pytest.mark.parametrize("modality", [Modality.ECG, Modality.EEG])
async def test_features_over_lsl_are_those_offline_bit_for_bit(bundle, lsl_session, modality):
    person = next(iter(datasets.open("simulated", subject="person-5")))
    signal = next(s for s in person.signals if s.spec.modality is modality)
    recording = replace(person, signals=(Signal(signal.spec, signal.samples[:, : round(90 * signal.spec.rate)]),))
    if modality is Modality.ECG:
        chosen, hop_s, device, priors = bundle.views, 5.0, "shimmer", bundle.priors
    else:
        chosen, hop_s, device, priors = (views.eeg_de(channels=list(signal.spec.channels)),), 2.0, "generic", {}
    offline = Replay(recording, devices.get(device)).recording
    expected = [
        {**f.plain, **{f"x.{key}": value for key, value in f.x.items()}}
        for f in windows_of(offline, Extractor(chosen, priors), hop_s)
    ]
    live = await _through_lsl(recording, Extractor(chosen, priors), hop_s, device)
    assert len(live) == len(expected) > 15
    for a, b in zip(live, expected, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            assert np.array_equal(a[key], b[key], equal_nan=True), key
