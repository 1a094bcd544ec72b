"""``streamaffect train``: from a data set to a bundle, with its leave-one-subject-out figures."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamaffect.cli import auto
from streamaffect.cli.parsing import add_method
from streamaffect.cli.recipes import add_recipe, modalities, pairs, prior_options, views_and_hop

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from streamaffect.bundle.build import Recipe, Windows
    from streamaffect.bundle.bundle import Bundle
    from streamaffect.evaluate.labels import ClassMap
    from streamaffect.evaluate.loso import Fold
    from streamaffect.evaluate.people import People
    from streamaffect.signals import Recording

_METHOD = "dynamic"
ABOUT = "train a model on a data set and write it as a bundle"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", help="name of the data set, such as eegmat")
    parser.add_argument("--root", type=Path, metavar="DIR", help="its folder")
    add_method(parser, f"method (default: {_METHOD})")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the bundle to write, such as models/ecg-load")
    parser.add_argument(
        "--target",
        default="label",
        metavar="NAME",
        help="what to learn: the trials' label (default), or a distribution that they carry, such as panas in wesad_wrist",
    )
    about = "labels to tell apart (a,b,c), or classes and their labels (stress=stress,rest=baseline+amusement)"
    parser.add_argument("--classes", metavar="A,B,..", help=about)
    add_recipe(parser)
    auto.add(parser)
    parser.add_argument("--seconds", type=float, metavar="S", help="context of the usual eeg view (default: 10)")
    parser.add_argument("--param", action="append", default=[], metavar="KEY=VALUE", help="parameter of the method")
    parser.add_argument("--valence-arousal", action="append", default=[], metavar="CLASS=V,A", help="where a class stands")
    parser.add_argument(
        "--no-loso", action="store_true", help="skip leave-one-subject-out: no figures; the guard's people tell the temperature"
    )
    parser.add_argument("--processes", type=int, default=2, help="folds at a time (default: 2)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--force", action="store_true", help="replace the bundle that is there")


def call(args: argparse.Namespace) -> int:
    from streamaffect import methods
    from streamaffect.bundle.build import classes_of, fit_priors, remember, spare_guards, training_set
    from streamaffect.bundle.bundle import DataEntry
    from streamaffect.datasets.joined import by_set
    from streamaffect.datasets.sources import PROVENANCE, UNKNOWN
    from streamaffect.errors import StreamAffectError, UsageError
    from streamaffect.evaluate.card import card
    from streamaffect.evaluate.loso import summary
    from streamaffect.evaluate.trained import by_guards, refuse_collapsed

    auto.check(args)
    args.method = args.method or _METHOD
    prior = _prior(args)
    _check_out(args.out, force=args.force)
    places = _places(args.valence_arousal)
    params = {"normalise": None, **pairs("--param", args.param)}  # the views are normalised, causally, before
    _check_method(args.method, params)
    who, told = _people(args)
    try:
        names = list(told.classes) if told is not None else classes_of(who, args.target)
        classes = _classes(places, names, args.dataset)
        plan = _chosen(args, who, classes) if args.recipe else _told(args, who, classes, prior, params)
        recipe, windows, folds = plan.recipe, plan.windows, plan.folds
        method = methods.get(plan.method, **plan.params)
        priors = fit_priors(windows, recipe)
        taught, guards = spare_guards(training_set(windows, priors, recipe, args.seed), method, args.seed)
        model = method.fit_source(taught, seed=args.seed)
        memory = remember(windows, priors, guards)
        refuse_collapsed(model, memory)
    except UsageError:
        raise
    except ValueError as error:
        raise StreamAffectError(f"{args.dataset}: {error}") from error
    figures: dict[str, Any] = summary(folds) if folds else {"subjects": 0}
    model = model.calibrated(float(figures["temperature"])) if folds else by_guards(model, memory)
    people = list(dict.fromkeys(windows.subject.tolist()))
    data = [
        DataEntry(name=name, subjects=own, **PROVENANCE.get(name, UNKNOWN)._asdict())
        for name, own in by_set(args.dataset, people).items()
    ]
    command = _command(args)
    text = card(recipe, plan.method, data, figures, folds, command)
    provenance = {"command": command, "seed": args.seed, **({} if told is None else {"classes": told.provenance()})}
    if plan.words:
        same = _command(argparse.Namespace(**{**vars(args), **plan.words, "recipe": None}))
        provenance["recipe"] = {"command": same, **plan.provenance}
        text += auto.of_card(same, plan)
        print(f"the same recipe, told: {same}")
    about: dict[str, Any] = {"params": plan.params, "data": data, "figures": figures, "card": text, "provenance": provenance}
    bundle = _write(args.out, recipe, model, priors, memory, about)
    if folds:
        print(_figures(text))
    print(f"{args.out}: {bundle.name}, sha256 {bundle.sha256[:12]}")
    return 0


def _prior(args: argparse.Namespace) -> dict[str, Any]:
    """The normaliser's options, as far as words can be checked before people are looked at."""
    if not args.view:
        modalities(args.modality)
    return prior_options(args)


