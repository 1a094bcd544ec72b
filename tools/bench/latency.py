"""End-to-end latency: from a window's last sample leaving the device to the subscriber's callback.

    python tools/bench/latency.py [--seconds 60] [--subjects 4] [--device shimmer] [--broker mosquitto|embedded|URL]

Starts what a user would, each a process of its own: the broker, ``streamaffect replay`` of simulated people at speed 1, and
one ``streamaffect run`` for all of them; the subscriber is this process. All of it is on this machine and one clock: a
message's ``lsl_end`` is the LSL time at which its window ends. The way from there is split in three:

    arrival   until a bare LSL inlet in this process has the first sample at or past the window's end: the sender's chunks
              of 25 ms, and LSL
    river     from there until the message is stamped for sending: hand-over, windows, features, model
    broker    from there until the subscriber's callback

Last numbers (``--subjects 6 --seconds 90``, Mosquitto, 2 cores), p50 / p95 / p99 in ms: end to end 15 / 25 / 29, of it arrival
14 / 25 / 28, river 4 / 8 / 12, broker 1 / 3 / 3; the river took 1.6 % of a core a wearer and 171 MiB. With the cores kept busy
by others (load 4): end to end 16 / 28 / 47.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import numpy as np

from streamaffect.publish.address import BrokerUrl

TOPIC = "streamaffect/v1/bench/+/emotion"
START_S = 60.0  # for processes, streams and the first window


@dataclass
class Arrivals:
    """One stream as a bare inlet sees it: the newest stamp of each chunk, and the LSL time at which the chunk was there."""

    source_id: str
    stamps: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)

    def watch(self, ended: threading.Event) -> None:
        import pylsl

        found = pylsl.resolve_byprop("source_id", self.source_id, 1, START_S)
        if not found:
            return
        inlet = pylsl.StreamInlet(found[0])
        while not ended.is_set():
            _, first = inlet.pull_sample(0.5)
            if first is not None:
                _, more = inlet.pull_chunk(0.0)
                self.seen.append(pylsl.local_clock())
                self.stamps.append(more[-1] if more else first)

    def of(self, lsl_end: float) -> float:
        """When the first sample at or past ``lsl_end`` was there; NaN where that was not seen."""
        place = bisect_left(self.stamps, lsl_end - 1e-6)
        return self.seen[place] if 0 < place < len(self.stamps) else float("nan")


@dataclass(frozen=True)
class Heard:
    """One message: its window's end, when it was stamped and when it came, all on the LSL clock."""

    subject: str
    end: float
    sent: float
    came: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="to measure, from the first message on (default: 60)")
    parser.add_argument("--subjects", type=int, default=4, help="wearers at once, 1 to 20 (default: 4)")
    parser.add_argument("--device", default="shimmer", help="one with a stream of ECG (default: shimmer)")
    parser.add_argument("--broker", default="mosquitto" if shutil.which("mosquitto") else "embedded", metavar="B")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="streamaffect-bench-") as folder, contextlib.ExitStack() as stack:
        home, ended = Path(folder), threading.Event()
        os.environ |= {"STREAMAFFECT_HOME": folder, "LSLAPICFG": str(lsl_session(home))}
        url, address = broker(args.broker, home, stack)
        for number in range(1, args.subjects + 1):
            start(stack, "replay", "simulated", "--subject", f"person-{number}", "--as", args.device, "--wait", "30")
        config = str(configuration(home, args.device, args.subjects))
        river = start(stack, "run", "--config", config, "--broker", url, "--method", "source")
        arrivals = {f"s{number}": Arrivals(source_id(args.device, number)) for number in range(1, args.subjects + 1)}
        stack.callback(ended.set)
        for each in arrivals.values():
            threading.Thread(target=each.watch, args=(ended,), daemon=True).start()
        heard, cores = asyncio.run(listen(address, args.seconds, river.pid))
        resident = rss_mib(river.pid)
    print(f"{len(heard)} messages in {args.seconds:g} s, {args.subjects} x {args.device}, broker {args.broker}")
    report(heard, arrivals)
    print(f"river: {cores:.1%} of a core ({cores / args.subjects:.1%} a wearer), {resident:.0f} MiB resident")


