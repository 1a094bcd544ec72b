"""Per-person normalisation, online and causal: running location and scale, shrunk to what is known of other people.

On real people this step is worth more than any alignment loss. It is the same in training: a model is fitted on features
normalised by this very class as its source people's windows flowed by, their trials in shuffled order, so that it has seen
young statistics and statistics of every composition.

A mean depends on how long the wearer was in which state: while it holds one state only, that state looks like nothing
special, and when the other one comes the mean follows it. What a person reached so far, the lowest and the highest, does
not depend on for how long: seen from there (``extremes``) and from the middle between them (``middle``) a window means the
same whatever came how long before. A model reads both beside the mean, and learns on other people's shuffled streams how far
to trust each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from streamaffect.signals import Float32, Float64

_LEAST_RANGE = 0.5  # of the source's scale


@dataclass(frozen=True, slots=True)
class Prior:
    """What source people say of a feature vector (k,): location, within-person scale, spread of the people's own locations,
    and how many windows it weighs.

    ``location_weight`` is small (people differ in level), ``scale_weight`` larger (they differ less in spread, and the first
    minutes of a wearer, all in one state, show too little of it). The normalised vector is the values relative to that (k,),
    followed by as many blocks of (k,) as are asked for: ``level``, the person's own location among people, so that a model
    can tell a high start from a high person; ``middle``, values relative to the midpoint of what the person reached so far,
    in units of that range; ``extremes``, the distances from its lower and its upper end (two blocks), in units of the
    source's scale. What is reached is told by an average over ``inertia`` windows, fading exponentially: one window reaches
    nothing.
    """

    location: Float64
    scale: Float64
    spread: Float64
    location_weight: float = 2.0
    scale_weight: float = 40.0
    level: bool = True
    middle: bool = False
    extremes: bool = False
    inertia: float = 4.0

    @property
    def width(self) -> int:
        """Length of the normalised vector."""
        return self.location.size * (1 + self.level + self.middle + 2 * self.extremes)

    @classmethod
    def fit(cls, x: Float32, subject: npt.NDArray[np.str_], **options: float) -> Self:
        """From ``x`` (n, k) of several people, each counting the same; ``options`` are the weights and the blocks.

        Rows with a NaN are left out.
        """
        whole = np.isfinite(x).all(axis=1)
        rows = [x[whole & (subject == name)].astype(np.float64) for name in np.unique(subject[whole])]
        means = np.stack([r.mean(axis=0) for r in rows])
        scale = np.sqrt(np.mean([r.var(axis=0) for r in rows], axis=0))
        return cls(means.mean(axis=0), np.maximum(scale, 1e-6), np.maximum(means.std(axis=0), 1e-6), **options)  # type: ignore[arg-type]


class Normaliser:
    """One person's running statistics of one view, from the prior on.

    A window counts for itself before it is normalised, so what the model reads at an instant depends on that instant and the
    past alone.
    """

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        self.n = 0
        self._mean = np.zeros_like(prior.location)
        self._squares = np.zeros_like(prior.location)
        self._slow = self._low = self._high = prior.location

    def update(self, x: Float32) -> None:
        """Count one window ``x`` (k,); one with a NaN is left out."""
        if not np.isfinite(x).all():
            return
        self.n += 1
        before = x - self._mean
        self._mean = self._mean + before / self.n
        self._squares = self._squares + before * (x - self._mean)
        if self.n == 1:
            self._slow = self._low = self._high = np.asarray(x, np.float64)
        else:
            self._slow = self._slow + (1.0 - np.exp(-1.0 / self.prior.inertia)) * (x - self._slow)
            self._low, self._high = np.minimum(self._low, self._slow), np.maximum(self._high, self._slow)

    @property
    def location(self) -> Float64:
        """(k,): the mean of the windows so far and of ``location_weight`` windows at the prior's location."""
        p = self.prior
        return np.asarray((p.location_weight * p.location + self.n * self._mean) / (p.location_weight + self.n))

    @property
    def scale(self) -> Float64:
        """(k,): the same of the variances, within the windows and within the prior's people."""
        p = self.prior
        return np.sqrt((p.scale_weight * p.scale**2 + self._squares) / (p.scale_weight + self.n))

    def __call__(self, x: Float32) -> Float32:
        """``x`` (..., k) on the person's own scale, (..., width); clipped to +-10, NaN stays NaN."""
        p = self.prior
        blocks = [(x - self.location) / self.scale]
        if p.level:
            level = (self.location - p.location) / p.spread
            blocks.append(np.broadcast_to(level, x.shape))
        if p.middle:
            # A range of nothing yet is no unit: half the source's scale stands in for it.
            unit = np.hypot(self._high - self._low, _LEAST_RANGE * p.scale)
            blocks.append((x - (self._high + self._low) / 2) / unit)
        if p.extremes:
            blocks += [(x - self._low) / p.scale, (x - self._high) / p.scale]
        return np.clip(np.concatenate(blocks, axis=-1), -10.0, 10.0).astype(np.float32)
