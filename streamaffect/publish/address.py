"""Where a broker is and how to prove who we are."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self
from urllib.parse import SplitResult, unquote, urlsplit

from streamaffect.errors import UsageError

PASSWORD_VARIABLE = "STREAMAFFECT_MQTT_PASSWORD"  # noqa: S105 (a name, no password)
PASSWORD_FILE_VARIABLE = "STREAMAFFECT_MQTT_PASSWORD_FILE"  # noqa: S105 (a name, no password)
_DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}
_USAGE = "write mqtt://[user:password@]host[:port], mqtts://..., 'embedded' or 'embedded:PORT'"


@dataclass(frozen=True, slots=True)
class BrokerUrl:
    """One broker. ``port`` is None for an embedded one that may choose its own.

    ``properties`` False: MQTT 5 messages carry no properties there (see :mod:`streamaffect.publish.broker`).
    """

    scheme: Literal["mqtt", "mqtts", "embedded"]
    host: str = "127.0.0.1"
    port: int | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    properties: bool = True

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises UsageError, never showing a password."""
        if text == "embedded" or text.startswith("embedded:"):
            return cls("embedded", port=_port(text.partition(":")[2], text) if ":" in text else None)
        try:
            url = urlsplit(text)
        except ValueError as error:
            raise UsageError(f"broker address: {error}; {_USAGE}") from None
        shown = _without_password(url)
        if url.scheme not in ("mqtt", "mqtts") or not url.hostname:
            raise UsageError(f"broker {shown!r} is no address: {_USAGE}")
        if url.path.strip("/") or url.query or url.fragment:
            raise UsageError(f"broker {shown!r}: nothing may follow the port; {_USAGE}")
        port_text = url.netloc.rpartition("@")[2].removeprefix(f"[{url.hostname}]").partition(":")[2]
        return cls(
            scheme="mqtts" if url.scheme == "mqtts" else "mqtt",
            host=url.hostname,
            port=_port(port_text, shown) if port_text else _DEFAULT_PORTS[url.scheme],
            username=unquote(url.username) if url.username else None,
            password=unquote(url.password) if url.password else None,
        )

    @property
    def embedded(self) -> bool:
        return self.scheme == "embedded"

    def with_secrets(self) -> Self:
        """With the password of the environment, or of the file it names, where the address gives none.

        Raises UsageError when the file cannot be read.
        """
        if self.password is not None or self.username is None:
            return self
        if PASSWORD_VARIABLE in os.environ:
            return replace(self, password=os.environ[PASSWORD_VARIABLE])
        if path := os.environ.get(PASSWORD_FILE_VARIABLE):
            try:
                return replace(self, password=Path(path).read_text(encoding="utf-8").strip())
            except OSError as error:
                raise UsageError(f"{PASSWORD_FILE_VARIABLE}={path}: {error.strerror}") from None
        return self

    def __str__(self) -> str:
        """The address without its password."""
        user = f"{self.username}@" if self.username else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        return f"embedded{port}" if self.embedded else f"{self.scheme}://{user}{host}{port}"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: who signed the broker (None: the system's authorities), and who we are."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Raises UsageError naming the file that is missing or no PEM."""
        if self.key and not self.cert:
            raise UsageError(f"TLS key {self.key} needs its certificate: give both")
        for path in filter(None, (self.ca, self.cert, self.key)):
            if not path.is_file():
                raise UsageError(f"TLS file {path} is not there")
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert:
                context.load_cert_chain(self.cert, self.key)
        except (ssl.SSLError, OSError) as error:
            files = ", ".join(str(path) for path in (self.ca, self.cert, self.key) if path)
            raise UsageError(f"TLS files {files}: {error}") from None
        return context


def _port(text: str, shown: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise UsageError(f"broker {shown!r}: port must be 1 to 65535, got {text!r}")
    return int(text)


def _without_password(url: SplitResult) -> str:
    user, at, host = url.netloc.rpartition("@")
    return url._replace(netloc=f"{user.partition(':')[0]}{at}{host}").geturl()
