"""``streamaffect report``: what evaluations found, on one page for people."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamaffect.evaluate.report.svg import Plot

ABOUT = "show what 'evaluate --json' wrote on one page: tables, figures, what papers print"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Files in, a page out; with a bundle and recordings pictures that only those can make."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what 'evaluate ... --json FILE' wrote")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page to write, such as report.html")
    parser.add_argument("--png", type=Path, metavar="DIR", help="also write each figure there, as PNG")
    parser.add_argument("--bundle", metavar="MODEL", help="with --data: embeddings as it adapts, EEG on the scalp")
    parser.add_argument("--data", metavar="DATASET", help="the data set that --bundle is shown on")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder of that data set, or the one that holds it by name")
    parser.add_argument("--subject", metavar="ID", help="show this person (default: the first; the scalp of everybody)")
    parser.add_argument("--method", metavar="NAME", help="adapt by this method (default: the bundle's own)")


def call(args: argparse.Namespace) -> int:
    from streamaffect.errors import UsageError
    from streamaffect.evaluate.report.file import read
    from streamaffect.evaluate.report.page import report

    if (args.bundle is None) != (args.data is None):
        raise UsageError("--bundle and --data go together: a model and the recordings to show it on")
    if args.bundle is None and (flags := [f"--{name}" for name in ("root", "subject", "method") if getattr(args, name)]):
        raise UsageError(f"{flags[0]} is about --bundle and --data: give both")
    if args.out.is_dir() or not args.out.resolve().parent.is_dir():
        raise UsageError(f"--out {args.out}: not a file in a folder that exists")
    evaluations = {str(file.name if len(args.files) == 1 else file): read(file) for file in args.files}
    made = report(evaluations, _pictures(args) if args.bundle is not None else [])
    try:
        args.out.write_text(made.page, "utf-8")
        if args.png is not None:
            args.png.mkdir(parents=True, exist_ok=True)
            for plot in made.plots:
                (args.png / f"{plot.name}.png").write_bytes(plot.png)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from None
    figures = f", {len(made.plots)} figures in {args.png}" if args.png is not None else f", {len(made.plots)} figures"
    print(f"{args.out}: {len(evaluations)} evaluation{'s' * (len(evaluations) > 1)}{figures}")
    return 0


def _pictures(args: argparse.Namespace) -> list[Plot]:
    from streamaffect.bundle import registry
    from streamaffect.evaluate.people import People
    from streamaffect.evaluate.report.people import Asked, pictures

    people = People.of(args.data, args.root)
    return pictures(Asked(registry.find(args.bundle), people, args.subject, args.method))
