"""What would pass for a result: computed on the very windows of an evaluation, to be shown beside its figures.

All are leave-one-subject-out over the people of the call, on their vector views before normalisation. They are controls, not
baselines: some read the labels of the person that they are about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from streamaffect.evaluate import metrics
from streamaffect.evaluate.baselines import each, logistic, matrix
from streamaffect.evaluate.offline import parts
from streamaffect.evaluate.runs import Evaluated
from streamaffect.features.views import View
from streamaffect.signals import Float64, Modality

# Features that say where a person stands and that drift with the hour, in signals that drift.
_DRIFTING = frozenset({Modality.EDA, Modality.TEMP, Modality.RESP})
_LEVEL = re.compile(r"level|mean|median|min|max|tonic|offset|baseline|quantile|median|height")
_LABELS = npt.NDArray[np.int64]
Said = Callable[[npt.NDArray[np.bool_], npt.NDArray[np.bool_]], _LABELS]


def controls(done: Evaluated) -> dict[str, Any]:
    """Each control by name: ``what`` it is and mean, std and per person of balanced accuracy, or why it was not to be had."""
    if not done.exclusive:
        return {"time": {"what": "controls tell classes apart: there are none for distributions"}}
    known = done.windows.take(done.windows.y >= 0)
    vectors = [view for view in done.recipe.views if view.is_vector]
    y, who, trial = known.y, known.subject, known.trial
    found = {"time": _left_out(y, who, _by_time(known.t_end_s, y), "elapsed time alone, a tree on the clock")}
    if not vectors:
        return found
    x = matrix(known.plain, [view.key for view in vectors])
    found["reference"] = _left_out(y, who, _by_z(x, y, who), "z-scored LR on all features, what the next ones compare with")
    found["null"] = _null(x, y, who, trial, known.t_end_s, done.recipe.context_s, [entry.name for entry in done.recipe.classes])
    found["composition"] = _composition(x, y, who)
    found["levels_removed"] = _without(x, y, who, _names(vectors), _is_level, "without the levels of signals that drift")
    if any(view.modality is Modality.ACC for view in vectors):
        found["no_acc"] = _without(x, y, who, _names(vectors), _is_motion, "without acceleration")
    return found


def _left_out(y: _LABELS, who: npt.NDArray[np.str_], said: Said, what: str) -> dict[str, Any]:
    """``said(others, own)`` gives the classes of the own windows; scored person by person."""
    people = np.unique(who)
    if people.size < 2:
        return {"what": f"{what}: needs two people"}
    table: dict[str, list[float | None]] = {}
    for name in people.tolist():
        own = who == name
        fair = np.unique(y[~own]).size > 1 and np.unique(y[own]).size > 1
        table[name] = [metrics.balanced_accuracy(y[own], said(~own, own)) if fair else None]
    return {"what": what, **metrics.spread(table)}


def _by_time(t_end_s: Float64, y: _LABELS) -> Said:
    from sklearn.tree import DecisionTreeClassifier

    def said(others: npt.NDArray[np.bool_], own: npt.NDArray[np.bool_]) -> _LABELS:
        tree = DecisionTreeClassifier(min_samples_leaf=5, class_weight="balanced", random_state=0)
        out: _LABELS = tree.fit(t_end_s[others, None], y[others]).predict(t_end_s[own, None])
        return out

    return said


def _by_z(x: Float64, y: _LABELS, who: npt.NDArray[np.str_]) -> Said:
    """Logistic regression, each person standardised by all of their windows."""
    z, classes = each(x, who), int(y.max()) + 1

    def said(others: npt.NDArray[np.bool_], own: npt.NDArray[np.bool_]) -> _LABELS:
        return _said(logistic(z[others], y[others], z[own], classes))

    return said


def _said(probabilities: npt.NDArray[np.float32]) -> _LABELS:
    return np.asarray(probabilities.argmax(axis=1), np.int64)


def _null(
    x: Float64,
    y: _LABELS,
    who: npt.NDArray[np.str_],
    trial: npt.NDArray[np.str_],
    t_end_s: Float64,
    context_s: float,
    names: Sequence[str],
) -> dict[str, Any]:
    """Two trials of one label against each other: what tells them apart is not what the label says."""
    best: tuple[int, npt.NDArray[np.bool_], _LABELS, int] | None = None
    for label in np.unique(y).tolist():
        first, second = (np.zeros(y.size, np.bool_) for _ in range(2))
        people = 0
        for name in np.unique(who).tolist():
            mine = (who == name) & (y == label)
            held = list(dict.fromkeys(trial[mine][np.argsort(t_end_s[mine], kind="stable")].tolist()))
            if len(held) > 1:
                first, second = first | (mine & (trial == held[0])), second | (mine & (trial == held[1]))
                people += 1
        if best is None or people > best[0]:
            best = people, first | second, second.astype(np.int64), label
    if best is not None and best[0] >= 2:
        _, rows, side, label = best
        what = f"the first two trials of {names[label]} against each other, z-scored LR"
        return _contrast(x, side, who, rows, what)
    rows, side, label = _halves(y, who, t_end_s, context_s)
    return _contrast(x, side, who, rows, f"the first half of {names[label]} against the second, z-scored LR")


def _halves(
    y: _LABELS, who: npt.NDArray[np.str_], t_end_s: Float64, context_s: float
) -> tuple[npt.NDArray[np.bool_], _LABELS, int]:
    """Halves of the label with the most windows."""
    label = int(np.bincount(y).argmax())
    rows, side = np.zeros(y.size, np.bool_), np.zeros(y.size, np.int64)
    for name in np.unique(who).tolist():
        mine = np.flatnonzero((who == name) & (y == label))
        if mine.size:
            before, after = parts(np.full(mine.size, "one"), t_end_s[mine], context_s, 0)
            rows[mine[before | after]] = True
            side[mine[after]] = 1
    return rows, side, label


def _contrast(x: Float64, side: _LABELS, who: npt.NDArray[np.str_], rows: npt.NDArray[np.bool_], what: str) -> dict[str, Any]:
    if np.unique(side[rows]).size < 2:
        return {"what": f"{what}: too few windows"}
    return _left_out(side[rows], who[rows], _by_z(x[rows], side[rows], who[rows]), what)


def _composition(x: Float64, y: _LABELS, who: npt.NDArray[np.str_]) -> dict[str, Any]:
    """Statistics that have seen one class only, as a live wearer's first minutes: each class in turn, the mean of them."""
    what = "z-scored LR, the person's statistics from windows of one class only (mean over classes)"
    z, classes = each(x, who), int(y.max()) + 1

    def said(others: npt.NDArray[np.bool_], own: npt.NDArray[np.bool_], only: int) -> _LABELS:
        seen = x[own & (y == only)]
        mine = (x[own] - seen.mean(axis=0)) / (seen.std(axis=0) + 1e-9)
        return _said(logistic(z[others], y[others], np.clip(mine, -10, 10), classes))

    table: dict[str, list[float | None]] = {}
    for name in np.unique(who).tolist():
        own = who == name
        there = np.unique(y[own]).tolist()
        if len(there) < 2 or np.unique(y[~own]).size < 2:
            table[name] = [None]
            continue
        values = [metrics.balanced_accuracy(y[own], said(~own, own, only)) for only in there]
        table[name] = [float(np.mean([value for value in values if value is not None]))]
    return {"what": what, **metrics.spread(table)}


def _names(views: Sequence[View]) -> list[tuple[Modality, str]]:
    return [(view.modality, name) for view in views for name in view.features]


def _is_level(modality: Modality, name: str) -> bool:
    return modality in _DRIFTING and bool(_LEVEL.search(name)) and "slope" not in name


def _is_motion(modality: Modality, name: str) -> bool:  # noqa: ARG001 - as _is_level
    return modality is Modality.ACC


def _without(
    x: Float64,
    y: _LABELS,
    who: npt.NDArray[np.str_],
    names: Sequence[tuple[Modality, str]],
    goes: Callable[[Modality, str], bool],
    what: str,
) -> dict[str, Any]:
    keep = np.asarray([not goes(*name) for name in names])
    gone = [name for (_, name), stays in zip(names, keep, strict=True) if not stays]
    if not gone:
        return {"what": f"{what}: there are none"}
    if not keep.any():
        return {"what": f"{what}: nothing would be left"}
    return _left_out(y, who, _by_z(x[:, keep], y, who), f"z-scored LR {what} ({', '.join(gone[:6])})")
