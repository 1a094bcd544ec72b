"""``streamaffect replay``: a recording played as the LSL streams of a device."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamaffect.signals import Recording
    from streamaffect.sources.replay import Replay, ReplayStats

    Show = Callable[[ReplayStats], None]

ABOUT = "play a recording as the LSL streams of a device, with faults on request"
LINE_EVERY_S = 10.0
BAR_EVERY_S = 0.2


def arguments(parser: argparse.ArgumentParser) -> None:
    """Faults are in the recording's time."""
    parser.add_argument("what", metavar="RECORDING|DATASET", help="a file such as x/Subject05.npz, or the name of a data set")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder of the data set's recordings")
    parser.add_argument("--subject", metavar="ID", help="who, of the data set (default: the first)")
    parser.add_argument("--as", dest="device", metavar="DEVICE", help="device to play as (default: streams as recorded)")
    parser.add_argument("--speed", type=_speed, default=1.0, metavar="X|max", help="times real time (default: 1)")
    parser.add_argument("--loop", action="store_true", help="begin again at the end")
    parser.add_argument("--drop", type=float, default=0.0, metavar="P", help="share of samples lost at random")
    parser.add_argument("--jitter", type=float, default=0.0, metavar="S", help="standard deviation of the stamps' noise")
    parser.add_argument("--disconnect", type=_disconnect, metavar="EVERY/FOR", help="be gone every so often for so long, in s")
    parser.add_argument(
        "--suffix", default="", metavar="NAME", help="ending of the streams' names: tells several wearers apart"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the faults (default: 0)")
    parser.add_argument(
        "--wait", type=_seconds, default=10.0, metavar="S", help="wait for a reader at most so long (default: 10)"
    )
    parser.add_argument("--until-stdin-closes", action="store_true", help=argparse.SUPPRESS)  # for who starts us


def call(args: argparse.Namespace) -> int:
    """Play to the end, or until interrupted."""
    from streamaffect.sources import devices, network
    from streamaffect.sources.replay import Replay

    if args.until_stdin_closes:
        threading.Thread(target=_end_with_stdin, name="standard input", daemon=True).start()
    device = devices.get(args.device) if args.device else None
    recording = _recording(args)
    network.configure()
    replay = Replay(
        recording,
        device,
        speed=args.speed,
        loop=args.loop,
        drop=args.drop,
        jitter_s=args.jitter,
        disconnect=args.disconnect,
        seed=args.seed,
        suffix=args.suffix,
        wait_for_consumer_s=args.wait,
    )
    asyncio.run(_play(replay, args))
    _line("ended", replay.stats())
    return 0


def _end_with_stdin() -> None:
    """Who started us holds the other end of standard input: it closes when they are gone, killed ones included."""
    while os.read(0, 1):  # not sys.stdin: its lock would abort the interpreter's shutdown
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _recording(args: argparse.Namespace) -> Recording:
    from streamaffect import datasets
    from streamaffect.errors import UsageError

    if args.what in datasets.names():
        there = datasets.open(args.what, args.root, args.subject)
        subject = there.subjects[0]
        if args.subject is None:
            print(f"{args.what}: playing {subject}, the first of {len(there)}; --subject chooses another")
        return next(iter(datasets.open(args.what, args.root, subject)))
    path = Path(args.what)
    if path.is_dir():
        raise UsageError(f"{path} is a folder: give a file in it, or the data set's name and --root {path}")
    if not path.suffix and not path.exists():
        names = ", ".join(datasets.names())
        raise UsageError(f"{args.what!r} is neither a recording file nor a data set: data sets are {names}")
    for flag, value in (("--root", args.root), ("--subject", args.subject)):
        if value is not None:
            raise UsageError(f"{flag} is for data sets, {path} is the one recording of a file: leave it out")
    return datasets.read(path)


def _describe(replay: Replay, args: argparse.Namespace) -> None:
    from streamaffect.sources.replay import MAX_BLIND_SPEED

    recording, speed = replay.recording, min(args.speed, MAX_BLIND_SPEED) if args.speed == math.inf else args.speed
    how = f"{replay.pass_s:.0f} s{' in a loop' if args.loop else ''} at speed {speed:g}"
    print(f"{recording.dataset} {recording.subject} as {replay.device.name}: {how}")
    for spec, source_id in zip(replay.streams, replay.source_ids, strict=True):
        labels = ", ".join(spec.channels)
        print(f"  {spec.name}: {labels}, {spec.rate:g} Hz, source_id {source_id}")
    labels = ", ".join(dict.fromkeys(trial.label or trial.name for trial in recording.trials)) or "none"
    print(f"  {replay.device.name}-markers: {len(recording.trials)} labels ({labels})", flush=True)


async def _play(replay: Replay, args: argparse.Namespace) -> None:
    _describe(replay, args)
    terminal = sys.stdout.isatty()
    with _bar(replay, args.loop) if terminal else _lines() as show:
        playing = asyncio.create_task(replay.run(), name="replay")
        try:
            while not (await asyncio.wait({playing}, timeout=BAR_EVERY_S if terminal else LINE_EVERY_S))[0]:
                show(replay.stats())
        finally:
            playing.cancel()
            await asyncio.wait({playing})  # the streams leave the network
        playing.result()


@contextlib.contextmanager
def _lines() -> Iterator[Show]:
    yield lambda stats: _line("playing", stats)


def _line(what: str, stats: ReplayStats) -> None:
    lost = f", {stats.disconnects} disconnects" if stats.disconnects else ""
    now = time.strftime("%H:%M:%S")
    print(f"{now} {what}: {stats.position_s:.1f} s, {stats.sent} samples sent, {stats.lost} lost{lost}", flush=True)


@contextlib.contextmanager
def _bar(replay: Replay, loop: bool) -> Iterator[Show]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TextColumn("{task.completed:.0f} s"), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("waiting for a reader", total=None if loop else replay.pass_s)

        def show(stats: ReplayStats) -> None:
            if stats.position_s:
                text = f"{stats.sent} sent, {stats.lost} lost, {stats.disconnects} disconnects"
                progress.update(task, completed=stats.position_s, description=text)

        yield show


def _speed(text: str) -> float:
    try:
        speed = math.inf if text == "max" else float(text)
    except ValueError:
        speed = math.nan
    if not speed > 0:
        raise argparse.ArgumentTypeError(f"must be a positive number or max, got {text!r}")
    return speed


def _disconnect(text: str) -> tuple[float, float]:
    every, _, for_ = text.partition("/")
    try:
        return float(every), float(for_)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be EVERY/FOR in seconds such as 20/5, got {text!r}") from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"must be seconds, 0 or more, got {text!r}")
    return seconds
