"""Several data sets as one: ``a+b``, each under the root by its name. A person is ``a/S1``: names may repeat between sets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from streamaffect.errors import UsageError
from streamaffect.signals import FeatureTable, Recording

PLUS, OF = "+", "/"
_WAYS = re.compile(r"(_de|_de_lds|_edf|_e4|_wrist|-arousal|-dominance)$")
_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}_")


class _Part(Protocol):
    @property
    def name(self) -> str: ...
    def subjects(self, root: Path | None) -> Sequence[str]: ...
    def load(self, root: Path | None, subject: str) -> Recording | FeatureTable: ...


@dataclass(frozen=True, slots=True)
class Joined:
    """The recordings of all of ``parts``."""

    parts: tuple[_Part, ...]

    @property
    def name(self) -> str:
        return PLUS.join(part.name for part in self.parts)

    def subjects(self, root: Path | None) -> list[str]:
        return [f"{part.name}{OF}{subject}" for part in self.parts for subject in part.subjects(_folder(root, part.name))]

    def load(self, root: Path | None, subject: str) -> Recording:
        """Raises UsageError where that set publishes features instead of recordings."""
        name, _, own = subject.partition(OF)
        part = next(part for part in self.parts if part.name == name)
        found = part.load(_folder(root, name), own)
        if not isinstance(found, Recording):
            raise UsageError(f"{name} publishes features: only sets of recordings can be joined")
        return replace(found, subject=subject)


def _folder(root: Path | None, name: str) -> Path | None:
    return root / name if root is not None and (root / name).is_dir() else root


def person(dataset: str, subject: str) -> tuple[str, str]:
    """Who ``subject`` of ``dataset`` is: the same for all the ways in which one set's recordings or features are read, and for
    all the days of an Empatica's wearer. Nobody is to be learnt from under one name and tested under another."""
    name, _, own = subject.partition(OF) if PLUS in dataset else (dataset, "", subject)
    return _WAYS.sub("", name), _DAY.sub("", own) if name == "empatica" else own


def by_set(dataset: str, subjects: Sequence[str]) -> Mapping[str, list[str]]:
    """The subjects of each of the sets that ``dataset`` names, by the names that they have there."""
    if PLUS not in dataset:
        return {dataset: list(subjects)}
    pairs = [subject.partition(OF)[::2] for subject in subjects]
    return {name: [own for part, own in pairs if part == name] for name in dataset.split(PLUS)}
