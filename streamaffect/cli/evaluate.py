"""``streamaffect evaluate``: how good a model is on people it never saw, by minute of the stream, beside what is trivial."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamaffect.cli.parsing import action, actions, add_method
from streamaffect.cli.recipes import add_recipe, pairs, prior_options, views_and_hop

if TYPE_CHECKING:
    from streamaffect.bundle.build import Recipe
    from streamaffect.evaluate.bundle_on import Settings
    from streamaffect.evaluate.labels import ClassMap
    from streamaffect.evaluate.people import People
    from streamaffect.evaluate.runs import Desk, Evaluated, Progress
    from streamaffect.features.views import View

ABOUT = "measure a model, or a way to make one, on people it never saw"
PROTOCOLS = ("online", "transductive", "split")  # as streamaffect.evaluate.bundle_on has them
_FOLDERS = ("--root", "--target-root", "--out", "--json")
_ROOT = "folder of the data set, or the one that holds it by name"


def arguments(parser: argparse.ArgumentParser) -> None:
    """One action a kind of evaluation."""
    group = actions(parser)
    on = action(group, "bundle", "a bundle on recordings of people it never saw")
    on.add_argument("model", metavar="MODEL", help="name of a model that ships, or the folder of a bundle")
    on.add_argument("dataset", help="name of the data set, such as eegmat")
    add_method(on, "adaptation method (default: the model's own), or none")
    one = action(group, "loso", "leave-one-subject-out: train on the others, test on each person")
    one.add_argument("dataset", help="name of the data set, such as eegmat")
    across = action(group, "transfer", "train on one set or cohort, test on another")
    across.add_argument("source", help="data set to train on")
    across.add_argument("dataset", metavar="target", help="data set to test on")
    across.add_argument("--target-root", type=Path, metavar="DIR", help="the target's folder (default: as --root)")
    across.add_argument("--target-where", action="append", default=[], metavar="KEY=VALUE", help="as --where, of the target")
    for each in (one, across):
        _of_training(each)
    for each in (on, one, across):
        _of_all(each)


def _of_training(parser: argparse.ArgumentParser) -> None:
    add_method(parser, "method to train and adapt with (source: no adaptation)", required=True)
    add_recipe(parser)
    parser.add_argument("--target", default="label", metavar="NAME", help="label (default), or a distribution such as panas")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="repeat with seeds 0 to N-1 (default: 1)")


def _of_all(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, metavar="DIR", help=_ROOT)
    parser.add_argument("--protocol", choices=PROTOCOLS, required=True, help="causal, or the papers' two")
    parser.add_argument("--param", action="append", default=[], metavar="KEY=VALUE", help="parameter of the method")
    about = "labels to tell apart (a,b,c), or classes and their labels (stress=stress,rest=baseline+amusement)"
    parser.add_argument("--classes", metavar="A,B,..", help=about)
    parser.add_argument("--subjects", metavar="A,B,..", help="only these people")
    parser.add_argument("--where", action="append", default=[], metavar="KEY=VALUE", help="only people whose recording says so")
    parser.add_argument("--controls", action="store_true", help="also what would pass for a result: time, order, levels")
    parser.add_argument("--after", type=float, default=120.0, metavar="S", help="online figures begin here (default: 120)")
    parser.add_argument("--delay", type=float, default=10.0, metavar="S", help="from trigger to swap (default: 10)")
    parser.add_argument("--first", type=int, default=24, metavar="N", help="windows before the first adaptation (default: 24)")
    parser.add_argument("--processes", type=int, default=2, help="people at a time (default: 2)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep what is finished here (default: in the data home)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")


def call(args: argparse.Namespace) -> int:
    from streamaffect.cli.figures import show
    from streamaffect.errors import StreamAffectError, UsageError
    from streamaffect.evaluate.controls import controls
    from streamaffect.evaluate.figures import figures

    if min(args.processes, args.first, getattr(args, "seeds", 1)) < 1:
        raise UsageError("--processes, --first and --seeds must be 1 or more")
    if args.json is not None and not args.json.resolve().parent.is_dir():
        raise UsageError(f"--json {args.json}: there is no folder {args.json.resolve().parent}")
    if args.json is not None and args.json.is_dir():
        raise UsageError(f"--json {args.json} is a folder: give a file")
    if not args.verbose:
        logging.getLogger("streamaffect").setLevel(logging.WARNING)  # a line an adaptation would be in the bars' way
    does = {"bundle": _bundle, "loso": _loso, "transfer": _transfer}
    with _progress() as progress:
        try:
            done: Evaluated = does[args.action](args, progress)
        except StreamAffectError:
            raise
        except ValueError as error:  # of what somebody's windows hold
            raise StreamAffectError(f"{args.dataset}: {error}") from error
        found = controls(done) if args.controls else None
    result = figures(done, _command(sys.argv[1:]), found)
    show(result)
    if args.json is not None:
        try:
            args.json.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", "utf-8")
        except OSError as error:
            raise UsageError(f"--json {args.json}: {error.strerror}") from None
    return 0


def _bundle(args: argparse.Namespace, progress: Progress) -> Evaluated:
    from streamaffect import methods
    from streamaffect.bundle import registry
    from streamaffect.bundle.bundle import Bundle
    from streamaffect.errors import UsageError
    from streamaffect.evaluate import runs
    from streamaffect.evaluate.labels import ClassMap, check
    from streamaffect.runtime.adaptation import misfit

    path = registry.find(args.model)
    model = Bundle.load(path)
    told = _told(args)
    people = _people(args.dataset, args.root, args.subjects, args.where)
    check(ClassMap.of(model, told), people, model.manifest.target, args.dataset)
    name = args.method or model.manifest.method
    method = None if name in ("none", "source") else name
    own = model.manifest.params if method == model.manifest.method else {}
    settings = _settings(args, method, own)
    learner = methods.get(method, **{"normalise": None, **settings.params}) if method else None
    if learner is not None and (why := misfit(model, learner, name, f"model {model.name!r}")) is not None:
        raise UsageError(why)
    return runs.bundle(path, people, method, settings, _desk(args, progress), told)


def _loso(args: argparse.Namespace, progress: Progress) -> Evaluated:
    from streamaffect.evaluate import runs

    settings = _settings(args, args.method, {})
    people, recipe, classes = _trained(args, _people(args.dataset, args.root, args.subjects, args.where))
    return runs.loso(people, recipe, args.method, settings, _desk(args, progress), args.seeds, classes)


def _transfer(args: argparse.Namespace, progress: Progress) -> Evaluated:
    from streamaffect.evaluate import runs
    from streamaffect.evaluate.labels import ClassMap, check

    settings = _settings(args, args.method, {})
    source, recipe, classes = _trained(args, _people(args.source, args.root, None, args.where))
    target = _people(args.dataset, args.target_root or args.root, args.subjects, args.target_where)
    mapped = classes or ClassMap.by_name(entry.name for entry in recipe.classes)
    check(mapped, target, args.target, args.dataset)
    target = target.labelled(mapped, args.target)
    return runs.transfer(source, target, recipe, args.method, settings, _desk(args, progress), args.seeds, classes)


def _people(dataset: str, root: Path | None, subjects: str | None, where: list[str]) -> People:
    from streamaffect.errors import UsageError
    from streamaffect.evaluate.people import People

    pairs = dict(part.partition("=")[::2] for part in where)
    if not all(pairs) or not all(pairs.values()):
        raise UsageError(f"--where takes KEY=VALUE, such as protocol=V1, got {', '.join(where)}")
    return People.of(dataset, root, subjects, pairs)


def _trained(args: argparse.Namespace, people: People) -> tuple[People, Recipe, ClassMap | None]:
    """The people to train on with classes for labels, the recipe, and the classes as told."""
    from streamaffect import methods
    from streamaffect.bundle.build import Recipe, classes_of
    from streamaffect.bundle.bundle import LABEL, ClassEntry
    from streamaffect.errors import UsageError
    from streamaffect.evaluate.labels import ClassMap, check, check_names

    told = _told(args)
    if told is not None and args.target != LABEL:
        raise UsageError(f"--classes maps labels: there are none to map with --target {args.target}")
    if told is not None:
        check(told, people, LABEL, people.dataset)
    try:
        names = told.classes if told is not None else tuple(classes_of(people, args.target))
    except ValueError as error:
        raise UsageError(f"{people.dataset}: {error}") from None
    check_names(names, people.dataset)
    reads = getattr(methods.get(args.method), "reads", "any")
    prior = prior_options(args)
    chosen, hop_s = _views(args, people, reads)
    entries = tuple(ClassEntry(name=name) for name in names)
    recipe = Recipe("evaluated", tuple(chosen), entries, hop_s, prior, args.orders, args.target, args.smoothing)
    return people.labelled(ClassMap.by_name(names) if told is None else told, args.target), recipe, told


def _views(args: argparse.Namespace, people: People, reads: str) -> tuple[list[View], float]:
    """The views asked for, and the hop."""
    from streamaffect.errors import UsageError
    from streamaffect.evaluate.tables import views_of

    if people.publishes_features:
        chosen = list(views_of(people.table(people.subjects[0])))
        if args.view:
            chosen = [view for view in chosen if view.key in args.view]
        if not chosen:
            raise UsageError(f"--view: {people.dataset} publishes no {args.view[0]!r}")
        if reads == "vectors" and (sequences := [view.name for view in chosen if not view.is_vector]):
            raise UsageError(f"method {args.method!r} reads vectors alone, {people.dataset} has {', '.join(sequences)} too")
        return chosen, args.hop or 1.0
    return views_and_hop(args, next(iter(people)), reads)


def _told(args: argparse.Namespace) -> ClassMap | None:
    from streamaffect.evaluate.labels import ClassMap

    return None if args.classes is None else ClassMap.parse(args.classes)


def _settings(args: argparse.Namespace, method: str | None, own: Any) -> Settings:
    """Raises UsageError for an unknown method or parameter."""
    from streamaffect import methods
    from streamaffect.errors import UsageError
    from streamaffect.evaluate.bundle_on import Settings
    from streamaffect.runtime.trigger import Schedule

    params = {**own, **pairs("--param", args.param)}
    if method is not None:
        try:
            methods.get(method, **{"normalise": None, **params})
        except (ValueError, TypeError) as error:
            raise UsageError(str(error)) from None
    schedule = Schedule(first=args.first)
    return Settings(args.protocol, params, delay_s=args.delay, after_s=args.after, schedule=schedule)


def _desk(args: argparse.Namespace, progress: Progress) -> Desk:
    from streamaffect.evaluate.runs import Desk

    return Desk(args.out, args.processes, progress)


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """Bars on a terminal, a line when a stage ends elsewhere; on standard error, so that the tables can be kept."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars: dict[str, Any] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as shown:

        def tell(what: str, done: int, of: int) -> None:
            if what not in bars:
                bars[what] = shown.add_task(what, total=of)
            shown.update(bars[what], completed=done)

        yield tell


def _command(words: list[str]) -> str:
    """As typed, but for the folders of this machine: their names alone."""
    out, folder = [], False
    for word in words:
        flag, equals, value = word.partition("=")
        if equals and (flag in _FOLDERS or value.startswith("/")):
            out.append(f"{flag}=DIR/{Path(value).name}")
        else:
            out.append(f"DIR/{Path(word).name}" if folder or word.startswith("/") else word)
        folder = word in _FOLDERS
    return " ".join(["streamaffect", *out])
