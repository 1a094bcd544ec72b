"""LslSource against real outlets over loopback."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from streamaffect.errors import SourceError
from streamaffect.signals import Modality
from streamaffect.sources import devices, discovery, lsl
from streamaffect.sources.items import SourceState, StreamLost, StreamRecovered
from streamaffect.sources.lsl import LslSource

pytestmark = pytest.mark.usefixtures("lsl_session")


def _shimmer(name: str, **told: object) -> devices.StreamProfile:
    [profile] = devices.get("shimmer").told(source_id=f"id-{name}", **told).streams
    return profile


async def test_channels_are_picked_by_label_and_come_in_microvolts(sender, reading, until_async, wearer) -> None:
    labels = ("counter", "AF8", "TP10", "TP9", "AF7")
    out = sender(f"muse-{wearer}", "EEG", labels, 256.0, unit="mV", format="double64")
    source = LslSource(devices.get("muse").told(name=out.name).streams[0])
    spec = await source.open()
    assert (spec.channels, spec.unit, spec.rate) == (devices.MUSE_SITES, "uV", 256.0)
    millivolts = np.random.default_rng(0).normal(size=(500, 5))
    async with reading(source) as received:
        for part in np.split(millivolts, 10):
            out.push(part)
        await until_async(lambda: received.n == 500)
        wanted = [labels.index(site) for site in devices.MUSE_SITES]
        assert received.samples.dtype == np.float32
        assert np.array_equal(received.samples, (1000 * millivolts.T[wanted]).astype(np.float32))
        assert all(chunk.samples.flags.c_contiguous for chunk in received.chunks)
        stats = source.stats()
        assert stats.state is SourceState.LIVE
        assert stats.samples == 500
        assert stats.measured_rate == pytest.approx(256, rel=1e-3)
        assert time.time() == pytest.approx(received.timestamps[0] + stats.utc_offset_s, abs=30)
    assert source.stats().state is SourceState.CLOSED


async def test_lost_and_recovered_are_told_with_the_gap(sender, reading, until_async, wearer) -> None:
    out = sender(f"ecg-{wearer}")
    source = LslSource(_shimmer(out.name))
    await source.open()
    async with reading(source) as received:
        out.push(np.zeros((256, 1)))
        await until_async(lambda: received.n == 256)
        out.stop()
        await until_async(lambda: received.events)
        assert source.stats().state is SourceState.LOST
        out.start()
        await until_async(lambda: out.outlet.have_consumers())
        out.push(np.ones((256, 1)))
        await until_async(lambda: received.n == 512)
        lost, back = received.events
        assert isinstance(lost, StreamLost)
        assert lost.at_s == pytest.approx(received.timestamps[255])
        assert "closed the stream" in lost.reason
        assert isinstance(back, StreamRecovered)
        assert back.at_s == pytest.approx(received.timestamps[256])
        assert back.gap_s == pytest.approx(received.timestamps[256] - received.timestamps[255] - 1 / 256, abs=1e-6)
        assert (received.samples[0, 256:] == 1).all()
        assert source.stats().losses == 1


async def test_silent_sender_is_a_stall_and_loses_nothing(sender, reading, until_async, wearer) -> None:
    out = sender(f"ecg-{wearer}")
    source = LslSource(_shimmer(out.name), stall_s=0.3)
    await source.open()
    async with reading(source) as received:
        out.push(np.arange(100.0)[:, None])
        await until_async(lambda: received.events)
        assert received.events[0] == StreamLost(float(received.timestamps[-1]), received.events[0].reason)
        assert "no sample for 0.3 s" in received.events[0].reason
        for start in range(100, 1000, 100):  # across the change of inlets that follows a stall
            out.push(np.arange(start, start + 100.0)[:, None])
            await asyncio.sleep(0.1)
        await until_async(lambda: received.n == 1000)
        assert np.array_equal(received.samples[0], np.arange(1000))
        assert isinstance(received.events[1], StreamRecovered)
        assert received.events[1].gap_s == pytest.approx(0, abs=1e-3)


async def test_stream_that_comes_back_otherwise_is_not_taken_for_it(sender, reading, until_async, wearer) -> None:
    out = sender(f"ecg-{wearer}")
    source = LslSource(_shimmer(out.name))
    await source.open()
    async with reading(source) as received:
        out.stop()
        await until_async(lambda: received.events)
        out.rate = 512.0
        out.start()
        await until_async(lambda: len(received.events) == 2)
        assert "sends 512 Hz, the profile 'stream' says 256 Hz" in received.events[1].reason
        assert source.stats().state is SourceState.LOST


async def test_clock_that_goes_back_is_told_as_a_negative_gap(sender, reading, until_async, wearer) -> None:
    out = sender(f"ecg-{wearer}")
    source = LslSource(_shimmer(out.name))
    await source.open()
    async with reading(source) as received:
        out.push(np.zeros((10, 1)), start_s=out.zero_s + 500.0)
        await until_async(lambda: received.n == 10)
        out.push(np.ones((10, 1)), start_s=out.zero_s)
        await until_async(lambda: received.n == 20)
        lost, back = received.events
        assert "went back by 500" in lost.reason
        assert back.gap_s == pytest.approx(-500, abs=0.1)
        assert source.stats().retimed_samples == 0


async def test_hole_in_the_time_stamps_stays_a_hole(sender, reading, until_async, wearer) -> None:
    """liblsl's dejitter would smear it over minutes."""
    out = sender(f"ecg-{wearer}")
    source = LslSource(_shimmer(out.name))
    await source.open()
    async with reading(source) as received:
        out.push(np.zeros((2560, 1)))
        out.push(np.zeros((2560, 1)), start_s=out.zero_s + 15.0)
        await until_async(lambda: received.n == 5120)
        steps = np.diff(received.timestamps)
        assert steps.max() == pytest.approx(5.0 + 1 / 256, abs=1e-3)
        assert np.delete(steps, 2559) == pytest.approx(1 / 256, abs=1e-4)


