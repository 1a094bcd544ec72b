"""A recipe chosen on source people: what is read, how it is normalised, what classifies it, how long answers are averaged.

The choice is greedy, one axis of a small grid after another, each beginning with its simplest option. An option's score is
what its model says of people whom it was not fitted on, played causally as the engine plays them, from the recorded start and
from one in another state. Of options that are as good as the best one, within one standard error of the difference in the
same people, the simplest is taken: with some dozens of people the best of many is the luckiest.

The score of what was chosen is optimistic, as the best of several always is. The figures of a stranger are honest where the
choice was made without that stranger: :func:`nested`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from streamaffect.bundle.build import Recipe, Windows, normalise_in_order
from streamaffect.evaluate import people
from streamaffect.evaluate.metrics import balanced_accuracy
from streamaffect.evaluate.offline import Learned
from streamaffect.evaluate.parallel import finish
from streamaffect.evaluate.people import Gather, People
from streamaffect.evaluate.recipe_grid import At, Grid
from streamaffect.evaluate.trained import CollapsedError, learn
from streamaffect.runtime.smoothing import Smoother
from streamaffect.signals import Float32, Float64

FOLDS, NESTED_FOLDS = 5, 3  # of people
_YOUNG_S = 120.0  # of a play are not scored, or half its first trial where that is less
_AXES = ("views", "blocks", "classifier", "smoothing")


@dataclass(frozen=True, slots=True)
class Tried:
    """An option's balanced accuracy over people, and what it lacks to the best one in the same people; errors are standard
    errors of these means."""

    name: str
    mean: float
    error: float
    behind: float
    behind_error: float


@dataclass(frozen=True, slots=True)
class Round:
    """What was tried on one axis, and the index of what was taken."""

    axis: str
    tried: tuple[Tried, ...]
    taken: int

    @property
    def why(self) -> str:
        """One sentence."""
        taken, best = self.tried[self.taken], max(self.tried, key=lambda one: one.mean)
        if len(self.tried) == 1:
            return f"{taken.name} is all there is."
        if taken is not best:
            gap = f"{taken.behind:.3f} +- {taken.behind_error:.3f}"
            return f"{taken.name} is the simplest within one standard error of the best, {best.name} ({gap} behind it)."
        gaps = [f"{one.name} is {one.behind:.3f} +- {one.behind_error:.3f} behind" for one in self.tried[: self.taken]]
        return f"{taken.name} is best, " + (
            f"and nothing simpler is within one standard error: {', '.join(gaps)}." if gaps else "and simplest."
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """Where the search ended, over how many people, and its rounds."""

    at: At
    people: int
    rounds: tuple[Round, ...]

    @property
    def score(self) -> Tried:
        """Of what was chosen: optimistic."""
        last = self.rounds[-1]
        return last.tried[last.taken]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> Self:
        found = json.loads(text)
        rounds = (Round(r["axis"], tuple(Tried(**one) for one in r["tried"]), r["taken"]) for r in found["rounds"])
        first, second, third, fourth = found["at"]
        return cls((first, second, third, fourth), found["people"], tuple(rounds))


@dataclass(frozen=True, slots=True, eq=False)
class _Play:
    """One person's windows as they flow by from one start: probabilities (n, C), ``t_s`` (n,) rising, class (n,)."""

    p: Float32
    t_s: Float64
    y: npt.NDArray[np.int64]
    scored: npt.NDArray[np.bool_]

    def score(self, smoothing_s: float) -> float | None:
        smoother = Smoother(smoothing_s)
        said = np.stack([smoother(p, t_s) for p, t_s in zip(self.p, self.t_s, strict=True)]).argmax(axis=1)
        return balanced_accuracy(self.y[self.scored], said[self.scored])


