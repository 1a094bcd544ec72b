"""``CARD.md``: what a model is, how good, on whom it fails, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from streamaffect.bundle.build import Recipe
from streamaffect.bundle.bundle import DataEntry
from streamaffect.datasets.joined import OF
from streamaffect.evaluate.loso import ADAPT_AT_S, SETTLED_S, Fold

_REGRESSIONS = (
    ("lr_source", "logistic regression, source only", "whole recording"),
    ("lr_zscore", "logistic regression, each person z-scored", "whole recording"),
)
_REGRESSIONS_OF_SHARES = (
    ("lr_source", "the mean report of the other people", "whole recording"),
    ("lr_zscore", "the mean report of the nearest windows, each person z-scored", "whole recording"),
)
_ROWS = (
    ("source", "this model, normalised per person", "whole recording"),
    ("adapted", "this model, adapted", "whole recording"),
    ("causal", "this model, as it streams", f"after {SETTLED_S:.0f} s"),
    ("causal_rotated", "this model, as it streams, begun in another state", f"after {SETTLED_S:.0f} s, or half a trial"),
    ("causal_before", "this model, as it streams", f"after {ADAPT_AT_S:.0f} s"),
    ("causal_adapted", "this model, adapted on the way", f"after {ADAPT_AT_S:.0f} s"),
)


def card(
    recipe: Recipe, method: str, data: Sequence[DataEntry], figures: Mapping[str, Any], folds: Sequence[Fold], command: str
) -> str:
    """The text in Markdown."""
    classes = ", ".join(entry.name for entry in recipe.classes)
    views = ", ".join(f"`{view.name}` ({view.seconds:g} s)" for view in recipe.views)
    shares = "measures" in figures
    rows = (*(_REGRESSIONS_OF_SHARES if shares else _REGRESSIONS), *_ROWS)
    lines = [
        f"# {recipe.name}",
        "",
        f"Classes: {classes}. Reads {views}, one decision every {recipe.hop_s:g} s. Method: `{method}`.",
        "",
        "Outputs are estimates from physiology, not readings of experience. Not a medical device. Not for decisions about",
        "people: hiring, insurance, policing, lie detection, or watching anyone who has not agreed to it.",
        "",
        "## Data",
        "",
        *(f"- {d.name}: {len(d.subjects)} people. Licence: {d.licence}. {d.citation}" for d in data),
        "",
        "## Figures",
        "",
        *(_measured(recipe, figures, folds, rows) if folds else _NOT_MEASURED),
        *(_by_set(data, folds, rows) if folds and len(data) > 1 else []),
        "",
        f"Made by `{command}`.",
        "",
    ]
    return "\n".join(lines)


_NOT_MEASURED = [
    "Not measured when it was made. `streamaffect evaluate loso` with the words of the command below measures the recipe, and",
    "`streamaffect evaluate bundle` this model on other people.",
]


def _measured(
    recipe: Recipe, figures: Mapping[str, Any], folds: Sequence[Fold], rows: Sequence[tuple[str, str, str]]
) -> list[str]:
    shares = "measures" in figures
    weak = [f"{fold.subject} ({fold.source:.2f})" for fold in sorted(folds, key=lambda f: f.source) if fold.source < 0.7]
    return [
        *(_of_shares(recipe.target, figures) if shares else _of_labels(figures)),
        "No label of the person left out is used before the final count. The person's own windows, without labels, are used",
        "for normalisation and adaptation: all of them in the first four rows, only those that have flowed by in the others.",
        "",
        f"| model | counted | people | {'share in common' if shares else 'balanced accuracy'} |",
        "| --- | --- | --- | --- |",
        *(_row(figures, *row) for row in rows if row[0] in figures),
        "",
        f"Below .70 (third row) on: {', '.join(weak) or 'nobody'}.",
        *(_abstention(figures["risk"]) if "risk" in figures else []),
    ]


def _by_set(data: Sequence[DataEntry], folds: Sequence[Fold], rows: Sequence[tuple[str, str, str]]) -> list[str]:
    """The same rows for the people of each joined set alone: one mean over all may hide that a set is not learnt."""
    of_set = [[fold for fold in folds if fold.subject.startswith(entry.name + OF)] for entry in data]
    names = [f"{entry.name} ({len(own)})" for entry, own in zip(data, of_set, strict=True)]
    lines = ["", "The people of each set, means:", ""]
    lines += [f"| model | counted | {' | '.join(names)} |", "| --- | --- |" + " --- |" * len(data)]
    for key, what, when in rows:
        told = [[value for fold in own if (value := getattr(fold, key)) is not None] for own in of_set]
        if any(told):
            means = " | ".join(f"{np.mean(values):.3f}" if values else "" for values in told)
            lines.append(f"| {what} | {when} | {means} |")
    return lines


def _abstention(risk: Mapping[str, float]) -> list[str]:
    told = "; ".join(f"the surest {coverage} %: {100 * value:.1f} %" for coverage, value in risk.items())
    return ["", f"Wrong answers as it streams, all windows, among {told}."]


def _of_labels(figures: Mapping[str, Any]) -> list[str]:
    return [
        f"Balanced accuracy, leave-one-subject-out over {figures['subjects']} people, mean and standard deviation over people;",
        f"chance is {figures['chance']:.2f}.",
    ]


def _of_shares(target: str, figures: Mapping[str, Any]) -> list[str]:
    measures = ", ".join(f"{name} {value:.3f}" for name, value in figures["measures"].items())
    return [
        f"Share that the predicted {target} and the reported one have in common (their intersection), each trial counting the",
        f"same, leave-one-subject-out over {figures['subjects']} people, mean and standard deviation over people.",
        f"This model as it streams, all windows: {measures}.",
    ]


def _row(figures: Mapping[str, Any], key: str, what: str, when: str) -> str:
    value = figures[key]
    return f"| {what} | {when} | {value['n']} | {value['mean']:.3f} +- {value['std']:.3f} |"
