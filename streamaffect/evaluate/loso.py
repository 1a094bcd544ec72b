"""The figures of a card: leave-one-subject-out, each stranger under two protocols by one bundle that never met them.

Labels of the stranger enter the final metric and nothing else. It is :mod:`streamaffect.evaluate.runs` for ``streamaffect
train``: the same folds, plays and pieces of work.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from streamaffect import methods
from streamaffect.bundle.build import Recipe, Windows
from streamaffect.evaluate import baselines, folds, metrics, people
from streamaffect.evaluate.bundle_on import Settings, bundle_on
from streamaffect.evaluate.folds import Training
from streamaffect.evaluate.online import rotated, turned_scored
from streamaffect.evaluate.people import Gather, People
from streamaffect.evaluate.played import Played
from streamaffect.evaluate.runs import Desk, identity
from streamaffect.methods.distributions import measures
from streamaffect.signals import Float32

SETTLED_S = 60.0  # causal figures begin here
ADAPT_AT_S = 120.0  # those with adaptation on the way here


@dataclass(frozen=True, slots=True)
class Fold:
    """Balanced accuracy of one stranger, or where labels are distributions the share that report and prediction have in
    common (their intersection, 0..1), each trial counting the same; None where a class has no window left to count."""

    subject: str
    windows: int
    # Logistic regression on the vector views, standardised over the source people; of distributions: the source people's mean
    lr_source: float
    # Logistic regression, each person standardised by all of their own windows; of distributions: the nearest windows' mean
    lr_zscore: float
    source: float  # the model, normalised by all of the stranger's unlabelled windows
    adapted: float  # and adapted on them
    causal: float | None  # the model as the engine plays it, after SETTLED_S
    causal_rotated: float | None  # the same with the start rotated to another state
    causal_before: float | None  # after ADAPT_AT_S, not adapted
    causal_adapted: float | None  # after ADAPT_AT_S, adapted on the way as it would be live
    probabilities: Float32  # (n, C) of `causal`, every labelled window: for the temperature
    labels: npt.NDArray[Any]  # (n,) classes or (n, C) distributions


FIGURES = ("lr_source", "lr_zscore", "source", "adapted", "causal", "causal_rotated", "causal_before", "causal_adapted")
_WHOLE, _ADAPTED, _CAUSAL, _ROTATED, _LIVE = "whole", "adapted", "causal", "rotated", "live"


@dataclass(frozen=True, slots=True)
class _Stranger:
    """The piece of work that makes one fold's plays."""

    who: People
    subject: str
    method: str
    training: Training

    @property
    def file(self) -> str:
        return f"fold-{quote(self.subject, safe='')}.npz"

    def do(self, folder: Path, out: Path) -> None:
        recipe, training = self.training.recipe, self.training
        own = people.load(folder / Gather(self.who, recipe, self.subject).file)
        if isinstance(own, str):
            raise ValueError(own)  # noqa: TRY004 - the reason why there are none
        keys = [view.key for view in recipe.views if view.is_vector]
        with tempfile.TemporaryDirectory(prefix="streamaffect-loso-") as work:
            bundle = training.make(folder, Path(work) / recipe.name)
            plays = self._plays(partial(bundle_on, bundle), own)
        for name, p in baselines.of_windows(training.windows(folder), own, keys, len(recipe.classes)).items():
            plays[name] = baselines.aligned(plays[_WHOLE], own, p)
        folds.Fold(self.subject, training.seed, plays).save(out)

    def _plays(self, on: Callable[..., Played], own: Windows) -> dict[str, Played]:
        recording = self.who.load(self.subject)
        whole, live = (
            Settings(protocol, self.training.params, self.training.seed, after_s=SETTLED_S)
            for protocol in ("transductive", "online")
        )
        plays = {
            _WHOLE: on(recording, None, whole, own),
            _ADAPTED: on(recording, self.method, whole, own),
            _CAUSAL: on(recording, None, live),
            _LIVE: on(recording, self.method if self.method != "source" else None, live),
        }
        if (turned := rotated(recording)) is not None:
            plays[_ROTATED] = turned_scored(on(turned, None, live), turned)
        return plays


