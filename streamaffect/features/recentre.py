"""A person's covariances seen from their own mean, online and causal: what differs between people is mostly where that
mean lies.

Zanini et al., Transfer learning: a Riemannian geometry framework with applications to brain-computer interfaces, IEEE TBME
65(5), 2018, with a mean that runs as windows come. The same class offline and live makes the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from streamaffect.features import spd
from streamaffect.signals import Float32, Float64

METRICS = ("riemann", "logeuclid")
_CLIP = 10.0  # of the source's scale, as the Normaliser clips


@dataclass(frozen=True, slots=True)
class SpdPrior:
    """What source people say of where a person's covariances lie: ``mean`` (bands, c, c), and how many windows it weighs.

    ``metric``: "riemann", the affine-invariant one, or "logeuclid", which costs half and knows no affine invariance.
    ``scale``: root mean square of an element of the recentred vectors within the source people. It is one for all elements:
    a scale each would bend the distances that recentring makes comparable.
    """

    mean: Float64
    weight: float = 8.0
    metric: str = "riemann"
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.mean.ndim != 3 or self.mean.shape[1] != self.mean.shape[2]:
            raise ValueError(f"the prior mean must be (bands, c, c), got {self.mean.shape}")
        if not (np.isfinite(self.mean).all() and np.linalg.eigvalsh(self.mean).min() > 0):
            raise ValueError("the prior mean must be positive definite, band by band: one of its eigenvalues is not above 0")
        if self.metric not in METRICS:
            raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {self.metric!r}")
        if not self.weight > 0:
            raise ValueError(f"the prior must weigh something, got {self.weight}: 1 forgets it soonest")
        if not self.scale > 0:
            raise ValueError(f"the prior's scale must be above 0, got {self.scale}")

    @property
    def width(self) -> int:
        """Length of the normalised vector: that of the view's."""
        bands, c, _ = self.mean.shape
        return int(bands * c * (c + 1) // 2)

    @classmethod
    def fit(
        cls, x: Float32, subject: npt.NDArray[np.str_], bands: int = 1, weight: float = 8.0, metric: str = "riemann"
    ) -> Self:
        """From vectors ``x`` (n, bands * c (c + 1) / 2) of ``eeg.cov/1`` of several people: the mean of the people's means,
        each counting the same, and the scale around a person's own. Rows with a NaN are left out."""
        whole = np.isfinite(x).all(axis=1)
        if not whole.any():
            raise ValueError(f"no row of {x.shape[0]} is whole: the prior needs at least one covariance")
        mean = spd.geometric_mean if metric == "riemann" else _log_mean
        people = [from_view(x[whole & (subject == name)], bands) for name in np.unique(subject[whole])]
        means = [mean(own) for own in people]
        squares = [np.mean(_tangent(own, spd.powm(m, -0.5)) ** 2) for own, m in zip(people, means, strict=True)]
        return cls(mean(np.stack(means)), weight, metric, max(float(np.sqrt(np.mean(squares))), 1e-6))


def from_view(x: Float32, bands: int) -> Float64:
    """Covariances (..., bands, c, c) of vectors (..., bands * c (c + 1) / 2) of ``eeg.cov/1``."""
    return spd.expm(spd.to_matrix(x.astype(np.float64).reshape(*x.shape[:-1], bands, -1)))


def _tangent(matrices: Float64, root: Float64) -> Float64:
    """log(``root`` C ``root``) of matrices (n, bands, c, c) as vectors (n, bands * c (c + 1) / 2)."""
    seen = spd.symmetric(root @ matrices @ root)
    return spd.to_vector(spd.logm(seen)).reshape(matrices.shape[0], -1)


def _log_mean(matrices: Float64) -> Float64:
    return spd.expm(spd.logm(matrices).mean(axis=0))


class Recentre:
    """One person's running mean, from the prior on, and the tangent space at it.

    As with :class:`~streamaffect.features.normalise.Normaliser` a window counts before it is mapped, and arrays are replaced
    and never changed.
    """

    def __init__(self, prior: SpdPrior) -> None:
        self.prior = prior
        self.n = 0
        self._logs = spd.logm(prior.mean) * prior.weight
        self._seat(prior.mean)

    @property
    def mean(self) -> Float64:
        """(bands, c, c): the prior's mean counting as ``weight`` windows, and the windows so far.

        "riemann": the inductive mean M <- M #_1/(w + n) C, which for independent windows converges to the Karcher mean
        (Ho et al., Recursive Karcher expectation estimators, ICML 2013). "logeuclid": the exponential of the mean logarithm.
        """
        return self._mean

    def update(self, x: Float32) -> None:
        """Count one window ``x`` (bands * c (c + 1) / 2,) of ``eeg.cov/1``; one with a NaN is left out."""
        if not np.isfinite(x).all():
            return
        self.n += 1
        weight = self.prior.weight + self.n
        if self.prior.metric == "logeuclid":
            bands = self.prior.mean.shape[0]
            self._logs = self._logs + spd.to_matrix(x.astype(np.float64).reshape(bands, -1))
            self._seat(spd.expm(self._logs / weight))
        else:
            self._seat(spd.geodesic(self._mean, from_view(x, self.prior.mean.shape[0]), 1.0 / weight))

    def _seat(self, mean: Float64) -> None:
        self._mean = mean
        self._root = spd.powm(mean, -0.5)

    def __call__(self, x: Float32) -> Float32:
        """``x`` (..., k) of ``eeg.cov/1`` on the tangent space at the person's mean: log(M^-1/2 C M^-1/2), as vectors
        (..., k) by the source's scale; clipped to +-10, NaN stays NaN, a row at a time."""
        out = np.full(x.shape, np.nan, np.float32)
        whole = np.isfinite(x).all(axis=-1)
        if whole.any():
            matrices = from_view(x[whole], self.prior.mean.shape[0])
            out[whole] = np.clip(_tangent(matrices, self._root) / self.prior.scale, -_CLIP, _CLIP)
        return out
