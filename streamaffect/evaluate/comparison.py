"""Methods beside each other: source people with labels, strangers without, who are told by balanced accuracy.

Labels of a stranger enter the score and nothing else: a method is given an ``UnlabelledSet``. Each stranger's windows are
in the order of time, and one stretch: where a session's trials begin and end is not told either. This is the
``transductive`` protocol of the papers: a stranger is scored on the windows that were adapted on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamaffect import methods
from streamaffect.evaluate.shifted import Shift, joined, person, world
from streamaffect.methods import LabelledSet, UnlabelledSet

UNBALANCED = (0.7, 0.2, 0.1)
EEG_SECONDS = 4.0

# Each is the method with these parameters; "source-only" and "standardised" are its own fit, before it adapts.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "adapted": {},
    "estimate": {"prior": "estimate"},
    "self-trained": {"self_training": True},
}
COLUMNS = ("source-only", "standardised", *VARIANTS)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Source people and the strangers to adapt to; ``problem`` names the table, ``number`` the seed or fold."""

    problem: str
    number: int
    source: LabelledSet
    strangers: tuple[LabelledSet, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """Balanced accuracy of a method's ``column`` on one stranger, and the seconds that adapting took."""

    problem: str
    number: int
    method: str
    column: str
    stranger: str
    balanced_accuracy: float
    seconds: float


def generated(seeds: int = 3, people: int = 10, shift: Shift | None = None) -> Iterator[Case]:
    """Cases of :mod:`streamaffect.evaluate.shifted`: ``people`` sources (balanced) and as many strangers a seed.

    Two problems: ``balanced`` strangers, and ``unbalanced`` ones, whose classes have the shares ``UNBALANCED``.
    """
    shift = shift or Shift()
    for seed in range(seeds):
        common = world(shift, seed)
        source = joined([person(common, shift, seed, i) for i in range(people)])
        for problem, proportions in (("balanced", None), ("unbalanced", UNBALANCED)):
            theirs = replace(shift, proportions=proportions)
            strangers = tuple(person(common, theirs, seed, 1000 + i) for i in range(people))
            yield Case(problem, seed, source, strangers)


def eegmat(root: Path, seconds: float = EEG_SECONDS) -> Iterator[Case]:
    """Leave one subject out of eegmat: differential entropy of five bands in windows of ``seconds`` without overlap."""
    from streamaffect import datasets
    from streamaffect.bundle.build import Recipe, gather
    from streamaffect.bundle.bundle import ClassEntry
    from streamaffect.features import views
    from streamaffect.signals import Modality

    recordings = datasets.open("eegmat", root)
    spec = next(s.spec for s in next(iter(recordings)).signals if s.spec.modality is Modality.EEG)
    view = views.eeg_de(channels=list(spec.channels), seconds=seconds)
    classes = (ClassEntry(name="rest"), ClassEntry(name="load"))
    windows = gather(recordings, Recipe("eegmat", (view,), classes, seconds))
    windows = windows.take(windows.y >= 0)
    everybody = LabelledSet(windows.plain, windows.y, windows.subject, windows.trial)
    for i, subject in enumerate(np.unique(everybody.subject)):
        left_out = everybody.subject == subject
        yield Case("eegmat", i, everybody.take(~left_out), (everybody.take(left_out),))


def scores(case: Case, method: str, params: Mapping[str, Any], columns: Sequence[str] = COLUMNS) -> list[Score]:
    """Fit the method on the case's source, adapt it to each stranger, score the columns."""
    out: list[Score] = []

    def score(column: str, stranger: LabelledSet, model: methods.Model, seconds: float = 0.0) -> None:
        said = model.predict_proba(stranger.x).argmax(axis=1)
        right = balanced_accuracy(stranger.hard(), said)
        out.append(Score(case.problem, case.number, method, column, str(stranger.subject[0]), right, seconds))

    if "source-only" in columns:
        plain = methods.get(method, **{**params, "normalise": None}).fit_source(case.source, seed=case.number, device="cpu")
        for stranger in case.strangers:
            score("source-only", stranger, plain)
    model = methods.get(method, **params).fit_source(case.source, seed=case.number, device="cpu")
    for stranger in case.strangers:
        seen = unlabelled(stranger)
        if "standardised" in columns:
            score("standardised", stranger, methods.get("source").adapt(model, case.source, seen, device="cpu"))
        for column, changes in VARIANTS.items():
            if column in columns:
                method_ = methods.get(method, **{**params, **changes})
                begin = time.perf_counter()
                adapted = method_.adapt(model, case.source, seen, seed=case.number, device="cpu")
                score(column, stranger, adapted, time.perf_counter() - begin)
    return out


def unlabelled(stranger: LabelledSet) -> UnlabelledSet:
    """The stranger's windows as one stretch of time, without labels and without the bounds of trials."""
    return UnlabelledSet(stranger.x, np.zeros(len(stranger), dtype=np.int64))


def balanced_accuracy(y: npt.NDArray[np.int64], said: npt.NDArray[np.int64]) -> float:
    """Mean recall over the classes in ``y``."""
    return float(np.mean([np.mean(said[y == c] == c) for c in np.unique(y)]))


@dataclass(frozen=True, slots=True)
class Row:
    """One method of a problem's table: mean and standard deviation over strangers (and seeds) of each column.

    ``gain`` of adapted over the method's own source-only, ``over_zscore`` of adapted over the baseline ``zscore``'s, with the
    one-sided p of Wilcoxon's signed-rank test, corrected by Holm over the methods of the table (NaN where not to be had).
    """

    problem: str
    method: str
    mean: Mapping[str, float]
    std: Mapping[str, float]
    gain: float
    gain_p: float
    over_zscore: float
    over_zscore_p: float
    seconds: float


def rows(scored: Sequence[Score]) -> list[Row]:
    """The tables: a row a problem and method, in order of appearance."""
    table: dict[tuple[str, str], dict[str, list[Score]]] = {}
    for score in scored:
        table.setdefault((score.problem, score.method), {}).setdefault(score.column, []).append(score)
    out = [_row(problem, method, columns, table) for (problem, method), columns in table.items()]
    for problem in dict.fromkeys(row.problem for row in out):
        mine = [i for i, row in enumerate(out) if row.problem == problem]
        gain, over = (holm([getattr(out[i], name) for i in mine]) for name in ("gain_p", "over_zscore_p"))
        for i, a, b in zip(mine, gain, over, strict=True):
            out[i] = replace(out[i], gain_p=a, over_zscore_p=b)
    return out


def _row(problem: str, method: str, columns: Mapping[str, list[Score]], table: Mapping[Any, Any]) -> Row:
    values = {column: np.array([s.balanced_accuracy for s in cells]) for column, cells in columns.items()}
    reference = [s.balanced_accuracy for s in table.get((problem, "zscore"), {}).get("standardised", [])]
    adapted, own = values.get("adapted"), values.get("source-only")
    gain, gain_p = _paired(adapted, own)
    over, over_p = _paired(adapted, np.array(reference) if reference and method != "zscore" else None)
    spent = float(np.median([s.seconds for s in columns.get("adapted", [])] or [np.nan]))
    mean = {column: float(v.mean()) for column, v in values.items()}
    std = {column: float(v.std()) for column, v in values.items()}
    return Row(problem, method, mean, std, gain, gain_p, over, over_p, spent)


def _paired(a: npt.NDArray[np.float64] | None, b: npt.NDArray[np.float64] | None) -> tuple[float, float]:
    """Mean of a - b and the one-sided p that a is not above b; NaN without both, p 1 where they are equal."""
    if a is None or b is None or len(a) != len(b):
        return float("nan"), float("nan")
    from scipy.stats import wilcoxon

    if not np.any(a != b):
        return 0.0, 1.0
    return float((a - b).mean()), float(wilcoxon(a, b, alternative="greater").pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction of p values; NaN stay and do not count."""
    values = np.asarray(p, dtype=np.float64)
    finite = np.flatnonzero(np.isfinite(values))
    out = values.copy()
    running = 0.0
    for rank, i in enumerate(finite[np.argsort(values[finite], kind="stable")]):
        running = max(running, min(1.0, float(values[i]) * (len(finite) - rank)))
        out[i] = running
    return [float(value) for value in out]
