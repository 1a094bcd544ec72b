"""Data sets by name, files by layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol

from streamaffect.datasets.amigos import AMIGOS
from streamaffect.datasets.dmer import DMER
from streamaffect.datasets.dreamer import DREAMER
from streamaffect.datasets.edf import BDF, EDF
from streamaffect.datasets.eegmat import EEGMAT
from streamaffect.datasets.eegmat_edf import EEGMAT_EDF
from streamaffect.datasets.empatica import EMPATICA, Empatica
from streamaffect.datasets.faced import FACED, FACED_DE
from streamaffect.datasets.feature_sets import AMANDA
from streamaffect.datasets.files import FileDataset
from streamaffect.datasets.joined import PLUS, Joined
from streamaffect.datasets.npz import NpzDataset, load_arrays
from streamaffect.datasets.saved import SAVED
from streamaffect.datasets.seed import SEED, SEED_IV
from streamaffect.datasets.seed_features import SEED_TABLES
from streamaffect.datasets.seed_v import SEED_V
from streamaffect.datasets.simulated import SIMULATED
from streamaffect.datasets.table import CSV, PARQUET, TableDataset
from streamaffect.datasets.wesad import WESAD
from streamaffect.datasets.wrist import INDUCED_STRESS, STRESS_PREDICT, WESAD_WRIST
from streamaffect.datasets.xdf import XDF
from streamaffect.errors import DatasetError, UsageError
from streamaffect.signals import FeatureTable, Recording

ENTRY_POINTS = "streamaffect.datasets"


class Dataset(Protocol):
    """What a reader is; plug-ins name an instance in the entry-point group ``streamaffect.datasets``.

    A property ``kind`` says what it yields, "recordings" or "features" (see :func:`kind_of`); without one, recordings.
    Optional, too: ``about``, a line for lists; ``recognises(folder)``, whether the folder's files look like this set's;
    ``where``, the page where the set is to be had.
    """

    @property
    def name(self) -> str: ...

    def subjects(self, root: Path | None) -> Sequence[str]:
        """The subjects there, in natural order. Raises DatasetError where ``root`` holds none."""

    def load(self, root: Path | None, subject: str) -> Recording | FeatureTable:
        """One subject, whole. Raises DatasetError where it cannot be read."""


# Layouts are told apart by their keys; the first that fits wins.
NPZ_LAYOUTS: tuple[NpzDataset, ...] = (EEGMAT, WESAD_WRIST, INDUCED_STRESS, STRESS_PREDICT, SAVED)
# In the files that their publishers hand out.
PUBLISHED: tuple[Dataset, ...] = (*WESAD, *DREAMER, *AMIGOS, SEED, SEED_IV, SEED_V, *SEED_TABLES, FACED, FACED_DE, DMER)
# Read by their suffix, whoever made them.
FORMATS: tuple[FileDataset | TableDataset | Empatica, ...] = (EMPATICA, EDF, BDF, XDF, PARQUET, CSV)
_ALL: tuple[Dataset, ...] = (*NPZ_LAYOUTS, SIMULATED, EEGMAT_EDF, AMANDA, *PUBLISHED, *FORMATS)
BUILT_IN = {dataset.name: dataset for dataset in _ALL}


@dataclass(frozen=True, slots=True)
class Recordings:
    """The recordings of some subjects: iterated lazily, as often as wanted, one in memory at a time."""

    dataset: Dataset
    root: Path | None
    subjects: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.subjects)

    def __iter__(self) -> Iterator[Recording]:
        """Raises UsageError for a set of features: see :meth:`tables`."""
        for subject in self.subjects:
            loaded = self.dataset.load(self.root, subject)
            if not isinstance(loaded, Recording):
                raise UsageError(
                    f"data set {self.dataset.name!r} publishes features, no samples to play or window: take its raw set"
                )
            yield loaded

    def tables(self) -> Iterator[FeatureTable]:
        """The tables of a set of features. Raises UsageError for a set of recordings."""
        for subject in self.subjects:
            loaded = self.dataset.load(self.root, subject)
            if not isinstance(loaded, FeatureTable):
                raise UsageError(f"data set {self.dataset.name!r} yields recordings, not tables of features: iterate it")
            yield loaded


def kind_of(dataset: Dataset) -> str:
    """What ``load`` of it yields: "recordings" or "features"."""
    return str(getattr(dataset, "kind", "recordings"))


def names() -> list[str]:
    """All data sets, built in and plugged in."""
    return sorted({*BUILT_IN, *(plugin.name for plugin in _plugins())})


def open(name: str, root: str | Path | None = None, subject: str | None = None) -> Recordings:  # noqa: A001
    """The recordings of data set ``name`` under ``root`` (its folder, or the folder that holds it by name); of several sets
    as one, ``a+b``.

    Raises UsageError for an unknown name, DatasetError for a folder without recordings or an unknown subject. The
    recordings themselves are read, and may fail, when iterated.
    """
    dataset = get(name)
    folder = None if root is None else Path(root)
    subjects = tuple(dataset.subjects(folder))
    if subject is None:
        return Recordings(dataset, folder, subjects)
    if subject not in subjects:
        there = ", ".join(subjects)
        raise DatasetError(f"data set {name!r} has no subject {subject!r} in {root}: choose one of {there}")
    return Recordings(dataset, folder, (subject,))


def read(path: str | Path) -> Recording:
    """One recording from its file: its format by the suffix, an ``.npz``'s layout by its keys.

    Raises DatasetError with the reason.
    """
    path = Path(path)
    for dataset in FORMATS:
        if dataset.takes(path):
            return dataset.read(path)
    arrays = load_arrays(path)
    for layout in NPZ_LAYOUTS:
        if layout.fits(arrays):
            return layout.parse(path, arrays)
    known = ", ".join(layout.name for layout in NPZ_LAYOUTS)
    keys = ", ".join(sorted(arrays)[:8]) or "none"
    raise DatasetError(f"{path}: no known recording layout (known: {known}); its keys begin {keys}")


def get(name: str) -> Dataset:
    """The data set of that name. Raises UsageError that lists the names."""
    if PLUS in name:
        return Joined(tuple(get(part) for part in name.split(PLUS)))
    if name in BUILT_IN:
        return BUILT_IN[name]
    for plugin in _plugins():
        if plugin.name == name:
            dataset: Dataset = plugin.load()
            return dataset
    raise UsageError(f"unknown data set {name!r}: choose one of {', '.join(names())}")


def _plugins() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=ENTRY_POINTS))
