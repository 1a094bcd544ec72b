"""What an evaluation says: its folds counted, as the JSON that ``streamaffect evaluate --json`` writes and the tables show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from streamaffect.evaluate import metrics
from streamaffect.evaluate.folds import ADAPTED, ROTATED, ROTATED_UNADAPTED, UNADAPTED, Fold
from streamaffect.evaluate.people import SCHEMA
from streamaffect.evaluate.played import Played
from streamaffect.evaluate.runs import Evaluated
from streamaffect.messages import EventType
from streamaffect.methods.distributions import MEASURES

# Play of a fold -> key of the JSON, whose value is {mean, std, per_subject} of the first score.
BESIDE = {
    UNADAPTED: "without_adaptation",
    ROTATED: "rotated",
    ROTATED_UNADAPTED: "rotated_without_adaptation",
    "source_only": "source_only",
    "zscore": "zscore",
    "mean_report": "mean_report",
    "knn": "knn",
}
_COUNTS = {
    "swaps": EventType.ADAPTATION_DEPLOYED,
    "refusals": EventType.ADAPTATION_REJECTED,
    "failures": EventType.ADAPTATION_FAILED,
    "rolled_back": EventType.ROLLED_BACK,
}


def figures(done: Evaluated, command: str, controls: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The whole evaluation in plain values; ``controls`` None: they were not run."""
    exclusive, recipe = done.exclusive, done.recipe
    names: Sequence[str] = metrics.SCORES if exclusive else tuple(MEASURES)
    mains = [fold.main for fold in done.folds]
    out: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": done.kind,
        "protocol": done.settings.protocol,
        "datasets": list(done.datasets),
        "classes": [entry.name for entry in recipe.classes],
        "class_labels": None if done.classes is None else done.classes.provenance(),
        "target": recipe.target,
        "views": [view.name for view in recipe.views],
        "method": done.method or "none",
        "adapts": any(ADAPTED in fold.plays for fold in done.folds),
        "params": dict(done.settings.params),
        "model": dict(done.model) or None,
        "n_subjects": len({fold.subject for fold in done.folds}),
        "n_windows": int(sum(play.counted.sum() for play in mains)),
        "left_out": dict(done.left_out),
    }
    if done.settings.protocol == "online":
        out |= {"after_s": done.settings.after_s, "delay_s": done.settings.delay_s}
    out |= _scores(done.folds, names)
    first = names[0] if exclusive else "kl"
    there = {play for fold in done.folds for play in fold.plays}
    if ADAPTED not in there and ROTATED_UNADAPTED in there:  # nothing adapts: one play stands for both
        there = (there | {ROTATED}) - {ROTATED_UNADAPTED}
    out |= {key: _beside(done.folds, play, first) for play, key in BESIDE.items() if play in there}
    if exclusive:
        out |= _of_classes(mains, len(recipe.classes))
    else:
        out["distribution"] = metrics.mean_shares(mains, out["classes"])
    out |= {"coverage": _over(done.folds, lambda fold: _coverage(fold.main)), "by_minute": _by_minute(done.folds)}
    out["adaptation"] = {key: sum(play.count(kind) for play in mains) for key, kind in _COUNTS.items()}
    out["tests"] = tests(out, first)
    out["controls"] = {"run": controls is not None, **(controls or {})}
    return {**out, "seeds": list(range(done.seeds)), "command": command}


def _over(folds: Sequence[Fold], value: Callable[[Fold], float | None]) -> dict[str, Any]:
    """``value`` of each person, by seed, summed up."""
    seeds = sorted({fold.seed for fold in folds})
    table: dict[str, list[float | None]] = {fold.subject: [None] * len(seeds) for fold in folds}
    for fold in folds:
        table[fold.subject][seeds.index(fold.seed)] = value(fold)
    return metrics.spread(table)


def _scores(folds: Sequence[Fold], names: Sequence[str]) -> dict[str, Any]:
    values = {fold: metrics.of_person(fold.main) for fold in folds}

    def of(name: str) -> Callable[[Fold], float | None]:
        return lambda fold: values[fold][name]

    return {name: _over(folds, of(name)) for name in names}


def _beside(folds: Sequence[Fold], play: str, score: str) -> dict[str, Any]:
    def value(fold: Fold) -> float | None:
        played = fold.plays.get(play, fold.plays.get(ROTATED_UNADAPTED) if play == ROTATED else None)
        return None if played is None else metrics.of_person(played)[score]

    return _over(folds, value)


def _of_classes(mains: Sequence[Played], classes: int) -> dict[str, Any]:
    """What is counted over all people's windows, where the classes exclude each other."""
    y = np.concatenate([play.y for play in mains])
    p = np.concatenate([play.probabilities[play.counted] for play in mains])
    common = np.bincount(y, minlength=classes)
    return {
        "chance": 1 / classes,
        "majority": float(common.max() / common.sum()) if y.size else None,
        "selective": metrics.selective(y, p),
        "confusion": metrics.confusion(y, p) if y.size else np.zeros((classes, classes), np.int64).tolist(),
        "reliability": metrics.reliability(y, p) if y.size else [],
    }


def _coverage(play: Played) -> float | None:
    asked = int(play.asked.sum())
    return float(play.counted.sum() / asked) if asked else None


def _by_minute(folds: Sequence[Fold]) -> list[dict[str, Any]]:
    return metrics.by_minute([fold.main for fold in folds], [fold.plays[UNADAPTED] for fold in folds])


def tests(out: Mapping[str, Any], first: str) -> list[dict[str, Any]]:
    """Paired two-sided Wilcoxon tests over people of ``first`` against each row beside it, p corrected to q by Benjamini and
    Hochberg over all comparisons made here."""
    beside = ("zscore", "source_only", "mean_report", "knn", *(("without_adaptation",) if out["adapts"] else ()))
    pairs = [(first, key) for key in beside if key in out]
    if "rotated_without_adaptation" in out:
        pairs.append(("rotated", "rotated_without_adaptation"))
    found = [test for a, b in pairs if (test := _paired(out, a, b)) is not None]
    if found:
        from scipy.stats import false_discovery_control

        for test, q in zip(found, false_discovery_control([test["p"] for test in found]), strict=True):
            test["q"] = float(q)
    return found


def _paired(out: Mapping[str, Any], a: str, b: str) -> dict[str, Any] | None:
    left, right = out[a]["per_subject"], out[b]["per_subject"]
    both = [(left[name], right[name]) for name in left if left[name] is not None and right.get(name) is not None]
    if len(both) < 2:
        return None
    from scipy.stats import wilcoxon

    difference = np.asarray([x - y for x, y in both])
    p = float(wilcoxon(difference).pvalue) if np.any(difference) else 1.0
    named = {"balanced_accuracy": "method", "kl": "method"}
    return {"a": named.get(a, a), "b": b, "n": len(both), "difference": float(difference.mean()), "p": p}
