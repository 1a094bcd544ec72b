"""M3D's manifold feature transformation: unit rows, TCA or PCA, the root of the geodesic flow kernel, unit rows. numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .contract import Float64
from .geodesic import geodesic_root
from .tca import pca, rbf, tca_linear, tca_rbf, unit

Rows = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """``project`` (D, d), or (N, d) on the rbf kernel with ``anchors`` (N, D)."""

    project: Float64
    anchors: Float64 | None = None
    gamma: float = 0.5

    def __call__(self, rows: Rows) -> Float64:
        """Unit rows (n, d) of rows (n, D)."""
        x = unit(rows.astype(np.float64))
        return unit((x if self.anchors is None else rbf(x, self.anchors, self.gamma)) @ self.project)


@dataclass(frozen=True, slots=True)
class Settings:
    """``d`` components, ``dim`` of the two subspaces on the Grassmann manifold (None: half the components)."""

    reduction: Literal["tca", "pca", "none"] = "tca"
    kernel: Literal["linear", "rbf"] = "linear"
    manifold: Literal["grassmann", "none"] = "grassmann"
    d: int = 128
    dim: int | None = None
    gamma: float = 0.5
    ridge: float = 1.0


def learn(source: Rows, target: Rows, s: Settings, weights: Rows | None = None) -> Maps:
    """Maps fitted on both domains (eq. 1 to 8). ``weights`` (n,) of the source rows in the means that TCA aligns.

    More components than there are features are cut to these, and subspaces to what the rows of each side span.
    """
    a, b = unit(source.astype(np.float64)), unit(target.astype(np.float64))
    maps = _reduced(a, b, s, weights)
    if s.manifold == "none":
        return maps
    reduced = [(x if maps.anchors is None else rbf(x, maps.anchors, s.gamma)) @ maps.project for x in (a, b)]
    d = maps.project.shape[1]
    dim = max(1, min(s.dim or d // 2, d, len(a) - 1, len(b) - 1))
    root = geodesic_root(pca(reduced[0], dim), pca(reduced[1], dim))
    return Maps(maps.project @ root, maps.anchors, s.gamma)


def _reduced(a: Float64, b: Float64, s: Settings, weights: Rows | None) -> Maps:
    if s.reduction == "none":
        return Maps(np.eye(a.shape[1]))
    if s.reduction == "pca":
        return Maps(pca(np.concatenate([a, b]), s.d))
    if s.kernel == "linear":
        return Maps(tca_linear(a, b, s.d, s.ridge, weights))
    components = tca_rbf(a, b, s.d, s.gamma, s.ridge, weights)
    return Maps(components.coefficients, components.support, s.gamma)
