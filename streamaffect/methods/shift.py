"""Standardisation by person that does not mistake the classes' proportions for the person. numpy only.

A person's own mean and spread, the z-score, also take away how often each class occurs: of a wearer who is at rest four
fifths of the time it makes the mean "rest", and moves the boundary into it. With the class means m_c and variances v_c of
the standardised source, windows in proportions q have

    mean_q = sum_c q_c m_c,    var_q = sum_c q_c (v_c + m_c^2) - mean_q^2

before the person's gain and offset act on them: so scale = std / sqrt(var_q) and location = mean - scale mean_q, where
mean and std are the person's. q is known for the source; :func:`estimate` learns how to tell it from unlabelled windows
by playing the source people in many proportions. No paper that we know does this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .contract import Float32, Float64, LabelledSet, UnlabelledSet, Views
from .scaling import Scaling

_ENOUGH = 3.0  # windows of a class that a person needs for class-wise moments of their own
_LEAST_VARIANCE = 0.05  # of mean_q windows; one class alone has less than all, but not this little
_CONSTANT = 1e-6  # a feature with less spread than this share of its size is constant
_PEOPLE = 4  # fewer with every class teach nothing about proportions
_FOLDS = 5
_BAGS = 12  # proportions in which a source person is played
_EVEN = 0.1  # the share of even proportions in each, so that no class is quite absent
_LEAST = 0.03  # share of a class in an estimate
_RIDGES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_SHRINKAGE = 0.1  # of the within-class covariance towards a multiple of the identity


@dataclass(frozen=True, slots=True, eq=False)
class ClassMoments:
    """Mean and variance (C, k) of each class in the standardised source."""

    mean: Float64
    variance: Float64

    @classmethod
    def of(cls, z: npt.ArrayLike, y: npt.ArrayLike) -> ClassMoments:
        """Of rows ``z`` (n, k) with label distributions ``y`` (n, C). A class without windows gets mean 0, variance 1."""
        rows, share = np.asarray(z, dtype=np.float64), np.asarray(y, dtype=np.float64)
        total = share.sum(axis=0)[:, None]
        there = total > 0
        share = share / np.maximum(total.T, 1e-12)
        mean = share.T @ rows
        variance = np.maximum(share.T @ rows**2 - mean**2, 0)
        return cls(np.where(there, mean, 0.0), np.where(there, variance, 1.0))


def corrected(
    location: npt.ArrayLike, scale: npt.ArrayLike, moments: ClassMoments, q: npt.ArrayLike
) -> tuple[Float64, Float64]:
    """A person's (location, scale) (k,), from the mean and standard deviation of windows in proportions ``q`` (C,)."""
    shares = np.asarray(q, dtype=np.float64)
    mean = shares @ moments.mean
    variance = shares @ (moments.variance + moments.mean**2) - mean**2
    own = np.asarray(scale) / np.sqrt(np.maximum(variance, _LEAST_VARIANCE))
    return np.asarray(location) - own * mean, own


def by_person(x: npt.ArrayLike, y: npt.ArrayLike, subject: npt.NDArray[Any]) -> Float64:
    """Rows (n, k) standardised within each subject, every subject's classes (n, C) counted in the source's proportions.

    Who lacks windows of a class is corrected by the class moments of those who have all; where nobody has all, by those
    of the plainly standardised people.
    """
    rows, labels = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    p = labels.mean(axis=0)
    z = np.empty_like(rows)
    people = {u: np.flatnonzero(subject == u) for u in np.unique(subject)}
    whole = [u for u, own in people.items() if _complete(labels[own], p)]
    for u in whole or people:
        own = people[u]
        location, scale = _moments(rows[own], _weights(labels[own], p) if whole else None)
        z[own] = (rows[own] - location) / scale
    known = np.concatenate([people[u] for u in whole or people])
    moments = ClassMoments.of(z[known], labels[known])
    for u in set(people) - set(whole):
        own = people[u]
        location, scale = corrected(*_moments(rows[own]), moments, labels[own].mean(axis=0))
        z[own] = (rows[own] - location) / scale
    return z


