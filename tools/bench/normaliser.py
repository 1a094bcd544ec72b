"""What each part of the per-person normaliser is worth, leave one person out; and `consistency` on top of it.

    OMP_NUM_THREADS=1 python tools/bench/normaliser.py DIR [wesad3] [wesad2] [ecg]

DIR holds wesad_wrist and eegmat. Balanced accuracy (mean over people) of the logistic regression that `zscore` is: looking
back on the whole recording (the model as it was learnt, then adapted), as the windows flow by after 120 s, and the same with
the recording begun in another state (counted from the middle of its first trial at the latest). All that is learnt is learnt
on the other people. The blocks: `relative` to the running mean, the person's own `level` among people, relative to the
`middle` of what was reached so far, distances from its `extremes`.

                                        consistency  whole  adapted  streams  turned
    wesad3  relative                              0   0.783   0.806   0.722   0.701
    wesad3  relative                              1   0.789   0.820   0.731   0.702
    wesad3  relative, level                       0   0.724   0.769   0.761   0.800
    wesad3  relative, level                       1   0.788   0.835   0.770   0.794
    wesad3  relative, middle                      0   0.813   0.831   0.789   0.776
    wesad3  relative, middle                      1   0.814   0.813   0.788   0.787
    wesad3  relative, middle, level               0   0.738   0.741   0.780   0.827
    wesad3  relative, middle, level               1   0.820   0.824   0.814   0.819
    wesad3  relative, middle, extremes            0   0.793   0.777   0.753   0.836
    wesad3  relative, middle, extremes            1   0.765   0.789   0.768   0.802
    wesad3  all                                   0   0.749   0.766   0.773   0.820
    wesad3  all                                   1   0.775   0.799   0.786   0.835
    ecg     relative                              0   0.956   0.966   0.933   0.723
    ecg     relative                              1   0.958   0.969   0.933   0.722
    ecg     relative, level                       0   0.959   0.965   0.913   0.692
    ecg     relative, level                       1   0.958   0.966   0.926   0.713
    ecg     relative, middle                      0   0.963   0.971   0.913   0.747
    ecg     relative, middle                      1   0.959   0.970   0.904   0.747
    ecg     relative, middle, level               0   0.966   0.976   0.899   0.734
    ecg     relative, middle, level               1   0.963   0.966   0.899   0.745
    ecg     relative, middle, extremes            0   0.958   0.970   0.918   0.838
    ecg     relative, middle, extremes            1   0.952   0.966   0.902   0.831
    ecg     all                                   0   0.958   0.976   0.911   0.834
    ecg     all                                   1   0.952   0.966   0.902   0.827

Where a session begins in another state, `middle` with `level` or `extremes` is worth .1; what so many blocks cost on wesad3
looking back, `consistency` gives back. `turned` puts the same windows in another order; the engine, which plays the recording
so (`evaluate loso`), also meets half-filled windows at the start and those across the seam: .70 to .76 on ecg. A difference of
.03 on wesad3 is one class of one of eleven people.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamaffect.bundle.build import Recipe, Windows, gather, normalise_in_order
from streamaffect.bundle.bundle import ClassEntry
from streamaffect.evaluate.labels import ClassMap
from streamaffect.evaluate.metrics import balanced_accuracy
from streamaffect.evaluate.offline import Learned, transductive
from streamaffect.evaluate.online import AFTER_S
from streamaffect.evaluate.people import People
from streamaffect.evaluate.trained import learn
from streamaffect.features import views
from streamaffect.runtime.smoothing import Smoother

WRIST = (views.ppg_pulse, views.ppg_prv, views.eda_stats, views.eda_tonic, views.temp_stats)
WEIGHTS = {"location_weight": 1, "scale_weight": 4, "inertia": 2}
BLOCKS = {
    "relative": {"level": False},
    "relative, level": {},
    "relative, middle": {"level": False, "middle": True},
    "relative, middle, level": {"middle": True},
    "relative, middle, extremes": {"level": False, "middle": True, "extremes": True},
    "all": {"middle": True, "extremes": True},
}
PARAMS = {"C": 3.0, "self_training": True, "normalise": None}


def task(name: str, root: Path) -> tuple[Windows, Recipe]:
    """The windows of everybody, and the recipe but for its normaliser."""
    if name == "ecg":
        dataset, told, hop_s, smoothing_s, chosen = "eegmat", "rest,load", 5.0, 5.0, (views.ecg_hrv(seconds=30),)
    else:
        told = "baseline,stress,amusement" if name == "wesad3" else "rest=baseline+amusement,stress"
        dataset, hop_s, smoothing_s, chosen = "wesad_wrist", 10.0, 30.0, tuple(make(seconds=60) for make in WRIST)
    classes = ClassMap.parse(told)
    people = People.of(dataset, root / dataset).labelled(classes, "label")
    recipe = Recipe(name, chosen, tuple(ClassEntry(name=c) for c in classes.classes), hop_s, smoothing_s=smoothing_s, orders=6)
    return gather(people, recipe), recipe


def turned(windows: Windows, context_s: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], float]:
    """The order of one person's windows begun in another state, their times, and from when on they count."""
    t, labelled = windows.t_end_s, np.flatnonzero(windows.y >= 0)
    cut = int(labelled[np.argmax(windows.y[labelled] != windows.y[labelled[0]])])
    first = windows.trial == windows.trial[cut]
    start_s = t[cut] - context_s
    after = t - context_s >= start_s - 1e-3
    order = np.concatenate([np.flatnonzero(after), np.flatnonzero(~after)])
    times = np.concatenate([t[after] - start_s, t[~after] + t[-1] - start_s])
    return order, times, min(AFTER_S, (t[first].max() - start_s) / 2)


