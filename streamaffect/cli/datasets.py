"""``streamaffect datasets``: what can be read, what lies in a folder, and any of it as our own files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamaffect.cli.output import print_json, print_table
from streamaffect.cli.parsing import action, actions, add_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamaffect.datasets.survey import Found, LabelReport, StreamReport, SubjectReport

ABOUT = "list the data sets and formats that can be read, check a folder of recordings, convert them"


def arguments(parser: argparse.ArgumentParser) -> None:
    """One action a thing to do with data."""
    group = actions(parser)
    listing = action(group, "list", "what can be read, where it is to be had, under which licence")
    checking = action(group, "check", "what lies in a folder, and whether every file can be read")
    checking.add_argument("root", type=Path, metavar="ROOT", help="a folder of recordings, or one that holds several such")
    for each in (listing, checking):
        add_json(each)
    converting = action(group, "convert", "write recordings of any kind as .npz, which replay and train read fast")
    converting.add_argument("dataset", metavar="NAME", help="name of the data set or format, such as xdf")
    converting.add_argument("--root", type=Path, metavar="DIR", help="folder of its recordings")
    converting.add_argument("--subject", metavar="ID", help="only this one")
    converting.add_argument("--out", type=Path, required=True, metavar="DIR", help="where SUBJECT.npz are written")
    converting.add_argument("--int16", action="store_true", help="half the room; each channel rounded to 1/65534 of its range")
    converting.add_argument("--force", action="store_true", help="replace files that are there")


def call(args: argparse.Namespace) -> int:
    """Do the one that was asked for."""
    return {"list": _list, "check": _check, "convert": _convert}[args.action](args)


def _list(args: argparse.Namespace) -> int:
    from streamaffect import datasets
    from streamaffect.datasets.sources import OWN_FILES, PROVENANCE, WHERE

    found = []
    for name in datasets.names():
        dataset = datasets.get(name)
        licence = PROVENANCE[name].licence if name in PROVENANCE else "-"
        where = WHERE.get(name) or str(getattr(dataset, "where", OWN_FILES))
        about = str(getattr(dataset, "about", "") or "")
        found.append({"name": name, "kind": datasets.kind_of(dataset), "about": about, "where": where, "licence": licence})
    if args.json:
        print_json(found)
    else:
        rows = [(d["name"], d["about"], d["where"], _short(d["licence"])) for d in found]
        print_table(("NAME", "WHAT", "WHERE", "LICENCE"), rows)
    return 0


def _short(licence: str) -> str:
    """``ODC-BY 1.0`` of ``Open Data Commons ... (ODC-BY 1.0)``."""
    return licence[:-1].rpartition("(")[2] if licence.endswith(")") else licence


def _check(args: argparse.Namespace) -> int:
    """Exit code 1 where a file cannot be read, or nothing is recognised."""
    from streamaffect.datasets import survey
    from streamaffect.errors import DatasetError

    found, others = survey.recognise(args.root)
    if not found:
        raise DatasetError(f"{args.root}: holds no data set that is known: 'streamaffect datasets list' says what can be read")
    reports: list[tuple[Found, list[SubjectReport]]] = []
    for each in found:
        reports.append((each, list(survey.subjects(each))))
        if not args.json:
            _print_set(*reports[-1])
    if args.json:
        print_json([_entry(each, people) for each, people in reports])
    elif others:
        print(f"not recognised: {', '.join(str(path) for path in others)}", file=sys.stderr)
    return 1 if any(person.error for _, people in reports for person in people) else 0


def _entry(found: Found, people: list[SubjectReport]) -> dict[str, Any]:
    from dataclasses import asdict

    from streamaffect.datasets import kind_of

    told = [{**asdict(person), "notes": dict(person.notes)} for person in people]
    return {"name": found.dataset.name, "path": str(found.folder), "kind": kind_of(found.dataset), "subjects": told}


def _print_set(found: Found, people: list[SubjectReport]) -> None:
    broken = [person for person in people if person.error]
    print(f"{found.dataset.name}  {found.folder}: {len(people)} subjects, {len(people) - len(broken)} readable")
    if streams := _by_stream(people):
        header = ("  STREAM", "IN", "CHANNELS", "RATE", "UNIT", "MINUTES", "NAN", "FLAT", "CLIPPED")
        print_table(header, [_stream_row(name, group) for name, group in streams.items()])
    if labels := _by_label(people):
        print_table(("  LABEL", "TRIALS", "SECONDS"), [_label_row(label, group) for label, group in labels.items()])
    for note in dict.fromkeys(f"{person.subject}: {key}: {text}" for person in people for key, text in person.notes.items()):
        print(f"  note {note}")
    for person in broken:
        print(f"  BROKEN {person.subject}: {person.error}")


def _by_stream(people: list[SubjectReport]) -> dict[str, list[StreamReport]]:
    found: dict[str, list[StreamReport]] = {}
    for person in people:
        for stream in person.streams:
            found.setdefault(stream.name, []).append(stream)
    return found


def _by_label(people: list[SubjectReport]) -> dict[str | None, list[LabelReport]]:
    found: dict[str | None, list[LabelReport]] = {}
    for person in people:
        for label in person.labels:
            found.setdefault(label.label, []).append(label)
    return found


def _stream_row(name: str, group: list[StreamReport]) -> tuple[object, ...]:
    """Shares are means over the subjects."""
    channels, rates = _range([stream.channels for stream in group], "d"), _range([stream.rate for stream in group], "g")
    if not group[0].modality:  # a view of a feature table
        return f"  {name}", len(group), channels, "-", "-", "-", _share(group, "nan"), "-", "-"
    shares = [_share(group, key) for key in ("nan", "flat", "clipped")]
    minutes = f"{sum(stream.seconds for stream in group) / 60:.0f}"
    return f"  {name}", len(group), channels, f"{rates} Hz", group[0].unit or "-", minutes, *shares


def _share(group: list[StreamReport], key: str) -> str:
    return f"{100 * sum(getattr(stream, key) for stream in group) / len(group):.1f} %"


def _range(values: Iterable[float], form: str) -> str:
    low, high = min(values := list(values)), max(values)
    return f"{low:{form}}" if low == high else f"{low:{form}}-{high:{form}}"


def _label_row(label: str | None, group: list[LabelReport]) -> tuple[object, ...]:
    rows = sum(each.rows or 0 for each in group)
    seconds = f"{sum(each.seconds or 0.0 for each in group):.0f}" if group[0].rows is None else f"- ({rows} rows)"
    return f"  {label or '(unlabelled)'}", sum(each.trials for each in group), seconds


def _convert(args: argparse.Namespace) -> int:
    """Exit code 1 where a recording cannot be read; the others are written all the same."""
    from streamaffect import datasets
    from streamaffect.errors import DatasetError, UsageError

    dataset = datasets.get(args.dataset)
    if datasets.kind_of(dataset) != "recordings":
        raise UsageError(f"data set {args.dataset!r} holds features, not recordings: there is nothing to convert")
    there = datasets.open(args.dataset, args.root, args.subject)
    paths = {subject: args.out / f"{subject.replace('/', '_')}.npz" for subject in there.subjects}
    if (taken := next((path for path in paths.values() if path.exists()), None)) and not args.force:
        raise UsageError(f"{taken} is there already: give another --out, or --force to replace it")
    broken = 0
    for subject, path in paths.items():
        try:
            [recording] = datasets.open(args.dataset, args.root, subject)
        except DatasetError as error:
            broken += 1
            print(f"BROKEN {subject}: {error}")
            continue
        size = datasets.save(recording, path, int16=args.int16).stat().st_size
        print(f"{path}: {len(recording.signals)} streams, {len(recording.trials)} trials, {size / 1e6:.1f} MB", flush=True)
    return 1 if broken else 0
