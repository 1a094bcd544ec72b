"""The three kinds of evaluation: a bundle on people, leave-one-subject-out, and from one set of people to another.

All of them play recordings by :func:`streamaffect.evaluate.bundle_on.bundle_on`; two train the bundle first, on other people.
Each keeps what it has finished in a folder, and goes on from there when it is started again with the same words.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import streamaffect
from streamaffect.bundle import registry
from streamaffect.bundle.build import Recipe, Windows
from streamaffect.bundle.bundle import LABEL, Bundle
from streamaffect.errors import StreamAffectError, UsageError
from streamaffect.evaluate import folds, people
from streamaffect.evaluate.bundle_on import Settings, recipe_of
from streamaffect.evaluate.folds import Fold, OnPerson, Train, Training
from streamaffect.evaluate.labels import ClassMap
from streamaffect.evaluate.parallel import finish
from streamaffect.evaluate.people import Gather, People
from streamaffect.features.views import View

Progress = Callable[[str, int, int], None]
"""``progress(what, done, of)``."""
_RUN = "run.json"


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """What an evaluation found: ``folds`` of each person and seed, ``windows`` of the people it was about (before
    normalisation, for the controls), and who was ``left_out`` and why."""

    kind: str
    datasets: tuple[str, ...]
    classes: ClassMap | None
    names: tuple[str, ...]
    target: str
    views: tuple[View, ...]
    method: str | None
    params: Mapping[str, Any]
    settings: Settings
    seeds: tuple[int, ...]
    model: Mapping[str, Any]
    folds: tuple[Fold, ...]
    windows: Windows
    left_out: Mapping[str, str]
    folder: Path


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
            run = folder / _RUN
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
        UsageError: no class in common.
        StreamAffectError: no recording with trustworthy windows.
    """
    model = Bundle.load(path)
    target = model.manifest.target
    mapped = ClassMap.of(model, classes)
    who = who.labelled(mapped, target)
    recipe = recipe_of(model)
    folder = desk.folder({"kind": "bundle", "sha256": model.sha256, "method": method, **_common(who, settings, recipe)})
    seen, left_out = _gathered(who, recipe, desk, folder)
    work = [
        OnPerson(who, name, Gather(who, recipe, name).file, method, settings, bundle=path.resolve())
        for name, windows in seen.items()
        if (windows.y >= 0).any()
    ]
    done = _played(work, desk, folder)
    about = {"name": model.name, "version": model.version, "sha256": model.sha256}
    about["seen_in_training"] = _seen(model, who)
    return Evaluated(
        "bundle", (who.dataset,), mapped if target == LABEL else None, model.classes, target, model.views, method,
        settings.params, settings, (settings.seed,), about, done, people.joined(list(seen.values())), left_out, folder,
    )  # fmt: skip


def loso(
    who: People, recipe: Recipe, method: str, settings: Settings, desk: Desk, seeds: int = 1, classes: ClassMap | None = None
) -> Evaluated:
    """Each person in turn a stranger to a bundle trained on the others.

    Raises:
        StreamAffectError: fewer than two people have two classes (of distributions: two reports).
    """
    folder = desk.folder({"kind": "loso", "method": method, "seeds": seeds, **_common(who, settings, recipe)})
    seen, left_out = _gathered(who, recipe, desk, folder)
    tested = [name for name, windows in seen.items() if _varied(windows)]
    what = "class" if recipe.target == LABEL else "report"
    if len(tested) < 2:
        there = f"there are {len(tested)} of {_names(recipe)}"
        raise StreamAffectError(f"{who.dataset}: leave-one-subject-out needs two people with more than one {what}, {there}")
    alone = {name: f"{name}: trustworthy windows of one {what} only" for name in seen if name not in tested}
    work = []
    for seed in range(seeds):
        for name in tested:
            files = tuple(Gather(who, recipe, other).file for other in seen if other != name)
            training = Training(recipe, method, settings.params, seed, _provenance(classes), files)
            one = replace(settings, seed=seed)
            work.append(OnPerson(who, name, Gather(who, recipe, name).file, _adapts(method), one, training=training))
    done = _played(work, desk, folder)
    return Evaluated(
        "loso", (who.dataset,), classes, tuple(c.name for c in recipe.classes), recipe.target, recipe.views, method,
        settings.params, settings, tuple(range(seeds)), {}, done, people.joined(list(seen.values())), left_out | alone, folder,
    )  # fmt: skip


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
    if source.dataset == who.dataset and (both := set(source.subjects) & set(who.subjects)):
        raise UsageError(
            f"{', '.join(sorted(both))} of {source.dataset} on both sides: part them by --where and --target-where"
        )
    what = {"kind": "transfer", "method": method, "seeds": seeds, "source": source.identity()}
    folder = desk.folder({**what, **_common(who, settings, recipe)})
    known, left_out = _gathered(source, recipe, desk, folder)
    seen, also_left_out = _gathered(who, recipe, desk, folder)
    files = tuple(Gather(source, recipe, name).file for name in known)
    trainings = [Training(recipe, method, settings.params, seed, _provenance(classes), files) for seed in range(seeds)]
    makers = [Train(training) for training in trainings]
    desk.finish("training", makers, folder)
    work = [
        OnPerson(
            who, name, Gather(who, recipe, name).file, _adapts(method), replace(settings, seed=maker.training.seed),
            bundle=Path(maker.file), training=maker.training,
        )
        for maker in makers
        for name, windows in seen.items()
        if (windows.y >= 0).any()
    ]  # fmt: skip
    done = _played(work, desk, folder)
    return Evaluated(
        "transfer", (source.dataset, who.dataset), classes, tuple(c.name for c in recipe.classes), recipe.target, recipe.views,
        method, settings.params, settings, tuple(range(seeds)), {}, done, people.joined(list(seen.values())),
        {**left_out, **also_left_out}, folder,
    )  # fmt: skip


def _common(who: People, settings: Settings, recipe: Recipe) -> dict[str, Any]:
    views = [view.layout for view in recipe.views]
    plain = {name: getattr(recipe, name) for name in ("name", "hop_s", "orders", "target")}
    classes = [entry.model_dump() for entry in recipe.classes]
    made_of = {**plain, "views": views, "classes": classes, "prior": dict(recipe.prior_options)}
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


def _seen(model: Bundle, who: People) -> list[str]:
    """Those of ``who`` whose recordings went into the model: a figure on them says nothing of strangers."""
    known = {name for data in model.manifest.data if data.name == who.dataset for name in data.subjects}
    return [name for name in who.subjects if name in known]


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