def flowing(learned: Learned, windows: Windows, order: npt.NDArray[np.int64], t_end_s: npt.NDArray[np.float64]) -> np.ndarray:
    """Classes (n,) that the model tells of one person's windows in that order."""
    said = learned.model.predict_proba(normalise_in_order(windows, order, learned.priors))
    smoother = Smoother(learned.smoothing_s)
    return np.stack([smoother(p, float(t)) for p, t in zip(said, t_end_s, strict=True)]).argmax(axis=1)


def fold(windows: Windows, recipe: Recipe, consistency: float, subject: str) -> tuple[float, ...]:
    """Of ``subject``, of whom nothing was learnt: whole, adapted, as it streams, begun in another state."""
    source, target = windows.take(windows.subject != subject), windows.take(windows.subject == subject)
    params = {**PARAMS, "consistency": consistency}
    learned, _ = learn(source, recipe, "zscore", params, 0)
    known = target.y >= 0
    found = []
    for method in (None, "zscore"):
        said = transductive(learned, target, method, params, 0).probabilities.argmax(axis=1)
        found.append(balanced_accuracy(target.y[known], said[known]))
    native = np.arange(len(target)), target.t_end_s, AFTER_S
    for order, t_end_s, after_s in (native, turned(target, recipe.context_s)):
        counted = known[order] & (t_end_s > after_s)
        found.append(balanced_accuracy(target.y[order][counted], flowing(learned, target, order, t_end_s)[counted]))
    return tuple(np.nan if score is None else score for score in found)


def rows(windows: Windows, recipe: Recipe, pool: ProcessPoolExecutor) -> Iterator[tuple[str, float, np.ndarray]]:
    """Of each normaliser, without and with consistency: the figures of everybody with two classes."""
    people = [s for s in np.unique(windows.subject) if len(set(windows.y[(windows.subject == s) & (windows.y >= 0)])) > 1]
    for name, blocks in BLOCKS.items():
        with_blocks = replace(recipe, prior_options={**WEIGHTS, **blocks})
        for consistency in (0.0, 1.0):
            told = list(pool.map(partial(fold, windows, with_blocks, consistency), people))
            yield name, consistency, np.nanmean(told, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="DIR", help="folder that holds the data sets by their names")
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="wesad3, wesad2, ecg (default: all)")
    args = parser.parse_args()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        print(f"{'':<7} {'':<28}consistency  whole  adapted  streams  turned")
        for name in args.tasks or ["wesad3", "wesad2", "ecg"]:
            for blocks, consistency, found in rows(*task(name, args.root), pool):
                print(f"{name:<7} {blocks:<28}{consistency:11g}" + "".join(f"{value:8.3f}" for value in found), flush=True)


if __name__ == "__main__":
    main()
