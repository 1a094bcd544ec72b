"""Where PANAS' items stand in valence and arousal, learnt from people who rated both: PANAS and SAM after each trial.

    python tools/panas_places.py DIR/wesad_wrist

SAM's 1..9 becomes -1..1. An item's place (v, a) is such that a report's shares, weighing the places, tell its SAM rating:
ridge regression towards the mean rating, each place within -1..1. Few people rated (54 reports of 11), and with a weak ridge
items land where nobody would put them: it is the largest of ``RIDGES`` that tells the ratings of people left out no worse than
the best by more than two standard errors of that difference. What it reaches is printed beside what the mean rating does.
Places are weights to read a report by, not what words mean: an item that nobody feels has a larger share where all are low.
Prints `streamaffect train`'s flags.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import lsq_linear

from streamaffect import datasets
from streamaffect.bundle.build import classes_of

Float64 = npt.NDArray[np.float64]
AXES = ("valence", "arousal")
RIDGES = (1.0, 3.0, 10.0, 30.0, 100.0)  # in units of the items' mean variance


class Ratings(NamedTuple):
    """``shares`` (n, items), ``sam`` (n, 2) in -1..1, and whose they are (n,)."""

    shares: Float64
    sam: Float64
    person: npt.NDArray[np.str_]


def ratings(root: Path) -> tuple[list[str], Ratings]:
    """The items and every report that has them all and a SAM rating."""
    people = list(datasets.open("wesad_wrist", root))
    items = classes_of(people, "panas")
    shares, sam, person = [], [], []
    for recording in people:
        for trial in recording.trials:
            report = trial.distributions.get("panas", {})
            rated = [recording.meta.get(f"{trial.name}/sam.{axis}") for axis in AXES]
            if None not in rated and all(item in report for item in items):
                shares.append([report[item] for item in items])
                sam.append([(float(value) - 5) / 4 for value in rated if value is not None])
                person.append(recording.subject)
    x = np.asarray(shares)
    return items, Ratings(x / x.sum(axis=1, keepdims=True), np.asarray(sam), np.asarray(person))


def places(shares: Float64, sam: Float64, ridge: float) -> Float64:
    """(items, 2)."""
    mean, k = sam.mean(axis=0), shares.shape[1]
    weight = np.sqrt(ridge * len(shares) * shares.var(axis=0).mean())
    # Shares sum to 1: a place that is the mean for every item tells the mean of everybody.
    left = np.concatenate([shares, weight * np.eye(k)])
    columns = []
    for axis in range(2):
        right = np.concatenate([sam[:, axis], np.full(k, weight * mean[axis])])
        columns.append(lsq_linear(left, right, bounds=(-1, 1)).x)
    return np.stack(columns, axis=1)


def errors(known: Ratings, ridge: float | None) -> Float64:
    """(people, 2) mean squared error on each left out, of the mean rating where ``ridge`` is None."""
    out = []
    for name in np.unique(known.person):
        own = known.person == name
        told: Float64 = known.sam[~own].mean(axis=0)
        if ridge is not None:
            told = known.shares[own] @ places(known.shares[~own], known.sam[~own], ridge)
        out.append(np.square(told - known.sam[own]).mean(axis=0))
    return np.stack(out)


def chosen(tried: dict[float, Float64]) -> float:
    """The largest ridge that is not worse than the best by two standard errors, of the sum over the axes, paired by person."""
    best = min(tried, key=lambda ridge: float(tried[ridge].mean()))

    def close(ridge: float) -> bool:
        excess = (tried[ridge] - tried[best]).sum(axis=1)
        return bool(excess.mean() <= 2 * excess.std(ddof=1) / np.sqrt(excess.size))

    return max(ridge for ridge in tried if close(ridge))


def found(root: Path) -> tuple[list[str], list[str]]:
    """How well they do, a line an axis, and the flags of `streamaffect train`."""
    items, known = ratings(root)
    tried = {ridge: errors(known, ridge) for ridge in RIDGES}
    ridge = chosen(tried)
    lines = [
        f"# {axis}: mean squared error on people left out {mine:.3f}, of the mean rating {mean:.3f} (ridge {ridge:g})"
        for axis, mine, mean in zip(AXES, tried[ridge].mean(axis=0), errors(known, None).mean(axis=0), strict=True)
    ]
    at = zip(items, places(known.shares, known.sam, ridge), strict=True)
    return lines, [f"--valence-arousal {item}={v:.2f},{a:.2f}" for item, (v, a) in at]


def main(root: Path) -> None:
    for lines in found(root):
        print("\n".join(lines))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} DIR/wesad_wrist")
    main(Path(sys.argv[1]))
