"""A kernel expansion as a core: maps, unit length, an rbf kernel with support rows, scores. torch.

    z = unit(map(unit(x))),   logits = sharpness * sum_i beta_i exp(2 gamma (z . z_i - 1))

What a transductive method has learnt, for windows it has not seen: matrix products and one exponential.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from .contract import Float64
from .cores import Core
from .tca import rbf

_SHORT = 1e-6  # a row below this length has no direction
_FIT_RIDGE = 1e-6


class KernelMachine(Core):
    """``width`` features in, all views side by side; ``anchors`` rows of a kernel map before the linear one (0: none).

    ``adapted`` tells whether it has been fitted to a target, so that the next adaptation can go on from its answers. A
    missing view is zero: the direction of what is left answers.
    """

    kind: ClassVar[str] = "kernel_machine"

    def __init__(
        self, width: int, d: int, support: int, classes: int, gamma: float, anchors: int = 0, map_gamma: float = 0.5,
        adapted: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self._spec = {
            "width": width, "d": d, "support": support, "classes": classes, "gamma": float(gamma),
            "anchors": anchors, "map_gamma": float(map_gamma), "adapted": adapted,
        }  # fmt: skip
        self.gamma, self.map_gamma, self.adapted = float(gamma), float(map_gamma), adapted
        self.anchors: Tensor
        self.project: Tensor
        self.support: Tensor
        self.beta: Tensor
        self.sharpness: Tensor
        self.register_buffer("anchors", torch.zeros(anchors, width))
        self.register_buffer("project", torch.zeros(anchors or width, d))
        self.register_buffer("support", torch.zeros(support, d))
        self.register_buffer("beta", torch.zeros(support, classes))
        self.register_buffer("sharpness", torch.ones(()))

    def spec(self) -> dict[str, Any]:
        return dict(self._spec)

    def forward(self, views: Sequence[Tensor], keep: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - see the class
        # float64: with small eta coefficients of some tens cancel over thousands of rows, and float32 loses 1e-4 of a share
        x = _unit(torch.cat(list(views), 1).double())
        if len(self.anchors):
            x = torch.exp(2 * self.map_gamma * (x @ self.anchors.double().T - 1))
        z = _unit(x @ self.project.double())
        scores = torch.exp(2 * self.gamma * (z @ self.support.double().T - 1)) @ self.beta.double()
        return z.float(), (self.sharpness.double() * scores).float()


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.square().sum(1, keepdim=True).sqrt().clamp_min(_SHORT)  # ONNX Runtime has no norm in float64


def compress(z: Float64, beta: Float64, first: Float64, gamma: float, size: int, seed: int) -> tuple[Float64, Float64]:
    """``size`` rows of ``z`` (N, d) and coefficients for them whose scores are nearest those of all N, by least squares.

    ``first`` (N,) is 1 for rows that matter most, the target's: up to half of the places are theirs, the others are
    drawn from the rest. (N, size) is the largest matrix in memory. With ``size >= N`` all is kept.
    """
    if size >= len(z):
        return z, beta
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(z))
    favoured, others = order[first[order] > 0], order[first[order] <= 0]
    kept = min(len(favoured), max(size // 2, size - len(others)))
    chosen = np.sort(np.concatenate([favoured[:kept], others[: size - kept]]))
    K = rbf(z, z[chosen], gamma)
    scores = np.concatenate([rbf(part, z, gamma) @ beta for part in np.array_split(z, -(-len(z) // size))])
    normal = K.T @ K
    normal[np.diag_indices_from(normal)] += _FIT_RIDGE * np.trace(normal) / size
    return z[chosen], np.linalg.solve(normal, K.T @ scores)