def fold(saved: folds.Fold) -> Fold:
    """The figures of one stranger's plays."""
    plays = saved.plays
    causal = _after(plays[_CAUSAL], 0.0)
    shares = causal.truth.shares is not None
    first = {"lr_source": "mean_report", "lr_zscore": "knn"} if shares else {"lr_source": "source_only", "lr_zscore": "zscore"}

    def score(name: str, after_s: float | None = None) -> float | None:
        if name not in plays:
            return None
        played = plays[name] if after_s is None else _after(plays[name], after_s)
        return metrics.of_person(played)["intersection" if shares else "balanced_accuracy"]

    return Fold(
        subject=saved.subject,
        windows=int(plays[_WHOLE].counted.sum()),
        **{figure: score(name) or 0.0 for figure, name in first.items()},
        source=score(_WHOLE) or 0.0,
        adapted=score(_ADAPTED) or 0.0,
        causal=score(_CAUSAL),
        causal_rotated=score(_ROTATED),
        causal_before=score(_CAUSAL, ADAPT_AT_S),
        causal_adapted=score(_LIVE, ADAPT_AT_S),
        probabilities=causal.probabilities[causal.counted],
        labels=causal.y,
    )


def _after(played: Played, after_s: float) -> Played:
    return replace(played, scored=played.t_end_s > after_s)


def loso(
    who: People,
    windows: Windows,
    recipe: Recipe,
    method: str,
    params: Mapping[str, Any],
    *,
    seed: int = 0,
    processes: int = 2,
    progress: Callable[[Fold], None] | None = None,
    out: Path | None = None,
    only: Collection[str] | None = None,
) -> list[Fold]:
    """All folds of ``windows``, those of ``who`` (or of ``only`` these of them), in ``processes`` processes of one thread each;
    people with one class only are not tested on. What is finished is kept until all is (in ``out`` for good), so that a run
    that was killed goes on.

    Raises:
        ValueError: fewer than two people have windows of two classes.
    """
    kind = windows.y if windows.shares is None else windows.trial
    everybody = list(dict.fromkeys(windows.subject.tolist()))
    known = {name: np.unique(kind[(windows.subject == name) & (windows.y >= 0)]).size for name in everybody}
    tested = [name for name in everybody if known[name] > 1]
    if len(tested) < 2:
        what = "classes" if windows.shares is None else "reports"
        raise ValueError(f"leave-one-subject-out needs two people with two {what}, there are {len(tested)}")
    shown: set[str] = set()

    def tell(*_: object) -> None:
        for piece in pieces:
            if progress is not None and piece.file not in shown and (folder / piece.file).exists():
                shown.add(piece.file)
                progress(fold(folds.Fold.load(folder / piece.file)))

    desk = Desk(out, processes, tell)
    settings = Settings("online", params, seed, after_s=SETTLED_S)
    folder = desk.folder({"kind": "card", "method": method, **identity(who, settings, recipe)})
    files = {name: Gather(who, recipe, name).file for name in everybody}
    for name, file in files.items():
        people.save(folder / file, windows.take(windows.subject == name))
    others = {name: tuple(files[other] for other in who.others(name, files)) for name in tested}
    pieces = [
        _Stranger(who, name, method, Training(recipe, method, params, seed, {}, others[name], calibrated=False))
        for name in tested
        if only is None or name in only
    ]
    desk.finish("people", pieces, folder)
    done = [fold(folds.Fold.load(folder / piece.file)) for piece in pieces]
    if out is None:
        shutil.rmtree(folder)
    return done


def summary(folds: list[Fold]) -> dict[str, float | int | dict[str, float]]:
    """Mean and standard deviation over people of every figure, the number of people, chance and the temperature; of
    distributions no chance, but the measures of label distribution learning, of the model as it streams."""
    out: dict[str, float | int | dict[str, float]] = {"subjects": len(folds)}
    if folds[0].labels.ndim == 1:
        out["chance"] = round(1 / folds[0].probabilities.shape[1], 4)
    for name in FIGURES:
        values = [value for fold in folds if (value := getattr(fold, name)) is not None]
        if values:
            out[name] = {"mean": round(float(np.mean(values)), 4), "std": round(float(np.std(values)), 4), "n": len(values)}
    probabilities = np.concatenate([fold.probabilities for fold in folds])
    labels = np.concatenate([fold.labels for fold in folds])
    if labels.ndim == 2:
        subject = np.concatenate([np.repeat(fold.subject, len(fold.labels)) for fold in folds])
        out["measures"] = {name: round(value, 4) for name, value in measures(labels, probabilities, subject).items()}
    else:
        risks = metrics.selective(labels, probabilities)
        out["risk"] = {f"{100 * r['coverage']:.0f}": round(r["risk"], 4) for r in risks if r["coverage"] in (1.0, 0.8)}
    out["temperature"] = round(float(methods.fit_temperature(probabilities, labels)), 4)
    return out


assert set(FIGURES) <= {field.name for field in fields(Fold)}  # noqa: S101 - a name mistyped here is found at import
