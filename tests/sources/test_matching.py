"""Which streams on the network a profile means."""

from __future__ import annotations

import pytest

from streamaffect.errors import SourceError
from streamaffect.signals import Modality
from streamaffect.sources import devices
from streamaffect.sources.discovery import AmbiguousError, StreamInfo, match


def _info(name: str, type_: str = "ECG", channels: int = 1, rate: float = 256.0, labels: tuple[str, ...] = ()) -> StreamInfo:
    return StreamInfo(name, type_, channels, rate, f"id-{name}", f"uid-{name}", "host", labels)


def _names(device: devices.DeviceProfile, *infos: StreamInfo) -> list[str]:
    return [info.name for _, info in match(device, infos)]


def test_type_is_enough_where_one_stream_has_it() -> None:
    assert _names(devices.get("shimmer"), _info("anything", "ecg"), _info("brain", "EEG", 14)) == ["anything"]


def test_usual_name_decides_between_two() -> None:
    assert _names(devices.get("polar-h10"), _info("Shimmer 12"), _info("Polar H10 AB12")) == ["Polar H10 AB12"]


def test_labels_decide_between_two() -> None:
    muse = _info("B", "EEG", 5, labels=("TP9", "AF7", "AF8", "TP10", "AUX"))
    other = _info("A", "EEG", 8, labels=devices.OPENBCI_SITES)
    assert _names(devices.get("muse"), other, muse) == ["B"]
    assert _names(devices.get("openbci"), other, muse) == ["A"]


def test_too_few_channels_do_not_fit() -> None:
    assert _names(devices.get("seed62"), _info("small", "EEG", 14), _info("big", "EEG", 62)) == ["big"]


def test_two_of_a_kind_must_be_told_apart() -> None:
    anna, ben = _info("shimmer-ecg-anna"), _info("shimmer-ecg-ben")
    with pytest.raises(AmbiguousError, match=r"2 ECG streams fit device 'shimmer': 'shimmer-ecg-anna'.*choose with --name"):
        match(devices.get("shimmer"), [anna, ben])
    assert _names(devices.get("shimmer").told(name="shimmer-ecg-ben"), anna, ben) == ["shimmer-ecg-ben"]
    assert _names(devices.get("shimmer").told(source_id="id-*anna"), anna, ben) == ["shimmer-ecg-anna"]


def test_exact_name_beats_its_reading_as_a_pattern() -> None:
    device = devices.get("shimmer").told(name="ecg[1]")
    assert _names(device, _info("ecg1"), _info("ecg[1]")) == ["ecg[1]"]


def test_streams_of_one_wearer_are_found_together() -> None:
    infos = [_info(f"empatica-{kind}-{who}", kind, 3) for who in ("anna", "ben") for kind in ("ACC", "GSR", "TEMP", "BVP")]
    found = match(devices.get("empatica").told(name="*-ben"), infos)
    assert [profile.modality for profile, _ in found] == [Modality.PPG, Modality.EDA, Modality.TEMP, Modality.ACC]
    assert all(info.name.endswith("-ben") for _, info in found)


def test_optional_streams_may_be_missing_but_not_all() -> None:
    assert _names(devices.get("empatica"), _info("skin", "EDA")) == ["skin"]
    with pytest.raises(SourceError, match="no stream for device 'empatica'"):
        match(devices.get("empatica"), [_info("heart")])


def test_generic_takes_what_it_knows() -> None:
    infos = [_info("heart"), _info("brain", "EEG", 32), _info("labels", "Markers", 1, 0.0)]
    assert _names(devices.get("generic"), *infos) == ["heart", "brain"]


def test_nothing_fitting_says_what_was_wanted_and_what_is_there() -> None:
    with pytest.raises(SourceError) as caught:
        match(devices.get("emotiv"), [_info("heart")])
    said = str(caught.value)
    assert "no stream for device 'emotiv' (type EEG, 14 channels or more, 128 Hz)" in said
    assert "'heart' (ECG, 1 ch, 256 Hz, source_id 'id-heart')" in said
    assert "\n" not in said
    with pytest.raises(SourceError, match="on the network: nothing"):
        match(devices.get("emotiv"), [])