def _check_method(name: str, params: dict[str, Any]) -> None:
    """UsageError for a method or a parameter that there is not."""
    from streamaffect import methods
    from streamaffect.errors import UsageError

    try:
        methods.get(name, **params)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _told(
    args: argparse.Namespace, who: People, classes: tuple[Any, ...], prior: dict[str, Any], params: dict[str, Any]
) -> auto.Plan:
    """The recipe that the words say, the people's windows and folds."""
    from streamaffect import methods
    from streamaffect.bundle.build import Recipe, gather
    from streamaffect.evaluate.loso import loso

    reads = getattr(methods.get(args.method, **params), "reads", "any")
    chosen, hop_s = views_and_hop(args, next(iter(who)), reads, args.seconds)
    recipe = Recipe(args.out.name, tuple(chosen), classes, hop_s, prior, args.orders, args.target, args.smoothing)
    windows = gather(_usable(who, recipe), recipe)
    _say(windows, recipe)
    folds: list[Fold] = []
    if not args.no_loso:
        settings: dict[str, Any] = {"seed": args.seed, "processes": args.processes, "progress": _show}
        folds = loso(who, windows, recipe, args.method, params, **settings)
    return auto.Plan(recipe, args.method, params, windows, folds)


def _chosen(args: argparse.Namespace, who: People, classes: tuple[Any, ...]) -> auto.Plan:
    """The same of the recipe that is chosen."""
    from streamaffect.bundle.build import Recipe

    plan = auto.choose(args, who, Recipe(args.out.name, (), classes, 0.0, orders=args.orders), _show)
    _say(plan.windows, plan.recipe)
    return plan


def _people(args: argparse.Namespace) -> tuple[People, ClassMap | None]:
    """Those to learn from, with classes for labels, and the classes where they are told."""
    from streamaffect.bundle.bundle import LABEL
    from streamaffect.errors import UsageError
    from streamaffect.evaluate.labels import ClassMap, check
    from streamaffect.evaluate.people import People

    everybody = People.of(args.dataset, args.root)
    if args.classes is None:
        return everybody, None
    if args.target != LABEL:
        raise UsageError(f"--classes maps labels: there are none to map with --target {args.target}")
    told = ClassMap.parse(args.classes)
    check(told, everybody, args.target, args.dataset)
    return everybody.labelled(told, args.target), told


def _check_out(out: Path, *, force: bool) -> None:
    """Raises UsageError where no bundle can be written, or something is there that is not to be replaced."""
    import re

    from streamaffect.bundle.bundle import MANIFEST, NAME_PATTERN
    from streamaffect.errors import UsageError

    if not re.fullmatch(NAME_PATTERN, out.name):
        raise UsageError(f"--out {out}: its last part names the bundle: 1 to 64 of a-z, 0-9, _ and -, got {out.name!r}")
    if out.exists() and not force:
        raise UsageError(f"{out} is there already: give another --out, or --force to replace it")
    if out.exists() and not (out / MANIFEST).is_file():
        raise UsageError(f"{out} is no bundle, it has no {MANIFEST}: --force replaces bundles only, give another --out")
    try:
        out.resolve().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: its folder cannot be made: {error.strerror}") from error


def _write(out: Path, recipe: Recipe, model: Any, priors: Any, memory: Any, about: dict[str, Any]) -> Bundle:
    """Build beside ``out``, then put it there."""
    import tempfile

    from streamaffect.bundle.build import build

    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as work:
        bundle = build(Path(work) / "new", recipe, model, priors, memory, **about)
        _replace(out, bundle.path)
        return bundle


