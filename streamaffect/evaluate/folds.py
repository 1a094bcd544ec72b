"""One person's share of an evaluation: the same recording played in every way that the tables show, as a piece of work."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import numpy as np

from streamaffect.bundle.build import Recipe, Windows
from streamaffect.bundle.bundle import Bundle, SourceMemory
from streamaffect.evaluate import baselines, people, trained
from streamaffect.evaluate.bundle_on import Settings, bundle_on, windows_on
from streamaffect.evaluate.offline import Learned
from streamaffect.evaluate.online import rotated, turned_scored
from streamaffect.evaluate.people import People
from streamaffect.evaluate.played import Played
from streamaffect.signals import Float32, Recording

ADAPTED, UNADAPTED = "with", "without"
ROTATED, ROTATED_UNADAPTED = "rotated", "rotated_without"


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """``plays``: ``with`` and ``without`` adaptation (``with`` only where a method adapts), online the same ``rotated`` and
    ``rotated_without``, and the baselines by name."""

    subject: str
    seed: int
    plays: Mapping[str, Played]

    @property
    def main(self) -> Played:
        """What the evaluation is about."""
        return self.plays.get(ADAPTED, self.plays[UNADAPTED])

    def save(self, out: Path) -> None:
        arrays: dict[str, Any] = {f"{n}.{key}": value for n, p in self.plays.items() for key, value in p.arrays().items()}
        with out.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, subject=self.subject, seed=self.seed, **arrays)

    @classmethod
    def load(cls, file: Path) -> Self:
        with np.load(file, allow_pickle=False) as data:
            subject, seed = str(data["subject"]), int(data["seed"])
            grouped: dict[str, dict[str, Any]] = {}
            for name in data.files:
                play, _, key = name.partition(".")
                if key:
                    grouped.setdefault(play, {})[key] = data[name]
        return cls(subject, seed, {name: Played.of_arrays(subject, arrays) for name, arrays in grouped.items()})


def plays(bundle: Bundle, recording: Recording, method: str | None, settings: Settings, windows: Windows) -> dict[str, Played]:
    """``recording`` with and without adaptation; online rotated too."""
    ways = {ADAPTED: method, UNADAPTED: None} if method is not None else {UNADAPTED: None}
    out = {name: bundle_on(bundle, recording, how, settings, windows) for name, how in ways.items()}
    if settings.protocol == "online" and (turned := rotated(recording)) is not None:
        names = {ADAPTED: ROTATED, UNADAPTED: ROTATED_UNADAPTED}
        played = {names[name]: bundle_on(bundle, turned, how, settings) for name, how in ways.items()}
        out |= {name: turned_scored(one, turned) for name, one in played.items()}
    return out


@dataclass(frozen=True, slots=True)
class Training:
    """A bundle that is made from the windows of the people in ``files``."""

    recipe: Recipe
    method: str
    params: Mapping[str, Any]
    seed: int
    provenance: Mapping[str, Any]
    files: tuple[str, ...]
    calibrated: bool = True

    def windows(self, folder: Path) -> Windows:
        found = [windows for file in self.files if isinstance(windows := people.load(folder / file), Windows)]
        return people.joined(found)

    def make(self, folder: Path, out: Path) -> Bundle:
        learned, memory = self.learn(folder)
        return trained.ship(out, learned, memory, self.recipe, self.params, self.provenance)

    def learn(self, folder: Path) -> tuple[Learned, SourceMemory]:
        windows = self.windows(folder)
        return trained.learn(windows, self.recipe, self.method, self.params, self.seed, calibrated=self.calibrated)


@dataclass(frozen=True, slots=True)
class Train:
    """The piece of work that makes a bundle once, for all the people of another set."""

    training: Training

    @property
    def file(self) -> str:
        return f"bundle-s{self.training.seed}"

    def do(self, folder: Path, out: Path) -> None:
        self.training.make(folder, out)


@dataclass(frozen=True, slots=True)
class OnPerson:
    """The piece of work that makes one fold. ``bundle``: a path, or where a :class:`Train` left it in the folder; None: it is
    trained for this fold by ``training``, which also is what the baselines are fitted on (None: the bundle's memory)."""

    people: People
    subject: str
    windows: str
    method: str | None
    settings: Settings
    bundle: Path | None = None
    training: Training | None = None

    @property
    def file(self) -> str:
        return f"fold-{self.people.dataset}-{quote(self.subject, safe='')}-s{self.settings.seed}.npz"

    def do(self, folder: Path, out: Path) -> None:
        windows = people.load(folder / self.windows)
        if isinstance(windows, str):
            raise ValueError(windows)  # noqa: TRY004 - the reason why there are none
        with tempfile.TemporaryDirectory(prefix="streamaffect-evaluate-") as work:
            if self.people.publishes_features:
                played = self._of_features(folder, windows)
            else:
                bundle = self._bundle(folder, Path(work))
                played = plays(bundle, self.people.load(self.subject), self.method, self.settings, windows)
            beside = self._baselines(folder, windows)
        native = played.get(ADAPTED, played[UNADAPTED])
        for name, p in beside.items():
            played[name] = baselines.aligned(native, windows, p)
        Fold(self.subject, self.settings.seed, played).save(out)

    def _bundle(self, folder: Path, work: Path) -> Bundle:
        if self.bundle is not None:
            return Bundle.load(folder / self.bundle)
        if self.training is None:
            raise ValueError("a fold needs a bundle, or what to train one from")
        return self.training.make(folder, work / self.training.recipe.name)

    def _of_features(self, folder: Path, windows: Windows) -> dict[str, Played]:
        """Without samples there is nothing for a bundle's views to read: the model itself is asked."""
        if self.training is None:
            raise ValueError(f"{self.people.dataset} publishes features: a bundle reads recordings")
        learned, _ = self.training.learn(folder)
        ways = {ADAPTED: self.method, UNADAPTED: None} if self.method is not None else {UNADAPTED: None}
        return {name: windows_on(learned, windows, how, self.settings) for name, how in ways.items()}

    def _baselines(self, folder: Path, windows: Windows) -> dict[str, Float32]:
        if self.training is None:
            return baselines.of_bundle(self._bundle(folder, folder), windows)
        recipe = self.training.recipe
        keys = [view.key for view in recipe.views if view.is_vector]
        return baselines.of_windows(self.training.windows(folder), windows, keys, len(recipe.classes))
