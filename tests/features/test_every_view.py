"""What every view in FACTORIES promises: nothing in a signal makes it raise, and a recording and its stream are one to it."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamaffect import datasets
from streamaffect.datasets import simulated
from streamaffect.features import views
from streamaffect.features.extract import Extractor, Features, chunks_of, specs_of, windows_of
from streamaffect.features.quality import USABLE, quality
from streamaffect.features.windows import Windower
from streamaffect.signals import Chunk, Modality, Recording, Signal, StreamSpec, Window

SITES = ["F3", "F4", "P3", "P4", "Cz"]
PARAMS: dict[str, dict[str, object]] = {
    "ecg.hrvfreq/1": {"seconds": 60.0},
    "eeg.cov/1": {"bands": ["all", "alpha"], "seconds": 5.0},
    "ppg.prv/1": {"bands": "lf+hf"},
}
SPECS = {
    **simulated.SPECS,
    Modality.EEG: StreamSpec("eeg", Modality.EEG, tuple(SITES), 128.0, "uV"),
    Modality.EMG: StreamSpec("emg", Modality.EMG, ("EMG",), 256.0, "uV"),
    Modality.RESP: StreamSpec("resp", Modality.RESP, ("RESP",), 25.0, "au"),
}
SCALE = {
    Modality.EEG: 20.0,
    Modality.ECG: 300.0,
    Modality.EMG: 50.0,
    Modality.ACC: 0.3,
    Modality.TEMP: 0.05,
    Modality.EDA: 0.05,
}
LEVEL = {Modality.TEMP: 33.0, Modality.EDA: 2.0}


def view(name: str) -> views.View:
    sites = {"channels": SITES} if name.split(".")[1].startswith(("de", "asym", "relpower", "regions", "cov", "eeg")) else {}
    return views.make(name, **{**sites, **PARAMS.get(name, {})})


def window(x: npt.NDArray[np.float64], spec: StreamSpec) -> Window:
    samples = x.astype(np.float32)
    return Window(spec, 0.0, samples.shape[1] / spec.rate, samples, samples, np.isfinite(samples).all(axis=0))


def spoilt(kind: str, spec: StreamSpec, seconds: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """(channels, n) of a kind of trouble, at the size and level of the sensor."""
    shape = (len(spec.channels), round(seconds * spec.rate))
    level, scale = LEVEL.get(spec.modality, 0.0), SCALE.get(spec.modality, 1.0)
    t = np.arange(shape[1])
    noise = rng.normal(0, 1, shape)
    waves = {
        "noise": level + scale * noise,
        "flat": np.full(shape, level),
        "zero": np.zeros(shape),
        "clipped": level + scale * np.clip(30 * np.sin(t / spec.rate * 2), -1, 1) * np.ones(shape),
        "square": level + scale * np.where(t // rng.integers(3, 400) % 2, 1.0, -1.0) * np.ones(shape),
        "spikes": level + (rng.random(shape) < 0.01) * 1e4,
        "ramp": level + t * 0.01 * np.ones(shape),
        "steps": level + scale * noise.cumsum(axis=1).round(),
        "late": np.where(t > 0.97 * shape[1], level + scale, level) * np.ones(shape),
        "huge": noise * 1e30,
        "tiny": noise * 1e-30,
        "same": np.repeat(level + scale * noise[:1], shape[0], axis=0),
    }
    return waves[kind]


KINDS = ["noise", "flat", "zero", "clipped", "square", "spikes", "ramp", "steps", "late", "huge", "tiny", "same"]


@pytest.mark.parametrize("name", sorted(views.FACTORIES))
@given(
    kind=st.sampled_from(KINDS),
    lost=st.one_of(st.just(0.0), st.floats(0, 1)),
    seed=st.integers(0, 1000),
    scattered=st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_no_signal_makes_a_view_raise(name: str, kind: str, lost: float, seed: int, scattered: bool) -> None:
    made = view(name)
    spec = SPECS[made.modality]
    rng = np.random.default_rng(seed)
    x = spoilt(kind, spec, made.seconds, rng)
    n = x.shape[1]
    if scattered:
        x[:, rng.random(n) < lost] = np.nan
    else:
        start = int(rng.integers(0, n))
        x[:, start : start + int(lost * n)] = np.nan
    values = made.compute(window(x, spec))  # not through the view, which would catch it
    assert values.dtype == np.float32
    assert values.shape == made.shape
    assert np.isfinite(values).all() or np.isnan(values).all()
    assert 0 <= quality(window(x, spec)) <= 1


@pytest.mark.parametrize("name", sorted(views.FACTORIES))
def test_nothing_observed_is_not_a_number_and_abstains(name: str) -> None:
    made = view(name)
    spec = SPECS[made.modality]
    gone = window(np.full((len(spec.channels), round(made.seconds * spec.rate)), np.nan), spec)
    assert np.isnan(made.compute(gone)).all()
    assert quality(gone) == 0.0


@pytest.mark.parametrize("name", sorted(views.FACTORIES))
def test_view_is_made_again_from_what_a_bundle_keeps_of_it(name: str) -> None:
    made = view(name)
    again = views.make(name, **json.loads(json.dumps(dict(made.params))))
    assert again.layout == made.layout
    assert len(set(made.features)) == len(made.features) == (made.shape[0] if made.is_vector else 0)
    assert made.key in name


@pytest.mark.parametrize("modality", list(Modality))
def test_a_dead_sensor_abstains(modality: Modality) -> None:
    spec = SPECS[modality]
    assert quality(window(np.zeros((len(spec.channels), round(60 * spec.rate))), spec)) < USABLE


@cache
def recording(modality: Modality, root: Path) -> Recording:
    """75 s of a real recording where it is there, of a simulated person or of waves otherwise."""
    source = {Modality.ECG: "eegmat", Modality.EEG: "eegmat"}.get(modality, "wesad_wrist")
    if modality in (Modality.EMG, Modality.RESP):
        whole = Recording("waves", "p", (Signal(SPECS[modality], waves(modality)),), ())
    elif (root / source).is_dir():
        whole = next(iter(datasets.open(source, root)))
    else:
        whole = simulated.person("person-3", duration_s=90, modalities=[modality])
    [signal] = [s for s in whole.signals if s.spec.modality is modality][:1]
    part = signal.samples[:, : round(75 * signal.spec.rate)]
    return replace(whole, signals=(replace(signal, samples=part),), trials=())


def waves(modality: Modality) -> npt.NDArray[np.float32]:
    rate = SPECS[modality].rate
    t = np.arange(round(75 * rate)) / rate
    noise = np.random.default_rng(0).normal(0, 1, t.size)
    bursts = 10 + 40 * (np.sin(2 * np.pi * t / 7) > 0.5)
    x = bursts * noise if modality is Modality.EMG else np.sin(2 * np.pi * 0.25 * t + np.sin(t / 9)) + 0.02 * noise
    return x[None].astype(np.float32)


def bits(seen: list[Features], key: str) -> list[object]:
    return [(f.seq, f.t_end_s, f.reason, f.quality, f.plain[key].tobytes()) for f in seen]


def live(person: Recording, made: views.View, seed: int) -> list[Features]:
    """As a stream would bring it: in pieces of any size, one observation at a time."""
    extractor = Extractor((made,), {})
    windower = Windower(specs_of(person, (made,)), extractor.context_s(), 2.5)
    [(modality, whole)] = list(one_chunk(person, made))
    cuts = np.sort(np.random.default_rng(seed).integers(0, whole.timestamps.size, 300))
    pieces = zip(np.split(whole.timestamps, cuts), np.split(whole.samples, cuts, axis=1), strict=True)
    return [
        extractor(observation)
        for stamps, samples in pieces
        if stamps.size
        for observation in windower.push(modality, Chunk(stamps, samples))[0]
    ]


def one_chunk(person: Recording, made: views.View) -> list[tuple[Modality, Chunk]]:
    parts = list(chunks_of(person, specs_of(person, (made,)), 1.0))
    stamps = np.concatenate([chunk.timestamps for _, chunk in parts])
    return [(made.modality, Chunk(stamps, np.concatenate([chunk.samples for _, chunk in parts], axis=1)))]


@pytest.mark.parametrize("name", sorted(views.FACTORIES))
def test_recording_and_stream_give_the_same_bits(name: str, recordings: Path) -> None:
    made = view(name)
    person = recording(made.modality, recordings)
    if made.modality is Modality.EEG:
        there = set(person.signals[0].spec.channels)
        assert there.issuperset(SITES)
    offline = list(windows_of(person, Extractor((made,), {}), 2.5, 20.0))
    assert bits(offline, made.key) == bits(live(person, made, zlib.crc32(name.encode())), made.key)
    assert len(offline) >= 29
    finite = [np.isfinite(f.plain[made.key]).all() for f in offline if f.t_end_s - offline[0].t_end_s > made.seconds]
    assert np.mean(finite) > 0.5


def test_short_and_long_views_of_one_modality_do_not_disturb_each_other() -> None:
    person = simulated.person("person-5", duration_s=80, modalities=[Modality.ECG, Modality.EDA])
    made = [views.make(n) for n in ("ecg.raw/1", "ecg.hrv/1", "ecg.hrvfreq/1", "eda.stats/1", "eda.tonic/1", "helo.eda/1")]
    extractor = Extractor(made, {})
    assert extractor.context_s() == {Modality.ECG: 60.0, Modality.EDA: 60.0}
    together = list(windows_of(person, extractor, 5.0))
    for one in made:
        alone = list(windows_of(person, Extractor((one,), {}), 5.0))
        assert [f.plain[one.key].tobytes() for f in alone] == [f.plain[one.key].tobytes() for f in together]
    assert together[-1].whole
    assert together[0].reason == "warming_up"
