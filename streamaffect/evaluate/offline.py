"""The protocols that look at a person's windows as a set: ``transductive`` (the papers') and ``split`` (dynAmiC's)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from streamaffect import methods
from streamaffect.bundle.build import Windows, normalise_in_order
from streamaffect.bundle.bundle import WEIGHTS, Bundle, SourceMemory
from streamaffect.evaluate.played import Played, Truth
from streamaffect.features.extract import Extractor, specs_of
from streamaffect.features.personal import AnyPrior
from streamaffect.features.views import View
from streamaffect.runtime.smoothing import both_ways
from streamaffect.signals import Float32, Float64, Recording

MANY_TRIALS = 8  # from so many on trials are dealt out whole, else cut in two
TOO_FEW = "too few windows to split between adaptation and score"
Rows = npt.NDArray[np.bool_]


def parts(trial: npt.NDArray[np.str_], t_end_s: Float64, context_s: float, seed: int) -> tuple[Rows, Rows]:
    """Windows (n,) to adapt on and windows to be scored, no raw sample in both; labels are not asked.

    dynAmiC (Section IV) splits a target 25/25/50 by trial: a few labelled, unlabelled, test. No label is read here, so the
    first two are one part. With fewer than ``MANY_TRIALS`` trials each is cut in the middle, and windows across the cut are
    left out: what is adapted on ends a context before the first window that is scored does. Trials too short for that are
    scored and adapted on by turns.
    """
    start_s = t_end_s - context_s
    adapt, score = np.zeros(trial.size, np.bool_), np.zeros(trial.size, np.bool_)
    names = [name for name in dict.fromkeys(trial.tolist()) if name]
    if len(names) >= MANY_TRIALS:
        dealt = np.random.default_rng(seed).permutation(names)
        adapt = np.isin(trial, dealt[: len(names) // 2])
        return adapt, (trial != "") & ~adapt
    short = 0
    for name in names:
        own = trial == name
        middle_s = (start_s[own].min() + t_end_s[own].max()) / 2
        before, after = own & (t_end_s <= middle_s), own & (start_s >= middle_s) & (t_end_s > middle_s)
        if before.any() and after.any():
            adapt, score = adapt | before, score | after
        else:
            adapt, score = (adapt, score | own) if short % 2 == 0 else (adapt | own, score)
            short += 1
    return adapt, score


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned of the source people: the model, the priors of its views, what adaptation trains on, and over how long
    its answers are averaged."""

    model: methods.Model
    views: tuple[View, ...]
    priors: Mapping[str, AnyPrior]
    memory: Callable[[], SourceMemory]
    smoothing_s: float = 0.0

    @classmethod
    def of(cls, bundle: Bundle) -> Self:
        model, memory = methods.load(bundle.path / WEIGHTS), partial(SourceMemory.load, bundle)
        return cls(model, bundle.views, bundle.priors, memory, bundle.manifest.smoothing_s)


def transductive(learned: Learned, windows: Windows, method: str | None, params: Mapping[str, Any], seed: int) -> Played:
    """Normalised by, adapted on and scored on all of the person's windows."""
    every = np.ones(len(windows), np.bool_)
    x = normalise_in_order(windows, np.arange(len(windows)), learned.priors, whole=True)
    return _predicted(learned, windows, x, every, every, method, params, seed)


def split(learned: Learned, windows: Windows, method: str | None, params: Mapping[str, Any], seed: int) -> Played:
    """Normalised by and adapted on one part of the person's windows, scored on the other.

    Raises:
        ValueError: one of the parts is empty.
    """
    adapt, score = parts(windows.trial, windows.t_end_s, max(view.seconds for view in learned.views), seed)
    if not (adapt.any() and score.any()):
        raise ValueError(f"{windows.subject[0]}: {TOO_FEW}")
    extractor = Extractor(learned.views, learned.priors)
    for key, normaliser in extractor.normalisers.items():
        for row in windows.plain[key][adapt]:
            normaliser.update(row)
    x = {key: extractor.normalise(key, plain) for key, plain in windows.plain.items()}
    return _predicted(learned, windows, x, adapt, score, method, params, seed)


def _predicted(
    learned: Learned,
    windows: Windows,
    x: Mapping[str, Float32],
    adapt: Rows,
    score: Rows,
    method: str | None,
    params: Mapping[str, Any],
    seed: int,
) -> Played:
    model = learned.model
    if method is not None:
        # One stretch of time: where trials begin and end is not told.
        stretch = np.zeros(int(adapt.sum()), np.int64)
        target = methods.UnlabelledSet({key: value[adapt] for key, value in x.items()}, stretch)
        # The views are normalised before.
        learner = methods.get(method, **{"normalise": None, **params})
        model = learner.adapt(model, learned.memory().known(), target, seed=seed, device="cpu")
    said = model.predict_proba(x)
    for part in (score, ~score):  # what is scored listens to nothing else
        said[part] = both_ways(said[part], windows.t_end_s[part], learned.smoothing_s)
    n = len(windows)
    return Played(
        subject=str(windows.subject[0]),
        t_end_s=windows.t_end_s,
        probabilities=said,
        reason=np.full(n, "", "<U32"),
        truth=Truth(windows.y, windows.trial, windows.shares),
        version=np.full(n, 0 if method is None else 1, np.int64),
        scored=score,
    )


def with_silent(played: Played, bundle: Bundle, recording: Recording) -> Played:
    """The windows of the recording that were not to be trusted added, as abstained: they count in the coverage."""
    specs = specs_of(recording, bundle.views)
    signals = [s for s in recording.signals if s.spec in specs.values()]
    origin_s, hop_s = min(s.start_s for s in signals), bundle.manifest.hop_s
    count = int((min(s.end_s for s in signals) - origin_s) / hop_s + 1e-6)
    ends = origin_s + hop_s * np.arange(1, count + 1)
    there = np.isclose(ends[:, None], played.t_end_s[None], atol=1e-6).any(axis=1)
    silent = ends[~there]
    context_s = max(view.seconds for view in bundle.views)
    truth = Truth.of(recording, silent, context_s, bundle.classes, bundle.manifest.target)
    order = np.argsort(np.concatenate([played.t_end_s, silent]), kind="stable")

    def both(mine: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.concatenate([mine, theirs])[order]

    classes = len(bundle.classes)
    shares = None
    if played.truth.shares is not None and truth.shares is not None:
        shares = both(played.truth.shares, truth.shares)
    return Played(
        subject=played.subject,
        t_end_s=both(played.t_end_s, silent),
        probabilities=both(played.probabilities, np.full((silent.size, classes), 1 / classes, np.float32)),
        reason=both(played.reason, np.full(silent.size, "untrusted")),
        truth=Truth(both(played.truth.label, truth.label), both(played.truth.trial, truth.trial), shares),
        version=both(played.version, np.zeros(silent.size, np.int64)),
        scored=both(played.scored, np.full(silent.size, played.scored.all())),
        events=played.events,
    )
