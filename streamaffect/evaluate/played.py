"""What one person's recording became: the noun that every protocol makes and every figure is counted from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from streamaffect.bundle.bundle import LABEL
from streamaffect.signals import Float32, Float64, Recording, Trial

Rows = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]
_EDGE_S = 1e-3  # how far a window may stick out of its trial, as in :func:`streamaffect.bundle.build.gather`


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that adaptation did at stream time ``t_s``; ``kind`` as in :class:`streamaffect.messages.EventType`."""

    t_s: float
    kind: str
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What the windows ending at some times are labelled, each that lies in one trial whole: ``label`` (n,) class index or
    -1, ``trial`` (n,) name or "", and where labels are distributions ``shares`` (n, C), zero without one."""

    label: Labels
    trial: Texts
    shares: Float32 | None = None

    @classmethod
    def of(cls, recording: Recording, t_end_s: Float64, context_s: float, classes: Sequence[str], target: str) -> Self:
        inside = [_trial_of(recording, t - context_s, t) for t in t_end_s]
        trial = np.asarray([found.name if found else "" for found in inside], np.str_)
        if target == LABEL:
            label = [classes.index(t.label) if t is not None and t.label in classes else -1 for t in inside]
            return cls(np.asarray(label, np.int64), trial)
        shares = np.asarray([_shares(found, classes, target) for found in inside], np.float32)
        return cls(np.where(shares.any(axis=1), shares.argmax(axis=1), -1), trial, shares)


def _trial_of(recording: Recording, start_s: float, end_s: float) -> Trial | None:
    found = (t for t in recording.trials if start_s >= t.start_s - _EDGE_S and end_s <= t.end_s + _EDGE_S)
    return next(found, None)


def _shares(trial: Trial | None, classes: Sequence[str], target: str) -> Float64:
    known = {} if trial is None else trial.distributions.get(target, {})
    if not all(name in known for name in classes):
        return np.zeros(len(classes))
    shares = np.asarray([known[name] for name in classes])
    return np.asarray(shares / shares.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """One person under one protocol, a row a window in the order of time.

    ``t_end_s`` (n,) on the recording's clock; ``probabilities`` (n, C); ``reason`` (n,) why the engine abstained, "" where
    it spoke; ``truth`` what the windows are; ``version`` (n,) of the model that served; ``events`` what adaptation did;
    ``scored`` (n,) the windows that the protocol counts, if they are labelled and spoken on.
    """

    subject: str
    t_end_s: Float64
    probabilities: Float32
    reason: Texts
    truth: Truth
    version: Labels
    scored: Rows
    events: tuple[Happening, ...] = ()

    def __len__(self) -> int:
        return self.t_end_s.size

    @property
    def asked(self) -> Rows:
        """Windows that count and have a label, whether or not the engine spoke."""
        return np.asarray(self.scored & (self.truth.label >= 0))

    @property
    def counted(self) -> Rows:
        """Those of them on which the engine spoke."""
        return np.asarray(self.asked & (self.reason == ""))

    @property
    def y(self) -> npt.NDArray[Any]:
        """Labels of the counted windows: (m,) class indices, or (m, C) distributions."""
        return (self.truth.label if self.truth.shares is None else self.truth.shares)[self.counted]

    def count(self, kind: str) -> int:
        """How often adaptation did ``kind``."""
        return sum(event.kind == kind for event in self.events)

    def saying(self, probabilities: Float32) -> Self:
        """The same windows under another model, which never changed."""
        return replace(self, probabilities=probabilities, version=np.zeros_like(self.version), events=())

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of it as arrays, for :func:`numpy.savez`."""
        events = json.dumps([asdict(event) for event in self.events])
        out = {name: getattr(self, name) for name in ("t_end_s", "probabilities", "reason", "version", "scored")}
        out |= {"label": self.truth.label, "trial": self.truth.trial, "events": np.asarray(events)}
        return out if self.truth.shares is None else {**out, "shares": self.truth.shares}

    @classmethod
    def of_arrays(cls, subject: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """What :meth:`arrays` gave."""
        truth = Truth(arrays["label"], arrays["trial"], arrays.get("shares"))
        events = tuple(Happening(**event) for event in json.loads(str(arrays["events"])))
        plain = {name: arrays[name] for name in ("t_end_s", "probabilities", "reason", "version", "scored")}
        return cls(subject=subject, truth=truth, events=events, **plain)
