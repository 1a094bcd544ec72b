"""What stops ``run`` at the start: one line that helps, the right exit code, no traceback."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pylsl
import pytest

from streamaffect import config
from streamaffect.bundle import registry
from streamaffect.bundle.bundle import Bundle
from streamaffect.bundle.registry import Registry
from streamaffect.cli import main
from streamaffect.runtime.node import plan

Refused = Callable[..., None]
MODEL = registry.shipped() / "ecg-load"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMAFFECT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """``refused(code, parts of the line, *words)``: ``run`` with a shimmer unless told otherwise ends so."""

    def check(code: int, parts: tuple[str, ...], *words: object) -> None:
        device = () if "--device" in words else ("--device", "shimmer")
        broker = () if "--broker" in words else ("--broker", "mqtt://127.0.0.1:1")  # not reached
        capsys.readouterr()
        assert main([str(word) for word in ("run", *device, *broker, "--stream-timeout", 0.5, *words)]) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1, err
        for part in parts:
            assert part in err

    return check


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy of the model that ships, yet to be broken."""
    return Path(shutil.copytree(MODEL, tmp_path / "broken"))


@pytest.fixture
def polar_on_the_network() -> Iterator[None]:
    info = pylsl.StreamInfo("polar", "ECG", 1, 130, "float32", "polar-main-job")
    outlet = pylsl.StreamOutlet(info)
    yield
    del outlet


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--device", "nope"), ("'nope'", "shimmer", "muse")),
        (("--method", "nope"), ("'nope'", "dynamic", "source")),
        (("--model", "nope"), ("'nope'", "ecg-load")),
        (("--device", "muse", "--model", "ecg-load"), ("reads ecg", "sends eeg", "--device or --model")),
        (("--broker", "http://here"), ("http://here", "mqtt://")),
        (("--subject", "Anna Smith"), ("Anna Smith", "subjects.0.id")),
    ],
)
def test_what_is_unknown_or_does_not_fit(refused: Refused, words: tuple[str, ...], parts: tuple[str, ...]) -> None:
    refused(2, parts, *words)


@pytest.mark.parametrize(("module", "extra"), [("torch", "adapt"), ("onnxscript", "adapt"), ("onnxruntime", "cpu")])
def test_a_missing_extra_is_named_before_anything_starts(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    refused(2, (f"streamaffect[{extra}]",), "--method", "dynamic")


def test_without_adaptation_torch_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    told = {("subjects", "0", "device"): "shimmer", ("adaptation", "method"): "source"}
    assert not plan(config.load(None, told, {})).adapts


def test_a_home_that_cannot_be_written(refused: Refused, home: Path) -> None:
    home.write_text("a file where a folder should be")
    refused(2, (str(home), "STREAMAFFECT_HOME"))


def test_a_truncated_model(refused: Refused, broken: Path) -> None:
    data = (broken / "model.onnx").read_bytes()
    (broken / "model.onnx").write_bytes(data[: len(data) // 2])
    refused(1, (str(broken), "model.onnx"), "--model", broken)


def test_a_model_with_one_byte_flipped(refused: Refused, broken: Path) -> None:
    data = bytearray((broken / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (broken / "model.onnx").write_bytes(bytes(data))
    refused(1, (str(broken), "model.onnx", "sha256"), "--model", broken)


def test_no_stream(refused: Refused, mosquitto) -> None:
    refused(1, ("'shimmer'", "256 Hz", "on the network", "--name"), "--name", "nobody*", "--broker", mosquitto.url)


@pytest.mark.usefixtures("polar_on_the_network")
def test_a_stream_of_another_rate(refused: Refused, mosquitto) -> None:
    words = ("--name", "polar", "--stream-timeout", 10, "--broker", mosquitto.url)
    refused(1, ("'polar' sends 130 Hz", "256 Hz", "--rate 130"), *words)


def test_a_wrong_password(refused: Refused, mosquitto_with_password) -> None:
    url = f"mqtt://{mosquitto_with_password.user}:wrong@127.0.0.1:{mosquitto_with_password.port}"
    refused(1, ("not authorised", "STREAMAFFECT_MQTT_PASSWORD"), "--broker", url)


def test_a_broken_own_version_is_passed_over_and_said(caplog: pytest.LogCaptureFixture) -> None:
    own = Registry.of("wearer", Bundle.load(MODEL))
    promoted = own.promote(MODEL)
    (promoted.path / "model.onnx").write_bytes(b"torn")
    with caplog.at_level(logging.WARNING):
        planned = plan(config.load(None, {("subjects", "0", "device"): "shimmer"}, {}))
    assert planned.wearers[0].bundle.version == 0
    assert "serving version 0 instead" in caplog.text
    assert str(promoted.path) in caplog.text
