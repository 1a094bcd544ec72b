"""``coral``: the source re-coloured to the target's covariance, then logistic regression."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
import numpy.typing as npt

from .contract import Float32, Float64
from .jobs import Adaptation
from .zscore import ZScore

if TYPE_CHECKING:
    from .cores import Core
    from .linear import Linear

ROUNDS = 3  # of proportions and moments in turn
STILL = 1e-3


@dataclass(frozen=True, kw_only=True)
class Coral(ZScore):
    """CORAL (Sun, Feng and Saenko, AAAI 2016): ``X_s -> (X_s - mean_s) C_s^-1/2 C_t^1/2 + mean_t``, ``C = cov + ridge I``.

    ``ridge=1`` is the paper's Algorithm 1. It takes both sides to be centred; ``recentre`` moves the source to the
    target's mean, which is the same where persons are standardised and ``prior`` is the source's.

    With a ``prior`` of the target's, mean_s and cov_s are those of the source in the target's class proportions: what
    differs by the proportions alone is left as it is. With ``'estimate'`` proportions and moments are found in turn.
    """

    name: ClassVar[str] = "coral"

    ridge: float = 1.0
    recentre: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positive("ridge")
        self._one_of("recentre", False, True)

    def _align(self, job: Adaptation, core: Core) -> tuple[Linear, Float32]:
        aligned = copy.deepcopy(cast("Linear", core))
        source, target = aligned.embed(job.x), aligned.embed(job.target)
        ratio = np.zeros(job.classes)
        for _ in range(ROUNDS):
            last, ratio = ratio, job.ratio(aligned.posteriors(target, job.temperature))
            if np.abs(ratio - last).max() < STILL:
                break
            rows = recolour(source, target, self.ridge, job.y @ ratio, recentre=self.recentre)
            aligned.solve(rows, job.y, self.C)
        return aligned, rows


def recolour(
    source: npt.ArrayLike,
    target: npt.ArrayLike,
    ridge: float = 1.0,
    weight: npt.ArrayLike | None = None,
    *,
    recentre: bool = True,
) -> Float32:
    """Rows of ``source`` (n, k) with the mean and covariance of ``target`` (m, k).

    ``weight`` (n,) >= 0: how much each source row counts in the source's moments.
    """
    s, t = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    mean_s, cov_s = _moments(s, np.ones(len(s)) if weight is None else np.asarray(weight, dtype=np.float64))
    mean_t, cov_t = _moments(t, np.ones(len(t)))
    eye = ridge * np.eye(s.shape[1])
    rows = (s - mean_s) @ power(cov_s + eye, -0.5) @ power(cov_t + eye, 0.5)
    return (rows + (mean_t if recentre else mean_s)).astype(np.float32)


def _moments(rows: Float64, weight: Float64) -> tuple[Float64, Float64]:
    share = weight / weight.sum()
    mean = share @ rows
    centred = rows - mean
    return mean, (centred * share[:, None]).T @ centred / max(1 - float(share @ share), 1 / len(rows))


def power(C: npt.ArrayLike, exponent: float) -> Float64:
    """Of a symmetric positive matrix (k, k); eigenvalues below 1e-12 of the largest are taken as that."""
    values, vectors = np.linalg.eigh(np.asarray(C, dtype=np.float64))
    largest = values.max()
    result: Float64 = (vectors * np.maximum(values, 1e-12 * largest) ** exponent) @ vectors.T
    return result