def estimate(x: npt.ArrayLike, y: npt.ArrayLike, subject: npt.NDArray[Any], target: npt.ArrayLike, seed: int = 0) -> Float64:
    """The class proportions q (C,) of one person's windows ``target`` (m, k), from a labelled source (n, k), (n, C).

    Each source person is played in many proportions (their windows weighted), standardised by the plain moments, as the
    target must be, and read by a linear discriminant that was fitted without them. A ridge regression learns how four
    signs tell the proportions: the mean posterior; the share of windows given to each class; the skewness of the scores;
    and how far the person's mean lies from the others' along the line from class to class, measured by how far people
    lie apart. Its penalty is chosen by leaving people out, so that signs which tell nothing give the source's average.

    With fewer than four people who have windows of every class there is nothing to learn from: the source's proportions.
    """
    rows, labels, own = (np.asarray(a, dtype=np.float64) for a in (x, y, target))
    p: Float64 = labels.mean(axis=0)
    there = np.flatnonzero(p > 0)
    labels = labels[:, there]
    people = [np.flatnonzero(subject == u) for u in np.unique(subject)]
    people = [own for own in people if _complete(labels[own], p[there])]
    if len(people) < _PEOPLE or len(there) < 2:
        return p
    rng = np.random.default_rng(seed)
    folds = np.array_split(rng.permutation(len(people)), min(_FOLDS, len(people)))
    signs, shares, fold_of = [], [], []
    z = by_person(rows, labels, subject)
    for f, fold in enumerate(folds):
        without = np.concatenate([people[i] for i in range(len(people)) if i not in fold])
        reader = _Reader(rows[without], z[without], labels[without], subject[without])
        for i in fold:
            for _ in range(_BAGS):
                played = (1 - _EVEN) * rng.dirichlet(np.ones(len(there))) + _EVEN / len(there)
                signs.append(reader(rows[people[i]], _weights(labels[people[i]], played)))
                shares.append(played)
                fold_of.append(f)
    seen = _Reader(rows, z, labels, subject)(own, np.full(len(own), 1 / len(own)))
    told = _regress(np.array(signs), np.array(shares), np.array(fold_of), seen)
    q: Float64 = np.zeros(len(p))
    q[there] = np.maximum(told, _LEAST)
    q /= q.sum()
    return q


def standardised(source: LabelledSet, scaling: Scaling, classes: int) -> dict[str, Float32]:
    """As :func:`scaling.standardised` by ``'subject'``, by :func:`by_person`; signals by the pooled ``scaling``."""
    views = scaling.apply(source.x)
    if names := _vectors(source.x, scaling):
        z = by_person(_joined(source.x, names), source.distribution(classes), source.subject)
        views |= _parted(z, source.x, names)
    return views


def personal(source: LabelledSet, scaling: Scaling, target: UnlabelledSet, q: npt.ArrayLike) -> Scaling:
    """``scaling`` with the target's own moments of the vector views, corrected for its class proportions ``q`` (C,)."""
    if not (names := _vectors(source.x, scaling)):
        return scaling
    labels = source.distribution(np.size(q))
    moments = ClassMoments.of(by_person(_joined(source.x, names), labels, source.subject), labels)
    location, scale = corrected(*_moments(_joined(target.x, names).astype(np.float64)), moments, q)
    return Scaling(
        {**scaling.location, **_parted(location[None], source.x, names, squeeze=True)},
        {**scaling.scale, **_parted(scale[None], source.x, names, squeeze=True)},
    )


def proportions(
    source: LabelledSet, target: UnlabelledSet, classes: int, seed: int = 0, views: Iterable[str] | None = None
) -> Float64 | None:
    """:func:`estimate` on all vector views joined, of ``views`` or those that both have; None where there are none."""
    shared = [name for name in source.x if name in (target.x if views is None else set(views))]
    if not (names := [name for name in shared if source.x[name].ndim == 2]):
        return None
    joined = _joined(source.x, names)
    return estimate(joined, source.distribution(classes), source.subject, _joined(target.x, names), seed)


