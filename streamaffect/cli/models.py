"""``streamaffect models``: the bundles that ship, and each person's versions of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamaffect.cli.output import print_json, print_table
from streamaffect.cli.parsing import action, actions, add_json

if TYPE_CHECKING:
    from streamaffect.bundle.bundle import Bundle
    from streamaffect.bundle.registry import Registry

ABOUT = "list, show, verify, promote, roll back or prune models"
MODEL_HELP = "name of a model that ships, or the folder of a bundle"


def arguments(parser: argparse.ArgumentParser) -> None:
    """One action a thing to do with models."""
    group = actions(parser)
    listing = action(group, "list", "the models that ship and those of each subject")
    listing.add_argument("--subject", metavar="ID", help="only those of this subject")
    showing = action(group, "show", "all that a model says of itself")
    showing.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    verifying = action(group, "verify", "check that every file is intact and the model runs")
    verifying.add_argument("model", nargs="?", metavar="MODEL", help=f"{MODEL_HELP} (default: all there are)")
    for each in (showing, verifying):
        each.add_argument("--subject", metavar="ID", help="the subject's current version instead of the model itself")
    for each in (listing, showing, verifying):
        add_json(each)
    back = action(group, "rollback", "go back to the version before; a run takes it up when it starts")
    promoting = action(group, "promote", "make a bundle the subject's next version, and current")
    pruning = action(group, "prune", "delete all but the newest versions and the current one")
    for each in (back, promoting, pruning):
        each.add_argument("subject", metavar="SUBJECT")
        each.add_argument("model", metavar="MODEL", help=f"{MODEL_HELP} that the versions grew from")
    promoting.add_argument("candidate", type=Path, metavar="BUNDLE", help="such as the candidate of a job folder")
    pruning.add_argument("--keep", type=int, default=5, metavar="N", help="how many of the newest to keep (default: 5)")


def call(args: argparse.Namespace) -> int:
    """Do the one that was asked for."""
    does = {"list": _list, "show": _show, "verify": _verify, "rollback": _rollback, "promote": _promote, "prune": _prune}
    return does[args.action](args)


def _list(args: argparse.Namespace) -> int:
    from streamaffect.bundle import registry

    found = [] if args.subject else [_entry(registry.shipped() / name) for name in registry.list_shipped()]
    for folder in _folders(args.subject):
        whose, current = {"subject": folder.parent.name}, f"v{_current(folder):04d}"
        found += [{**whose, **_entry(path), "current": path.name == current} for path in sorted(folder.glob("v[0-9]*/"))]
    if args.json:
        print_json(found)
    elif found:
        header = ("SUBJECT", "MODEL", "VERSION", "METHOD", "CLASSES", "SHA256", "WHERE")
        print_table(header, [_row(entry) for entry in found])
    else:
        print(f"no models in {registry.shipped()} nor {registry.home()}", file=sys.stderr)
    return 0


def _entry(path: Path) -> dict[str, Any]:
    """What the list says of the bundle at ``path``; why not, where it is broken."""
    from streamaffect.bundle.bundle import Bundle
    from streamaffect.errors import BundleError

    try:
        bundle = Bundle.load(path)
    except BundleError as error:
        return {"name": path.name, "path": str(path), "error": str(error)}
    said = {"name": bundle.name, "version": bundle.version, "method": bundle.manifest.method, "classes": bundle.classes}
    return {**said, "sha256": bundle.sha256, "parent": bundle.manifest.parent, "path": str(path)}


def _row(entry: dict[str, Any]) -> tuple[object, ...]:
    subject = entry.get("subject", "-")
    if "error" in entry:
        return subject, entry["name"], "-", "-", "broken", "-", entry["error"]
    version = f"{entry['version']}{' (current)' if entry.get('current') else ''}"
    classes = ",".join(entry["classes"])
    return subject, entry["name"], version, entry["method"], classes, entry["sha256"][:12], entry["path"]


def _show(args: argparse.Namespace) -> int:
    bundle = _chosen(args.model, args.subject)
    manifest = bundle.manifest
    if args.json:
        print_json({"path": str(bundle.path), "sha256": bundle.sha256, **manifest.model_dump(mode="json")})
        return 0
    print(f"{bundle.name} version {bundle.version}: {bundle.path}")
    print(f"  sha256     {bundle.sha256}")
    print(f"  method     {manifest.method}{f', grown from {manifest.parent[:12]}' if manifest.parent else ''}")
    for entry in manifest.classes:
        print(f"  class      {entry.name} (valence {_figure(entry.valence)}, arousal {_figure(entry.arousal)})")
    for view in bundle.views:
        normalised = ", normalised per person" if view.key in bundle.priors else ""
        print(f"  view       {view.name} {view.shape}: {view.seconds:g} s of {view.modality}{normalised}")
    print(f"  hop        {manifest.hop_s:g} s, temperature {manifest.temperature:g}")
    for name, figure in manifest.figures.items():
        print(f"  figure     {name}: {figure}")
    for data in manifest.data:
        print(f"  data       {data.name}, {len(data.subjects)} people, {data.licence}: {data.citation}")
    for name, value in manifest.provenance.items():
        print(f"  provenance {name}: {value}")
    return 0


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"


def _verify(args: argparse.Namespace) -> int:
    """Exit code 1 where one fails."""
    from streamaffect.bundle import registry

    if args.model:
        paths = [_path(args.model, args.subject)]
    else:
        paths = [] if args.subject else [registry.shipped() / name for name in registry.list_shipped()]
        paths += [path for folder in _folders(args.subject) for path in sorted(folder.glob("v[0-9]*/"))]
    verdicts = [{"path": str(path), "error": trouble(path)} for path in paths]
    if args.json:
        print_json(verdicts)
    elif not paths:
        print("there are no models to verify", file=sys.stderr)
    else:
        for verdict in verdicts:
            print(f"BROKEN {verdict['error']}" if verdict["error"] else f"intact {verdict['path']}")
    return 1 if any(verdict["error"] for verdict in verdicts) else 0


def trouble(path: Path) -> str | None:
    """What is wrong with the bundle at ``path``: None where it loads, and its model runs."""
    from streamaffect.bundle.bundle import Bundle
    from streamaffect.errors import BundleError
    from streamaffect.runtime.engine import Engine

    try:
        Engine(Bundle.load(path))
    except BundleError as error:
        return str(error)
    return None


def _rollback(args: argparse.Namespace) -> int:
    grown = _registry(args.subject, args.model)
    before = grown.current
    bundle = grown.rollback()
    print(f"{args.subject}: {bundle.name} back from version {before} to {_version(bundle)}")
    return 0


def _promote(args: argparse.Namespace) -> int:
    from streamaffect.bundle import registry
    from streamaffect.bundle.bundle import Bundle
    from streamaffect.bundle.registry import Registry
    from streamaffect.errors import UsageError
    from streamaffect.messages import check_name

    base, candidate = Bundle.load(registry.find(args.model)), Bundle.load(args.candidate)
    if (candidate.name, candidate.classes, candidate.input_shapes) != (base.name, base.classes, base.input_shapes):
        raise UsageError(
            f"{args.candidate} is no {base.name!r}: its name, classes or views are others than those of {base.path}"
        )
    bundle = Registry.of(check_name("subject", args.subject), base).promote(args.candidate)
    print(f"{args.subject}: {bundle.name} is now version {bundle.version}")
    return 0


def _prune(args: argparse.Namespace) -> int:
    from streamaffect.errors import UsageError

    if args.keep < 1:
        raise UsageError(f"--keep must be 1 or more, got {args.keep}")
    gone = _registry(args.subject, args.model).prune(args.keep)
    print(f"{args.subject}: deleted version {', '.join(map(str, gone))}" if gone else f"{args.subject}: nothing to delete")
    return 0


def _version(bundle: Bundle) -> str:
    return f"version {bundle.version}" if bundle.version else "the model as it ships (version 0)"


def _path(model: str, subject: str | None) -> Path:
    from streamaffect.bundle import registry

    if subject is None:
        return registry.find(model)
    grown = _registry(subject, model)
    return grown.path(grown.current)


def _chosen(model: str, subject: str | None) -> Bundle:
    from streamaffect.bundle.bundle import Bundle

    return Bundle.load(_path(model, subject))


def _folders(subject: str | None = None) -> list[Path]:
    """The registries that there are: ``home/subjects/SUBJECT/MODEL-SHA``. Raises UsageError for an unknown subject."""
    from streamaffect.bundle import registry
    from streamaffect.errors import UsageError

    people = registry.home() / "subjects"
    found = [folder for folder in sorted(people.glob("*/*/")) if subject in (None, folder.parent.name)]
    if subject is not None and not found:
        there = ", ".join(path.name for path in sorted(people.glob("*/"))) or "none"
        raise UsageError(f"no models of subject {subject!r} in {people}: there are {there}")
    return found


def _current(folder: Path) -> int:
    file = folder / "current"
    text = file.read_text("utf-8").strip() if file.is_file() else ""
    return int(text) if text.isdigit() else 0


def _registry(subject: str, model: str) -> Registry:
    """The subject's versions of ``model``. Raises UsageError where there are none, and makes no folder for them."""
    from streamaffect.bundle import registry
    from streamaffect.bundle.bundle import Bundle
    from streamaffect.bundle.registry import Registry
    from streamaffect.errors import UsageError

    base = Bundle.load(registry.find(model))
    folders = _folders(subject)
    wanted = f"{base.name}-{base.sha256[:12]}"
    if wanted not in (folder.name for folder in folders):
        there = ", ".join(folder.name for folder in folders)
        raise UsageError(f"subject {subject!r} has no versions of {wanted}: there are {there}")
    return Registry.of(subject, base)
