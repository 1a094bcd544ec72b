"""TLS: the broker must prove itself, and may ask us to."""

from __future__ import annotations

import gc
import subprocess
import warnings
from pathlib import Path

import pytest

from streamaffect.errors import BrokerError
from streamaffect.messages import Info
from streamaffect.publish.address import BrokerUrl, TlsFiles
from streamaffect.publish.mqtt import Publisher


@pytest.fixture
def pem(tmp_path: Path, need_programs) -> Path:
    """A folder with two authorities and, signed by the first, a broker's and a client's certificate."""
    need_programs("openssl")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "other"):
        openssl("req", "-x509", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
    (tmp_path / "san").write_text("subjectAltName=IP:127.0.0.1")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "san")
    for name in ("broker", "client"):
        openssl("req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
    return tmp_path


@pytest.fixture
def options(pem: Path) -> list[str]:
    files = {"cafile": "ca.pem", "certfile": "broker.pem", "keyfile": "broker.key"}
    return ["allow_anonymous true", *(f"{option} {pem / name}" for option, name in files.items())]


async def test_known_authority_is_trusted(start_mosquitto, options: list[str], pem: Path, info: Info) -> None:
    url = BrokerUrl.parse(f"mqtts://127.0.0.1:{start_mosquitto(*options).port}")
    async with Publisher(url, "lab", info, tls=TlsFiles(ca=pem / "ca.pem")) as publisher:
        assert await publisher.drain()


async def test_client_certificate_is_shown(start_mosquitto, options: list[str], pem: Path, info: Info) -> None:
    url = BrokerUrl.parse(f"mqtts://127.0.0.1:{start_mosquitto(*options, 'require_certificate true').port}")
    tls = TlsFiles(ca=pem / "ca.pem", cert=pem / "client.pem", key=pem / "client.key")
    async with Publisher(url, "lab", info, tls=tls) as publisher:
        assert await publisher.drain()


async def test_unknown_authority_is_one_helpful_line(start_mosquitto, options: list[str], pem: Path, info: Info) -> None:
    url = BrokerUrl.parse(f"mqtts://127.0.0.1:{start_mosquitto(*options).port}")
    publisher = Publisher(url, "lab", info, tls=TlsFiles(ca=pem / "other.pem"))
    with pytest.raises(
        BrokerError, match=r"^broker mqtts://.*: certificate verify failed: .*; name the authority.*$"
    ) as caught:
        await publisher.__aenter__()
    del caught, publisher
    with warnings.catch_warnings():  # paho leaves a socket to the garbage collector when its handshake fails
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