async def test_slow_consumer_loses_the_oldest_and_it_is_counted(sender, until_async, wearer) -> None:
    out = sender(f"ecg-{wearer}")
    source = LslSource(_shimmer(out.name), queue_s=1.0)
    await source.open()
    for start in range(0, 2560, 64):
        out.push(np.arange(start, start + 64.0)[:, None])
        await until_async(lambda n=start + 64: source.stats().samples == n)
    stats = source.stats()
    assert stats.queued_s <= 1.0
    await source.close()
    left = np.concatenate([chunk.samples[0] async for chunk in source])
    assert stats.dropped_chunks > 0
    assert stats.dropped_samples + left.size == 2560
    assert left[-1] == 2559


async def test_two_wearers_at_once_do_not_mix(sender, reading, until_async, wearer) -> None:
    anna, ben = sender(f"shimmer-{wearer}-anna"), sender(f"shimmer-{wearer}-ben")
    with pytest.raises(SourceError, match="2 ECG streams fit device 'shimmer'"):
        await lsl.find(devices.get("shimmer").told(name=f"*{wearer}*"))
    [a] = await lsl.find(devices.get("shimmer").told(name=anna.name))
    [b] = await lsl.find(devices.get("shimmer").told(source_id=f"id-{ben.name}"))
    await asyncio.gather(a.open(), b.open())
    async with reading(a) as from_anna, reading(b) as from_ben:
        for _ in range(10):
            anna.push(np.full((32, 1), 1.0))
            ben.push(np.full((32, 1), 2.0))
        await until_async(lambda: from_anna.n == from_ben.n == 320)
        assert (from_anna.samples == 1).all()
        assert (from_ben.samples == 2).all()


async def test_wrong_rate_is_told_in_one_line(sender, wearer) -> None:
    out = sender(f"ecg-{wearer}", rate=250.1)
    with pytest.raises(SourceError) as caught:
        await LslSource(_shimmer(out.name), device="shimmer").open()
    assert str(caught.value) == (
        f"stream '{out.name}' sends 250.1 Hz, the profile 'shimmer' says 256 Hz: pass --rate 250 or fix the device"
    )
    source = LslSource(_shimmer(out.name, rate=250))
    assert (await source.open()).rate == 250.0
    await source.close()


