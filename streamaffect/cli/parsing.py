"""argparse as our verbs use it: errors are UsageError in one line, with the nearest word that exists."""

from __future__ import annotations

import argparse
import re
from difflib import get_close_matches
from typing import Any, NoReturn

from streamaffect.errors import UsageError

Actions = Any  # argparse's own class of it is private


class Parser(argparse.ArgumentParser):
    """Takes ``-v`` at every level; no abbreviated flags, so that new ones break no script."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)
        about = "more log lines; tracebacks of unexpected errors"
        self.add_argument("-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help=about)

    def error(self, message: str) -> NoReturn:
        """Raises UsageError."""
        hint = ""
        if found := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            hint = _nearest(found[1], re.findall(r"[\w-]+", found[2]))
        raise UsageError(f"{message}{hint}: see '{self.prog} --help'")

    def refuse(self, word: str) -> NoReturn:
        """Raises UsageError for a word that nobody asked for."""
        kind = "flag" if word.startswith("-") else "argument"
        hint = _nearest(word.partition("=")[0], re.findall(r"--[a-z-]+", self.format_usage()))
        raise UsageError(f"unknown {kind} {word!r}{hint}: see '{self.prog} --help'")


def _nearest(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def actions(parser: argparse.ArgumentParser) -> Actions:
    """Where the actions of a verb that has several are added, by :func:`action`."""
    return parser.add_subparsers(dest="action", metavar="ACTION", required=True)


def action(group: Actions, name: str, about: str) -> Parser:
    """One action of a verb."""
    parser: Parser = group.add_parser(name, help=about, description=about)
    parser.set_defaults(parser=parser)
    return parser


class _Names:
    """The methods there are, asked for when ``--help`` is printed: numpy is imported for it, and plug-ins are looked up."""

    def __str__(self) -> str:
        from streamaffect import methods

        return ", ".join(methods.names())


class _Method(argparse._StoreAction):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.names = _Names()


def add_method(parser: argparse.ArgumentParser, about: str, **options: Any) -> None:
    """``--method``; its help names the methods there are."""
    parser.add_argument("--method", action=_Method, metavar="NAME", help=f"{about}; there are %(names)s", **options)


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON")