def lsl_session(home: Path) -> Path:
    """An LSL session of the benchmark's own, on this machine alone."""
    from streamaffect.sources.network import content

    path = home / "lsl_api.cfg"
    path.write_text(content(f"bench-{os.getpid()}", local=True), encoding="utf-8")
    return path


def source_id(device: str, number: int) -> str:
    return f"replay-{device}-ecg-person-{number}"


def configuration(home: Path, device: str, subjects: int) -> Path:
    tables = [
        f'[[subjects]]\nid = "s{n}"\ndevice = "{device}"\nstream = {{ source_id = "{source_id(device, n)}" }}\n'
        for n in range(1, subjects + 1)
    ]
    path = home / "bench.toml"
    path.write_text('node = "bench"\nstream_timeout_s = 30\n' + "".join(tables), encoding="utf-8")
    return path


def start(stack: contextlib.ExitStack, *words: str) -> subprocess.Popen[bytes]:
    """``streamaffect WORDS``, ended with the stack."""
    process = subprocess.Popen([sys.executable, "-m", "streamaffect", *words], stdout=subprocess.DEVNULL)
    stack.callback(end, process)
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(20)


def broker(wish: str, home: Path, stack: contextlib.ExitStack) -> tuple[str, BrokerUrl]:
    """What to tell ``run``, and where the subscriber finds it."""
    if wish not in ("mosquitto", "embedded"):
        return wish, BrokerUrl.parse(wish).with_secrets()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = BrokerUrl.parse(f"mqtt://127.0.0.1:{port}")
    if wish == "embedded":
        return f"embedded:{port}", address
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "persistence false", "set_tcp_nodelay true"]
    if os.geteuid() == 0:
        lines.append("user root")  # else it becomes a user who may not read our files
    (home / "mosquitto.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    process = subprocess.Popen(["mosquitto", "-c", str(home / "mosquitto.conf")], stderr=subprocess.DEVNULL)
    stack.callback(end, process)
    return str(address), address


@contextlib.asynccontextmanager
async def connected(address: BrokerUrl) -> AsyncIterator[aiomqtt.Client]:
    """A subscriber; tries again while the broker starts."""
    give_up = time.monotonic() + START_S
    while True:
        client = aiomqtt.Client(address.host, address.port or 1883, username=address.username, password=address.password)
        try:
            await client.__aenter__()
            break
        except aiomqtt.MqttError:
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(0.1)
    try:
        yield client
    finally:
        await client.__aexit__(None, None, None)


async def listen(address: BrokerUrl, seconds: float, river: int) -> tuple[list[Heard], float]:
    """The messages of ``seconds``, and how many cores the process ``river`` took meanwhile."""
    import pylsl

    heard: list[Heard] = []
    began, used_s = 0.0, 0.0
    async with connected(address) as client:
        await client.subscribe(TOPIC, qos=1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_S) as limit:
                async for message in client.messages:
                    came, utc = pylsl.local_clock(), time.time()
                    if not heard:
                        limit.reschedule(asyncio.get_running_loop().time() + seconds)
                        began, used_s = time.monotonic(), cpu_s(river)
                    emotion = json.loads(message.payload)
                    sent = emotion["t_publish"] - utc + came
                    heard.append(Heard(emotion["subject"], emotion["lsl_end"], sent, came))
    if not heard:
        sys.exit(f"no message within {START_S:g} s")
    return heard, (cpu_s(river) - used_s) / (time.monotonic() - began)


def report(heard: list[Heard], arrivals: dict[str, Arrivals]) -> None:
    there = np.array([arrivals[each.subject].of(each.end) for each in heard])
    ends, sent, came = np.array([(each.end, each.sent, each.came) for each in heard]).T
    print(f"{'ms':12}{'p50':>8}{'p95':>8}{'p99':>8}{'max':>8}")
    ways = {"end to end": came - ends, "arrival": there - ends, "river": sent - there, "broker": came - sent}
    for name, parts in ways.items():
        known = 1e3 * parts[np.isfinite(parts)]
        if known.size:
            print(f"{name:12}" + "".join(f"{value:8.1f}" for value in (*np.percentile(known, (50, 95, 99)), known.max())))


def cpu_s(pid: int) -> float:
    """Processor time of a process so far; NaN where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    """Resident memory; NaN where there is no /proc."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


if __name__ == "__main__":
    main()
