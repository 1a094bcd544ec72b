"""The gate: no candidate serves unless all of these hold, and none goes on serving that fails afterwards."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streamaffect.runtime.engine import Engine, Prediction
from streamaffect.runtime.river import Decision
from streamaffect.signals import Float32

PARITY = 1e-4  # largest difference between ONNX Runtime and torch, probabilities
HOLD_OUT_MARGIN = 0.03  # accuracy on held-out source people that a candidate may lose
COLLAPSED = 0.98  # share of one class above which a model says nothing else
ENTROPY_FLOOR = 0.02  # mean entropy (0..1) below which a model is sure of everything
LATENCY_S = 0.05  # median of a single prediction
WATCH_WINDOWS = 24  # after a swap: two minutes at a 5 s hop


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the guard judges by. ``held_out`` and ``labels`` ((n,) classes or (n, C) distributions): source people that
    adaptation never saw; ``recent``: the wearer's last windows; ``probes`` and ``expected``: inputs, some with a modality
    missing, and the probabilities that torch gave for them."""

    held_out: Mapping[str, Float32]
    labels: npt.NDArray[Any]
    recent: Mapping[str, Float32]
    probes: Mapping[str, Float32]
    expected: Float32


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reason`` is None when the candidate may serve. ``figures`` are what was measured."""

    reason: str | None
    figures: Mapping[str, float]


def accuracy(prediction: Prediction, labels: npt.NDArray[Any]) -> float:
    """Balanced accuracy over the classes that occur in ``labels`` (n,); of distributions (n, C) the mean share that
    prediction and truth have in common (their intersection, 0..1)."""
    if labels.ndim == 2:
        return float(np.minimum(prediction.probabilities, labels).sum(axis=1).mean())
    said = prediction.probabilities.argmax(axis=1)
    return float(np.mean([np.mean(said[labels == c] == c) for c in np.unique(labels)]))


def collapse(probabilities: Float32) -> float:
    """Share of the most frequent decision, 0..1."""
    return float(np.bincount(probabilities.argmax(axis=1)).max() / len(probabilities))


def mean_entropy(probabilities: Float32) -> float:
    """Mean entropy as a share of its maximum, 0..1."""
    p = np.maximum(probabilities.astype(np.float64), 1e-12)
    return float(-(p * np.log(p)).sum(axis=1).mean() / np.log(p.shape[1]))


def judge(candidate: Engine, incumbent: Engine, evidence: Evidence) -> Verdict:
    """Compare; the first failed check is the reason."""
    if evidence.labels.size == 0:
        return Verdict("no source people are held out to judge by: train the model with holdout > 0", {})
    after, before = candidate(evidence.recent), incumbent(evidence.recent)
    outputs = [after.probabilities, after.embedding, candidate(evidence.probes).probabilities]
    if not all(np.isfinite(output).all() for output in outputs):
        return Verdict("the candidate gives NaN or infinity", {})
    if np.abs(after.probabilities.sum(axis=1) - 1).max() > PARITY or after.probabilities.min() < 0:
        return Verdict("the candidate's probabilities do not sum to 1", {})
    figures = {
        "parity": _parity(candidate, evidence),
        "held_out": accuracy(candidate(evidence.held_out), evidence.labels),
        "held_out_incumbent": accuracy(incumbent(evidence.held_out), evidence.labels),
        # The largest of a distribution's shares may well be the same all day.
        "collapse": collapse(after.probabilities) if candidate.bundle.exclusive else 0.0,
        "collapse_incumbent": collapse(before.probabilities) if candidate.bundle.exclusive else 0.0,
        "entropy": mean_entropy(after.probabilities),
        "entropy_incumbent": mean_entropy(before.probabilities),
        "latency_ms": 1e3 * _latency_s(candidate),
    }
    return Verdict(_reason(figures), figures)


def _reason(f: Mapping[str, float]) -> str | None:
    # Each says what must hold, so that a NaN fails it.
    if not f["parity"] <= PARITY:
        return f"ONNX Runtime and torch disagree by {f['parity']:.1e} (limit {PARITY:.0e})"
    if not f["held_out"] >= f["held_out_incumbent"] - HOLD_OUT_MARGIN:
        return f"accuracy on held-out source people fell from {f['held_out_incumbent']:.3f} to {f['held_out']:.3f}"
    if f["collapse"] > COLLAPSED and f["collapse_incumbent"] <= COLLAPSED:
        return f"one class takes {f['collapse']:.0%} of the recent windows ({f['collapse_incumbent']:.0%} before)"
    if f["entropy"] < ENTROPY_FLOOR and f["entropy_incumbent"] >= ENTROPY_FLOOR:
        return f"mean entropy fell to {f['entropy']:.3f} ({f['entropy_incumbent']:.3f} before): sure of everything"
    if not f["latency_ms"] <= 1e3 * LATENCY_S:
        return f"one prediction takes {f['latency_ms']:.0f} ms (limit {1e3 * LATENCY_S:.0f} ms)"
    return None


def _parity(candidate: Engine, evidence: Evidence) -> float:
    """Largest difference to torch's probabilities, all at once and one by one."""
    together = candidate(evidence.probes).probabilities
    singly = [candidate({k: v[i : i + 1] for k, v in evidence.probes.items()}).probabilities for i in range(len(together))]
    return float(max(np.abs(together - evidence.expected).max(), np.abs(np.concatenate(singly) - evidence.expected).max()))


def _latency_s(engine: Engine) -> float:
    blank, times = engine.blank(), []
    for _ in range(7):
        start = time.perf_counter()
        engine(blank)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


class Watch:
    """Looks over a swapped-in engine's shoulder for ``WATCH_WINDOWS`` windows, beside the one it replaced."""

    def __init__(self, replaced: Engine) -> None:
        self.replaced = replaced
        self._pairs: deque[tuple[Float32, Float32]] = deque(maxlen=WATCH_WINDOWS)

    @property
    def done(self) -> bool:
        return len(self._pairs) == WATCH_WINDOWS

    def look(self, decision: Decision) -> str | None:
        """Count a window; returns why to roll back, or None."""
        if decision.reason == "model_error":
            return "the new model gave NaN or infinity"
        if decision.reason is not None:
            return None
        before = self.replaced({key: value[None] for key, value in decision.features.x.items()})
        self._pairs.append((decision.instant, before.probabilities[0]))
        if not self.done:
            return None
        new, old = (np.stack(side) for side in zip(*self._pairs, strict=True))
        if self.replaced.bundle.exclusive and collapse(new) > COLLAPSED and collapse(old) < 0.8:
            return f"one class took {collapse(new):.0%} of {WATCH_WINDOWS} windows ({collapse(old):.0%} with the model before)"
        if mean_entropy(new) < ENTROPY_FLOOR and mean_entropy(old) >= 5 * ENTROPY_FLOOR:
            return f"mean entropy fell to {mean_entropy(new):.3f} ({mean_entropy(old):.3f} with the model before)"
        return None
