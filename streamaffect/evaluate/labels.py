"""Which labels of a data set count as which class: by name, or as told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from streamaffect.bundle.bundle import LABEL, Bundle
from streamaffect.errors import UsageError
from streamaffect.signals import Recording

KEY = "classes"  # of a bundle's provenance
_CLASS = re.compile(r"[a-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True)
class ClassMap:
    """Class -> the data set's labels that are taken for it, in the order of the classes."""

    labels: Mapping[str, tuple[str, ...]]

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.labels)

    @classmethod
    def parse(cls, text: str) -> Self:
        """``a,b,c`` (classes by the names of labels) or ``stress=stress,rest=baseline+amusement``.

        Raises:
            UsageError: it is neither, names a class twice, or takes a label for two classes.
        """
        labels: dict[str, tuple[str, ...]] = {}
        for part in text.split(","):
            name, _, wanted = part.partition("=")
            if not _CLASS.fullmatch(name) or name in labels:
                raise UsageError(f"--classes takes a,b,c or stress=stress,rest=baseline+amusement, got {part!r} in {text!r}")
            labels[name] = tuple(filter(None, wanted.split("+"))) or (name,)
        every = [label for wanted in labels.values() for label in wanted]
        if twice := [label for label in dict.fromkeys(every) if every.count(label) > 1]:
            raise UsageError(f"--classes {text}: label {twice[0]!r} is taken for two classes")
        if len(labels) < 2:
            raise UsageError(f"--classes {text}: two classes are the least to tell apart")
        return cls(labels)

    @classmethod
    def by_name(cls, classes: Iterable[str]) -> Self:
        return cls({name: (name,) for name in classes})

    @classmethod
    def of(cls, bundle: Bundle, told: Self | None = None) -> Self:
        """The bundle's classes: as ``told``, as the bundle was trained (``classes`` of its provenance), or by name.

        Raises:
            UsageError: ``told`` names a class that the bundle has not.
        """
        if told is not None:
            if unknown := [name for name in told.classes if name not in bundle.classes]:
                there = ", ".join(bundle.classes)
                raise UsageError(f"--classes: {bundle.name} has no class {unknown[0]!r}: it has {there}")
            return cls({name: told.labels.get(name, ()) for name in bundle.classes})
        known = bundle.manifest.provenance.get(KEY)
        if not isinstance(known, dict):
            return cls.by_name(bundle.classes)
        trained = {name: wanted for name, wanted in known.items() if isinstance(wanted, list)}
        return cls({name: tuple(str(label) for label in trained.get(name, [name])) for name in bundle.classes})

    def apply(self, recording: Recording) -> Recording:
        """The recording with classes for labels; a label of no class is taken away."""
        of = {label: name for name, wanted in self.labels.items() for label in wanted}
        trials = tuple(replace(t, label=None if t.label is None else of.get(t.label)) for t in recording.trials)
        return replace(recording, trials=trials)

    def provenance(self) -> dict[str, list[str]]:
        """As it is kept in a bundle."""
        return {name: list(wanted) for name, wanted in self.labels.items()}


def check(classes: ClassMap, recordings: Iterable[Recording], target: str, where: str) -> None:
    """UsageError where no trial is of any of the classes (or, of a distribution, carries it): it lists both sides."""
    found: dict[str, None] = {}
    for recording in recordings:
        if any(_fits(classes.classes, t.distributions.get(target, {})) for t in recording.trials if target != LABEL):
            return
        mapped = classes.apply(recording)
        if target == LABEL and any(trial.label is not None for trial in mapped.trials):
            return
        found.update(dict.fromkeys(t.label for t in recording.trials if t.label is not None))
        if target != LABEL:
            found.update(dict.fromkeys(name for trial in recording.trials for name in trial.distributions))
    wanted = target if target != LABEL else ", ".join(_told(name, labels) for name, labels in classes.labels.items())
    there = ", ".join(found) or "none"
    raise UsageError(f"no common class: the model tells {wanted}, {where} is labelled {there}: map them with --classes")


def _fits(classes: Sequence[str], shares: Mapping[str, float]) -> bool:
    return bool(shares) and all(name in shares for name in classes)


def _told(name: str, labels: tuple[str, ...]) -> str:
    return name if labels in ((name,), ()) else f"{name} ({'+'.join(labels)})"


def check_names(classes: Sequence[str], dataset: str) -> None:
    """Raises UsageError where a label cannot be the name of a class, with the words that make it one."""
    if odd := [name for name in classes if not _CLASS.fullmatch(name)]:
        words = ",".join(f"{re.sub('[^a-z0-9_-]+', '-', name.lower())[:32] or 'other'}={name}" for name in classes)
        raise UsageError(f"{dataset}: label {odd[0]!r} is no name for a class (a-z, 0-9, _ and -): say --classes '{words}'")
