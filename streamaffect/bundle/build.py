"""From recordings to a bundle, by the code path of the river: the same windows, views and running statistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from streamaffect import __version__
from streamaffect.bundle.bundle import (
    CARD,
    LABEL,
    MODEL,
    SOURCE,
    WEIGHTS,
    Bundle,
    ClassEntry,
    DataEntry,
    Manifest,
    SourceMemory,
    ViewEntry,
    write,
)
from streamaffect.bundle.priors import entry_of
from streamaffect.features.extract import Extractor, windows_of
from streamaffect.features.personal import AnyPrior, fit_prior, normaliser_of
from streamaffect.features.views import View
from streamaffect.methods import LabelledSet, Method, Model, held_out
from streamaffect.signals import Float32, Recording, Trial

_SEGMENT_S = 30.0  # trials are shuffled in pieces of this length
# Windows of a play that the model is not fitted on: statistics that young say nothing of the person, and what is learnt from
# them is label noise. `streamaffect train` prints what a change here costs.
_YOUNG = 4
_COINCIDE = 1 / 6  # of the context apart: nearer windows are told once
_LEAST_CUT = 0.2  # of a trial is played at least
_GUARDS = 0.1  # of the people that a method would train on are kept for the guard, where it holds out none itself


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a bundle is made of. ``prior_options`` go to :func:`fit_prior`; ``orders`` is how often each person is played;
    ``target`` names the trials' distribution to learn, or ``label``; ``smoothing_s`` over how long answers are averaged."""

    name: str
    views: tuple[View, ...]
    classes: tuple[ClassEntry, ...]
    hop_s: float
    prior_options: Mapping[str, float] = field(default_factory=dict)
    orders: int = 4
    target: str = LABEL
    smoothing_s: float = 0.0

    @property
    def context_s(self) -> float:
        return max(view.seconds for view in self.views)


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Trustworthy windows of several people before normalisation: ``plain`` {view key: (n, ...)}, ``y`` (n,) class index or
    -1, ``subject``, ``trial`` (n,), ``t_end_s`` (n,) on the recording's clock. Where labels are distributions, they are
    ``shares`` (n, C), zero without a label, and ``y`` is the largest's index."""

    plain: dict[str, Float32]
    y: npt.NDArray[np.int64]
    subject: npt.NDArray[np.str_]
    trial: npt.NDArray[np.str_]
    t_end_s: npt.NDArray[np.float64]
    shares: Float32 | None = None

    def __len__(self) -> int:
        return self.y.size

    def take(self, rows: npt.NDArray[Any]) -> Self:
        plain = {key: value[rows] for key, value in self.plain.items()}
        shares = None if self.shares is None else self.shares[rows]
        columns = {k: getattr(self, k)[rows] for k in ("y", "subject", "trial", "t_end_s")}
        return replace(self, plain=plain, shares=shares, **columns)

    def labels(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Of labelled ``rows``: (m,) class indices, or (m, C) distributions."""
        return self.y[rows] if self.shares is None else self.shares[rows]


def classes_of(recordings: Iterable[Recording], target: str = LABEL) -> list[str]:
    """The classes that the trials know, in their order of appearance; of a distribution those that most of the trials with
    one have: an item skipped once costs that report (see :func:`gather`), not everybody's item.

    Raises:
        ValueError: no trial has that target.
    """
    trials = [trial for recording in recordings for trial in recording.trials if trial.label is not None]
    if target == LABEL:
        return list(dict.fromkeys(str(trial.label) for trial in trials))
    known = [trial.distributions[target] for trial in trials if target in trial.distributions]
    if not known:
        there = ", ".join([LABEL, *dict.fromkeys(name for trial in trials for name in trial.distributions)])
        raise ValueError(f"no trial has a target {target!r}: there is {there}")
    have = Counter(name for shares in known for name in shares)
    return [name for name, count in have.items() if 2 * count > len(known)]


def _label(trial: Trial, names: Sequence[str], target: str) -> npt.NDArray[np.float64] | None:
    """The trial's distribution (C,) over ``names``, one-hot of a label; None where it has none over all of them."""
    if target == LABEL:
        return np.eye(len(names))[names.index(trial.label)] if trial.label in names else None
    shares = trial.distributions.get(target, {})
    if not all(name in shares for name in names):
        return None
    y = np.asarray([shares[name] for name in names])
    return np.asarray(y / y.sum())


def gather(recordings: Iterable[Recording], recipe: Recipe) -> Windows:
    """Every trustworthy window of the recordings. A window has a label when it lies in one trial whole, so no two trials
    share a sample."""
    names = [entry.name for entry in recipe.classes]
    rows, y, subject, trial, t_end = [], [], [], [], []
    unknown = np.zeros(len(names))
    for recording in recordings:
        extractor = Extractor(recipe.views, {})
        for features in windows_of(recording, extractor, recipe.hop_s):
            if not features.whole:
                continue
            start_s = features.t_end_s - recipe.context_s
            inside = [t for t in recording.trials if start_s >= t.start_s - 1e-3 and features.t_end_s <= t.end_s + 1e-3]
            label = _label(inside[0], names, recipe.target) if inside else None
            rows.append(features.plain)
            y.append(unknown if label is None else label)
            subject.append(recording.subject)
            trial.append(inside[0].name if inside else "")
            t_end.append(features.t_end_s)
    if not rows:
        raise ValueError("no trustworthy window in these recordings: are they long enough for the views' context?")
    plain = {view.key: np.stack([row[view.key] for row in rows]) for view in recipe.views}
    shares = np.asarray(y, np.float32)
    mode = np.where(shares.any(axis=1), shares.argmax(axis=1), -1)
    distributions = None if recipe.target == LABEL else shares
    return Windows(plain, mode, np.asarray(subject), np.asarray(trial), np.asarray(t_end), distributions)


def fit_priors(windows: Windows, recipe: Recipe) -> dict[str, AnyPrior]:
    """The source priors of the vector views, from labelled windows, each class counting the same in each person, or each
    trial where labels are distributions.

    Raises:
        ValueError: nobody has a labelled window.
    """
    if not (windows.y >= 0).any():
        names = ", ".join(entry.name for entry in recipe.classes) if recipe.target == LABEL else recipe.target
        raise ValueError(f"no window lies in one trial whole with a label among {names}: are the trials long enough?")
    priors: dict[str, AnyPrior] = {}
    rows = _balanced(windows, np.random.default_rng(0))
    for view in recipe.views:
        if view.is_vector:
            priors[view.key] = fit_prior(view, windows.plain[view.key][rows], windows.subject[rows], recipe.prior_options)
    return priors


def _balanced(windows: Windows, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Rows of each person with two classes (or trials), as many of each as of that person's rarest."""
    kind: npt.NDArray[Any] = windows.y if windows.shares is None else windows.trial
    labelled = windows.y >= 0
    groups = []
    for name in np.unique(windows.subject[labelled]):
        own = labelled & (windows.subject == name)
        groups.append([np.flatnonzero(own & (kind == each)) for each in np.unique(kind[own])])
    # Whose windows are all of one class says where they are in that state, not where they are.
    groups = [mine for mine in groups if len(mine) > 1] or groups
    chosen = [rng.choice(rows, min(map(len, mine)), replace=False) for mine in groups for rows in mine]
    return np.sort(np.concatenate(chosen))


def normalise_in_order(
    windows: Windows, rows: npt.NDArray[np.int64], priors: Mapping[str, AnyPrior], *, whole: bool = False
) -> dict[str, Float32]:
    """Rows of one person normalised as they flow by in that order (causally), or by the statistics of all (``whole``)."""
    out = {}
    for key, plain in windows.plain.items():
        x = plain[rows]
        if key in priors:
            normaliser = normaliser_of(priors[key])
            if whole:
                for row in x:
                    normaliser.update(row)
                x = normaliser(x)
            else:
                causal = []
                for row in x:
                    normaliser.update(row)
                    causal.append(normaliser(row))
                x = np.stack(causal)
        out[key] = x
    return out


def orders(windows: Windows, subject: str, recipe: Recipe, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    """The labelled rows of one person in ``recipe.orders`` orders, by turns: pieces of trials shuffled, cuts of trials
    shuffled, trials shuffled. So the model meets statistics of every age and composition; the order of the protocol, which
    every person of a set went through, it does not meet, or it would learn that."""
    mine = np.flatnonzero((windows.subject == subject) & (windows.y >= 0))
    trials = [mine[windows.trial[mine] == name] for name in dict.fromkeys(windows.trial[mine])]
    piece = max(1, round(_SEGMENT_S / recipe.hop_s))
    plays = []
    for k in range(recipe.orders):
        parts = trials
        if k % 3 == 0:
            parts = [part for rows in trials for part in np.array_split(rows, max(1, rows.size // piece))]
        elif k % 3 == 1:
            parts = [_cut(rows, rng) for rows in trials]
        plays.append(np.concatenate([parts[i] for i in rng.permutation(len(parts))]))
    return plays


def _cut(rows: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """A stretch of a trial, of random length and place: sessions begin and end in the middle of a state."""
    n = max(1, int(rng.uniform(_LEAST_CUT, 1.0) * rows.size))
    start = int(rng.integers(rows.size - n + 1))
    return rows[start : start + n]


def training_set(windows: Windows, priors: Mapping[str, AnyPrior], recipe: Recipe, seed: int) -> LabelledSet:
    """What a model is fitted on: each person's windows normalised causally in each of the orders, but for the first
    ``_YOUNG`` of each, and as often by the statistics of the whole recording, unlabelled windows included, as a long session
    ends up with. Of windows that all but coincide only some."""
    rng = np.random.default_rng(seed)
    step = max(1, round(_COINCIDE * recipe.context_s / recipe.hop_s))
    parts, rows = [], []
    for subject in np.unique(windows.subject[windows.y >= 0]):
        for order in orders(windows, subject, recipe, rng):
            causal = normalise_in_order(windows, order, priors)
            parts.append({key: value[_YOUNG::step] for key, value in causal.items()})
            rows.append(order[_YOUNG::step])
        settled, mine = _settled(windows, subject, priors)
        for k in range(recipe.orders):
            parts.append({key: value[k % step :: step] for key, value in settled.items()})
            rows.append(mine[k % step :: step])
    x = {key: np.concatenate([part[key] for part in parts]) for key in windows.plain}
    at = np.concatenate(rows)
    return LabelledSet(x=x, y=windows.labels(at), subject=windows.subject[at], trial=windows.trial[at])


def _settled(
    windows: Windows, subject: str, priors: Mapping[str, AnyPrior]
) -> tuple[dict[str, Float32], npt.NDArray[np.int64]]:
    """The labelled windows of one person by the statistics of all of that person's, and their rows."""
    mine = np.flatnonzero(windows.subject == subject)
    labelled = windows.y[mine] >= 0
    whole = normalise_in_order(windows, mine, priors, whole=True)
    return {key: x[labelled] for key, x in whole.items()}, mine[labelled]


def spare_guards(taught: LabelledSet, method: Method, seed: int) -> tuple[LabelledSet, npt.NDArray[np.str_]]:
    """What to fit ``method`` on, and the people that the fitted model will not have seen: the guard's.

    A method that watches its fit by people held out (``holdout`` > 0) leaves these out by itself, and is given all. One
    without that parameter would learn from everybody: a share of the people is kept from it. ``holdout=0`` wants nobody left
    out, and the guard will refuse whatever grows from such a model.
    """
    own = getattr(method, "holdout", None)
    share = _GUARDS if own is None else float(own)
    guards = held_out(taught, share, seed)
    if own is not None and guards.size:
        return taught, guards
    people = np.unique(taught.subject)
    if share > 0 and not guards.size and taught.y.ndim == 2 and people.size > 1:
        # Every distribution has every class: whoever is drawn leaves enough.
        size = max(1, round(share * people.size))
        guards = np.random.default_rng(seed).choice(people, size, replace=False)
    return taught.take(~np.isin(taught.subject, guards)), guards


def remember(windows: Windows, priors: Mapping[str, AnyPrior], guards: npt.NDArray[np.str_]) -> SourceMemory:
    """The source memory: each person's labelled windows, normalised by all of that person's windows.

    A model is fitted on young statistics, for it has to speak while they are. Adaptation begins when the wearer has been in
    two states, and what it makes is to serve from then on: it learns from people who are known as well as that.

    ``guards`` are the people that the model was not trained on (see :func:`spare_guards`): adaptation does not train on them
    either, so that the guard compares incumbent and candidate on people new to both.
    """
    parts, rows = [], []
    for subject in np.unique(windows.subject[windows.y >= 0]):
        settled, mine = _settled(windows, subject, priors)
        parts.append(settled)
        rows.append(mine)
    at = np.concatenate(rows)
    x = {key: np.concatenate([part[key] for part in parts]) for key in windows.plain}
    who = windows.subject[at]
    return SourceMemory(x, windows.labels(at), who, windows.trial[at], np.isin(who, guards))


def build(
    path: Path,
    recipe: Recipe,
    model: Model,
    priors: Mapping[str, AnyPrior],
    memory: SourceMemory,
    *,
    params: Mapping[str, Any],
    data: Sequence[DataEntry],
    figures: Mapping[str, Any],
    provenance: Mapping[str, Any],
    card: str,
) -> Bundle:
    """Write version 0 of a bundle at ``path``, which must not exist."""
    entries = []
    for view in recipe.views:
        prior = entry_of(priors[view.key]) if view.key in priors else None
        entries.append(ViewEntry(name=view.name, params=dict(view.params), layout=view.layout, prior=prior))  # type: ignore[arg-type]
    manifest = Manifest(
        name=recipe.name,
        classes=list(recipe.classes),
        target=recipe.target,
        views=entries,
        hop_s=recipe.hop_s,
        smoothing_s=recipe.smoothing_s,
        method=model.method,
        params=dict(params),
        temperature=model.temperature,
        provenance={"streamaffect": __version__, **provenance},
        data=list(data),
        figures=dict(figures),
    )

    def fill(work: Path) -> None:
        model.export_onnx(work / MODEL)
        model.save(work / WEIGHTS)
        memory.save(work / SOURCE)
        (work / CARD).write_text(card, "utf-8")

    return write(path, manifest, fill)
