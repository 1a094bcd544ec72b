"""Profiles: what they say, how they are told, which channels they pick."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamaffect.errors import SourceError, UsageError
from streamaffect.signals import Modality
from streamaffect.sources import channels, devices, units
from streamaffect.sources.channels import pick
from streamaffect.sources.devices import EMOTIV_SITES, SEED_SITES, StreamProfile
from streamaffect.sources.discovery import StreamInfo
from streamaffect.sources.tap import agreed_rate

ONE_STREAM = {
    "shimmer": (Modality.ECG, 256, 2),
    "polar-h10": (Modality.ECG, 130, 1),
    "emotiv": (Modality.EEG, 128, 14),
    "muse": (Modality.EEG, 256, 4),
    "openbci": (Modality.EEG, 250, 8),
    "seed62": (Modality.EEG, 200, 62),
}


@pytest.mark.parametrize("name", ONE_STREAM)
def test_profile_of_one_stream(name: str) -> None:
    [stream] = devices.get(name).streams
    assert (stream.modality, stream.rate, len(stream.channels)) == ONE_STREAM[name]


def test_empatica_sends_four_streams() -> None:
    rates = {stream.modality: stream.rate for stream in devices.get("empatica").streams}
    assert rates == {Modality.PPG: 64, Modality.EDA: 4, Modality.TEMP: 4, Modality.ACC: 32}


def test_names_are_those_that_get_knows() -> None:
    assert {*ONE_STREAM, "empatica", "generic"} <= set(devices.names())
    assert all(devices.get(name).name == name for name in devices.names())
    assert len(set(SEED_SITES)) == 62


def test_unknown_device_lists_the_names() -> None:
    with pytest.raises(UsageError, match=r"unknown device 'fitbit': choose one of emotiv, .*shimmer"):
        devices.get("fitbit")


def test_told_points_replace_the_profiles() -> None:
    [stream] = devices.get("shimmer").told(name="my-ecg", rate=512, channels=["LA-RA"], unit="mV").streams
    assert (stream.name, stream.rate, stream.channels, stream.unit) == ("my-ecg", 512, ("LA-RA",), "mV")
    assert stream.by_label
    assert stream.rate_told


def test_pattern_told_to_a_device_of_many_streams_holds_for_each() -> None:
    told = devices.get("empatica").told(name="*-anna")
    assert {stream.name for stream in told.streams} == {"*-anna"}


def test_type_chooses_one_of_many_streams() -> None:
    [stream] = devices.get("empatica").told(type="gsr", rate=8).streams
    assert (stream.modality, stream.rate) == (Modality.EDA, 8)


@pytest.mark.parametrize(
    ("device", "told", "said"),
    [
        ("empatica", {"rate": 8.0}, "several streams: tell the type too"),
        ("empatica", {"type": "EEG"}, "no stream of type 'EEG': choose one of BVP"),
        ("shimmer", {"rate": 0.0}, "rate must be positive"),
        ("shimmer", {"rate": float("nan")}, "rate must be positive"),
        ("shimmer", {"channels": ["a", "a"]}, "distinct labels"),
        ("shimmer", {"channels": []}, "distinct labels"),
    ],
)
def test_what_cannot_be_told_is_refused(device: str, told: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        devices.get(device).told(**told)  # type: ignore[arg-type]


@given(st.randoms(use_true_random=False), st.integers(0, 6))
def test_sites_are_picked_by_label_wherever_they_are(rng: random.Random, extra: int) -> None:
    labels = [*EMOTIV_SITES, *(f"extra{number}" for number in range(extra))]
    rng.shuffle(labels)
    [profile] = devices.get("emotiv").streams
    picked = pick(profile, labels, len(labels), "x")
    assert tuple(labels[row] for row in picked.rows) == EMOTIV_SITES == picked.names


def test_old_names_of_sites_are_the_same_places() -> None:
    [profile] = devices.get("openbci").streams
    labels = ("FP1", "fp2", "C3", "C4", "T5", "T6", "O1", "O2")
    assert pick(profile, labels, 8, "x").rows == tuple(range(8))


def test_leads_are_the_first_channels_under_the_streams_own_names() -> None:
    [profile] = devices.get("shimmer").streams
    assert pick(profile, ("LL-RA", "LA-RA", "Vx-RL"), 3, "x").names == ("LL-RA", "LA-RA")
    assert pick(profile, ("LL-RA",), 1, "x").rows == (0,)
    assert pick(profile, (), 1, "x").names == ("ECG1",)


def test_missing_sites_are_named_with_those_there() -> None:
    [profile] = devices.get("muse").streams
    with pytest.raises(SourceError, match=r"stream 'x' has no channel AF7, AF8 .it has TP9, TP10.: pass --channels"):
        pick(profile, ("TP9", "TP10"), 2, "x")


def test_stream_without_labels_must_have_the_count() -> None:
    [profile] = devices.get("muse").streams
    assert pick(profile, (), 4, "x").names == profile.channels
    with pytest.raises(SourceError, match="5 channels without labels, the profile needs 4"):
        pick(profile, (), 5, "x")


def _declares(rate: float) -> StreamInfo:
    return StreamInfo("x", "ECG", 1, rate, "id", "uid", "host")


def test_rate_of_profile_and_stream_must_agree() -> None:
    profile = StreamProfile(Modality.ECG, ("ECG",), 256.0)
    assert agreed_rate(profile, _declares(256.1), "shimmer") == 256.0
    with pytest.raises(SourceError) as caught:
        agreed_rate(profile, _declares(250.1), "shimmer")
    assert str(caught.value) == (
        "stream 'x' sends 250.1 Hz, the profile 'shimmer' says 256 Hz: pass --rate 250 or fix the device"
    )


def test_told_rate_is_believed_where_the_stream_declares_none() -> None:
    [told] = devices.get("shimmer").told(rate=256).streams
    assert agreed_rate(told, _declares(0.0), "shimmer") == 256.0
    with pytest.raises(SourceError, match="declares no rate: pass --rate 256"):
        agreed_rate(StreamProfile(Modality.ECG, rate=256.0), _declares(0.0), "shimmer")
    with pytest.raises(SourceError, match="you say 256 Hz: pass --rate 250"):
        agreed_rate(told, _declares(250.0), "shimmer")


def test_generic_takes_the_declared_rate() -> None:
    assert agreed_rate(StreamProfile(Modality.ECG), _declares(123.4), "generic") == 123.4


@pytest.mark.parametrize(
    ("modality", "unit", "factor"),
    [
        (Modality.ECG, "mV", 1000),
        (Modality.EEG, "microvolts", 1),
        (Modality.EEG, "V", 1e6),
        (Modality.EDA, "uS", 1),
        (Modality.ACC, "1/64g", 1 / 64),
        (Modality.TEMP, "Celsius", 1),
        (Modality.PPG, "whatever", 1),
        (Modality.ECG, "", 1),
    ],
)
def test_units_have_their_factor(modality: Modality, unit: str, factor: float) -> None:
    assert units.factor(modality, unit, "x") == factor


def test_unknown_unit_names_the_stream_and_the_known_ones() -> None:
    with pytest.raises(SourceError, match="stream 'x' is in 'bananas', which is no unit of ecg: pass --unit with one of uv"):
        units.factor(Modality.ECG, "bananas", "x")


def test_every_modality_has_a_unit_and_a_type() -> None:
    assert set(units.CANONICAL) == set(devices.TYPES) == set(Modality)


def test_the_nearest_electrode_stands_in_for_a_site_that_the_device_has_not():
    muse = replace(devices.get("muse").streams[0], channels=("T5", "Fp1", "Fp2", "T6"))
    found = channels.pick(muse, ["TP9", "AF7", "AF8", "TP10", "AUX"], 5, "muse")
    assert found.rows == (0, 1, 2, 3)
    assert found.names == ("T5", "Fp1", "Fp2", "T6")
    assert channels.has(muse, ("P7", "fp1"))
    assert not channels.has(devices.get("muse").streams[0], ("Cz",))
    with pytest.raises(SourceError, match="no channel Cz"):
        channels.pick(replace(muse, channels=("Cz",)), ["TP9", "AF7", "AF8", "TP10"], 4, "muse")
