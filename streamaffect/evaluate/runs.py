"""The three kinds of evaluation: a bundle on people, leave-one-subject-out, and from one set of people to another.

All of them play recordings by :func:`streamaffect.evaluate.bundle_on.bundle_on`; two train the bundle first, on other people.
Each keeps what it has finished in a folder, and goes on from there when it is started again with the same words.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import streamaffect
from streamaffect.bundle import registry
from streamaffect.bundle.build import Recipe, Windows
from streamaffect.bundle.bundle import LABEL, Bundle
from streamaffect.datasets.joined import person
from streamaffect.errors import StreamAffectError, UsageError
from streamaffect.evaluate import folds, people
from streamaffect.evaluate.bundle_on import Settings, recipe_of
from streamaffect.evaluate.folds import Fold, OnPerson, Train, Training
from streamaffect.evaluate.labels import ClassMap
from streamaffect.evaluate.offline import TOO_FEW, parts
from streamaffect.evaluate.parallel import finish
from streamaffect.evaluate.people import RUN, Gather, People

Progress = Callable[[str, int, int], None]
"""``progress(what, done, of)``."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """What an evaluation found: ``folds`` of each person and seed, ``windows`` of the people it was about (before
    normalisation, for the controls), and who was ``left_out`` and why. ``model`` is what is to be said of a bundle that was
    there before; ``classes`` the labels that each class stands for, where that was told or is known."""

    kind: str
    datasets: tuple[str, ...]
    recipe: Recipe
    classes: ClassMap | None
    method: str | None
    settings: Settings
    seeds: int
    folds: tuple[Fold, ...]
    windows: Windows
    left_out: Mapping[str, str]
    model: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exclusive(self) -> bool:
        """Whether the classes exclude each other; else they are the parts of a distribution."""
        return self.recipe.target == LABEL


@dataclass(frozen=True, slots=True)
class Desk:
    """How the work is done: the folder of what is finished (None: one of its own in the data home), and processes."""

    out: Path | None = None
    processes: int = 1
    progress: Progress | None = None

    def folder(self, what: Mapping[str, Any]) -> Path:
        """The folder for ``what``, made if need be.

        Raises:
            UsageError: another evaluation lives there.
        """
        text = json.dumps({**what, "code": _code()}, sort_keys=True, default=str)
        key = hashlib.sha256(text.encode()).hexdigest()
        folder = self.out or registry.home() / "evaluations" / key[:16]
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            run = folder / RUN
            if not run.exists():
                if any(folder.iterdir()):
                    raise UsageError(f"--out {folder} is not empty and no evaluation: give a new folder")
                run.write_text(json.dumps({"key": key, "what": json.loads(text)}, indent=1) + "\n", "utf-8")
            elif json.loads(run.read_text("utf-8"))["key"] != key:
                raise UsageError(f"--out {folder} holds another evaluation, or one by other code: give a new folder")
        except OSError as error:
            raise UsageError(f"--out {folder}: {error.strerror}") from None
        return folder

    def finish(self, what: str, pieces: Sequence[Any], folder: Path) -> None:
        tell = self.progress
        finish(pieces, folder, self.processes, None if tell is None else lambda done, of: tell(what, done, of))


def _code() -> str:
    """Hash of the package's source: what other code made is not gone on with."""
    package = Path(streamaffect.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        if file.relative_to(package).parts[0] not in ("cli", "publish", "dashboard"):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def bundle(
    path: Path, who: People, method: str | None, settings: Settings, desk: Desk, classes: ClassMap | None = None
) -> Evaluated:
    """The bundle at ``path`` on people it never saw.

    Raises:
        UsageError: ``classes`` names one that the bundle has not.
        StreamAffectError: no recording has trustworthy windows.
    """
    if who.publishes_features:
        raise UsageError(f"data set {who.dataset!r} publishes features: a bundle reads recordings, loso and transfer take both")
    model = Bundle.load(path)
    recipe, mapped = recipe_of(model), ClassMap.of(model, classes)
    who = who.labelled(mapped, recipe.target)
    folder = desk.folder({"kind": "bundle", "sha256": model.sha256, "method": method, **identity(who, settings, recipe)})
    seen, left_out = _gathered(who, recipe, desk, folder)
    tested, untold = _tested(seen, settings, recipe)
    on = partial(OnPerson, who, method=method, settings=settings, bundle=path.resolve())
    done = _played([on(subject=name, windows=Gather(who, recipe, name).file) for name in tested], desk, folder)
    about = {"name": model.name, "version": model.version, "sha256": model.sha256, "seen_in_training": _seen(model, who)}
    told = mapped if recipe.target == LABEL else None
    windows = people.joined(list(seen.values()))
    return Evaluated("bundle", (who.dataset,), recipe, told, method, settings, 1, done, windows, left_out | untold, about)


def loso(
    who: People, recipe: Recipe, method: str, settings: Settings, desk: Desk, seeds: int = 1, classes: ClassMap | None = None
) -> Evaluated:
    """Each person in turn a stranger to a bundle trained on the others.

    Raises:
        StreamAffectError: fewer than two people have two classes (of distributions: two reports).
    """
    folder = desk.folder({"kind": "loso", "method": method, "seeds": seeds, **identity(who, settings, recipe)})
    seen, left_out = _gathered(who, recipe, desk, folder)
    tested, untold = _tested({name: windows for name, windows in seen.items() if _varied(windows)}, settings, recipe)
    what = "class" if recipe.target == LABEL else "report"
    if len(tested) < 2:
        there = f"there are {len(tested)} of {_names(recipe)}"
        raise StreamAffectError(f"{who.dataset}: leave-one-subject-out needs two people with more than one {what}, {there}")
    untold |= {name: f"{name}: trustworthy windows of one {what} only" for name in seen.keys() - {*tested, *untold}}
    work = []
    for seed in range(seeds):
        on = partial(OnPerson, who, method=_adapts(method), settings=replace(settings, seed=seed))
        for name in tested:
            files = tuple(Gather(who, recipe, other).file for other in who.others(name, seen))
            training = Training(recipe, method, settings.params, seed, _provenance(classes), files)
            work.append(on(subject=name, windows=Gather(who, recipe, name).file, training=training))
    done = _played(work, desk, folder)
    windows = people.joined(list(seen.values()))
    return Evaluated("loso", (who.dataset,), recipe, classes, method, settings, seeds, done, windows, left_out | untold)


def transfer(
    source: People,
    who: People,
    recipe: Recipe,
    method: str,
    settings: Settings,
    desk: Desk,
    seeds: int = 1,
    classes: ClassMap | None = None,
) -> Evaluated:
    """A bundle trained on the people of ``source``, on those of ``who``.

    Raises:
        UsageError: somebody is on both sides.
        StreamAffectError: no trustworthy windows on one of the sides.
    """
    if both := sorted(source.persons().keys() & who.persons().keys()):
        raise UsageError(f"{who.persons()[both[0]]} of {who.dataset} is on both sides: part them by --where and --target-where")
    what = {"kind": "transfer", "method": method, "seeds": seeds, "source": source.identity()}
    folder = desk.folder({**what, **identity(who, settings, recipe)})
    known, left_out = _gathered(source, recipe, desk, folder)
    seen, also_left_out = _gathered(who, recipe, desk, folder)
    tested, untold = _tested(seen, settings, recipe)
    files = tuple(Gather(source, recipe, name).file for name in known)
    makers = [Train(Training(recipe, method, settings.params, seed, _provenance(classes), files)) for seed in range(seeds)]
    if not who.publishes_features:
        desk.finish("training", makers, folder)
    work = []
    for seed, maker in enumerate(makers):
        on = partial(OnPerson, who, method=_adapts(method), settings=replace(settings, seed=seed))
        on = partial(on, bundle=Path(maker.file), training=maker.training)
        work += [on(subject=name, windows=Gather(who, recipe, name).file) for name in tested]
    done, windows = _played(work, desk, folder), people.joined(list(seen.values()))
    sets, left_out = (source.dataset, who.dataset), left_out | also_left_out | untold
    return Evaluated("transfer", sets, recipe, classes, method, settings, seeds, done, windows, left_out)


def identity(who: People, settings: Settings, recipe: Recipe) -> dict[str, Any]:
    """What tells an evaluation from another one by the same code. Raises UsageError for features to be played."""
    if who.publishes_features and settings.protocol == "online":
        raise UsageError(f"data set {who.dataset!r} publishes features, nothing to play: take transductive or split")
    made_of = {f.name: getattr(recipe, f.name) for f in fields(recipe) if f.name not in ("views", "classes")}
    made_of |= {"views": [view.layout for view in recipe.views], "classes": [entry.model_dump() for entry in recipe.classes]}
    return {"people": who.identity(), "settings": asdict(settings), "recipe": made_of}


def _names(recipe: Recipe) -> str:
    return ", ".join(entry.name for entry in recipe.classes) if recipe.target == LABEL else recipe.target


def _provenance(classes: ClassMap | None) -> dict[str, Any]:
    return {} if classes is None else {"classes": classes.provenance()}


def _adapts(method: str) -> str | None:
    return None if method == "source" else method


def _varied(windows: Windows) -> bool:
    kind: Any = windows.y if windows.shares is None else windows.trial
    return bool(np.unique(kind[windows.y >= 0]).size > 1)


def _tested(seen: Mapping[str, Windows], settings: Settings, recipe: Recipe) -> tuple[list[str], dict[str, str]]:
    """Those of whom something can be scored, and why not the others."""
    untold = {}
    for name, windows in seen.items():
        if not (windows.y >= 0).any():
            untold[name] = f"{name}: no trustworthy window with a label"
        elif settings.protocol == "split":
            sides = parts(windows.trial, windows.t_end_s, recipe.context_s, settings.seed)
            if not all(side.any() for side in sides):
                untold[name] = f"{name}: {TOO_FEW}"
    return [name for name in seen if name not in untold], untold


def _seen(model: Bundle, who: People) -> list[str]:
    """Those of ``who`` whose recordings went into the model: a figure on them says nothing of strangers."""
    known = {person(data.name, name) for data in model.manifest.data for name in data.subjects}
    return [name for name in who.subjects if person(who.dataset, name) in known]


def _gathered(who: People, recipe: Recipe, desk: Desk, folder: Path) -> tuple[dict[str, Windows], dict[str, str]]:
    work = [Gather(who, recipe, name) for name in who.subjects]
    desk.finish("windows", work, folder)
    found = {piece.subject: people.load(folder / piece.file) for piece in work}
    seen = {name: windows for name, windows in found.items() if isinstance(windows, Windows)}
    left_out = {name: why for name, why in found.items() if isinstance(why, str)}
    if not any((windows.y >= 0).any() for windows in seen.values()):
        why = next(iter(left_out.values()), f"no window lies in one trial whole with a label of {_names(recipe)}")
        raise StreamAffectError(f"{who.dataset}: nothing to evaluate on: {why}")
    return seen, left_out


def _played(work: Sequence[OnPerson], desk: Desk, folder: Path) -> tuple[Fold, ...]:
    desk.finish("people", work, folder)
    return tuple(folds.Fold.load(folder / piece.file) for piece in work)
