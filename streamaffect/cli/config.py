"""``streamaffect config``: a configuration file to start from, and whether one is right."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from streamaffect.cli.parsing import action, actions

if TYPE_CHECKING:
    from streamaffect.config import RunConfig

ABOUT = "write a configuration file with every key, or check one"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Two actions."""
    group = actions(parser)
    init = action(group, "init", "write every key with its default and meaning, to FILE or standard output")
    init.add_argument("file", nargs="?", type=Path, metavar="FILE")
    check = action(group, "check", "read FILE as 'run --config FILE' would, environment included")
    check.add_argument("file", type=Path, metavar="FILE")


def call(args: argparse.Namespace) -> int:
    """Write or check."""
    from streamaffect import config

    if args.action == "init":
        return _init(args.file, config.sample())
    loaded = config.load(args.file, {})
    _names(args.file, loaded)
    subjects = ", ".join(f"{subject.id} with {subject.device}" for subject in loaded.subjects)
    print(f"{args.file}: right: {subjects}; method {loaded.adaptation.method}")
    return 0


def _init(file: Path | None, text: str) -> int:
    from streamaffect.errors import StreamAffectError, UsageError

    if file is None:
        print(text, end="")
        return 0
    try:
        with file.open("x", encoding="utf-8") as handle:
            handle.write(text)
    except FileExistsError:
        raise UsageError(f"{file} is already there: name another file, or remove it first") from None
    except OSError as error:
        raise StreamAffectError(f"cannot write {file}: {error.strerror}") from None
    print(f"{file}: written; 'streamaffect run --config {file}' uses it")
    return 0


def _names(file: Path, loaded: RunConfig) -> None:
    """Raises UsageError for a broker, method, parameter, device or model that there is not."""
    from streamaffect import methods
    from streamaffect.bundle import registry
    from streamaffect.errors import BundleError, UsageError
    from streamaffect.publish.address import BrokerUrl
    from streamaffect.sources import devices

    try:
        BrokerUrl.parse(loaded.broker.url)
        methods.get(loaded.adaptation.method, **loaded.adaptation.params)
        for subject in loaded.subjects:
            devices.get(subject.device)
            if subject.model is not None:
                registry.find(subject.model)
    except (ValueError, BundleError) as error:
        raise UsageError(f"{file}: {error}") from None
