"""A-distances between domains by linear SVMs, and the adaptive factor mu of dynamic distribution alignment. numpy.

``d = 2 (1 - 2 error)`` of a linear classifier that tells source from target (Ben-David et al., 2007; M3D eq. 13, 14), cut
to [0, 2]. M3D takes for the error the hinge loss, which is unbounded: here as in its ancestor MEDA the 0/1 error of an
L2-regularised SVM with squared hinge loss and C = 1, the problem that scikit-learn's ``LinearSVC`` solves by default.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from .contract import Float64, Int64

_STEPS = 50
_FOLDS = 5

Error = Literal["training", "cross-validated"]


def svm(x: Float64, sign: Float64, start: Float64 | None = None, C: float = 1.0) -> Float64:
    """w (D + 1,), bias last and regularised too: ``min |w|^2 / 2 + C sum max(0, 1 - sign (w.x + b))^2``.

    Newton's method on the active rows (Keerthi and DeCoste, JMLR 2005) with a halving line search; it ends at the exact
    minimum, after ten steps or so, three from a near ``start``.
    """
    rows = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    w = np.zeros(rows.shape[1]) if start is None else start
    slack = 1 - sign * (rows @ w)
    value = _objective(w, slack, C)
    for _ in range(_STEPS):
        active = slack > 0
        part = rows[active]
        gradient = w - 2 * C * (part.T @ (sign[active] * slack[active]))
        hessian = 2 * C * (part.T @ part)
        hessian[np.diag_indices_from(hessian)] += 1
        step = np.linalg.solve(hessian, gradient)
        decrease = float(gradient @ step)
        if decrease <= 1e-14 * max(1.0, value):
            break
        moved, length = rows @ step, 1.0
        while True:
            candidate, loose = w - length * step, slack + length * sign * moved
            lower = _objective(candidate, loose, C)
            if lower <= value - 1e-4 * length * decrease or length < 1e-6:
                break
            length /= 2
        w, slack, value = candidate, loose, lower
    return w


def _objective(w: Float64, slack: Float64, C: float) -> float:
    loss = np.maximum(slack, 0)
    return float(w @ w) / 2 + C * float(loss @ loss)


class Distances:
    """``d_A`` of all rows and ``d_c`` of each class; what the labels did not change is not computed again."""

    def __init__(self, source: Float64, target: Float64, classes: Int64, count: int, error: Error = "training", seed: int = 0):
        self._source, self._target, self._classes, self._count = source, target, classes, count
        self._error, self._seed = error, seed
        self._masks: dict[int, npt.NDArray[np.bool_]] = {}
        self._known: dict[int, float] = {}
        self._weights: dict[int, Float64] = {}
        self.marginal = self._distance(source, target, -1)

    def conditional(self, labels: Int64) -> Float64:
        """(C,) of the classes; 0 where a side has fewer than two rows of it."""
        for c in range(self._count):
            mask = labels == c
            if c not in self._masks or not np.array_equal(mask, self._masks[c]):
                self._known[c] = self._distance(self._source[self._classes == c], self._target[mask], c)
                self._masks[c] = mask
        return np.array([self._known[c] for c in range(self._count)])

    def mu(self, labels: Int64, kind: Literal["paper", "meda"] = "paper") -> float:
        """Eq. 15: ``sum_c d_c / (d_A + sum_c d_c)``; ``'meda'`` takes the mean over the classes. 0.5 where all are 0."""
        d = self.conditional(labels)
        within = float(d.sum() if kind == "paper" else d.mean())
        total = self.marginal + within
        return within / total if total > 0 else 0.5

    def _distance(self, source: Float64, target: Float64, key: int) -> float:
        if min(len(source), len(target)) < 2:
            return 0.0
        rows = np.concatenate([source, target])
        sign = np.repeat([1.0, -1.0], [len(source), len(target)])
        wrong = self._cross_validated(rows, sign) if self._error == "cross-validated" else self._training(rows, sign, key)
        return float(np.clip(2 * (1 - 2 * wrong), 0, 2))

    def _training(self, rows: Float64, sign: Float64, key: int) -> float:
        w = self._weights[key] = svm(rows, sign, self._weights.get(key))
        return _wrong(w, rows, sign)

    def _cross_validated(self, rows: Float64, sign: Float64) -> float:
        """The mean error of the two sides, each by rows that the SVM has not seen: sides of unequal size are no signal."""
        rng = np.random.default_rng(self._seed)
        fold = np.empty(len(rows), dtype=np.int64)
        for side in (1.0, -1.0):
            of_side = np.flatnonzero(sign == side)
            fold[rng.permutation(of_side)] = np.arange(len(of_side)) % min(_FOLDS, len(of_side))
        missed = np.zeros(len(rows), dtype=np.bool_)
        for k in range(fold.max() + 1):
            held = fold == k
            w = svm(rows[~held], sign[~held])
            missed[held] = _missed(w, rows[held], sign[held])
        return float((missed[sign > 0].mean() + missed[sign < 0].mean()) / 2)


def _missed(w: Float64, rows: Float64, sign: Float64) -> npt.NDArray[np.bool_]:
    missed: npt.NDArray[np.bool_] = (rows @ w[:-1] + w[-1] > 0) != (sign > 0)
    return missed


def _wrong(w: Float64, rows: Float64, sign: Float64) -> float:
    return float(_missed(w, rows, sign).mean())
