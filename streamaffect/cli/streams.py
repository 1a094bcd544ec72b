"""``streamaffect streams``: what is on the network."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from streamaffect.cli.output import print_json, print_table
from streamaffect.cli.parsing import add_json

ABOUT = "list the LSL streams on the network"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("--timeout", type=float, default=1.0, metavar="S", help="how long to listen (default: 1)")
    add_json(parser)


def call(args: argparse.Namespace) -> int:
    """Print each stream that answers."""
    from streamaffect.errors import UsageError
    from streamaffect.sources import discovery, network

    if not 0 < args.timeout <= 3600:
        raise UsageError(f"--timeout must be seconds, more than 0 and at most 3600, got {args.timeout:g}")
    network.configure()
    found = discovery.discover(args.timeout)
    if args.json:
        print_json([asdict(info) for info in found])
    elif found:
        header = ("NAME", "TYPE", "CHANNELS", "HZ", "SOURCE ID", "HOST", "LABELS")
        rows = [(i.name, i.type, i.channels, f"{i.rate:g}", i.source_id, i.host, ",".join(i.labels)) for i in found]
        print_table(header, rows)
    else:
        print(
            f"no LSL stream answered within {args.timeout:g} s: start the sender, or listen longer with --timeout",
            file=sys.stderr,
        )
    return 0
