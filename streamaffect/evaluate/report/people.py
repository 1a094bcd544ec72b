"""The pictures that only recordings can make, computed when a report is asked for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from streamaffect.bundle.build import Recipe, Windows, gather
from streamaffect.bundle.bundle import Bundle
from streamaffect.datasets.joined import person
from streamaffect.errors import StreamAffectError, UsageError
from streamaffect.evaluate.bundle_on import recipe_of
from streamaffect.evaluate.labels import ClassMap, check
from streamaffect.evaluate.people import People, joined
from streamaffect.evaluate.report import neighbours, scalp
from streamaffect.evaluate.report.svg import Plot


@dataclass(frozen=True, slots=True)
class Asked:
    """A bundle, people, one of them to show (None: of EEG everybody, adapted to the first), and the method (None: the
    bundle's own)."""

    bundle: Path
    people: People
    subject: str | None = None
    method: str | None = None


def pictures(asked: Asked) -> list[Plot]:
    """Those that can be had: none of adaptation where nothing adapts, none of the scalp without EEG.

    Raises:
        UsageError: an unknown subject or method, classes that no trial has, or a set that publishes features.
        StreamAffectError: a recording lacks a signal, or has no trustworthy window.
    """
    model, people = Bundle.load(asked.bundle), asked.people
    if people.publishes_features:
        raise UsageError(f"data set {people.dataset!r} publishes features: --bundle reads recordings")
    if asked.subject is not None and asked.subject not in people.subjects:
        there = ", ".join(people.subjects[:12]) + (", ..." if len(people.subjects) > 12 else "")
        raise UsageError(f"--subject {asked.subject}: {people.dataset} has {there}")
    mapped = ClassMap.of(model, None)
    check(mapped, people, model.manifest.target, people.dataset)
    people = people.labelled(mapped, model.manifest.target)
    shown = people if asked.subject is None else replace(people, subjects=(asked.subject,))
    found = [_neighbours(model, shown, asked.method or model.manifest.method), _scalp(model, shown)]
    return [one for one in found if one is not None]


def _neighbours(model: Bundle, shown: People, method: str) -> Plot | None:
    if not neighbours.adapts(model, method):
        return None
    neighbours.learner(model, method)  # a wrong name is said before minutes of work
    subject = shown.subjects[0]
    trained = {person(data.name, name) for data in model.manifest.data for name in data.subjects}
    windows = _gathered(shown, subject, recipe_of(model))
    return neighbours.picture(model, windows, method, seen=person(shown.dataset, subject) in trained)


def _scalp(model: Bundle, shown: People) -> Plot | None:
    recipe = scalp.recipe_for(model, shown.load(shown.subjects[0]))
    if recipe is None:
        return None
    windows = joined([_gathered(shown, subject, recipe) for subject in shown.subjects])
    return scalp.picture(windows, recipe)


def _gathered(people: People, subject: str, recipe: Recipe) -> Windows:
    try:
        return gather([people.load(subject)], recipe)
    except ValueError as error:
        raise StreamAffectError(f"{people.dataset}, {subject}: {error}") from None
