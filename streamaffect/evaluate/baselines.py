"""What is trivial, beside every figure: regressions on the vector views, and of distributions what other people report.

``source_only`` knows nothing of the person; ``zscore`` standardises each person by all of their own unlabelled windows,
whatever the protocol: it looks further ahead than a model that plays online may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from streamaffect.bundle.build import Windows
from streamaffect.bundle.bundle import Bundle, SourceMemory
from streamaffect.evaluate.played import Played
from streamaffect.features.personal import AnyPrior
from streamaffect.features.recentre import Recentre, SpdPrior
from streamaffect.signals import Float32, Float64

NEIGHBOURS = 15  # of the k nearest source windows
_SILENT = "no baseline"


def logistic(x: Float64, y: npt.NDArray[np.int64], asked: Float64, classes: int) -> Float32:
    """Probabilities (n, classes) of balanced logistic regression on ``x`` (m, k) for ``asked`` (n, k)."""
    from sklearn.linear_model import LogisticRegression

    regression = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000).fit(x, y)
    out = np.zeros((len(asked), classes), np.float32)
    out[:, regression.classes_] = regression.predict_proba(asked)
    return out


def each(x: Float64, subject: npt.NDArray[np.str_]) -> Float64:
    """``x`` (n, k), each person standardised by their own rows."""
    out = np.empty_like(x)
    for name in np.unique(subject):
        rows = x[subject == name]
        out[subject == name] = (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-9)
    return out


def matrix(views: Mapping[str, Float32], keys: Sequence[str]) -> Float64:
    """The vector views side by side, (n, k) in double precision."""
    return np.concatenate([views[key] for key in keys], axis=1).astype(np.float64)


def of_windows(source: Windows, target: Windows, keys: Sequence[str], classes: int) -> dict[str, Float32]:
    """Probabilities (n, classes) for ``target``, a person, fitted on ``source``; ``keys`` are the vector views."""
    if not keys:
        return {}
    train, test = matrix(source.plain, keys), matrix(target.plain, keys)
    centre, spread = train.mean(axis=0), train.std(axis=0) + 1e-9
    known = source.y >= 0
    theirs, own = each(train, source.subject)[known], each(test, target.subject)
    if source.shares is not None:
        return _of_reports(theirs, source.shares[known], own)
    plain = logistic(((train - centre) / spread)[known], source.y[known], (test - centre) / spread, classes)
    return {"source_only": plain, "zscore": logistic(theirs, source.y[known], own, classes)}


def of_bundle(bundle: Bundle, target: Windows) -> dict[str, Float32]:
    """The same fitted on what the bundle remembers of its source people: views normalised as they flowed by.

    ``source_only`` reads the person's windows on the source people's scale. A bundle without such a memory has no baselines.
    """
    priors = bundle.priors
    keys = [view.key for view in bundle.views if view.key in priors]
    if not keys or "source.npz" not in bundle.manifest.files:
        return {}
    memory = SourceMemory.load(bundle)
    # The level of the person, behind the relative values, is what zscore takes away.
    relative = {key: memory.x[key][:, : target.plain[key].shape[1]] for key in keys}
    scaled = {key: _on_source_scale(priors[key], target.plain[key]) for key in keys}
    train = matrix(relative, keys)
    mine = {key: _recentred(priors[key], target.plain[key]) for key in keys}
    theirs, own = each(train, memory.subject), each(matrix(mine, keys), target.subject)
    if memory.y.ndim == 2:
        return _of_reports(theirs, memory.y.astype(np.float32), own)
    y, classes = memory.y.astype(np.int64), len(bundle.classes)
    plain = logistic(train, y, np.clip(np.concatenate([scaled[key] for key in keys], axis=1), -10, 10), classes)
    return {"source_only": plain, "zscore": logistic(theirs, y, own, classes)}


def _on_source_scale(prior: AnyPrior, plain: Float32) -> Float64:
    """A person's view (n, k) as if the source people's statistics were this person's."""
    if isinstance(prior, SpdPrior):
        return Recentre(prior)(plain).astype(np.float64)
    return np.asarray((plain - prior.location) / prior.scale)


def _recentred(prior: AnyPrior, plain: Float32) -> Float32:
    """A person's view (n, k) as the memory has the source people's, but for each element's place and scale."""
    if not isinstance(prior, SpdPrior):
        return plain
    person = Recentre(prior)
    for row in plain:
        person.update(row)
    return person(plain)


def _of_reports(x: Float64, reports: Float32, asked: Float64) -> dict[str, Float32]:
    from sklearn.neighbors import KNeighborsRegressor

    mean = reports.mean(axis=0, dtype=np.float64)
    nearest = KNeighborsRegressor(min(NEIGHBOURS, len(x))).fit(x, reports).predict(asked)
    return {"mean_report": np.tile(mean, (len(asked), 1)).astype(np.float32), "knn": nearest.astype(np.float32)}


def aligned(played: Played, windows: Windows, probabilities: Float32) -> Played:
    """A baseline's answers for ``windows`` on the windows of ``played``; those that it was not asked about are silent."""
    from dataclasses import replace

    place = {round(float(t), 6): row for row, t in enumerate(windows.t_end_s)}
    rows = np.asarray([place.get(round(float(t), 6), -1) for t in played.t_end_s], np.int64)
    there = rows >= 0
    p: npt.NDArray[Any] = np.where(there[:, None], probabilities[rows], 1 / probabilities.shape[1])
    reason = np.where(there, played.reason, np.where(played.reason == "", _SILENT, played.reason))
    return replace(played.saying(p.astype(np.float32)), reason=reason)
