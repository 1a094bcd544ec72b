"""The doctor's checks. Each tries the real thing and says what it found; none raises."""

from __future__ import annotations

import asyncio
import platform
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import Literal

from streamaffect.bundle import registry
from streamaffect.cli.models import trouble
from streamaffect.config import BrokerConfig
from streamaffect.errors import BrokerError, UsageError
from streamaffect.publish.address import BrokerUrl, TlsFiles
from streamaffect.publish.broker import EmbeddedBroker

TIMEOUT_S = 5.0
ADAPT = ("torch", "onnx", "onnxscript", "sklearn", "ot")


@dataclass(frozen=True, slots=True)
class Verdict:
    """``FAIL``: a run will not work. ``note``: it will, but without something. ``remedy`` what to do about either."""

    name: str
    status: Literal["ok", "note", "FAIL"]
    text: str
    remedy: str = ""


def run(broker: BrokerConfig) -> Iterator[Verdict]:
    """Every check, one after the other; ``broker`` is tried unless it is the embedded one, which is tried anyway."""
    yield Verdict("Python", "ok", f"{platform.python_version()} on {platform.machine()}")
    yield runtime()
    yield adaptation()
    yield lsl()
    yield embedded_broker()
    if broker.url != "embedded":
        yield told_broker(broker)
    yield from shipped_models()
    yield data_home()


def runtime() -> Verdict:
    """ONNX Runtime, from one package: two overwrite each other's files."""
    name, packages = "ONNX Runtime", [p for p in ("onnxruntime", "onnxruntime-gpu") if _version(p)]
    if len(packages) > 1:
        remedy = "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install 'streamaffect[cpu]' or 'streamaffect[gpu]'"
        return Verdict(name, "FAIL", "onnxruntime and onnxruntime-gpu are both installed, they share one module", remedy)
    try:
        import onnxruntime
    except ImportError as error:
        return Verdict(name, "FAIL", str(error), "pip install 'streamaffect[cpu]' (or 'streamaffect[gpu]', not both)")
    providers = ", ".join(p.removesuffix("ExecutionProvider") for p in onnxruntime.get_available_providers())
    return Verdict(name, "ok", f"{onnxruntime.__version__} ({providers})")


def adaptation() -> Verdict:
    """What the workshop needs; the river runs without."""
    if missing := [module for module in ADAPT if find_spec(module) is None]:
        text = f"{', '.join(missing)} not installed, so there is no adaptation (only --method source)"
        return Verdict("adaptation", "note", text, "pip install 'streamaffect[adapt]'")
    import torch

    where = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no CUDA device, adapts on the CPU"
    return Verdict("adaptation", "ok", f"torch {torch.__version__}, {where}")


def lsl() -> Verdict:
    """liblsl, and a sample sent and found again on the network."""
    from streamaffect.sources import network

    try:
        network.configure()
        import pylsl
    except (RuntimeError, OSError, ImportError) as error:  # pylsl tells so that it does not find liblsl
        reason = str(error).strip().splitlines()[0]
        return Verdict("LSL", "FAIL", reason, "install liblsl, or name its file in the variable PYLSL_LIB")
    number = pylsl.library_version()
    version = f"liblsl {number // 100}.{number % 100}"
    try:
        seconds = _round_trip()
    except (RuntimeError, OSError, pylsl.util.TimeoutError, pylsl.util.LostError) as error:
        remedy = "let UDP 16571-16604 and TCP 16572-16604 through the firewall, or name KnownPeers in lsl_api.cfg"
        return Verdict("LSL", "FAIL", f"{version}, but no stream of our own is found on this machine ({error})", remedy)
    return Verdict("LSL", "ok", f"{version}, a sample found its way in {seconds * 1e3:.1f} ms")


def _round_trip() -> float:
    """Seconds from push to pull."""
    import pylsl

    source_id = f"doctor-{uuid.uuid4().hex}"
    info = pylsl.StreamInfo("streamaffect-doctor", "Test", 1, 0.0, "float32", source_id)
    outlet = pylsl.StreamOutlet(info)
    found = pylsl.resolve_byprop("source_id", source_id, 1, TIMEOUT_S)
    if not found:
        raise RuntimeError(f"not within {TIMEOUT_S:g} s")
    inlet = pylsl.StreamInlet(found[0], max_buflen=1, recover=False)
    inlet.open_stream(TIMEOUT_S)
    outlet.wait_for_consumers(TIMEOUT_S)
    sent_s = pylsl.local_clock()
    outlet.push_sample([1.0], sent_s)
    sample, _ = inlet.pull_sample(TIMEOUT_S)
    if sample is None:
        raise RuntimeError(f"the sample did not arrive within {TIMEOUT_S:g} s")
    return float(pylsl.local_clock() - sent_s)


def embedded_broker() -> Verdict:
    async def start() -> int:
        async with EmbeddedBroker() as broker:
            return broker.port

    try:
        port = asyncio.run(start())
    except (BrokerError, OSError) as error:
        return Verdict("embedded broker", "FAIL", str(error))
    return Verdict("embedded broker", "ok", f"iotcore {_version('iotcore')} started on port {port}")


def told_broker(config: BrokerConfig) -> Verdict:
    """The broker of the configuration, with user, password and TLS as a run would use them."""
    from streamaffect.publish.connection import ConnectionLostError, RefusedError

    try:
        url = BrokerUrl.parse(config.url).with_secrets()
        asyncio.run(_reach(url, config))
    except (UsageError, RefusedError) as error:
        return Verdict("broker", "FAIL", str(error))
    except (ConnectionLostError, BrokerError) as error:
        remedy = "" if isinstance(error, BrokerError) else "is it running, and are address and port right?"
        return Verdict("broker", "FAIL", f"{url}: {error}", remedy)
    return Verdict("broker", "ok", f"{url} accepts us with MQTT {config.protocol}")


async def _reach(url: BrokerUrl, config: BrokerConfig) -> None:
    from streamaffect.publish.connection import Link, connect

    if url.embedded:
        async with EmbeddedBroker(url.port):
            return
    name = f"streamaffect-doctor-{uuid.uuid4().hex[:8]}"
    tls = TlsFiles(config.ca, config.cert, config.key).context() if url.scheme == "mqtts" else None
    topic = f"streamaffect/doctor/{name}"
    async with connect(Link(url, name, topic, protocol=config.protocol, timeout_s=TIMEOUT_S, tls=tls)) as connection:
        await connection.send(topic, b"", qos=1, retain=True)  # takes our retained `online` away
        connection.lost = True  # so that leaving says no `offline`, which would stay there for good


def shipped_models() -> Iterator[Verdict]:
    if not (names := registry.list_shipped()):
        remedy = "give a bundle with --model DIR, or install streamaffect again"
        yield Verdict("models", "note", f"none in {registry.shipped()}", remedy)
    for name in names:
        try:
            wrong = trouble(registry.shipped() / name)
        except UsageError as error:  # without ONNX Runtime
            wrong = str(error)
        yield Verdict(f"model {name}", "FAIL", wrong) if wrong else Verdict(f"model {name}", "ok", "intact, and runs")


def data_home() -> Verdict:
    """Where people's models are kept can be written."""
    home = registry.home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        remedy = "make it writable, or name another folder in STREAMAFFECT_HOME"
        return Verdict("data home", "FAIL", f"{home}: {error.strerror}", remedy)
    return Verdict("data home", "ok", f"{home} can be written")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
