"""``streamaffect schema``: the contracts as JSON."""

from __future__ import annotations

import argparse

from streamaffect.cli.output import print_json
from streamaffect.cli.parsing import action, actions

ABOUT = "print JSON Schema of messages and configuration, or the AsyncAPI document"


def arguments(parser: argparse.ArgumentParser) -> None:
    """One action a contract."""
    group = actions(parser)
    message = action(group, "message", "JSON Schema of one message; without a name of all, by schema id")
    message.add_argument("name", nargs="?", metavar="NAME", help="emotion, signal, model, event, info, command or answer")
    action(group, "config", "JSON Schema of the configuration file")
    action(group, "asyncapi", "AsyncAPI 3 document of all topics")


def call(args: argparse.Namespace) -> int:
    """Print the contract."""
    if args.action == "message":
        print_json(_messages(args.name))
    elif args.action == "config":
        from streamaffect.config import RunConfig

        print_json(RunConfig.model_json_schema())
    else:
        from streamaffect import __version__
        from streamaffect.publish import asyncapi

        print_json(asyncapi.document(__version__))
    return 0


def _messages(name: str | None) -> object:
    from streamaffect.errors import UsageError
    from streamaffect.messages import SCHEMAS, json_schema

    if name is None:
        return {schema: json_schema(kind) for schema, kind in SCHEMAS.items()}
    by_name = {schema.removeprefix("streamaffect.").partition("/")[0]: kind for schema, kind in SCHEMAS.items()}
    kind = by_name.get(name) or SCHEMAS.get(name)
    if kind is None:
        raise UsageError(f"unknown message {name!r}: choose one of {', '.join(by_name)}")
    return json_schema(kind)
