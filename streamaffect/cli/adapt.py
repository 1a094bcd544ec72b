"""``streamaffect adapt``: an adaptation job once more, in this process."""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from streamaffect.cli.output import print_json
from streamaffect.cli.parsing import add_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamaffect.runtime.job import Job

ABOUT = "repeat an adaptation from its job folder"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, and where the result goes."""
    parser.add_argument("--job", type=Path, required=True, metavar="DIR", help="folder with job.json and coreset.npz")
    parser.add_argument("--out", type=Path, metavar="DIR", help="repeat it in a copy there, which must not exist")
    add_json(parser)


def call(args: argparse.Namespace) -> int:
    """Run the job; its candidate is left in the folder, nobody's model is replaced."""
    from streamaffect.errors import StreamAffectError, UsageError
    from streamaffect.runtime import worker
    from streamaffect.runtime.job import RESULT

    job = _job(args.job, args.out)
    try:
        shown = _Progress(sys.stderr if args.json else sys.stdout)
        with contextlib.redirect_stdout(io.StringIO()):  # what comes by there is a library talking
            result = worker.run(job, shown.tell)
    except StreamAffectError:
        raise
    except ValueError as error:  # of a method: parameters, or windows that do not fit its model
        raise UsageError(f"job {job.path}: {error}") from None
    (job.path / RESULT).write_text(result.model_dump_json(indent=1) + "\n", "utf-8")
    if args.json:
        print_json({"job": str(job.path), "candidate": str(job.candidate), **result.model_dump()})
    else:
        terms = ", ".join(f"{name} {value:.4g}" for name, value in result.terms.items())
        print(f"adapted by {job.order().method} in {result.seconds:.1f} s ({terms}): {job.candidate}")
    return 0


def _job(folder: Path, out: Path | None) -> Job:
    """The job to run: the folder's, or a copy of it. Raises UsageError where it is none, or was run already."""
    from streamaffect.errors import UsageError
    from streamaffect.runtime.job import CORESET, JOB, Job

    job = Job(folder)
    job.order()
    if not (folder / CORESET).is_file():
        raise UsageError(f"job {folder} is not whole: there is no {CORESET}")
    if out is None:
        if job.candidate.exists():
            raise UsageError(f"job {folder} has a candidate already: repeat it elsewhere with --out DIR")
        return job
    try:
        out.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        raise UsageError(f"{out} is already there: name a folder for --out that is not") from None
    for name in (JOB, CORESET):
        shutil.copy2(folder / name, out / name)
    return Job(out)


class _Progress:
    """To standard error where standard output is for JSON: a line that moves on a terminal, a line for each tenth otherwise."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._tenth = out, -1

    def tell(self, share: float, terms: Mapping[str, float]) -> None:
        """The share that is done, and the loss terms of the last step."""
        self._show(share, " ".join(f"{name}={value:.4g}" for name, value in terms.items()))

    def _show(self, share: float, terms: str) -> None:
        if self._out.isatty():
            self._out.write(f"\r{share:4.0%} {terms}\x1b[K" + ("\n" if share >= 1 else ""))
            self._out.flush()
        elif int(share * 10) > self._tenth:
            self._tenth = int(share * 10)
            self._out.write(f"{share:4.0%} {terms}\n")
