"""Temperature scaling (Guo et al., ICML 2017) on probabilities. numpy only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BOUNDS = (0.1, 10.0)
_FLOOR = 1e-12  # float32 probabilities round to 0; its log must stay finite


def fit_temperature(probabilities: npt.ArrayLike, y: npt.ArrayLike, bounds: tuple[float, float] = BOUNDS) -> float:
    """The T in ``bounds`` that minimises the mean NLL of ``softmax(log p / T)`` on held-out windows.

    ``probabilities`` (n, C) of a model with temperature 1 (of one with T0: multiply by T0); ``y`` (n,) class indices or
    (n, C) distributions. The NLL is convex in 1/T with derivative ``E[y.l] - E[softmax(l/T).l]``, l = log p: bisection.

    Raises ValueError for shapes that do not fit or values that are no probabilities.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or not len(p) or not np.isfinite(p).all() or p.min() < 0:
        raise ValueError(f"probabilities must be (n, C), finite and not negative, got shape {p.shape}")
    target = _distribution(np.asarray(y), p.shape)
    logits = np.log(np.maximum(p, _FLOOR))
    logits -= logits.max(axis=1, keepdims=True)
    observed = float((target * logits).sum(axis=1).mean())
    low, high = 1 / bounds[1], 1 / bounds[0]
    for _ in range(60):
        beta = (low + high) / 2
        weight = np.exp(beta * logits)
        expected = float(((weight * logits).sum(axis=1) / weight.sum(axis=1)).mean())
        if expected < observed:  # the labels fit better than the model dares to say: sharpen
            low = beta
        else:
            high = beta
    return 2 / (low + high)


def _distribution(y: npt.NDArray[np.generic], shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    n, classes = shape
    if y.shape == (n,) and y.dtype.kind in "iub" and int(y.min()) >= 0 and int(y.max()) < classes:
        return np.eye(classes)[y.astype(np.int64)]
    if y.shape == shape and y.dtype.kind == "f":
        return y.astype(np.float64)
    raise ValueError(f"y must be ({n},) class indices below {classes} or {shape} distributions, got shape {y.shape}")
