"""``coral``: the source re-coloured to the target's covariance, then logistic regression."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from .contract import Float32, Float64
from .jobs import Adaptation
from .zscore import ZScore

if TYPE_CHECKING:
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

    def _align(self, job: Adaptation, core: Linear) -> tuple[Linear, Float32]:
        core = copy.deepcopy(core)
        source, target = core.embed(job.x), core.embed(job.target)
        ratio = np.zeros(job.classes)
        for _ in range(ROUNDS):
            last, ratio = ratio, job.ratio(answers(core, target, job.temperature))
            if np.abs(ratio - last).max() < STILL:
                break
            rows = recolour(source, target, self.ridge, job.y @ ratio, recentre=self.recentre)
            core.solve(rows, job.y, self.C)
        return core, rows


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
    rows = (s - mean_s) @ _power(cov_s + eye, -0.5) @ _power(cov_t + eye, 0.5)
    return (rows + (mean_t if recentre else mean_s)).astype(np.float32)


def answers(core: Linear, rows: Float32, temperature: float) -> Float64:
    """Posteriors (m, C) of representations (m, d)."""
    logits = rows.astype(np.float64) @ core.weight.cpu().double().numpy() + core.bias.cpu().double().numpy()
    p: Float64 = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    p /= p.sum(axis=1, keepdims=True)
    return p


def _moments(rows: Float64, weight: Float64) -> tuple[Float64, Float64]:
    share = weight / weight.sum()
    mean = share @ rows
    centred = rows - mean
    return mean, (centred * share[:, None]).T @ centred / max(1 - float(share @ share), 1 / len(rows))


def _power(C: Float64, exponent: float) -> Float64:
    values, vectors = np.linalg.eigh(C)
    largest = values.max()
    result: Float64 = (vectors * np.maximum(values, 1e-12 * largest) ** exponent) @ vectors.T
    return result
