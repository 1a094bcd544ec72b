"""The people of an evaluation: who they are, their recordings with classes for labels, and their windows on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import numpy as np

from streamaffect import datasets
from streamaffect.bundle.build import Recipe, Windows, gather
from streamaffect.bundle.bundle import LABEL
from streamaffect.datasets.joined import person
from streamaffect.datasets.registry import kind_of
from streamaffect.errors import UsageError
from streamaffect.evaluate.labels import ClassMap
from streamaffect.evaluate.tables import trials_of, windows_of
from streamaffect.features.extract import specs_of
from streamaffect.signals import FeatureTable, Recording

RUN = "evaluation.json"  # in the folder of an evaluation
SCHEMA = "streamaffect.evaluation/1"  # of its figures
_LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class People:
    """Some subjects of a data set. ``classes`` None: labels stay as they are, as where distributions are learned."""

    dataset: str
    root: Path | None
    subjects: tuple[str, ...]
    classes: ClassMap | None = None

    @classmethod
    def of(cls, dataset: str, root: Path | None, chosen: str | None = None, where: Mapping[str, str] | None = None) -> Self:
        """Those of ``dataset`` named in ``chosen`` (``a,b``), whose recordings have the ``meta`` values of ``where``.

        Raises:
            UsageError: an unknown data set, or nobody is like that.
            DatasetError: no recordings in ``root``, or an unknown subject.
        """
        found = datasets.open(dataset, root)
        if chosen is not None:
            found = replace(found, subjects=tuple(datasets.open(dataset, root, s).subjects[0] for s in chosen.split(",")))
        if not where:
            return cls(dataset, found.root, found.subjects)
        everybody = cls(dataset, found.root, found.subjects)
        likes = tuple(r.subject for r in everybody if all(_is(r.meta.get(key), value) for key, value in where.items()))
        if not likes:
            asked = ", ".join(f"{key}={value}" for key, value in where.items())
            raise UsageError(f"{dataset}: nobody has {asked}: the first one has {dict(next(iter(everybody)).meta)}")
        return cls(dataset, found.root, likes)

    @property
    def publishes_features(self) -> bool:
        """Whether these are tables, not recordings."""
        return kind_of(datasets.get(self.dataset)) == "features"

    def load(self, subject: str) -> Recording:
        """The recording; of a table the trials alone."""
        found = datasets.open(self.dataset, self.root, subject)
        recording = trials_of(next(found.tables())) if self.publishes_features else next(iter(found))
        return recording if self.classes is None else self.classes.apply(recording)

    def table(self, subject: str) -> FeatureTable:
        """Of those who publish features, with labels as they are."""
        return next(datasets.open(self.dataset, self.root, subject).tables())

    def __iter__(self) -> Iterator[Recording]:
        return (self.load(subject) for subject in self.subjects)

    def labelled(self, classes: ClassMap, target: str) -> Self:
        """The same people with ``classes`` for labels, unless ``target`` is a distribution."""
        return replace(self, classes=classes if target == LABEL else None)

    def persons(self) -> dict[tuple[str, str], str]:
        """Who they are, see :func:`streamaffect.datasets.joined.person`, and their names here."""
        return {person(self.dataset, subject): subject for subject in self.subjects}

    def others(self, subject: str, among: Iterable[str]) -> tuple[str, ...]:
        """Those ``among`` its subjects who are somebody else."""
        return tuple(other for other in among if person(self.dataset, other) != person(self.dataset, subject))

    def identity(self) -> dict[str, Any]:
        """What tells these people's recordings from others: names, sizes and times of the files there, but for ours."""
        files: list[tuple[str, int, int]] = []
        if self.root is not None and self.root.exists():
            inner = self.root / self.dataset
            root = inner if inner.is_dir() else self.root
            ours = {run.parent for run in root.rglob(RUN)}
            found = [f for f in root.rglob("*") if f.is_file() and not ours & {*f.parents} and not _is_figures(f)]
            files = sorted((str(f.relative_to(root)), f.stat().st_size, f.stat().st_mtime_ns) for f in found)
        return {
            "dataset": self.dataset,
            "subjects": list(self.subjects),
            "classes": None if self.classes is None else self.classes.provenance(),
            "files": hashlib.sha256(repr(files).encode()).hexdigest(),
        }


def _is_figures(file: Path) -> bool:
    """Whether it is what ``evaluate --json`` wrote."""
    if file.suffix != ".json":
        return False
    with file.open("rb") as content:
        return SCHEMA.encode() in content.read(200)


def _is(found: str | float | None, wanted: str) -> bool:
    """Numbers as numbers: 20 asks for 20.0."""
    try:
        return found is not None and float(found) == float(wanted)
    except ValueError:
        return str(found) == wanted


@dataclass(frozen=True, slots=True)
class Gather:
    """The piece of work that makes one person's windows."""

    people: People
    recipe: Recipe
    subject: str

    @property
    def file(self) -> str:
        return f"windows-{self.people.dataset}-{quote(self.subject, safe='')}.npz"

    def do(self, folder: Path, out: Path) -> None:  # noqa: ARG002 - a piece's signature
        try:
            windows = self._windows()
        except ValueError as error:
            _save(out, {_LEFT_OUT: np.asarray(str(error))})
        else:
            save(out, windows)

    def _windows(self) -> Windows:
        if self.people.publishes_features:
            return windows_of(self.people.table(self.subject), self.recipe, self.people.classes)
        recording = self.people.load(self.subject)
        specs_of(recording, self.recipe.views)
        return gather([recording], self.recipe)


def load(file: Path) -> Windows | str:
    """A person's windows, or why there are none."""
    with np.load(file, allow_pickle=False) as data:
        if _LEFT_OUT in data.files:
            return str(data[_LEFT_OUT])
        plain = {key[6:]: data[key] for key in data.files if key.startswith("plain.")}
        return Windows(plain, **{f.name: data[f.name] for f in fields(Windows) if f.name in data.files})


def save(out: Path, windows: Windows) -> None:
    """What :func:`load` reads."""
    columns = {f.name: getattr(windows, f.name) for f in fields(Windows) if f.name != "plain"}
    arrays = {key: value for key, value in columns.items() if value is not None}
    _save(out, arrays | {f"plain.{key}": value for key, value in windows.plain.items()})


def _save(out: Path, arrays: Mapping[str, Any]) -> None:
    with out.open("wb") as file:  # numpy appends .npz to a name without it
        np.savez(file, allow_pickle=False, **arrays)


def joined(parts: list[Windows]) -> Windows:
    """The windows of several people, one behind the other."""
    plain = {key: np.concatenate([part.plain[key] for part in parts]) for key in parts[0].plain}
    columns = [f.name for f in fields(Windows) if f.name != "plain" and getattr(parts[0], f.name) is not None]
    return Windows(plain, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns})
