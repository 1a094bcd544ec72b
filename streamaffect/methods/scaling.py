"""Location and scale of the views: what the network sees has about zero mean and unit variance. numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .contract import Float32, LabelledSet, UnlabelledSet, Views

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


def _moments(x: Float32) -> tuple[Float32, Float32]:
    axes = (0,) if x.ndim == 2 else (0, 2)
    location = x.mean(axis=axes, dtype=np.float64, keepdims=x.ndim == 3)
    scale = x.std(axis=axes, dtype=np.float64, keepdims=x.ndim == 3)
    if x.ndim == 3:
        location, scale = location[0], scale[0]
    scale = np.where(scale > _CONSTANT * np.maximum(np.abs(location), 1e-12), scale, 1.0)
    return location.astype(np.float32), scale.astype(np.float32)
