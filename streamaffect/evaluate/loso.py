"""Leave-one-subject-out: each person in turn is a stranger to model, priors and source memory alike.

Labels of the stranger enter the final metric and nothing else.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from streamaffect import methods
from streamaffect.bundle.build import (
    Recipe,
    Windows,
    fit_priors,
    normalise_in_order,
    remember,
    spare_guards,
    training_set,
)
from streamaffect.features.normalise import Prior
from streamaffect.methods.distributions import measures
from streamaffect.runtime.trigger import two_states
from streamaffect.signals import Float32

Rows = npt.NDArray[np.int64]
SETTLED_S = 60.0  # causal figures begin here
ADAPT_AT_S = 120.0  # from here on the causal protocol adapts, once, as soon as the river's trigger would


@dataclass(frozen=True, slots=True)
class Fold:
    """Balanced accuracy of one stranger, or agreement where labels are distributions (see :func:`agreement`); None where a
    class has no window left to count."""

    subject: str
    windows: int
    # Logistic regression on the vector views, standardised over the source people; of distributions: the source people's mean
    lr_source: float
    # Logistic (of distributions: ridge) regression, each person standardised by all of their own windows
    lr_zscore: float
    source: float  # the model, normalised by all of the stranger's unlabelled windows
    adapted: float  # and adapted on them
    causal: float | None  # the model, causally normalised, after SETTLED_S
    causal_rotated: float | None  # the same with the trials in reverse order
    causal_before: float | None  # after ADAPT_AT_S, not adapted
    causal_adapted: float | None  # after ADAPT_AT_S, adapted once on what had flowed by
    probabilities: Float32  # (n, C) of `causal`, every labelled window: for the temperature
    labels: npt.NDArray[Any]  # (n,) classes or (n, C) distributions


FIGURES = ("lr_source", "lr_zscore", "source", "adapted", "causal", "causal_rotated", "causal_before", "causal_adapted")


def balanced(y: Rows, said: Rows) -> float | None:
    """Balanced accuracy over the classes in ``y``; None with fewer than two."""
    classes = np.unique(y)
    return float(np.mean([np.mean(said[y == c] == c) for c in classes])) if classes.size > 1 else None


def agreement(windows: Windows, rows: npt.NDArray[Any], probabilities: Float32) -> float | None:
    """How well ``probabilities`` (m, C) tell the labels of ``rows`` (m of them): balanced accuracy; of distributions the share
    that prediction and truth have in common (their intersection, 0..1), each trial counting the same."""
    if windows.shares is None:
        return balanced(windows.y[rows], probabilities.argmax(axis=1))
    common = np.minimum(windows.shares[rows], probabilities).sum(axis=1)
    trial = windows.trial[rows]
    return float(np.mean([common[trial == name].mean() for name in np.unique(trial)])) if trial.size else None


def fold(windows: Windows, recipe: Recipe, method: str, params: Mapping[str, object], seed: int, subject: str) -> Fold:
    """Leave ``subject`` out."""
    source = windows.take(windows.subject != subject)
    target = windows.take(windows.subject == subject)
    priors = fit_priors(source, recipe)
    learner = methods.get(method, **{"normalise": None, **params})  # the views are normalised before
    # As the model that ships is made: with people kept for the guard.
    taught, guards = spare_guards(training_set(source, priors, recipe, seed), learner, seed)
    model = learner.fit_source(taught, seed=seed)
    known = remember(source, priors, recipe, seed, guards).known()
    every, labelled = np.arange(len(target)), target.y >= 0
    whole = normalise_in_order(target, every, priors, whole=True)
    adapted = learner.adapt(model, known, methods.UnlabelledSet(x=whole), seed=seed)
    causal = normalise_in_order(target, every, priors)
    late = labelled & (target.t_end_s > ADAPT_AT_S)
    probabilities = model.predict_proba(causal)
    live = probabilities.copy()
    if (at := _trigger(target, probabilities)) is not None:
        # Live, the windows that flowed by are normalised by what is known when adaptation starts.
        so_far = normalise_in_order(target, every[: at + 1], priors, whole=True)
        grown = learner.adapt(model, known, methods.UnlabelledSet(x=so_far), seed=seed)
        live[at + 1 :] = grown.predict_proba(causal)[at + 1 :]
    settled = labelled & (target.t_end_s > SETTLED_S)
    return Fold(
        subject=subject,
        windows=int(labelled.sum()),
        **_regressions(source, target, recipe),
        source=_score(model, whole, target, labelled) or 0.0,
        adapted=_score(adapted, whole, target, labelled) or 0.0,
        causal=agreement(target, settled, probabilities[settled]),
        causal_rotated=_rotated(model, target, priors, recipe),
        causal_before=agreement(target, late, probabilities[late]),
        causal_adapted=agreement(target, late, live[late]),
        probabilities=probabilities[labelled],
        labels=target.labels(np.flatnonzero(labelled)),
    )


def _trigger(target: Windows, probabilities: Float32) -> int | None:
    """The window after which the river would adapt: past ``ADAPT_AT_S``, two states seen by the model as it serves (where
    classes exclude each other)."""
    said = probabilities.argmax(axis=1)
    for at in np.flatnonzero(target.t_end_s >= ADAPT_AT_S):
        if at + 1 < len(target) and (target.shares is not None or two_states(said[: at + 1].tolist())):
            return int(at)
    return None


def _score(model: methods.Model, x: Mapping[str, Float32], target: Windows, rows: npt.NDArray[np.bool_]) -> float | None:
    if not rows.any():
        return None
    return agreement(target, rows, model.predict_proba({key: value[rows] for key, value in x.items()}))


def _rotated(model: methods.Model, target: Windows, priors: Mapping[str, Prior], recipe: Recipe) -> float | None:
    """Played with the trials in reverse order; as many windows left out at the start as ``SETTLED_S`` holds, but no more
    than half of the first trial."""
    trials = list(dict.fromkeys(target.trial[target.y >= 0]))
    order = np.concatenate([np.flatnonzero((target.trial == name) & (target.y >= 0)) for name in reversed(trials)])
    skip = int((SETTLED_S - recipe.context_s) / recipe.hop_s)
    skip = max(0, min(skip, int((target.trial[order] == trials[-1]).sum()) // 2))
    said = model.predict_proba(normalise_in_order(target, order, priors))
    return agreement(target, order[skip:], said[skip:])


def _regressions(source: Windows, target: Windows, recipe: Recipe) -> dict[str, float]:
    """The two baselines that any method must beat."""
    from sklearn.linear_model import LogisticRegression, Ridge

    keys = [view.key for view in recipe.views if view.is_vector]
    train, test = (np.concatenate([w.plain[key] for key in keys], axis=1).astype(np.float64) for w in (source, target))
    centre, spread = train.mean(axis=0), train.std(axis=0) + 1e-9
    figures: dict[str, float] = {}
    if source.shares is not None:
        known, asked = source.y >= 0, target.y >= 0
        mean = source.shares[known].mean(axis=0, dtype=np.float64)
        ridge = Ridge(alpha=known.sum()).fit(_each(train, source.subject)[known], source.shares[known])
        said = np.maximum(ridge.predict(_each(test, target.subject)[asked]), 1e-6)
        said /= said.sum(axis=1, keepdims=True)
        for name, p in (("lr_source", np.tile(mean, (len(said), 1))), ("lr_zscore", said)):
            figures[name] = agreement(target, asked, p) or 0.0
        return figures
    for name, a, b in (
        ("lr_source", (train - centre) / spread, (test - centre) / spread),
        ("lr_zscore", _each(train, source.subject), _each(test, target.subject)),
    ):
        regression = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)
        regression.fit(a[source.y >= 0], source.y[source.y >= 0])
        figures[name] = balanced(target.y[target.y >= 0], regression.predict(b[target.y >= 0])) or 0.0
    return figures


def _each(x: npt.NDArray[np.float64], subject: npt.NDArray[np.str_]) -> npt.NDArray[np.float64]:
    out = np.empty_like(x)
    for name in np.unique(subject):
        rows = x[subject == name]
        out[subject == name] = (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-9)
    return out


def loso(
    windows: Windows,
    recipe: Recipe,
    method: str,
    params: Mapping[str, object],
    *,
    seed: int = 0,
    processes: int = 2,
    progress: Callable[[Fold], None] | None = None,
) -> list[Fold]:
    """All folds, in ``processes`` processes of one thread each; people with one class only are not tested on.

    Raises:
        ValueError: fewer than two people have windows of two classes.
    """
    kind = windows.y if windows.shares is None else windows.trial
    subjects = [
        str(name)
        for name in np.unique(windows.subject)
        if np.unique(kind[(windows.subject == name) & (windows.y >= 0)]).size > 1
    ]
    if len(subjects) < 2:
        what = "classes" if windows.shares is None else "reports"
        raise ValueError(f"leave-one-subject-out needs two people with two {what}, there are {len(subjects)}")
    work = partial(fold, windows, recipe, method, dict(params), seed)
    folds = []
    spawn = multiprocessing.get_context("spawn")
    with _one_thread(), ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        for done in pool.map(work, subjects):
            folds.append(done)
            if progress is not None:
                progress(done)
    return folds


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Children that start meanwhile compute on one thread: numerical libraries read these once, when they load."""
    before = {variable: os.environ.get(variable) for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    os.environ.update(dict.fromkeys(before, "1"))
    try:
        yield
    finally:
        for variable, value in before.items():
            if value is None:
                del os.environ[variable]
            else:
                os.environ[variable] = value


def summary(folds: list[Fold]) -> dict[str, float | int | dict[str, float]]:
    """Mean and standard deviation over people of every figure, the number of people, chance and the temperature; of
    distributions no chance, but the measures of label distribution learning, of the model as it streams."""
    out: dict[str, float | int | dict[str, float]] = {"subjects": len(folds)}
    if folds[0].labels.ndim == 1:
        out["chance"] = round(1 / folds[0].probabilities.shape[1], 4)
    for name in FIGURES:
        values = [value for fold in folds if (value := getattr(fold, name)) is not None]
        if values:
            out[name] = {"mean": round(float(np.mean(values)), 4), "std": round(float(np.std(values)), 4), "n": len(values)}
    probabilities = np.concatenate([fold.probabilities for fold in folds])
    labels = np.concatenate([fold.labels for fold in folds])
    if labels.ndim == 2:
        subject = np.concatenate([np.repeat(fold.subject, len(fold.labels)) for fold in folds])
        out["measures"] = {name: round(value, 4) for name, value in measures(labels, probabilities, subject).items()}
    out["temperature"] = round(float(methods.fit_temperature(probabilities, labels)), 4)
    return out


assert set(FIGURES) <= {field.name for field in fields(Fold)}  # noqa: S101 - a name mistyped here is found at import
