"""Which source windows watch over training: whole subjects, else whole trials, never windows of a seen trial. numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .contract import Int64, LabelledSet


def split(source: LabelledSet, share: float, seed: int) -> tuple[Int64, Int64]:
    """Indices (train, held out): about ``share`` of the subjects, drawn by ``seed``, so that both parts have every class.

    Of one subject (or where no such draw exists) trials are held out, class by class; where a class has one trial only,
    nothing is, and the second array is empty.
    """
    everything = np.arange(len(source))
    if share <= 0:
        return everything, everything[:0]
    rng = np.random.default_rng(seed)
    y = source.hard()
    subjects = np.unique(source.subject)
    size = max(1, round(share * len(subjects)))
    for _ in range(20 if len(subjects) > 1 else 0):
        held = np.isin(source.subject, rng.choice(subjects, size, replace=False))
        if _every_class(y, held):
            return np.flatnonzero(~held), np.flatnonzero(held)
    held = _held_trials(source, y, share, rng)
    if _every_class(y, held):
        return np.flatnonzero(~held), np.flatnonzero(held)
    return everything, everything[:0]


def held_out(source: LabelledSet, share: float, seed: int) -> npt.NDArray[Any]:
    """The subjects that ``fit_source`` with these ``holdout`` and ``seed`` watches by and does not train on."""
    return np.setdiff1d(source.subject, source.subject[split(source, share, seed)[0]])


def _held_trials(source: LabelledSet, y: Int64, share: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """A mask of whole (subject, trial) groups, about ``share`` of each class's; a trial counts for its first label."""
    groups = _groups(source)
    _, first = np.unique(groups, return_index=True)
    chosen: list[Any] = []
    for c in np.unique(y):
        of_class = groups[first][y[first] == c]
        if len(of_class) > 1:
            chosen.extend(rng.choice(of_class, max(1, round(share * len(of_class))), replace=False))
    return np.isin(groups, chosen)


def _groups(source: LabelledSet) -> Int64:
    """(n,) a number for each (subject, trial)."""
    assert source.trial is not None  # noqa: S101 - set in __post_init__
    subject = np.unique(source.subject, return_inverse=True)[1]
    trial = np.unique(source.trial, return_inverse=True)[1]
    return subject.astype(np.int64) * (int(trial.max()) + 1) + trial


def _every_class(y: Int64, held: npt.NDArray[np.bool_]) -> bool:
    classes = np.unique(y)
    return np.array_equal(np.unique(y[held]), classes) and np.array_equal(np.unique(y[~held]), classes)
