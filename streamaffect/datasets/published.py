"""What the readers of published sets share: where the files lie, and clips that follow each other on one clock."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from streamaffect.datasets.agreements import AGREEMENTS
from streamaffect.errors import DatasetError, UsageError
from streamaffect.signals import Float32, Signal, StreamSpec, Trial

Distributions = Mapping[str, Mapping[str, float]]


class Published(ABC):
    """What the readers have in common: each is a data set with a name in :data:`.agreements.AGREEMENTS`."""

    __slots__ = ()
    name: str

    @abstractmethod
    def subjects(self, root: Path | None) -> list[str]:
        """The people there, in natural order. Raises DatasetError where ``root`` holds none."""

    def recognises(self, folder: Path) -> bool:
        """Whether its files lie in ``folder``, as far as their names tell."""
        try:
            return bool(self.subjects(folder))
        except DatasetError:
            return False

    @property
    def where(self) -> str:
        """The official page."""
        return AGREEMENTS[self.name].where


def folder(name: str, root: Path | None, places: Sequence[str], *patterns: str) -> Path:
    """The first that holds a file of ``patterns``: ``root`` itself, one of the publisher's ``places`` in it, or the same in
    ``root/name``. Raises UsageError without a root, DatasetError where none does."""
    if root is None:
        raise UsageError(f"data set {name!r} needs the folder of its files: pass --root DIR")
    for base in (root / name, root):
        for place in ("", *places):
            if any(next((base / place).glob(pattern), None) for pattern in patterns):
                return base / place
    where = " or ".join(f"{place}/{patterns[0]}" for place in places) or patterns[0]
    raise DatasetError(f"{root}: holds no {where} of data set {name!r}: unpack the set there, or check --root")


@contextmanager
def layout(path: Path, name: str) -> Iterator[None]:
    """What fails inside because a field is missing or of a shape or kind that the set does not have, as a DatasetError."""
    try:
        yield
    except KeyError as error:
        raise DatasetError(f"{path}: {name!r} has a field {error} there, this file lacks it: fetch it again") from None
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise DatasetError(f"{path}: a field is not as {name!r} has it ({reason}): is it the set's own file?") from error


def rows(array: npt.ArrayLike, channels: int, what: str) -> Float32:
    """(channels, n) float32 of an array (n, channels). Raises ValueError for another shape or kind."""
    return columns(np.asarray(array).T, channels, what)


def columns(array: npt.ArrayLike, channels: int, what: str) -> Float32:
    """(channels, n) float32 of an array (channels, n). Raises ValueError for another shape or kind."""
    values = np.asarray(array)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{what} is no array of numbers")
    if values.ndim != 2 or values.shape[0] != channels or values.shape[1] == 0:
        raise ValueError(f"{what} has shape {values.shape} (channels, samples), expected {channels} channels")
    return np.ascontiguousarray(values, np.float32)


@dataclass(frozen=True, slots=True)
class Clip:
    """What was recorded at a stretch: ``samples`` of each stream, starting together. The trial begins after ``lead_s``."""

    name: str
    label: str | None
    samples: tuple[Float32, ...]
    lead_s: float = 0.0
    distributions: Distributions = field(default_factory=lambda: MappingProxyType({}), hash=False)


def joined(specs: Sequence[StreamSpec], clips: Iterable[Clip]) -> tuple[tuple[Signal, ...], tuple[Trial, ...]]:
    """The clips one after the other on one clock, each cut to whole seconds so that all grids meet at the joints.

    They were not recorded without a pause: at the joints the signals jump. Raises ValueError for no clips, or one that is
    not a second long behind its lead.
    """
    waiting, trials, start_s = deque(clips), [], 0.0
    for clip in waiting:
        seconds = _seconds(specs, clip)
        if seconds < clip.lead_s + 1:
            raise ValueError(f"{clip.name} is {seconds} s long, after {clip.lead_s:g} s of lead nothing is left")
        trials.append(Trial(clip.name, clip.label, start_s + clip.lead_s, start_s + seconds, clip.distributions))
        start_s += seconds
    if not trials:
        raise ValueError("no clip with signals")
    whole = [np.empty((len(spec.channels), round(start_s * spec.rate)), np.float32) for spec in specs]
    filled = [0] * len(specs)
    while waiting:  # each clip is let go once copied: a session in memory, not two
        clip = waiting.popleft()
        seconds = _seconds(specs, clip)
        for i, (spec, samples) in enumerate(zip(specs, clip.samples, strict=True)):
            n = round(seconds * spec.rate)
            whole[i][:, filled[i] : filled[i] + n] = samples[:, :n]
            filled[i] += n
    return tuple(Signal(spec, samples) for spec, samples in zip(specs, whole, strict=True)), tuple(trials)


def _seconds(specs: Sequence[StreamSpec], clip: Clip) -> int:
    return min(int(samples.shape[1] / spec.rate) for spec, samples in zip(specs, clip.samples, strict=True))


def shares(scores: Mapping[str, float]) -> dict[str, float]:
    """Each score's share in their sum; empty where one is missing (NaN), negative, or all are 0."""
    total = float(sum(scores.values()))
    if not total > 0 or min(scores.values()) < 0:
        return {}
    return {name: float(score) / total for name, score in scores.items()}


@dataclass(frozen=True, slots=True)
class Threshold:
    """Two classes of a rating: "low" below ``at``, "high" above it; ``middle`` says what ``at`` itself is, None unlabelled.

    The papers that print "> 3 high, < 3 low" leave the commonest rating without a class.
    """

    at: float
    middle: str | None = "low"

    def __call__(self, rating: float) -> str | None:
        if np.isnan(rating):
            return None
        if rating == self.at:
            return self.middle
        return "high" if rating > self.at else "low"
