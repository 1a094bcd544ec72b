"""Broker addresses: what is understood, and that passwords stay out of sight."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamaffect.errors import UsageError
from streamaffect.publish.address import BrokerUrl, TlsFiles


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mqtt://localhost", BrokerUrl("mqtt", "localhost", 1883)),
        ("mqtts://broker.example", BrokerUrl("mqtts", "broker.example", 8883)),
        ("mqtt://127.0.0.1:1/", BrokerUrl("mqtt", "127.0.0.1", 1)),
        ("mqtt://me:p%40ss:word@h:1884", BrokerUrl("mqtt", "h", 1884, "me", "p@ss:word")),
        ("mqtt://me@h", BrokerUrl("mqtt", "h", 1883, "me")),
        ("mqtt://[::1]:1885", BrokerUrl("mqtt", "::1", 1885)),
        ("embedded", BrokerUrl("embedded")),
        ("embedded:1999", BrokerUrl("embedded", port=1999)),
    ],
)
def test_address_is_understood(text: str, expected: BrokerUrl) -> None:
    assert BrokerUrl.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "localhost", "localhost:1883", "http://h", "mqtt://", "mqtt://:1883", "mqtt://h:0", "mqtt://h:65536"),
        *("mqtt://h:port", "mqtt://h/topic", "mqtt://h?x=1", "embedded:", "embedded:x", "embedded:70000", "mqtt://[::1"),
    ],
)
def test_other_address_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=r"^broker [^\n]+$"):
        BrokerUrl.parse(text)


@pytest.mark.parametrize("text", ["mqtt://me:secret@h:x", "mqtt://me:secret@h/topic", "http://me:secret@h"])
def test_password_is_never_shown(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        BrokerUrl.parse(text)
    assert "secret" not in str(caught.value)
    url = BrokerUrl.parse("mqtt://me:secret@h")
    assert str(url) == "mqtt://me@h:1883"
    assert "secret" not in repr(url)


def test_password_of_the_environment_is_second_to_the_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STREAMAFFECT_MQTT_PASSWORD", "env")
    monkeypatch.setenv("STREAMAFFECT_MQTT_PASSWORD_FILE", str(tmp_path / "missing"))
    assert BrokerUrl.parse("mqtt://me:own@h").with_secrets().password == "own"
    assert BrokerUrl.parse("mqtt://me@h").with_secrets().password == "env"
    assert BrokerUrl.parse("mqtt://h").with_secrets().password is None
    monkeypatch.delenv("STREAMAFFECT_MQTT_PASSWORD")
    with pytest.raises(UsageError, match="missing"):
        BrokerUrl.parse("mqtt://me@h").with_secrets()


def test_tls_files_are_checked_by_name(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    for files in (TlsFiles(ca=tmp_path / "no.pem"), TlsFiles(ca=broken), TlsFiles(key=broken)):
        with pytest.raises(UsageError, match=r"^TLS [^\n]+$"):
            files.context()
