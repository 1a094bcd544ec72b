"""``streamaffect train --recipe auto``: the choice of a recipe, its table, and the words that say the same."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from streamaffect.bundle.build import Recipe, Windows
    from streamaffect.evaluate.loso import Fold
    from streamaffect.evaluate.people import People
    from streamaffect.evaluate.recipe_grid import At, Grid
    from streamaffect.evaluate.recipes import Choice

_AUTO = "auto"
# What the choice is about: not to be told as well.
_CHOSEN = ("view", "modality", "prior", "smoothing", "method", "param", "seconds")


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What a bundle is to be made of: the people's windows, and the folds that say how good it is. Of a recipe that was chosen
    the words that say the same, and what is kept of the choice."""

    recipe: Recipe
    method: str
    params: Mapping[str, Any]
    windows: Windows
    folds: list[Fold]
    words: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def add(parser: argparse.ArgumentParser) -> None:
    """``--recipe``."""
    about = "auto: choose views, normaliser, method and smoothing on these people and say why; auto:ecg, auto:eeg, auto:wrist: "
    parser.add_argument("--recipe", metavar="auto[:KIND]", help=f"{about}among views of that kind")


def check(args: argparse.Namespace) -> None:
    """UsageError for an unknown recipe, or words that say what it chooses."""
    from streamaffect.errors import UsageError
    from streamaffect.evaluate.recipe_grid import KINDS

    if args.recipe is None:
        return
    word, _, kind = args.recipe.partition(":")
    if word != _AUTO or (kind and kind not in KINDS) or args.recipe.endswith(":"):
        raise UsageError(f"--recipe takes auto or auto:KIND, a kind of {', '.join(KINDS)}, got {args.recipe!r}")
    if said := [f"--{name}" for name in _CHOSEN if getattr(args, name)]:
        raise UsageError(f"--recipe {args.recipe} chooses what {said[0]} says: give one of them")
    if args.target != "label":
        raise UsageError(f"--recipe {args.recipe} chooses by classes told apart: leave out --target {args.target}")


def choose(args: argparse.Namespace, who: People, base: Recipe, show: Callable[[Fold], None]) -> Plan:
    """The recipe for ``who``, as ``base`` but for what is chosen; what is tried is printed as it goes.

    Raises:
        ValueError: too few people have windows of what is to be tried.
    """
    from streamaffect.evaluate import recipes
    from streamaffect.evaluate.recipe_grid import grid_of

    grid = grid_of(next(iter(who)), args.recipe.partition(":")[2] or None, args.hop)
    with tempfile.TemporaryDirectory(prefix="streamaffect-recipe-") as work:
        sets, left_out = recipes.gather_all(who, grid, base, Path(work), args.processes)
        for why in left_out.values():
            print(f"left out: {why}")
        begun_s = time.monotonic()
        choice = recipes.choose(sets, grid, base, seed=args.seed)
        taken_s = time.monotonic() - begun_s
        print(table(choice))
        without: dict[str, Choice] = {}
        if not args.no_loso:
            print(_warning(len(who.subjects), taken_s, args.processes), flush=True)
            settings: dict[str, Any] = {"seed": args.seed, "processes": args.processes}
            without = recipes.nested(who, grid, base, Path(work), **settings)
    folds = _folds(args, who, base, grid, sets, without, show)
    said, option = words(grid, choice.at), grid.classifiers[choice.at[2]]
    about = {
        "taken": flags(said),
        "selection_score_optimistic": asdict(choice.score) | {"people": choice.people},
        "rounds": json.loads(choice.to_json())["rounds"],
        "taken_without": {name: flags(words(grid, other.at)) for name, other in without.items()},
    }
    params = {"normalise": None, **option.params}
    return Plan(grid.recipe(choice.at, base), option.method, params, sets[choice.at[0]], folds, said, about)


def of_card(command: str, plan: Plan) -> str:
    """What a card says of the choice."""
    score = plan.provenance["selection_score_optimistic"]
    return (
        f"\n## Choice of the recipe\n\nChosen on these people, it is that of `{command}`.\n"
        f"Selection score (optimistic, the best of several): {score['mean']:.3f} +- {score['error']:.3f}.\n"
        "Figures of strangers, where this card has any, are by the recipe chosen again without each of them.\n"
    )


def _folds(
    args: argparse.Namespace,
    who: People,
    base: Recipe,
    grid: Grid,
    sets: list[Windows],
    without: Mapping[str, Choice],
    show: Callable[[Fold], None],
) -> list[Fold]:
    """Each stranger by the recipe that was chosen without that stranger."""
    from streamaffect.evaluate.loso import loso

    folds: list[Fold] = []
    settings: dict[str, Any] = {"seed": args.seed, "processes": args.processes, "progress": show}
    for at in sorted({choice.at for choice in without.values()}):
        names = [name for name, choice in without.items() if choice.at == at]
        option = grid.classifiers[at[2]]
        print(f"{len(names)} of {len(without)} people are tested by: {flags(words(grid, at))}", flush=True)
        params = {"normalise": None, **option.params}
        folds += loso(who, sets[at[0]], grid.recipe(at, base), option.method, params, only=names, **settings)
    if silent := untested(without, {fold.subject for fold in folds}):
        print(silent)
    return sorted(folds, key=lambda fold: who.subjects.index(fold.subject))


def untested(without: Collection[str], tested: Collection[str]) -> str:
    """Who of those with a choice of their own is in no figure: a longer context leaves fewer people to be tested on."""
    names = [name for name in without if name not in tested]
    return f"in no figure, for want of windows of two classes by their recipe: {', '.join(names)}" if names else ""


def table(choice: Choice) -> str:
    """What was tried, why each was taken, and the score of the last."""
    lines = [f"balanced accuracy of the causal play of {choice.people} people held out, mean +- standard error"]
    for one in choice.rounds:
        lines.append(f"  {one.axis}")
        lines += [
            f"  {'>' if i == one.taken else ' '} {t.mean:.3f} +- {t.error:.3f}  {t.name}" for i, t in enumerate(one.tried)
        ]
        lines.append(f"    {one.why}")
    return "\n".join([*lines, f"selection score (optimistic): {choice.score.mean:.3f} +- {choice.score.error:.3f}"])


def _warning(people: int, taken_s: float, processes: int) -> str:
    from streamaffect.evaluate.recipes import FOLDS, NESTED_FOLDS

    minutes = taken_s * NESTED_FOLDS / FOLDS * people / max(1, processes) / 60
    again = f"for the figures the choice is made again without each of {people} people"
    return f"{again}, about {minutes:.0f} min and then as long as their folds (--no-loso skips both)"


def words(grid: Grid, at: At) -> dict[str, Any]:
    """What the arguments of ``train`` would hold, had the options at ``at`` been told."""
    reading, option = grid.readings[at[0]], grid.classifiers[at[2]]
    return {
        "view": [f"{view.key}:seconds={view.seconds:g}" for view in reading.views],
        "hop": reading.hop_s,
        "method": option.method,
        "param": _pairs(option.params),
        "prior": _pairs(grid.blocks[at[1]].params),
        "smoothing": grid.smoothings_s[at[3]],
    }


def _pairs(params: Mapping[str, Any]) -> list[str]:
    return [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in params.items()]


def flags(said: Mapping[str, Any]) -> str:
    """As one types them."""
    every = [(name, value if isinstance(value, list) else [value]) for name, value in said.items()]
    return " ".join(f"--{name} {one:g}" if isinstance(one, float) else f"--{name} {one}" for name, own in every for one in own)
