"""``streamaffect run``: a wearable's stream in, emotion distributions out, and a model that becomes the wearer's."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from streamaffect.cli.parsing import add_method

if TYPE_CHECKING:
    from streamaffect.config import RunConfig
    from streamaffect.runtime.node import Node

ABOUT = "stream emotions from a device to MQTT, adapting to the wearer"
DEMO_PERSON = "person-3"
# The demo shows in two minutes what takes a wearer five: a first adaptation on as few windows as make sense.
DEMO_WINDOWS = 14


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags; one that is not given leaves the place to the environment, the file and the default."""
    parser.add_argument("--device", help="device profile, see 'streamaffect devices' (default: generic)")
    add_method(parser, "adaptation method: dynamic (default), or source for none")
    parser.add_argument("--subject", metavar="ID", help="pseudonym of the wearer (default: wearer)")
    parser.add_argument("--model", metavar="DIR", help="bundle to start from: a name from 'streamaffect models list' or a path")
    parser.add_argument("--broker", metavar="URL", help="mqtt://[user@]host[:port], mqtts://..., or embedded[:PORT] (default)")
    parser.add_argument("--node", help="name of this node in the topics (default: local)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file, see 'streamaffect config init'")
    parser.add_argument("--demo", action="store_true", help="no hardware, broker or data: a simulated person wears the device")
    parser.add_argument("--name", help="LSL name of the stream, or a shell pattern")
    parser.add_argument("--source-id", metavar="ID", help="LSL source id of the stream, or a shell pattern")
    parser.add_argument("--type", help="LSL content type of the stream")
    parser.add_argument("--rate", type=float, metavar="HZ", help="rate of the stream where it differs from the profile")
    parser.add_argument("--channels", metavar="A,B,..", help="channel labels, in the order wanted")
    parser.add_argument("--unit", help="unit of the stream where it tells none, such as mV")
    parser.add_argument("--stream-timeout", type=float, metavar="S", help="how long to look for the streams (default: 10)")
    parser.add_argument("--first", type=int, metavar="N", help="trustworthy windows before the first adaptation (default: 24)")
    parser.add_argument("--commands", action="store_true", default=None, help="obey the MQTT command topic")
    parser.add_argument("--json", action="store_true", help="one JSON message a line on standard output")
    parser.add_argument("--plain", action="store_true", help="log lines instead of the live view, on a terminal too")


def call(args: argparse.Namespace) -> int:
    """Run until Ctrl-C, SIGTERM, or SIGHUP where it is not ignored (as nohup does)."""
    with demo_home() if args.demo else contextlib.nullcontext():
        return asyncio.run(_run(args))


def configuration(args: argparse.Namespace) -> RunConfig:
    """Flags over environment over file over defaults; the demo fills only what nobody said."""
    from streamaffect import config

    flags: dict[tuple[str, ...], object] = {
        ("subjects", "0", "device"): args.device,
        ("subjects", "0", "id"): args.subject,
        ("subjects", "0", "model"): args.model,
        ("broker", "url"): args.broker,
        ("broker", "commands"): args.commands,
        ("node",): args.node,
        ("stream_timeout_s",): args.stream_timeout,
        ("adaptation", "method"): args.method,
        ("adaptation", "first"): args.first,
    }
    stream = {key: getattr(args, key) for key in ("name", "source_id", "type", "rate", "unit")}
    stream["channels"] = args.channels.split(",") if args.channels else None
    flags |= {("subjects", "0", "stream", key): value for key, value in stream.items()}
    if args.demo:
        flags |= _demo_flags(args)
    return config.load(args.config, flags)


def _demo_flags(args: argparse.Namespace) -> dict[tuple[str, ...], object]:
    return {
        ("subjects", "0", "device"): args.device or os.environ.get("STREAMAFFECT_DEVICE") or "shimmer",
        ("subjects", "0", "id"): args.subject or os.environ.get("STREAMAFFECT_SUBJECT") or "demo",
        ("subjects", "0", "stream", "source_id"): f"replay-*-{DEMO_PERSON}",
        ("stream_timeout_s",): args.stream_timeout or 30.0,
        ("adaptation", "first"): args.first or DEMO_WINDOWS,
        ("adaptation", "minimum"): args.first or DEMO_WINDOWS,
    }


@contextlib.contextmanager
def demo_home() -> Iterator[None]:
    """Models and LSL session of its own: a demo leaves nothing behind, starts afresh, and sees no other stream."""
    from streamaffect.sources.network import content

    with tempfile.TemporaryDirectory(prefix="streamaffect-demo-") as home:
        os.environ.setdefault("STREAMAFFECT_HOME", home)
        if "LSLAPICFG" not in os.environ:
            session = Path(home) / "lsl_api.cfg"
            session.write_text(content(f"demo-{os.getpid()}", local=True))
            os.environ["LSLAPICFG"] = str(session)  # the simulated person inherits it
        yield


async def _run(args: argparse.Namespace) -> int:
    from streamaffect.cli.view import show
    from streamaffect.runtime.node import Node, plan
    from streamaffect.sources import network

    planned = plan(configuration(args))
    network.configure()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        stop.set()

    loop.add_signal_handler(signal.SIGINT, end, 130)
    loop.add_signal_handler(signal.SIGTERM, end, 0)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, end, 0)
    with show(planned, as_json=args.json, live=sys.stdout.isatty() and not args.plain) as view:
        node = Node(planned, view.saw)
        view.node = node
        device = planned.wearers[0].device.name
        async with simulated_wearer(device) if args.demo else contextlib.nullcontext():
            await until(node, stop)
    return codes[0] if codes else 0


async def until(node: Node, stop: asyncio.Event) -> None:
    """Run the node until it fails or ``stop`` is set; either way it drains and says offline."""
    running = asyncio.create_task(node.run(), name="node")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        if not stop.is_set():
            raise


@contextlib.asynccontextmanager
async def simulated_wearer(device: str) -> AsyncIterator[None]:
    """The simulated person: another process that plays as the device over LSL, and ends with us however we end."""
    words = ("replay", "simulated", "--subject", DEMO_PERSON, "--as", device, "--loop", "--until-stdin-closes")
    command = (sys.executable, "-m", "streamaffect", *words)
    player = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        if player.returncode is None:
            player.terminate()
            try:
                async with asyncio.timeout(5):
                    await player.wait()
            except TimeoutError:
                player.kill()
                await player.wait()
