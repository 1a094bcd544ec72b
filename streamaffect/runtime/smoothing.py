"""States last longer than a hop: what neighbouring windows say counts, the nearer the more.

Log probabilities are averaged, as independent witnesses' would be added up, so that dividing all of them by a temperature
before or after makes no difference.
"""

from __future__ import annotations

import numpy as np

from streamaffect.signals import Float32, Float64

_LEAST = 1e-7  # a probability that rounds to 0 is no veto for ever


class Smoother:
    """An average of the past that fades with the time constant ``seconds`` (0: none). Causal, one window at a time.

    The fading goes by the time between windows, so after a gap much longer than ``seconds`` the past counts for nothing.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._log: Float64 | None = None
        self._t_end_s = 0.0

    def __call__(self, probabilities: Float32, t_end_s: float) -> Float32:
        """Count ``probabilities`` (C,) of the window that ends at ``t_end_s``; returns the average (C,), summing to 1."""
        if self.seconds <= 0:
            return probabilities
        now = np.log(np.maximum(probabilities.astype(np.float64), _LEAST))
        if self._log is None or t_end_s < self._t_end_s:  # the first, or the sender's clock went back
            self._log = now
        else:
            self._log = self._log + (1.0 - np.exp((self._t_end_s - t_end_s) / self.seconds)) * (now - self._log)
        self._t_end_s = t_end_s
        return _probabilities(self._log)


def both_ways(probabilities: Float32, t_end_s: Float64, seconds: float) -> Float32:
    """``probabilities`` (n, C) of windows that end at ``t_end_s`` (n,), rising, each averaged with those before and after,
    all fading with the time constant ``seconds``: for recordings looked back on."""
    if seconds <= 0 or not len(probabilities):
        return probabilities
    log = np.log(np.maximum(probabilities.astype(np.float64), _LEAST))
    weight = np.exp(-np.abs(t_end_s[:, None] - t_end_s) / seconds)
    return _probabilities(weight @ log / weight.sum(axis=1, keepdims=True))


def _probabilities(log: Float64) -> Float32:
    """Normalised, (..., C)."""
    p = np.exp(log - log.max(axis=-1, keepdims=True))
    return np.asarray(p / p.sum(axis=-1, keepdims=True), np.float32)
