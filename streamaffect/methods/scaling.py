"""Location and scale of the views: what a model sees has about zero mean and unit variance, or less where people differ in
what it means. numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .contract import Float32, Float64, LabelledSet, UnlabelledSet, Views

_LEAST_WEIGHT = 1e-3
_CONSTANT = 1e-6  # a feature with less spread than this share of its size is constant


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """``(x - location) / scale`` a view: shapes (k,) for vectors, (channels, 1) for signals."""

    location: Views
    scale: Views

    @classmethod
    def of(cls, views: Views) -> Scaling:
        """Mean and standard deviation over windows (and time); scale 1 where a feature is constant."""
        moments = {name: _moments(x) for name, x in views.items()}
        return cls({n: m[0] for n, m in moments.items()}, {n: m[1] for n, m in moments.items()})

    def weighted(self, weights: Views) -> Scaling:
        """This scaling for features that are to have standard deviation ``weights[name]``; others are as they were."""
        return Scaling(self.location, {name: x / weights[name] if name in weights else x for name, x in self.scale.items()})

    def apply(self, views: Views) -> dict[str, Float32]:
        """The views of this scaling, standardised; others are left out."""
        return {name: (views[name] - self.location[name]) / self.scale[name] for name in self.location}

    def personal(self, target: UnlabelledSet) -> Scaling:
        """This scaling with the vector views' own moments in ``target``: one person's standardisation."""
        own = {name: _moments(target.x[name]) for name in self.location if target.x[name].ndim == 2}
        location = {name: own[name][0] if name in own else value for name, value in self.location.items()}
        scale = {name: own[name][1] if name in own else value for name, value in self.scale.items()}
        return Scaling(location, scale)


def standardised(source: LabelledSet, scaling: Scaling, normalise: str | None) -> dict[str, Float32]:
    """The source as the network reads it: ``'subject'`` standardises vector views within each subject, else pooled."""
    views = scaling.apply(source.x)
    if normalise is None:
        return views
    vectors: Mapping[str, Float32] = {name: source.x[name] for name in views if source.x[name].ndim == 2}
    for name, x in vectors.items():
        for subject in np.unique(source.subject):
            rows = source.subject == subject
            location, scale = _moments(x[rows])
            views[name][rows] = (x[rows] - location) / scale
    return views


def consistency(source: LabelledSet, power: float) -> dict[str, Float32]:
    """Of every feature of the vector views, {name: (k,)}: ``(B / (B + V)) ** (power / 2)``, of mean square 1 over all.

    B is the variance between the classes of its mean over people, V that of one class's mean between people: a feature whose
    classes lie apart in the same way in everybody has a weight near the largest, one that only tells people apart near 0.
    Under a penalty, or with weight decay, a model leans on what has the larger variance.
    """
    y = source.distribution(source.classes)
    vectors = {name: x for name, x in source.x.items() if x.ndim == 2}
    weights: dict[str, Float64] = {}
    for name, x in vectors.items():
        location, scale = _moments(x)
        own = np.full((len(people := np.unique(source.subject)), y.shape[1], x.shape[1]), np.nan)
        for i, subject in enumerate(people):
            rows = source.subject == subject
            total = y[rows].sum(axis=0)
            seen = total > 0
            own[i, seen] = (y[rows].T @ ((x[rows] - location) / scale))[seen] / total[seen, None]
        known = np.isfinite(own).any(axis=(0, 2))
        between = np.nanmean(own[:, known], axis=0).var(axis=0)
        within = np.nanvar(own[:, known], axis=0).mean(axis=0)
        weights[name] = (between / np.maximum(between + within, 1e-12)) ** (power / 2)
    if not weights:
        return {}
    size = max(float(np.sqrt(np.mean(np.concatenate(list(weights.values())) ** 2))), 1e-12)
    return {name: np.maximum(w / size, _LEAST_WEIGHT).astype(np.float32) for name, w in weights.items()}


def _moments(x: Float32) -> tuple[Float32, Float32]:
    axes = (0,) if x.ndim == 2 else (0, 2)
    location = x.mean(axis=axes, dtype=np.float64, keepdims=x.ndim == 3)
    scale = x.std(axis=axes, dtype=np.float64, keepdims=x.ndim == 3)
    if x.ndim == 3:
        location, scale = location[0], scale[0]
    scale = np.where(scale > _CONSTANT * np.maximum(np.abs(location), 1e-12), scale, 1.0)
    return location.astype(np.float32), scale.astype(np.float32)
