"""``streamaffect doctor``: is all there that a run needs?"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from streamaffect.cli.output import print_json
from streamaffect.cli.parsing import add_json

ABOUT = "check this installation, with a remedy for what fails"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which broker to try, beside the embedded one."""
    parser.add_argument("--broker", metavar="URL", help="broker to reach, as for 'run' (default: STREAMAFFECT_BROKER)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration that names the broker and its TLS files")
    add_json(parser)


def call(args: argparse.Namespace) -> int:
    """Print a verdict for each check; exit code 1 where a needed one fails."""
    from streamaffect import config
    from streamaffect.cli import checks

    broker = config.load(args.config, {("broker", "url"): args.broker}).broker
    verdicts = []
    for verdict in checks.run(broker):
        verdicts.append(verdict)
        if not args.json:
            remedy = f": {verdict.remedy}" if verdict.remedy else ""
            print(f"{verdict.status:4}  {verdict.name:16}  {verdict.text}{remedy}", flush=True)
    if args.json:
        print_json([asdict(verdict) for verdict in verdicts])
    return 1 if any(verdict.status == "FAIL" for verdict in verdicts) else 0