async def test_missing_channel_is_named(sender, wearer) -> None:
    out = sender(f"eeg-{wearer}", "EEG", ("TP9", "TP10", "Cz", "Pz"))
    with pytest.raises(SourceError, match=f"stream '{out.name}' has no channel AF7, AF8 .it has TP9, TP10, Cz, Pz"):
        await LslSource(devices.get("muse").told(name=out.name).streams[0]).open()


async def test_no_stream_names_what_was_wanted_and_what_is_there(sender, wearer) -> None:
    out = sender(f"eeg-{wearer}", "EEG", ("Cz",))
    started = time.monotonic()
    with pytest.raises(SourceError) as caught:
        await lsl.find(devices.get("shimmer").told(name=f"ecg-{wearer}"), timeout_s=0.7)
    assert time.monotonic() - started < 2.5
    said = str(caught.value)
    assert f"no stream for device 'shimmer' (type ECG or EKG, name 'ecg-{wearer}', 1 channel or more, 256 Hz)" in said
    assert f"'{out.name}' (EEG, 1 ch, 256 Hz" in said
    assert "waited 0.7 s" in said
    assert "\n" not in said


async def test_text_stream_is_refused(sender, wearer) -> None:
    import pylsl

    info = pylsl.StreamInfo(f"words-{wearer}", "ECG", 1, 256.0, "string", f"words-{wearer}")
    outlet = pylsl.StreamOutlet(info)
    with pytest.raises(SourceError, match="sends text, not numbers"):
        await LslSource(devices.get("shimmer").told(name=f"words-{wearer}").streams[0]).open()
    del outlet


async def test_close_is_prompt_and_leaves_no_thread(sender, reading, wearer) -> None:
    out = sender(f"ecg-{wearer}")
    source = LslSource(_shimmer(out.name))
    await source.open()
    async with reading(source):
        started = time.monotonic()
        await source.close()
        assert time.monotonic() - started < 0.5
    await source.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lsl-")]


async def test_opening_can_be_cancelled(until_async: Callable[..., object], wearer) -> None:
    task = asyncio.create_task(LslSource(_shimmer(f"nobody-{wearer}")).open(timeout_s=60))
    await until_async(lambda: any(thread.name == "lsl-ecg" for thread in threading.enumerate()))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_async(lambda: not any(thread.name == "lsl-ecg" for thread in threading.enumerate()))


async def test_source_that_is_not_open_says_so(wearer) -> None:
    source = LslSource(_shimmer(wearer))
    with pytest.raises(SourceError, match="not open"):
        await anext(aiter(source))
    with pytest.raises(SourceError, match="not open"):
        source.stats()
    await source.close()


def test_discover_lists_streams_with_labels_and_units(sender, wearer) -> None:
    out = sender(f"eeg-{wearer}", "EEG", ("Cz", "Pz"), 200.0, unit="uV")
    [info] = [each for each in discovery.discover(0.6) if each.name == out.name]
    assert (info.type, info.channels, info.rate, info.source_id) == ("EEG", 2, 200.0, f"id-{out.name}")
    assert (info.labels, info.units) == (("Cz", "Pz"), ("uV", "uV"))


async def test_generic_takes_rate_and_channels_as_declared(sender, wearer) -> None:
    out = sender(f"skin-{wearer}", "GSR", ("left", "right"), 7.5, unit="uS")
    [source] = await lsl.find(devices.get("generic").told(name=out.name))
    spec = await source.open()
    assert (spec.modality, spec.channels, spec.rate, spec.unit) == (Modality.EDA, ("left", "right"), 7.5, "uS")
    await source.close()


async def test_quotes_in_names_do_no_harm(sender, until_async, wearer) -> None:
    out = sender(f"o'neil's \"ecg\" {wearer}")
    source = LslSource(_shimmer(out.name))
    assert (await source.open()).name == out.name
    out.stop()
    event = await asyncio.wait_for(anext(aiter(source)), 10)
    assert isinstance(event, StreamLost)
    out.start()
    await until_async(lambda: out.outlet.have_consumers())
    out.push(np.ones((8, 1)))
    assert isinstance(await asyncio.wait_for(anext(aiter(source)), 10), StreamRecovered)
    await source.close()