def _replace(out: Path, new: Path) -> None:
    """Move ``new`` to ``out``; what is there goes only once ``new`` is in its place."""
    import shutil

    if not out.exists():
        new.rename(out)
        return
    old = Path(f"{new.parent}.old")  # not within the temporary folder, which is removed whatever happens
    out.rename(old)
    try:
        new.rename(out)
    except BaseException:
        old.rename(out)
        raise
    shutil.rmtree(old)


def _figures(card: str) -> str:
    """The card's section on figures."""
    return card.partition("## Figures\n")[2].partition("\n## ")[0].strip()


def _usable(recordings: Iterable[Recording], recipe: Recipe) -> Iterator[Recording]:
    """Those that have what the views read; the others are named. Raises ValueError where none has."""
    from streamaffect.features.extract import specs_of

    trouble: ValueError | None = ValueError("there are no recordings")
    for recording in recordings:
        try:
            specs_of(recording, recipe.views)
        except ValueError as error:
            print(f"left out: {error}")
            trouble = trouble and error
        else:
            trouble = None
            yield recording
    if trouble is not None:
        raise trouble


def _places(pairs: list[str]) -> dict[str, tuple[float, float]]:
    """Valence and arousal by class."""
    from streamaffect.errors import UsageError

    places = {}
    for pair in pairs:
        name, _, place = pair.partition("=")
        try:
            valence, arousal = (float(part) for part in place.split(","))
        except ValueError:
            valence = arousal = math.nan
        if not (name and abs(valence) <= 1 and abs(arousal) <= 1):
            raise UsageError(f"--valence-arousal takes CLASS=V,A with V and A in -1..1, got {pair!r}")
        places[name] = (valence, arousal)
    return places


def _classes(places: dict[str, tuple[float, float]], names: list[str], dataset: str) -> tuple[Any, ...]:
    """The classes with valence and arousal where they are told."""
    from streamaffect.bundle.bundle import ClassEntry
    from streamaffect.errors import UsageError
    from streamaffect.evaluate.labels import check_names

    check_names(names, dataset)
    if unknown := places.keys() - set(names):
        raise UsageError(f"--valence-arousal: no class {', '.join(sorted(unknown))} here: there are {', '.join(names)}")
    return tuple(
        ClassEntry(name=name, valence=places[name][0], arousal=places[name][1]) if name in places else ClassEntry(name=name)
        for name in names
    )


def _command(args: argparse.Namespace) -> str:
    root = f" --root DIR/{args.root.name}" if args.root else ""
    what = [f"--view {view}" for view in args.view] if args.view else [f"--modality {','.join(modalities(args.modality))}"]
    how = f"--recipe {args.recipe}" if args.recipe else f"{' '.join(what)} --method {args.method}"
    parts = [f"streamaffect train {args.dataset}{root} {how}"]
    parts += [f"--target {args.target}"] if args.target != "label" else []
    parts += [f"--classes {args.classes}"] if args.classes else []
    for flag, values in (("param", args.param), ("prior", args.prior), ("valence-arousal", args.valence_arousal)):
        parts += [f"--{flag} {value}" for value in values]
    parts += [f"--{name} {value:g}" for name in ("hop", "seconds", "smoothing") if (value := getattr(args, name))]
    return " ".join([*parts, f"--orders {args.orders} --seed {args.seed} --out {args.out.parent.name}/{args.out.name}"])


def _say(windows: Windows, recipe: Recipe) -> None:
    if windows.shares is None:
        counts = ", ".join(f"{int((windows.y == i).sum())} {entry.name}" for i, entry in enumerate(recipe.classes))
    else:
        counts = f"{int((windows.y >= 0).sum())} with {recipe.target} over {len(recipe.classes)} classes"
    print(f"{len(windows)} trustworthy windows ({counts}) of {len(set(windows.subject.tolist()))} people")


def _show(fold: Fold) -> None:
    causal = "-" if fold.causal is None else f"{fold.causal:.3f}"
    baseline = "z-scored LR" if fold.labels.ndim == 1 else f"mean report {fold.lr_source:.3f}, nearest"
    figures = f"{baseline} {fold.lr_zscore:.3f}, source {fold.source:.3f}, adapted {fold.adapted:.3f}, causal {causal}"
    print(f"{fold.subject}: {figures}", flush=True)
