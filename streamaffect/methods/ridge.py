"""Kernel ridge regression on unit rows, and what all closed forms on them share: rows, label weights, calibration. torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .calibration import fit_temperature
from .contract import Float32, Float64, Int64, Views
from .holdout import split
from .jobs import Fit
from .manifold import Maps
from .srm import System, kernel, precision
from .training import balanced

if TYPE_CHECKING:
    from .m3d import M3D

CALIBRATED_BY = 1000  # source rows at most
_HOLDOUT = 0.3  # of them, by subject
_SHARPNESS = 4.0  # of scores in 0..1, before it is fitted
_DOUBT = 0.05  # of each label: where the classes lie apart in everybody, the fit would be sure of everything


def sample(job: Fit, limit: int) -> Int64:
    """At most ``limit`` rows of the source, by ``job.seed``, in the proportions of subjects and classes."""
    n = len(job.y)
    if n <= limit:
        return np.arange(n)
    rng = np.random.default_rng(job.seed)
    subject = np.unique(job.source.subject, return_inverse=True)[1]
    group = np.unique(subject * job.classes + job.y.argmax(axis=1), return_inverse=True)[1]
    order = rng.permutation(n)
    order = order[np.argsort(group[order], kind="stable")]
    size = np.bincount(group)
    rank = np.arange(n) - np.repeat(np.cumsum(size) - size, size)
    # the row's place within its group, 0..1: the first of every group come first
    place = (rank + rng.random(len(size))[group[order]]) / size[group[order]]
    chosen: Int64 = np.sort(order[np.argsort(place, kind="stable")[:limit]])
    return chosen


def label_weight(y: Float32, method: M3D) -> Float64:
    """The diagonal of A for labelled rows: 1, or by class ``1 / (C p_c)``, mean 1, so that no class is outvoted."""
    if not method.balanced:
        return np.ones(len(y))
    weight: Float64 = (y @ balanced(y)).astype(np.float64)
    return weight


def regress(z: Float64, y: Float32, weight: Float64, method: M3D, device: torch.device) -> Float64:
    """beta (n, C) of weighted kernel ridge regression: ``(A K + eta I) beta = A y``."""
    system = System(kernel(similarity(torch.from_numpy(z), device), method.gamma), penalty(weight, None, 0), method.eta)
    b = torch.from_numpy(weight[:, None] * y).to(device)
    return np.asarray(system.coefficients(b, system.solve(b)).cpu())


def calibrate(job: Fit, method: M3D, maps: Maps, limit: int = CALIBRATED_BY) -> tuple[float, Callable[[Float64], Float64]]:
    """Sharpness of ridge scores by source subjects that the regression has not seen, and the regression itself."""
    train, held = split(job.source, _HOLDOUT, job.seed)
    chosen = np.isin(np.arange(len(job.y)), sample(job, min(CALIBRATED_BY, limit)))
    train, held = train[chosen[train]], held[chosen[held]]
    x = stacked(job.x)
    z, y = maps(x[train]), job.y[train]
    beta = regress(z, y, label_weight(y, method), method, job.device)

    def scores(rows: Float64) -> Float64:
        f: Float64 = np.exp(2 * method.gamma * (rows @ z.T - 1)) @ beta
        return f

    if not len(held):
        return _SHARPNESS, scores
    logits = _SHARPNESS * scores(maps(x[held]))
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    doubted = (1 - _DOUBT) * job.y[held].astype(np.float64) + _DOUBT / job.classes
    return _SHARPNESS / fit_temperature(p / p.sum(axis=1, keepdims=True), doubted), scores


def similarity(rows: Tensor, device: torch.device) -> Tensor:
    rows = rows.to(device, precision(len(rows)))
    return rows @ rows.T


def penalty(weight: Float64, L: Any, rho: float) -> Any:
    from scipy import sparse

    A = sparse.diags(weight).tocsr()
    return A if L is None else (A + rho * L).tocsr()


def stacked(views: Views) -> npt.NDArray[np.float32]:
    return np.concatenate(list(views.values()), axis=1)