def starts(windows: Windows, hop_s: float) -> Iterator[tuple[npt.NDArray[np.int64], Float64, npt.NDArray[np.bool_]]]:
    """One person's windows from the recorded start and, where there are two classes, from the first window of another one,
    what came before moved behind: rows (n,), the time of each since the first, and whether it is scored."""
    labelled = np.flatnonzero(windows.y >= 0)
    others = labelled[windows.y[labelled] != windows.y[labelled[0]]] if labelled.size else labelled
    length_s = windows.t_end_s[-1] - windows.t_end_s[0] + hop_s
    for cut in (0, *others[:1]):
        rows = np.roll(np.arange(len(windows)), -cut)
        t_s = (windows.t_end_s[rows] - windows.t_end_s[cut]) % length_s
        known = windows.y[rows] >= 0
        first = known & (windows.trial[rows] == windows.trial[rows[known]][0]) if known.any() else known
        young_s = min(_YOUNG_S, t_s[first].max(initial=0.0) / 2)
        yield rows, t_s, known & (t_s >= young_s)


def _plays(learned: Learned | None, windows: Windows, recipe: Recipe) -> list[_Play]:
    out = []
    for rows, t_s, scored in starts(windows, recipe.hop_s):
        if learned is None:
            p = np.full((rows.size, len(recipe.classes)), 1 / len(recipe.classes), np.float32)
        else:
            p = learned.model.predict_proba(normalise_in_order(windows, rows, learned.priors))
        out.append(_Play(p, t_s, windows.y[rows], scored))
    return out


class _Judge:
    """Scores of grid points by people held out; what differs in smoothing alone is fitted once."""

    def __init__(self, sets: Sequence[Windows], grid: Grid, base: Recipe, seed: int, folds: int) -> None:
        self.sets, self.grid, self.base, self.seed = sets, grid, base, seed
        names = sorted(set.intersection(*({*windows.subject.tolist()} for windows in sets)))
        if len(names) < 2:
            raise ValueError(f"a recipe is chosen by people held out: that needs two with every view tried, not {len(names)}")
        shuffled = np.random.default_rng(seed).permutation(names)
        self.folds = np.array_split(shuffled, min(folds, len(names)))
        self._kept: dict[tuple[int, int, int], dict[str, list[_Play]]] = {}

    def scores(self, at: At) -> dict[str, float]:
        """Balanced accuracy by person, the mean of both starts; people without two classes have none."""
        if at[:3] not in self._kept:
            self._kept[at[:3]] = self._fitted(at)
        smoothing_s = self.grid.smoothings_s[at[3]]
        found = {name: [play.score(smoothing_s) for play in plays] for name, plays in self._kept[at[:3]].items()}
        known = {name: [score for score in scores if score is not None] for name, scores in found.items()}
        return {name: float(np.mean(scores)) for name, scores in known.items() if scores}

    def _fitted(self, at: At) -> dict[str, list[_Play]]:
        windows, classifier = self.sets[at[0]], self.grid.classifiers[at[2]]
        recipe = self.grid.recipe(at, self.base)
        out = {}
        for held_out in self.folds:
            others = windows.take(~np.isin(windows.subject, held_out))
            learned: Learned | None = None
            with contextlib.suppress(CollapsedError):  # its answer is always the same
                learned, _ = learn(others, recipe, classifier.method, classifier.params, self.seed, calibrated=False)
            for name in held_out.tolist():
                out[name] = _plays(learned, windows.take(windows.subject == name), recipe)
        return out


def choose(sets: Sequence[Windows], grid: Grid, base: Recipe, *, seed: int = 0, folds: int = FOLDS) -> Choice:
    """The point of ``grid`` for the people of ``sets``, their windows for each of ``grid.readings``. The rest of the recipe,
    its classes and orders, is that of ``base``.

    Raises:
        ValueError: fewer than two people have windows of every reading, or nobody's windows are of two classes.
    """
    judge = _Judge(sets, grid, base, seed, folds)
    at, rounds, counted = [0, 0, 0, 0], [], 0
    for axis, names in enumerate(grid.names):
        points = [(*at[:axis], i, *at[axis + 1 :]) for i in range(len(names))]
        found = _round(_AXES[axis], names, [judge.scores((a, b, c, d)) for a, b, c, d in points])
        at[axis], counted = found[0].taken, found[1]
        rounds.append(found[0])
    return Choice((at[0], at[1], at[2], at[3]), counted, tuple(rounds))


