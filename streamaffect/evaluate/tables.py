"""Sets that publish features: their tables as windows and trials, so that the protocols over windows take them too.

There are no samples to play: no ``online``, and no bundle, whose views would have to be computed from samples.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from streamaffect.bundle.build import Recipe, Windows
from streamaffect.bundle.bundle import LABEL
from streamaffect.evaluate.labels import ClassMap
from streamaffect.features.views import View
from streamaffect.signals import FeatureTable, Float32, Float64, Modality, Recording, Trial, Window


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
    """The rows of a table that are finite, as :func:`streamaffect.bundle.build.gather` gives those of recordings.

    Raises:
        ValueError: the table lacks an array that the recipe reads, or it is of another width.
    """
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
    trial = np.asarray(table.trial, np.str_)
    ends = np.arange(1.0, n + 1) if table.t_end_s is None else _rising(np.asarray(table.t_end_s, np.float64), trial)
    windows = Windows(_arrays(table, recipe), y, np.full(n, table.subject), trial, ends, shares)
    plain = windows.plain
    finite = np.all([np.isfinite(x.reshape(n, -1)).all(axis=1) for x in plain.values()], axis=0)
    return windows.take(finite)


def _arrays(table: FeatureTable, recipe: Recipe) -> dict[str, Float32]:
    for view in recipe.views:
        if view.key not in table.x:
            raise ValueError(f"{table.dataset}/{table.subject} has no {view.key}: it has {', '.join(table.x)}")
        if (own := table.x[view.key].shape[1:]) != view.shape:
            raise ValueError(f"{table.dataset}/{table.subject}: {view.key} is {own} a row, not {view.shape} as of the others")
    return {view.key: np.asarray(table.x[view.key], np.float32) for view in recipe.views}


def _rising(t_end_s: Float64, trial: npt.NDArray[np.str_]) -> Float64:
    """One clock for all trials, one behind the other, where each has its own: no two rows end at once."""
    if (np.diff(t_end_s) > 0).all():
        return t_end_s
    first = np.flatnonzero(np.r_[True, trial[1:] != trial[:-1]])
    lasts = t_end_s[np.r_[first[1:], t_end_s.size] - 1]
    shift = np.r_[0.0, np.cumsum(lasts)[:-1]]
    return np.asarray(t_end_s + np.repeat(shift, np.diff(np.r_[first, t_end_s.size])))
