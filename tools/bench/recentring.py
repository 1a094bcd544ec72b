"""What seeing each person's EEG covariances from their own mean is worth: logistic regression on eegmat, leave one out.

    OMP_NUM_THREADS=1 python tools/bench/recentring.py [ROOT]

27 people, rest against mental arithmetic, 10 s of 19 channels, balanced accuracy (mean +- SD over people; priors and
regression fitted per fold). Rest came first for everybody, so a causal figure holds what time alone tells:

                                causal after 60 s   whole recording
    eeg.de            plain       0.685 +- 0.192    0.676 +- 0.187
    eeg.de            z-scored    0.752 +- 0.208    0.784 +- 0.219
    eeg.cov           plain       0.614 +- 0.237    0.613 +- 0.235
    eeg.cov           z-scored    0.648 +- 0.204    0.614 +- 0.241
    eeg.cov           recentred   0.700 +- 0.214    0.679 +- 0.244

and with --bands theta alpha beta:

    eeg.cov           plain       0.698 +- 0.209    0.701 +- 0.204
    eeg.cov           z-scored    0.705 +- 0.211    0.704 +- 0.241
    eeg.cov           recentred   0.753 +- 0.217    0.741 +- 0.238
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from streamaffect import datasets
from streamaffect.bundle.build import Recipe, Windows, fit_priors, gather, normalise_in_order, training_set
from streamaffect.bundle.bundle import ClassEntry
from streamaffect.evaluate.baselines import logistic, matrix
from streamaffect.evaluate.metrics import balanced_accuracy
from streamaffect.features.personal import AnyPrior
from streamaffect.features.views import View, eeg_cov, eeg_de
from streamaffect.signals import Recording

SECONDS, HOP_S = 10.0, 2.0
SETTLED_S = 60.0  # causal figures begin here
PRIOR = {"level": False, "location_weight": 4.0, "scale_weight": 40.0}  # as the model that ships has
CLASSES = tuple(ClassEntry(name=name) for name in ("rest", "load"))


def recipe_of(views: tuple[View, ...], *, recentre: bool) -> Recipe:
    return Recipe("recentring", views, CLASSES, HOP_S, {**PRIOR, "recentre": recentre}, orders=2)


def fold(windows: Windows, recipe: Recipe, subject: str, *, plain: bool) -> tuple[float, float]:
    """Balanced accuracy of ``subject``, of whom nothing was learnt: causal, and by the statistics of all of their windows."""
    source, target = windows.take(windows.subject != subject), windows.take(windows.subject == subject)
    priors: Mapping[str, AnyPrior] = {} if plain else fit_priors(source, recipe)
    taught, keys = training_set(source, priors, recipe, 0), list(windows.plain)
    train = matrix(taught.x, keys)
    centre, scale = train.mean(axis=0), train.std(axis=0) + 1e-9
    rows, settled = np.arange(len(target)), target.t_end_s >= SETTLED_S
    found = []
    for whole in (False, True):
        asked = matrix(normalise_in_order(target, rows, priors, whole=whole), keys)
        said = logistic((train - centre) / scale, taught.y, (asked - centre) / scale, 2).argmax(axis=1)
        count = (target.y >= 0) & (whole | settled)
        score = balanced_accuracy(target.y[count], said[count])
        found.append(np.nan if score is None else score)
    return found[0], found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=Path, help="folder of eegmat's .npz (default: below STREAMAFFECT_DATA)")
    parser.add_argument("--bands", nargs="+", help="covariances of these bands (default: of 1 to 45 Hz)")
    args = parser.parse_args()
    people: list[Recording] = list(datasets.open("eegmat", args.root))
    sites = next(list(s.spec.channels) for s in people[0].signals if s.spec.modality == "eeg")
    de = eeg_de(channels=sites, seconds=SECONDS)
    cov = eeg_cov(channels=sites, seconds=SECONDS, bands=args.bands)
    print(f"{len(people)} people, balanced accuracy: causal after {SETTLED_S:g} s, whole", flush=True)
    for name, view in (("eeg.de", de), ("eeg.cov", cov)):
        windows = gather(people, recipe_of((view,), recentre=False))
        for how in ("plain", "z-scored", "recentred") if view.covariances else ("plain", "z-scored"):
            recipe = recipe_of((view,), recentre=how == "recentred")
            told = [fold(windows, recipe, s, plain=how == "plain") for s in np.unique(windows.subject)]
            mean, spread = np.nanmean(told, axis=0), np.nanstd(told, axis=0)
            figures = "   ".join(f"{m:.3f} +- {s:.3f}" for m, s in zip(mean, spread, strict=True))
            print(f"{name:<18}{how:<12}{figures}", flush=True)


if __name__ == "__main__":
    main()
