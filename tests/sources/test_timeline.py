"""Recordings as devices send them, and the faults."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streamaffect.errors import SourceError, UsageError
from streamaffect.signals import Modality, Recording, Signal, StreamSpec, Trial
from streamaffect.sources import devices
from streamaffect.sources.timeline import Faults, Track, as_device, jittered, resample


def _recording(*specs: StreamSpec, seconds: float = 4.0) -> Recording:
    rng = np.random.default_rng(0)
    signals = tuple(
        Signal(spec, rng.normal(size=(len(spec.channels), round(seconds * spec.rate))).astype(np.float32)) for spec in specs
    )
    return Recording("made", "up", signals, (Trial("rest", "rest", 0.0, seconds),))


ECG = StreamSpec("ecg", Modality.ECG, ("ECG",), 250.0, "uV")
EEG = StreamSpec("eeg", Modality.EEG, ("O2", "O1", "Fp2", "Fp1", "C4", "C3", "T6", "T5", "Cz"), 128.0, "uV")
SKIN = StreamSpec("eda", Modality.EDA, ("EDA",), 4.0, "uS")


def test_generic_sends_the_recording_as_it_is() -> None:
    recording = _recording(ECG, EEG)
    played = as_device(recording)
    assert [signal.spec.name for signal in played.signals] == ["generic-ecg", "generic-eeg"]
    for before, after in zip(recording.signals, played.signals, strict=True):
        assert after.samples is before.samples
        assert (after.spec.rate, after.spec.channels) == (before.spec.rate, before.spec.channels)


def test_ecg_plays_as_shimmer_at_its_rate() -> None:
    [signal] = as_device(_recording(ECG, EEG), devices.get("shimmer")).signals
    assert (signal.spec.name, signal.spec.rate, signal.spec.unit) == ("shimmer-ecg", 256.0, "uV")
    assert signal.samples.shape == (1, 1024)
    assert signal.samples.dtype == np.float32


def test_sites_are_put_in_the_devices_order_under_its_names() -> None:
    recording = _recording(EEG)
    [signal] = as_device(recording, devices.get("openbci").told(rate=128)).signals
    assert signal.spec.channels == devices.OPENBCI_SITES
    assert np.array_equal(signal.samples[4], recording.signals[0].samples[EEG.channels.index("T5")])  # P7 today


def test_optional_streams_not_recorded_are_not_sent() -> None:
    assert [s.spec.modality for s in as_device(_recording(ECG, SKIN), devices.get("empatica")).signals] == [Modality.EDA]


@pytest.mark.parametrize(
    ("device", "specs", "said"),
    [
        ("emotiv", (EEG,), "made up cannot play as 'emotiv': no channel AF3, F7"),
        ("shimmer", (EEG,), "it has eeg, the device sends ecg"),
        ("empatica", (ECG,), "it has ecg, the device sends acc, eda, ppg, temp"),
        ("shimmer", (), "it has no signals"),
    ],
)
def test_recording_that_lacks_what_the_device_sends_is_refused(device: str, specs: tuple[StreamSpec, ...], said: str) -> None:
    with pytest.raises(SourceError, match=said) as caught:
        as_device(_recording(*specs), devices.get(device))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("rate", "wanted"), [(250, 256), (128, 250), (700, 256), (256, 130), (1000, 4)])
def test_resampled_sine_keeps_its_place_in_time(rate: float, wanted: float) -> None:
    hz = 1.0
    samples = (5.0 + np.sin(2 * np.pi * hz * np.arange(20 * rate) / rate))[None].astype(np.float32)
    out = resample(samples, rate, wanted)[0]
    t = np.arange(out.size) / wanted
    middle = (t > 2) & (t < 18)
    assert out.size == math.ceil(samples.shape[1] * wanted / rate)
    assert np.abs(out - 5.0 - np.sin(2 * np.pi * hz * t))[middle].max() < 0.02


def test_offset_makes_no_ringing_at_the_ends() -> None:
    out = resample(np.full((1, 1000), 1234.5, np.float32), 250, 256)
    assert np.abs(out - 1234.5).max() < 0.01


def test_rates_without_a_ratio_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot resample"):
        resample(np.zeros((1, 100), np.float32), 250.0, 0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"drop": 1.0},
        {"drop": -0.1},
        {"jitter_s": -1.0},
        {"disconnect": (5.0, 5.0)},
        {"disconnect": (5.0, 0.0)},
        {"drop": math.nan},
    ],
)
def test_faults_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Faults(**wrong)  # type: ignore[arg-type]


def test_disconnects_begin_after_the_first_stretch() -> None:
    faults = Faults(disconnect=(20.0, 5.0))
    away = [second for second in range(70) if not faults.connected(second)]
    assert away == [*range(20, 25), *range(40, 45), *range(60, 65)]


@given(st.floats(1, 100), st.floats(0.05, 0.95), st.floats(0, 1000))
def test_next_change_is_when_connected_changes(every_s: float, share: float, after_s: float) -> None:
    faults = Faults(disconnect=(every_s, every_s * share))
    change_s = faults.next_change(after_s)
    assert change_s > after_s
    assume(change_s - after_s > 1e-9 * (1 + after_s))  # nearer than that, floats cannot tell the sides apart
    now = faults.connected(after_s)
    between = np.linspace(after_s, change_s, 50)[:-1]
    assert all(faults.connected(float(t)) == now for t in between)
    assert faults.connected(change_s + 1e-6 * every_s) != now or change_s - after_s < 1e-6


@given(st.floats(0, 0.5), st.integers(0, 100))
def test_jittered_stamps_increase(jitter_s: float, seed: int) -> None:
    due_s = np.arange(500) / 256
    stamps = jittered(due_s, jitter_s, np.random.default_rng(seed))
    assert (np.diff(stamps) > 0).all()
    if jitter_s == 0:
        assert stamps is due_s


def test_track_is_the_same_for_the_same_seed_and_drops_its_share() -> None:
    signal = _recording(ECG, seconds=60).signals[0]
    one, same, other_pass = (Track.of(signal, Faults(drop=0.1, jitter_s=0.004), 0, n, 0.0, 60.0) for n in (0, 0, 1))
    assert np.array_equal(one.keep, same.keep)
    assert np.array_equal(one.stamps_s, same.stamps_s)
    assert not np.array_equal(one.keep, other_pass.keep)
    assert one.keep.mean() == pytest.approx(0.9, abs=0.01)
    assert np.std(one.stamps_s - one.due_s) == pytest.approx(0.004, rel=0.5)


def test_consecutive_stretches_cover_every_sample_once() -> None:
    track = Track.of(_recording(ECG, seconds=3).signals[0], Faults(), 0, 0, 100.0, 3.0)
    edges = np.linspace(100.0, 103.0, 38)
    slices = [track.between(a, b) for a, b in itertools.pairwise(edges)]
    assert sum(s.stop - s.start for s in slices) == 750
    assert all(a.stop == b.start for a, b in itertools.pairwise(slices))
