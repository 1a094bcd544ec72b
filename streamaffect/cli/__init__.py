"""The command line: parse, call, print. A module a verb, with ``ABOUT``, ``arguments(parser)`` and ``call(args) -> int``.

Verbs import what is heavy within ``call``: ``--help`` reads every one of them. They raise; here alone an error becomes a
line on standard error and an exit code: 0 done, 1 failed, 2 bad usage or configuration, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING

from streamaffect import __version__
from streamaffect.cli.parsing import Parser
from streamaffect.errors import StreamAffectError, UsageError

if TYPE_CHECKING:
    import argparse

# fmt: off
VERBS = (
    "run", "replay", "train", "evaluate", "report", "adapt", "bench", "models", "datasets", "streams", "devices",
    "doctor", "schema", "config",
)
# fmt: on
# What is imported only where it is used -> the extra that brings it.
EXTRAS = (
    {"onnxruntime": "cpu"}
    | dict.fromkeys(("torch", "onnx", "onnxscript", "sklearn", "ot"), "adapt")
    | {"matplotlib": "report"}
    | dict.fromkeys(("mne", "pyxdf", "pyarrow", "fastavro"), "datasets")
)


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code. SIGTERM ends a verb as Ctrl-C does, with code 0."""
    words = list(sys.argv[1:] if argv is None else argv)
    with _signals() as terminated:
        try:
            args = parse(words)
            _log(args.verbose)
            code: int = args.call(args)
            sys.stdout.flush()  # a pipe that was closed shows here, not at exit
        except SystemExit as done:  # argparse, after --help and --version
            return int(done.code or 0)
        except KeyboardInterrupt:
            return 0 if terminated else 130
        except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback reaches a user
            return _report(error, verbose=not {"-v", "--verbose"}.isdisjoint(words))
        return code


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace, with ``call``. Raises UsageError, or SystemExit after ``--help``."""
    parser = Parser(prog="streamaffect", description="A wearable's LSL stream in, emotion distributions over MQTT out.")
    parser.add_argument("--version", action="version", version=f"streamaffect {__version__}")
    parser.set_defaults(verbose=False)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in VERBS:
        module = import_module(f"streamaffect.cli.{name}")
        verb = verbs.add_parser(name, help=module.ABOUT, description=module.ABOUT)
        verb.set_defaults(call=module.call, parser=verb)
        module.arguments(verb)
    args, unknown = parser.parse_known_args(words)
    if unknown:
        args.parser.refuse(unknown[0])
    return args


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """SIGTERM interrupts as Ctrl-C does; the list tells that it was one. Both count in the background too, where a shell
    has SIGINT ignored."""
    terminated: list[int] = []

    def terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's signature
        terminated.append(number)
        signal.raise_signal(signal.SIGINT)

    handlers = {signal.SIGTERM: terminate, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield terminated
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log(verbose: bool) -> None:
    import logging

    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.WARNING)
    logging.getLogger("streamaffect").setLevel(logging.DEBUG if verbose else logging.INFO)


def _report(error: Exception, *, verbose: bool) -> int:
    """The error as a line on standard error; its exit code."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BrokenPipeError):
        # Nobody reads on. Python flushes once more at exit, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, ModuleNotFoundError) and (extra := EXTRAS.get((error.name or "").partition(".")[0])):
        error = UsageError(f"{error.name} is not installed: pip install 'streamaffect[{extra}]'")
    if isinstance(error, StreamAffectError):
        _say(str(error))
        return 2 if isinstance(error, UsageError) else 1
    _say(f"unexpected {type(error).__name__}: {error}; {_traceback(error, verbose=verbose)}")
    return 1


def _say(text: str) -> None:
    print(f"error: {' '.join(text.split())}", file=sys.stderr)


def _traceback(error: Exception, *, verbose: bool) -> str:
    """Shows the traceback, or keeps it in a file; says where."""
    import tempfile
    import traceback

    if verbose:
        traceback.print_exception(error)
        return "this is a mistake of ours, the traceback is above"
    with tempfile.NamedTemporaryFile("w", prefix="streamaffect-", suffix=".txt", delete=False, encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    return f"this is a mistake of ours, the traceback is in {file.name} (-v shows it)"
