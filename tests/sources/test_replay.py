"""Recordings played through real LSL."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from streamaffect.datasets import simulated
from streamaffect.errors import SourceError, UsageError
from streamaffect.signals import Chunk, Modality, Recording
from streamaffect.sources import devices, discovery, lsl, network
from streamaffect.sources.items import StreamLost, StreamRecovered
from streamaffect.sources.outlets import MARKERS_TYPE
from streamaffect.sources.replay import Replay

pytestmark = pytest.mark.usefixtures("lsl_session")

SHIMMER = devices.get("shimmer")


def _ecg(seconds: float, block_s: float = 60.0) -> Recording:
    return simulated.person("person-1", duration_s=seconds, block_s=block_s, modalities=(Modality.ECG,))


async def _opened(replay: Replay) -> list[lsl.LslSource]:
    one = len(replay.source_ids) == 1
    told = {"source_id": replay.source_ids[0]} if one else {"name": f"*-{replay.streams[0].name.rpartition('-')[2]}"}
    sources = await lsl.find(replay.device.told(**told))
    await asyncio.gather(*(source.open() for source in sources))
    return sources


@pytest.mark.parametrize(("speed", "seconds"), [(1.0, 2.0), (20.0, 40.0)])
async def test_samples_arrive_bit_for_bit_on_the_grid(playing, reading, wearer, speed: float, seconds: float) -> None:
    replay = Replay(_ecg(seconds), SHIMMER, speed=speed, suffix=wearer)
    async with playing(replay) as task:
        [source] = await _opened(replay)
        async with reading(source) as received:
            await asyncio.wait_for(task, 30)
    assert np.array_equal(received.samples, replay.recording.signals[0].samples)
    due_s = replay.t0_s + np.arange(received.n) / 256
    assert np.abs(received.timestamps - due_s).max() < 1e-3  # the two clocks are one: what is left is their measuring
    assert np.ptp(received.timestamps - due_s) < 5e-4
    assert source.stats().measured_rate == pytest.approx(256, rel=1e-3)
    stats = replay.stats()
    assert (stats.sent, stats.lost, stats.passes) == (received.n, 0, 1)


async def test_speed_is_kept_by_the_wall_clock(playing, reading, until_async, wearer) -> None:
    replay = Replay(_ecg(60), SHIMMER, speed=4.0, suffix=wearer)
    async with playing(replay):
        [source] = await _opened(replay)
        async with reading(source) as received:
            await until_async(lambda: received.n > 0)
            started, first = time.monotonic(), received.timestamps[-1]
            await until_async(lambda: received.timestamps[-1] - first >= 8.0)
            assert time.monotonic() - started == pytest.approx(2.0, abs=0.5)


async def test_max_waits_for_a_slow_consumer_and_loses_nothing(playing, wearer) -> None:
    done = {"until_s": math.nan}
    replay = Replay(_ecg(40), SHIMMER, speed=math.inf, suffix=wearer, consumed=lambda: done["until_s"])
    n = 0
    async with playing(replay) as task:
        [source] = await _opened(replay)
        started = time.monotonic()
        async for item in source:
            if not isinstance(item, Chunk):
                break  # the end: the outlet is gone
            n += item.timestamps.size
            await asyncio.sleep(0.01)
            done["until_s"] = float(item.timestamps[-1])
        await asyncio.wait_for(task, 10)
    assert n == 40 * 256
    assert source.stats().dropped_chunks == 0
    assert time.monotonic() - started < 20
    await source.close()


async def test_disconnect_loses_the_stream_and_brings_it_back(playing, reading, until_async, wearer) -> None:
    replay = Replay(_ecg(60), SHIMMER, suffix=wearer, disconnect=(2.0, 1.0), speed=1.0)
    async with playing(replay):
        [source] = await _opened(replay)
        async with reading(source) as received:
            await until_async(lambda: any(isinstance(event, StreamRecovered) for event in received.events))
            lost, back = received.events[:2]
            assert isinstance(lost, StreamLost)
            assert lost.at_s - replay.t0_s == pytest.approx(2.0, abs=0.1)
            assert 1.0 <= back.gap_s < 3.0
            stats = replay.stats()
            assert stats.disconnects == 1
            assert stats.lost == pytest.approx(256, abs=10)
            # What arrives after the loss is what the recording holds at that time: it went on.
            index = np.round((received.timestamps - replay.t0_s) * 256).astype(int)
            assert np.array_equal(received.samples[0], replay.recording.signals[0].samples[0, index])


async def test_faults_drop_single_samples_and_disturb_the_stamps(playing, reading, wearer) -> None:
    recording = _ecg(40)
    replay = Replay(recording, SHIMMER, suffix=wearer, speed=20, drop=0.05, jitter_s=0.005, seed=3)
    async with playing(replay) as task:
        [source] = await _opened(replay)
        async with reading(source) as received:
            await asyncio.wait_for(task, 30)
    whole = recording.signals[0].samples[0]
    stats = replay.stats()
    assert stats.sent == received.n == whole.size - stats.lost
    assert stats.lost == pytest.approx(0.05 * whole.size, rel=0.2)
    assert (np.diff(received.timestamps) > 0).all()
    assert np.std(np.diff(received.timestamps)) > 0.001
    assert source.stats().measured_rate == pytest.approx(0.95 * 256, rel=0.02)


async def test_loop_goes_on_without_a_seam_in_time(playing, reading, until_async, wearer) -> None:
    replay = Replay(_ecg(4.5), SHIMMER, suffix=wearer, speed=8, loop=True)
    async with playing(replay):
        [source] = await _opened(replay)
        async with reading(source) as received:
            await until_async(lambda: received.n > 2.5 * 1024)
    assert np.diff(received.timestamps) == pytest.approx(1 / 256, abs=1e-3)
    assert not [event for event in received.events if isinstance(event, StreamRecovered)]
    assert np.array_equal(received.samples[:, :1024], received.samples[:, 1024:2048])
    assert replay.stats().passes >= 3


async def test_all_streams_of_a_device_share_one_clock(playing, reading, wearer) -> None:
    replay = Replay(simulated.person("person-2", duration_s=20), devices.get("empatica"), suffix=wearer, speed=8)
    async with playing(replay) as task:
        sources = await _opened(replay)
        assert [source.spec.rate for source in sources] == [64, 4, 4, 32]
        async with contextlib.AsyncExitStack() as stack:
            all_received = [await stack.enter_async_context(reading(source)) for source in sources]
            await asyncio.wait_for(task, 30)
    for received, signal in zip(all_received, replay.recording.signals, strict=True):
        assert np.array_equal(received.samples, signal.samples)
        assert received.timestamps[0] == pytest.approx(replay.t0_s, abs=1e-3)


async def test_labels_are_sent_at_their_onsets(playing, reading, wearer) -> None:
    import pylsl

    replay = Replay(_ecg(9, block_s=3), SHIMMER, suffix=wearer, speed=4)
    async with playing(replay) as task:
        found = await asyncio.to_thread(pylsl.resolve_byprop, "name", f"shimmer-markers-{wearer}", 1, 5.0)
        assert found[0].type() == MARKERS_TYPE
        inlet = pylsl.StreamInlet(found[0], recover=False)
        await asyncio.to_thread(inlet.open_stream, 5.0)
        [source] = await _opened(replay)
        async with reading(source):
            marks = [await asyncio.to_thread(inlet.pull_sample, 5.0) for _ in range(3)]
            await asyncio.wait_for(task, 20)
    assert [mark[0][0] for mark in marks] == ["rest", "load", "rest"]
    assert [mark[1] - replay.t0_s for mark in marks] == pytest.approx([0, 3, 6], abs=1e-6)


async def test_two_wearers_play_at_once(playing, reading, until_async, wearer) -> None:
    people = [simulated.person(name, duration_s=20, modalities=(Modality.ECG,)) for name in ("person-1", "person-2")]
    replays = [Replay(person, SHIMMER, suffix=f"{i}-{wearer}", speed=8) for i, person in enumerate(people)]
    assert len({replay.source_ids for replay in replays}) == 2
    async with playing(replays[0]) as first, playing(replays[1]) as second:
        [a], [b] = await asyncio.gather(*(_opened(replay) for replay in replays))
        async with reading(a) as from_a, reading(b) as from_b:
            await asyncio.wait_for(asyncio.gather(first, second), 30)
    assert np.array_equal(from_a.samples, people[0].signals[0].samples)
    assert np.array_equal(from_b.samples, people[1].signals[0].samples)


async def test_cancelled_replay_leaves_the_network(playing, wearer) -> None:
    replay = Replay(_ecg(60), SHIMMER, suffix=wearer)
    async with playing(replay):
        [source] = await _opened(replay)
        await source.close()
    assert not [info for info in await asyncio.to_thread(discovery.discover, 0.5) if wearer in info.name]


async def test_plays_without_a_consumer_once_the_wait_is_over(wearer) -> None:
    replay = Replay(_ecg(1), SHIMMER, suffix=wearer, speed=4, wait_for_consumer_s=0.1)
    await asyncio.wait_for(replay.run(), 5)
    assert replay.stats().sent == 256


def test_source_id_is_the_same_in_every_run(wearer) -> None:
    assert Replay(_ecg(1), SHIMMER).source_ids == Replay(_ecg(1), SHIMMER).source_ids == ("replay-shimmer-ecg-person-1",)


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan])
def test_speed_out_of_range_is_refused(speed: float) -> None:
    with pytest.raises(UsageError, match="speed must be positive"):
        Replay(_ecg(1), SHIMMER, speed=speed)


def test_recording_without_the_devices_channels_is_refused() -> None:
    with pytest.raises(SourceError, match="simulated person-1 cannot play as 'emotiv': it has ecg, the device sends eeg"):
        Replay(_ecg(1), devices.get("emotiv"))


def test_own_session_hides_streams_from_others(tmp_path: Path, wearer) -> None:
    """In processes of their own, for liblsl reads its configuration once."""
    program = (
        "import sys; from streamaffect.sources import network, discovery; import pylsl\n"
        "assert network.configure(sys.argv[1], local=True)\n"
        "outlet = pylsl.StreamOutlet(pylsl.StreamInfo('s', 'ECG', 1, 256.0, 'float32', sys.argv[1]))\n"
        "print(sorted(info.source_id for info in discovery.discover(0.6)), flush=True); sys.stdin.readline()"
    )
    environment = {key: value for key, value in os.environ.items() if key != "LSLAPICFG"} | {"HOME": str(tmp_path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [
        subprocess.Popen([sys.executable, "-c", program, name], cwd=tmp_path, env=environment, text=True, **pipes)
        for name in (f"anna-{wearer}", f"ben-{wearer}")
    ]
    seen = [process.stdout.readline().strip() for process in processes]
    rest = [process.communicate("\n", timeout=20) for process in processes]
    assert seen == [f"['anna-{wearer}']", f"['ben-{wearer}']"]
    assert [stderr for _, stderr in rest] == ["", ""]


def test_users_own_configuration_is_obeyed() -> None:
    assert "LSLAPICFG" in os.environ
    assert not network.configure("ours")
