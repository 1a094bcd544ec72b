"""How well probabilities tell labels: one person's scores, and what only many people's windows show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from streamaffect.evaluate.played import Played
from streamaffect.methods.distributions import MEASURES, measures

BINS = 15  # of the calibration error (Guo et al., ICML 2017) and the reliability diagram
COVERAGES = (1.0, 0.9, 0.8, 0.7)
SCORES = ("balanced_accuracy", "accuracy", "macro_f1", "auroc", "ece", "brier")
Value = float | None
_Labels = npt.NDArray[np.int64]
_P = npt.NDArray[np.floating[Any]]


def balanced_accuracy(y: _Labels, said: _Labels) -> Value:
    """Mean recall over the classes in ``y``; None with fewer than two."""
    classes = np.unique(y)
    return float(np.mean([np.mean(said[y == c] == c) for c in classes])) if classes.size > 1 else None


def scores(y: _Labels, p: _P) -> dict[str, Value]:
    """``SCORES`` of windows labelled ``y`` (n,) by probabilities ``p`` (n, C); None where there is nothing to tell."""
    if not y.size:
        return dict.fromkeys(SCORES)
    from sklearn.metrics import f1_score

    said = p.argmax(axis=1)
    return {
        "balanced_accuracy": balanced_accuracy(y, said),
        "accuracy": float(np.mean(said == y)),
        "macro_f1": float(f1_score(y, said, labels=np.unique(y), average="macro", zero_division=0)),
        "auroc": auroc(y, p),
        "ece": ece(y, p),
        "brier": float(np.square(p - np.eye(p.shape[1])[y]).sum(axis=1).mean()),
    }


def auroc(y: _Labels, p: _P) -> Value:
    """Area under the ROC curve, of several classes the mean over each against the rest; None with fewer than two in ``y``."""
    from sklearn.metrics import roc_auc_score

    there = np.unique(y)
    if there.size < 2:
        return None
    if p.shape[1] == 2:
        return float(roc_auc_score(y, p[:, 1]))
    return float(np.mean([roc_auc_score(y == c, p[:, c]) for c in there]))


def reliability(y: _Labels, p: _P) -> list[dict[str, float | int]]:
    """Bins of confidence that hold a window: their bounds, windows, mean confidence and accuracy."""
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    place = np.clip((confidence * BINS).astype(np.int64), 0, BINS - 1)
    return [
        {
            "low": b / BINS,
            "high": (b + 1) / BINS,
            "n": int((place == b).sum()),
            "confidence": float(confidence[place == b].mean()),
            "accuracy": float(right[place == b].mean()),
        }
        for b in np.unique(place).tolist()
    ]


def ece(y: _Labels, p: _P) -> Value:
    """Expected calibration error: mean gap between confidence and accuracy over the bins, weighted by their windows."""
    bins = reliability(y, p)
    return float(sum(b["n"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / y.size) if y.size else None


def selective(y: _Labels, p: _P) -> list[dict[str, float]]:
    """Share of wrong windows among the most confident 100, 90, 80 and 70 %."""
    order = np.argsort(-p.max(axis=1), kind="stable")
    wrong = (p.argmax(axis=1) != y)[order]
    kept = [max(1, round(share * y.size)) for share in COVERAGES] if y.size else []
    return [{"coverage": c, "risk": float(wrong[:n].mean())} for c, n in zip(COVERAGES, kept, strict=False)]


def confusion(y: _Labels, p: _P) -> list[list[int]]:
    """Windows of class i (row) taken for j (column)."""
    from sklearn.metrics import confusion_matrix

    table: list[list[int]] = confusion_matrix(y, p.argmax(axis=1), labels=np.arange(p.shape[1])).tolist()
    return table


def of_person(played: Played) -> dict[str, Value]:
    """The person's scores on the counted windows; of distributions the measures of label distribution learning, each trial
    counting the same."""
    rows = played.counted
    if played.truth.shares is None:
        return scores(played.truth.label[rows], played.probabilities[rows])
    if not rows.any():
        return dict.fromkeys(MEASURES)
    p = played.probabilities[rows].astype(np.float64)
    truth = played.truth.shares[rows].astype(np.float64)
    return {**measures(truth / truth.sum(1, keepdims=True), p / p.sum(1, keepdims=True), played.truth.trial[rows])}


def mean_shares(played: Sequence[Played], names: Sequence[str]) -> dict[str, dict[str, float]] | None:
    """Of distributions the mean share of each part, ``reported`` and ``predicted``: over the windows of a trial, then over a
    person's trials, then over people. None where nothing was counted."""
    means = []
    for one in played:
        rows, shares = one.counted, one.truth.shares
        if shares is None or not rows.any():
            continue
        trials = [rows & (one.truth.trial == name) for name in np.unique(one.truth.trial[rows])]
        both = np.stack([shares, one.probabilities]).astype(np.float64)
        means.append(np.mean([both[:, trial].mean(axis=1) for trial in trials], axis=0))
    if not means:
        return None
    reported, predicted = np.mean(means, axis=0)
    reported, predicted = reported / reported.sum(), predicted / predicted.sum()
    return {
        "reported": dict(zip(names, reported.tolist(), strict=True)),
        "predicted": dict(zip(names, predicted.tolist(), strict=True)),
    }


def spread(values: Mapping[str, Sequence[Value]]) -> dict[str, Any]:
    """``mean``, ``std`` and ``per_subject`` of {subject: a value a seed}; what is None is left out. With several seeds
    ``std_over_seeds`` too, of the mean over people."""
    people = {name: _mean(row) for name, row in values.items()}
    known = [value for value in people.values() if value is not None]
    out: dict[str, Any] = {"mean": _mean(known), "std": float(np.std(known)) if known else None, "per_subject": people}
    seeds = list(zip(*values.values(), strict=True))
    if len(seeds) > 1:
        means = [mean for seed in seeds if (mean := _mean(seed)) is not None]
        out["std_over_seeds"] = float(np.std(means)) if means else None
    return out


def _mean(values: Sequence[Value]) -> Value:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def by_minute(played: Sequence[Played], others: Sequence[Played]) -> list[dict[str, float | int | None]]:
    """Share of right windows (of distributions: the share in common) by minute of the recording, over all people, with and
    without adaptation; ``others`` are the same windows without. Windows before ``after`` are in it."""
    minute, right = _right(played)
    minute_without, right_without = _right(others)
    return [
        {
            "minute": int(m),
            "n": int((minute == m).sum()),
            "with": _mean(right[minute == m].tolist()),
            "without": _mean(right_without[minute_without == m].tolist()),
        }
        for m in np.unique(np.concatenate([minute, minute_without]))
    ]


def _right(played: Sequence[Played]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    minutes, rights = [np.zeros(0, np.int64)], [np.zeros(0)]
    for one in played:
        rows = (one.truth.label >= 0) & (one.reason == "")
        p = one.probabilities[rows]
        if one.truth.shares is None:
            right = (p.argmax(axis=1) == one.truth.label[rows]).astype(np.float64)
        else:
            right = np.minimum(p, one.truth.shares[rows]).sum(axis=1, dtype=np.float64)
        # A window belongs to the minute that it ends in: at 60.0 s that is still the first.
        minutes.append(np.maximum(np.ceil(one.t_end_s[rows] / 60).astype(np.int64) - 1, 0))
        rights.append(right)
    return np.concatenate(minutes), np.concatenate(rights)