class _Reader:
    """Tells the signs of proportions in one person's raw windows; fitted on other people's."""

    def __init__(self, x: Float64, z: Float64, y: Float64, subject: npt.NDArray[Any]) -> None:
        moments = ClassMoments.of(z, y)
        self.mean = moments.mean
        self.score = _discriminant(z, y, self.mean)
        p = y.mean(axis=0)
        people = [subject == u for u in np.unique(subject)]
        centres = np.array([_moments(x[own], _weights(y[own], p))[0] for own in people if _complete(y[own], p)])
        self.centre, self.size = centres.mean(axis=0), _moments(x)[1]
        apart = (centres - self.centre) / self.size
        covariance = apart.T @ apart / len(apart)
        spread = np.diag(covariance)
        covariance = covariance / 2 + np.diag(spread / 2 + 0.05 * spread.mean() + 1e-4)
        self.precision = np.linalg.inv(covariance)

    def __call__(self, x: Float64, weight: Float64) -> Float64:
        """Of rows (m, k) with weights (m,) that sum to 1."""
        location, scale = _moments(x, weight)
        scores = self.score((x - location) / scale)
        posterior = np.exp(scores - scores.max(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
        given = np.eye(scores.shape[1])[scores.argmax(axis=1)]
        centred = scores - scores.mean(axis=1, keepdims=True)
        centred = centred - weight @ centred
        skewness = weight @ (centred / np.sqrt(weight @ centred**2 + 1e-12)) ** 3
        lines = (scale / self.size)[:, None] * (self.mean[1:] - self.mean[0]).T
        pulled = self.precision @ lines
        offset = (location - self.centre) / self.size
        along = np.linalg.solve(lines.T @ pulled + 1e-6 * np.eye(lines.shape[1]), pulled.T @ offset)
        return np.concatenate([weight @ posterior, weight @ given, skewness, along])


def _discriminant(z: Float64, y: Float64, mean: Float64) -> Callable[[Float64], Float64]:
    """Scores (m, C) of a linear discriminant for even proportions, its covariance shrunk."""
    share = y / y.sum(axis=0) / y.shape[1]
    within = (z * share.sum(axis=1)[:, None]).T @ z - mean.T @ mean / y.shape[1]
    k = len(within)
    within = (1 - _SHRINKAGE) * within + (_SHRINKAGE * np.trace(within) / k + 1e-9) * np.eye(k)
    W = np.linalg.solve(within, mean.T)
    bias = -0.5 * (mean * W.T).sum(axis=1)
    return lambda rows: rows @ W + bias


def _regress(signs: Float64, shares: Float64, fold: npt.NDArray[np.int64], seen: Float64) -> Float64:
    """The shares that ``seen`` tells, by a ridge regression whose penalty does best on people left out."""
    location, scale = _moments(signs)
    A, a = (signs - location) / scale, (seen - location) / scale
    average = shares.mean(axis=0)
    B = shares - average

    def solve(rows: npt.NDArray[np.bool_], ridge: float) -> Float64:
        gram = A[rows].T @ A[rows] / rows.sum() + ridge * np.eye(A.shape[1])
        solution: Float64 = np.linalg.solve(gram, A[rows].T @ B[rows] / rows.sum())
        return solution

    def error(ridge: float) -> float:
        parts = [fold == f for f in np.unique(fold)]
        return float(sum(np.square(A[part] @ solve(~part, ridge) - B[part]).sum() for part in parts))

    told: Float64 = average + a @ solve(np.ones(len(A), dtype=bool), min(_RIDGES, key=error))
    return told


def _complete(y: Float64, p: Float64) -> bool:
    return bool((y.sum(axis=0)[p > 0] >= _ENOUGH).all())


def _weights(y: Float64, q: Float64) -> Float64:
    """(n,) that sum to 1 and give each class its share q (C,)."""
    weight = y @ (q / np.maximum(y.sum(axis=0), 1e-12))
    normed: Float64 = weight / weight.sum()
    return normed


def _moments(x: Float64, weight: Float64 | None = None) -> tuple[Float64, Float64]:
    """Mean and standard deviation (k,), 1 where a feature is constant."""
    w = np.full(len(x), 1 / len(x)) if weight is None else weight
    mean = w @ x
    scale = np.sqrt(w @ (x - mean) ** 2)
    return mean, np.where(scale > _CONSTANT * np.maximum(np.abs(mean), 1e-12), scale, 1.0)


def _vectors(views: Views, scaling: Scaling) -> list[str]:
    return [name for name in scaling.location if views[name].ndim == 2]


def _joined(views: Views, names: list[str]) -> Float32:
    return np.concatenate([views[name] for name in names], axis=1)


def _parted(z: Float64, views: Views, names: list[str], squeeze: bool = False) -> dict[str, Float32]:
    ends = np.cumsum([views[name].shape[1] for name in names])[:-1]
    parts = np.split(z.astype(np.float32), ends, axis=1)
    return {name: part[0] if squeeze else part for name, part in zip(names, parts, strict=True)}
