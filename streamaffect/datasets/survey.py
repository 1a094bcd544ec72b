"""What lies under a folder: the data sets in it, and for each subject what its recording holds and how sound it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from streamaffect.datasets.empatica import EMPATICA
from streamaffect.datasets.registry import BUILT_IN, FORMATS, Dataset
from streamaffect.errors import DatasetError
from streamaffect.signals import FeatureTable, Float32, Modality, Recording, Signal

FLAT_S = 5.0  # a sensor that gives one value for so long is off
RESTING_S = 60.0  # what is rounded, and may rest: 10 % of real skin temperatures and accelerations stand still for 5 s
RESTING = (Modality.EDA, Modality.TEMP, Modality.ACC)
CLIPPED_RUN = 3  # samples in a row at a channel's least or greatest value
SLOW = (Modality.EDA, Modality.TEMP)  # their rounded extremes last, which is no clipping


@dataclass(frozen=True, slots=True)
class Found:
    """A data set in a folder, as ``dataset.subjects(folder)`` and ``load(folder, subject)`` read it."""

    dataset: Dataset
    folder: Path


@dataclass(frozen=True, slots=True)
class StreamReport:
    """``nan``, ``flat``, ``clipped``: shares of the samples of all channels, 0..1. ``modality`` is empty for a view."""

    name: str
    modality: str
    channels: int
    rate: float
    unit: str
    seconds: float
    nan: float
    flat: float
    clipped: float


@dataclass(frozen=True, slots=True)
class LabelReport:
    """Trials of one label (None: unlabelled); of a feature table, ``seconds`` is None and ``rows`` counts."""

    label: str | None
    trials: int
    seconds: float | None
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class SubjectReport:
    """``error`` tells why the recording cannot be read: then there is nothing else."""

    subject: str
    streams: tuple[StreamReport, ...] = ()
    labels: tuple[LabelReport, ...] = ()
    notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    error: str | None = None


def recognise(root: Path) -> tuple[list[Found], list[Path]]:
    """The data sets in ``root`` or, where it is none itself, in the folders in it; and the folders that are none.

    A folder named like a data set (``SEED-IV`` for seed_iv, too) is that set where it fits; else its files tell. Raises
    DatasetError for no folder.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder")
    inside = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    if not any(_named(path) for path in inside) and (here := list(_fitting(root))):
        return here, []
    found = {path: list(_fitting(path)) for path in inside}
    return [each for sets in found.values() for each in sets], [path for path, sets in found.items() if not sets]


def _named(folder: Path) -> Dataset | None:
    return BUILT_IN.get(folder.name.lower().replace("-", "_"))


def _fitting(folder: Path) -> Iterator[Found]:
    """By name first; then the first set that claims the folder; then every plain format with files in it."""
    named = _named(folder)
    plain = [dataset for dataset in FORMATS if dataset is not EMPATICA]
    exact = [dataset for dataset in BUILT_IN.values() if dataset not in plain]
    for dataset in [*([named] if named else []), *exact]:
        if _fits(dataset, folder, by_name=dataset is named):
            yield Found(dataset, folder)
            return
    yield from (Found(dataset, folder) for dataset in plain if _fits(dataset, folder, by_name=False))


def _fits(dataset: Dataset, folder: Path, *, by_name: bool) -> bool:
    if (recognises := getattr(dataset, "recognises", None)) is not None:
        return bool(recognises(folder))
    try:
        return by_name and len(dataset.subjects(folder)) > 0
    except DatasetError:
        return False


def subjects(found: Found) -> Iterator[SubjectReport]:
    """One report a subject, read one at a time."""
    for subject in found.dataset.subjects(found.folder):
        try:
            loaded = found.dataset.load(found.folder, subject)
        except DatasetError as error:
            yield SubjectReport(subject, error=str(error))
        else:
            yield _features(loaded, subject) if isinstance(loaded, FeatureTable) else _recording(loaded, subject)


def _recording(recording: Recording, subject: str) -> SubjectReport:
    labels: dict[str | None, list[float]] = {}
    for trial in recording.trials:
        labels.setdefault(trial.label, []).append(trial.end_s - trial.start_s)
    notes = {key: str(recording.meta[key]) for key in recording.meta if key.startswith(("unused", "truncated"))}
    return SubjectReport(
        subject,
        tuple(_stream(signal) for signal in recording.signals),
        tuple(LabelReport(label, len(seconds), sum(seconds)) for label, seconds in labels.items()),
        notes,
    )


def _features(table: FeatureTable, subject: str) -> SubjectReport:
    streams = tuple(
        StreamReport(name, "", int(np.prod(x.shape[1:])), 0.0, "", 0.0, float(np.isnan(x).mean()), 0.0, 0.0)
        for name, x in table.x.items()
    )
    labels = []
    for label in dict.fromkeys(table.label.tolist()):
        rows = table.label == label
        labels.append(LabelReport(label or None, len(set(table.trial[rows].tolist())), None, int(rows.sum())))
    return SubjectReport(subject, streams, tuple(labels))


def _stream(signal: Signal) -> StreamReport:
    spec, samples = signal.spec, signal.samples
    flat_run = max(8, round((RESTING_S if spec.modality in RESTING else FLAT_S) * spec.rate))
    flat = np.mean([_share(_constant(row), flat_run) for row in samples]) if samples.size else 0.0
    clipped = 0.0
    if spec.modality not in SLOW and samples.size:
        clipped = float(np.mean([_clipped(row) for row in samples]))
    return StreamReport(
        spec.name,
        str(spec.modality),
        len(spec.channels),
        spec.rate,
        spec.unit,
        samples.shape[1] / spec.rate,
        float(np.isnan(samples).mean()) if samples.size else 0.0,
        float(flat),
        clipped,
    )


def _constant(row: Float32) -> npt.NDArray[np.bool_]:
    """(n - 1,): whether a sample is what the one before was."""
    return np.asarray(row[1:] == row[:-1])


def _clipped(row: Float32) -> float:
    """Share of samples at the row's own extremes, several in a row, where it moves at all."""
    finite = row[np.isfinite(row)]
    if not finite.size or finite.min() == finite.max():
        return 0.0
    return sum(_share(row[1:] == edge, CLIPPED_RUN - 1, row[:-1] == edge) for edge in (finite.min(), finite.max()))


def _share(same: npt.NDArray[np.bool_], run: int, before: npt.NDArray[np.bool_] | None = None) -> float:
    """Share of samples in runs of at least ``run`` steps that are ``same`` (and ``before``, where given)."""
    if before is not None:
        same = same & before
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    long = lengths[lengths >= run]
    return float((long.sum() + long.size) / (same.size + 1))