def _round(axis: str, names: Sequence[str], scores: Sequence[Mapping[str, float]]) -> tuple[Round, int]:
    """The comparison over people whom every option has a score of, and how many these are."""
    both = sorted(set.intersection(*({*one} for one in scores)))
    if not both:
        raise ValueError("nobody has windows of two classes with every view tried: nothing to choose a recipe by")
    table = np.array([[one[name] for name in both] for one in scores])
    best = table[table.mean(axis=1).argmax()]
    behind = best - table
    columns = (table.mean(axis=1), _error(table), behind.mean(axis=1), _error(behind))
    tried = tuple(
        Tried(name, *(round(float(v), 6) for v in row)) for name, row in zip(names, np.stack(columns, 1), strict=True)
    )
    taken = next(i for i, one in enumerate(tried) if one.behind <= one.behind_error)
    return Round(axis, tried, taken), len(both)


def _error(rows: Float64) -> Float64:
    """Standard error of each row's mean; 0 of one person."""
    n = rows.shape[1]
    return np.asarray(rows.std(axis=1, ddof=1) / np.sqrt(n)) if n > 1 else np.zeros(len(rows))


def gather_all(who: People, grid: Grid, base: Recipe, folder: Path, processes: int) -> tuple[list[Windows], dict[str, str]]:
    """The windows of ``who`` for each reading, once, left in ``folder`` for :func:`nested`; and who has none of some, and why.

    Raises:
        ValueError: nobody has windows of a reading.
    """
    sets: list[Windows] = []
    left_out: dict[str, str] = {}
    for i in range(len(grid.readings)):
        work = [Gather(who, grid.recipe((i, 0, 0, 0), base), name) for name in who.subjects]
        inside = _inside(folder, i)
        inside.mkdir()
        finish(work, inside, processes)
        found = {piece.subject: people.load(inside / piece.file) for piece in work}
        left_out |= {name: why for name, why in found.items() if isinstance(why, str)}
        sets.append(_joined(found.values()))
    return sets, left_out


def _inside(folder: Path, reading: int) -> Path:
    return folder / f"views-{reading}"


def _joined(found: Any) -> Windows:
    parts = [windows for windows in found if isinstance(windows, Windows)]
    if not parts:
        raise ValueError(next(iter(found), "there are no recordings"))
    return people.joined(parts)


@dataclass(frozen=True, slots=True)
class _Without:
    """The piece of work that makes the choice for one stranger, whose windows it does not open."""

    who: People
    grid: Grid
    base: Recipe
    seed: int
    subject: str

    @property
    def file(self) -> str:
        return f"choice-{quote(self.subject, safe='')}.json"

    def do(self, folder: Path, out: Path) -> None:
        files = [Gather(self.who, self.base, name).file for name in self.who.subjects if name != self.subject]
        sets = [_joined([people.load(_inside(folder, i) / file) for file in files]) for i in range(len(self.grid.readings))]
        out.write_text(choose(sets, self.grid, self.base, seed=self.seed, folds=NESTED_FOLDS).to_json(), "utf-8")


def nested(
    who: People,
    grid: Grid,
    base: Recipe,
    folder: Path,
    *,
    seed: int = 0,
    processes: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Choice]:
    """For each person the choice made on all the others, from what :func:`gather_all` left in ``folder``."""
    pieces = list(map(partial(_Without, who, grid, base, seed), who.subjects))
    finish(pieces, folder, processes, progress)
    return {piece.subject: Choice.of_json((folder / piece.file).read_text("utf-8")) for piece in pieces}
