"""Sets that publish features: their tables as windows and trials, so that the protocols over windows take them too.

There are no samples to play: no ``online``, and no bundle, whose views would have to be computed from samples.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from streamaffect.bundle.build import Recipe, Windows
from streamaffect.bundle.bundle import LABEL
from streamaffect.evaluate.labels import ClassMap
from streamaffect.features.views import View
from streamaffect.signals import FeatureTable, Float32, Modality, Recording, Trial, Window


def trials_of(table: FeatureTable) -> Recording:
    """The table's trials as those of a recording without signals, a second a row; a trial of two labels is two."""
    trials = []
    for row, (trial, label) in enumerate(dict.fromkeys(zip(table.trial.tolist(), table.label.tolist(), strict=True))):
        first = int(np.flatnonzero((table.trial == trial) & (table.label == label))[0])
        shares = {
            name: MappingProxyType({key: float(column[first]) for key, column in columns.items() if np.isfinite(column[first])})
            for name, columns in table.distributions.items()
        }
        trials.append(Trial(str(trial), str(label) or None, row, row + 1, MappingProxyType(shares)))
    return Recording(table.dataset, table.subject, (), tuple(trials), table.meta)


def views_of(table: FeatureTable) -> tuple[View, ...]:
    """A view for each array of the table, which nothing computes; of no length, as how far it reaches back is not told."""
    return tuple(
        View(f"{name}/0", {}, _modality(name), 0.0, x.shape[1:], tuple(map(str, range(x.shape[1]))), _not_computed)
        for name, x in table.x.items()
    )


def _modality(name: str) -> Modality:
    first = name.partition(".")[0]
    return Modality(first) if first in set(Modality) else Modality.EEG


def _not_computed(window: Window) -> Float32:
    raise ValueError(f"features that were published are not computed from {window.spec.name}")


def windows_of(table: FeatureTable, recipe: Recipe, classes: ClassMap | None) -> Windows:
    """The rows of a table that are finite, as :func:`streamaffect.bundle.build.gather` gives those of recordings."""
    names = [entry.name for entry in recipe.classes]
    of = {label: name for name, labels in (classes or ClassMap.by_name(names)).labels.items() for label in labels}
    n = table.label.size
    shares = None
    if recipe.target == LABEL:
        y = np.asarray([names.index(of[label]) if label in of else -1 for label in table.label.tolist()], np.int64)
    else:
        columns = table.distributions.get(recipe.target, {})
        shares = np.stack([np.asarray(columns.get(name, np.zeros(n)), np.float32) for name in names], axis=1)
        whole = np.isfinite(shares).all(axis=1) & (shares.sum(axis=1) > 0)
        shares = np.where(whole[:, None], shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12), 0).astype(np.float32)
        y = np.where(whole, shares.argmax(axis=1), -1)
    ends = np.arange(1.0, n + 1) if table.t_end_s is None else np.asarray(table.t_end_s, np.float64)
    plain = {view.key: np.asarray(table.x[view.key], np.float32) for view in recipe.views}
    windows = Windows(plain, y, np.full(n, table.subject), np.asarray(table.trial, np.str_), ends, shares)
    finite = np.all([np.isfinite(x.reshape(n, -1)).all(axis=1) for x in plain.values()], axis=0)
    return windows.take(finite)
