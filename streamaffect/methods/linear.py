"""Cores of the closed-form methods: vectors, a fixed map, a logistic regression on top. torch, scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .contract import Float32, Float64, Views
from .cores import Core
from .model import run_batched

_ABSENT = -30.0  # logit of a class without windows
_STEPS = 1000


class Regressed(Core):
    """A representation (n, width) and a logistic regression on it. ``weight`` (width, C), ``bias`` (C,)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("weight", torch.zeros(width, classes))
        self.register_buffer("bias", torch.zeros(classes))

    def forward(self, views: Sequence[Tensor], keep: Tensor) -> tuple[Tensor, Tensor]:
        embedding = self.represent(views, keep)
        return embedding, embedding @ self.weight + self.bias

    def represent(self, views: Sequence[Tensor], keep: Tensor) -> Tensor:
        raise NotImplementedError

    def embed(self, views: Views) -> Float32:
        """(n, d) representations of standardised views, all present."""
        tensors = [torch.as_tensor(view, device=self.bias.device) for view in views.values()]
        rows = run_batched(lambda part: self.represent(part, part[0].new_ones(len(part[0]), len(part))), tensors)
        return np.asarray(rows.cpu().numpy())

    def posteriors(self, rows: Float32, temperature: float) -> Float64:
        """(m, C) of representations (m, d)."""
        logits = torch.as_tensor(rows, device=self.bias.device) @ self.weight + self.bias
        return np.asarray(torch.softmax(logits.double() / temperature, 1).cpu().numpy())

    def solve(self, rows: npt.ArrayLike, y: npt.ArrayLike, C: float, weight: npt.ArrayLike | None = None) -> None:
        """Set the classifier to the logistic regression of ``rows``, representations (n, d), with inverse penalty ``C / d``.

        The penalty is for rows of variance 1 a feature: so it means the same for 8 features and for 300.
        """
        W, b = logistic(np.asarray(rows, dtype=np.float64), np.asarray(y), C / len(self.weight), weight)
        self.weight.copy_(torch.as_tensor(W))
        self.bias.copy_(torch.as_tensor(b))


class Linear(Regressed):
    """The vector views joined (missing ones are zero), optionally brought to length 1, optionally mapped.

    ``sizes`` of the views; ``components`` d of the map, None: the rows themselves are the representation.
    """

    kind: ClassVar[str] = "linear"

    def __init__(self, sizes: Sequence[int], classes: int, components: int | None = None, unit: bool = False) -> None:
        super().__init__(sum(sizes) if components is None else components, classes)
        self.sizes, self.components, self.unit = [int(k) for k in sizes], components, unit
        if components is not None:
            self.map: Tensor
            self.register_buffer("map", torch.zeros(sum(sizes), components))

    def spec(self) -> dict[str, Any]:
        return {"sizes": self.sizes, "classes": self.classes, "components": self.components, "unit": self.unit}

    def represent(self, views: Sequence[Tensor], keep: Tensor) -> Tensor:
        rows = torch.cat([view * keep[:, i, None] for i, view in enumerate(views)], 1)
        if self.unit:
            rows = rows / rows.square().sum(1, keepdim=True).sqrt().clamp_min(1e-12)
        return self.mapped(rows)

    def mapped(self, rows: Tensor) -> Tensor:
        return rows if self.components is None else rows @ self.map


class KernelLinear(Linear):
    """``exp(-gamma |x - s|^2) @ map`` of the rows of length 1, ``support`` s (N, k) and ``map`` (N, d); then linear."""

    kind: ClassVar[str] = "kernel_linear"

    def __init__(self, sizes: Sequence[int], classes: int, components: int, support: int, gamma: float) -> None:
        super().__init__(sizes, classes, components, unit=True)
        self.gamma = gamma
        self.support: Tensor
        self.register_buffer("support", torch.zeros(support, sum(self.sizes)))
        self.register_buffer("map", torch.zeros(support, components))

    def spec(self) -> dict[str, Any]:
        fixed = {"sizes": self.sizes, "classes": self.classes, "components": self.components}
        return {**fixed, "support": len(self.support), "gamma": self.gamma}

    def mapped(self, rows: Tensor) -> Tensor:
        squares = rows.square().sum(1, keepdim=True) + self.support.square().sum(1)
        return torch.exp(-self.gamma * (squares - 2 * rows @ self.support.T).clamp_min(0)) @ self.map


def logistic(
    rows: Float64, y: npt.NDArray[Any], C: float = 1.0, weight: npt.ArrayLike | None = None
) -> tuple[Float32, Float32]:
    """W (d, C) and b (C,) of the class-balanced logistic regression (scikit-learn's lbfgs, inverse penalty ``C``).

    ``y`` (n, C) distributions: a row counts once for each class it has a share in, by that share. ``weight`` (n,) >= 0
    times that, before the balance. Classes without windows get a logit so low that they are never said.
    """
    from sklearn.linear_model import LogisticRegression

    share = y.astype(np.float64) * (1.0 if weight is None else np.asarray(weight)[:, None])
    totals = share.sum(axis=0)
    classes = np.flatnonzero(totals)
    row, label = np.nonzero(share)
    even = share[row, label] * totals.sum() / (len(classes) * totals[label])
    fitted = LogisticRegression(C=C, max_iter=_STEPS).fit(rows[row], label, even)
    W = np.zeros((rows.shape[1], share.shape[1]), dtype=np.float32)
    b = np.full(share.shape[1], _ABSENT, dtype=np.float32)
    coef, intercept = fitted.coef_, fitted.intercept_
    if len(classes) == 2:  # one logit, of the second class against the first
        coef, intercept = np.concatenate([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    W[:, classes], b[classes] = coef.T, intercept
    return W, b
