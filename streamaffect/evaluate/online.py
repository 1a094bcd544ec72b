"""The protocol ``online``: the river plays a recording from its start at full speed, adapting as it would live.

Causal: what is said of a window depends on the samples up to its end. Deterministic: the stream's clock is the only one. An
adaptation that is triggered at stream time t serves, where the guard lets it, from the first window on that ends at
t + ``delay_s`` or later; no budget of wall time cuts it short.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from streamaffect.bundle.bundle import Bundle
from streamaffect.bundle.registry import Registry
from streamaffect.evaluate.played import Happening, Played, Truth
from streamaffect.features.extract import chunks_of, specs_of
from streamaffect.messages import EventType
from streamaffect.runtime import worker
from streamaffect.runtime.adaptation import Adaptation, AdaptationSettings
from streamaffect.runtime.engine import Engine
from streamaffect.runtime.job import Job
from streamaffect.runtime.river import Decision, River
from streamaffect.signals import Recording, Signal, Trial

DELAY_S = 10.0  # of stream time, from trigger to swap: what a job of the methods that ship takes on a laptop
AFTER_S = 120.0  # figures begin here: before, little is known of the wearer


@dataclass(frozen=True, slots=True)
class _Growing:
    job: Job
    incumbent: Engine
    ready_s: float


class Rehearsal(Adaptation):
    """The workshop on the stream's clock: what the child would do is done at once, and handed over ``delay_s`` later."""

    def __init__(self, river: River, registry: Registry, settings: AdaptationSettings, delay_s: float) -> None:
        super().__init__(river, registry, settings, self._note)
        self._delay_s, self._hop_s = delay_s, river.windower.hop_s
        self._growing: _Growing | None = None
        self._now_s = 0.0
        self._jobs = 0
        self.events: list[Happening] = []

    def _note(self, kind: EventType, detail: dict[str, JsonValue]) -> None:
        self.events.append(Happening(self._now_s, str(kind), str(detail.get("reason", ""))))

    def look(self, decision: Decision) -> None:
        """Count one decision of the river; may begin a job, swap or roll back."""
        self._now_s = decision.features.t_end_s
        self._count(decision)
        if self._growing is None and (reason := self._trigger.look(decision)):
            self._trigger.started(self._now_s)
            self._begin(reason)
        if self._growing is not None and self._now_s + self._hop_s >= self._growing.ready_s:
            self._finish(self._growing)

    def _begin(self, reason: str) -> None:
        self._jobs += 1
        name = f"job-{self._jobs}"
        incumbent = self._river.engine
        try:
            self._triggered(name, reason)
            job = self._preparation(name, incumbent)()
        except Exception as error:  # noqa: BLE001 - as in the workshop
            self._fail_by(name, error)
        else:
            self._growing = _Growing(job, incumbent, self._now_s + self._delay_s)

    def _finish(self, growing: _Growing) -> None:
        """Nothing is lost by doing the job only now: its coreset was taken when it began."""
        job, incumbent, self._growing = growing.job, growing.incumbent, None
        try:
            worker.run(job)
            verdict = self._judgement(job, incumbent)()
            if self._river.engine is not incumbent:
                self._fail(job.path.name, "the model that it grew from was rolled back meanwhile")
            elif verdict.reason is not None:
                self._refuse(job, verdict)
            else:
                self._serve(job, verdict, *self._promotion(job.candidate)())
        except Exception as error:  # noqa: BLE001 - plug-ins raise what they like: the incumbent serves on
            self._fail_by(job.path.name, error)
        finally:
            self._tidy()


def play(
    bundle: Bundle,
    recording: Recording,
    settings: AdaptationSettings | None,
    work: Path,
    *,
    delay_s: float = DELAY_S,
    after_s: float = AFTER_S,
) -> Played:
    """The real engine on ``recording``; without ``settings`` it does not adapt. ``work`` is an empty folder for the models.

    Raises:
        ValueError: the recording lacks a signal that the bundle reads.
    """
    specs = specs_of(recording, bundle.views)
    river = River(Engine(bundle), specs)
    rehearsal = None if settings is None else Rehearsal(river, Registry(work, bundle), settings, delay_s)
    t_end_s, probabilities, reason, version = [], [], [], []
    # No chunk completes two windows: the model may be swapped between any two.
    for modality, chunk in chunks_of(recording, specs, min(1.0, bundle.manifest.hop_s)):
        for decision in river.push(modality, chunk)[0]:
            t_end_s.append(decision.features.t_end_s)
            probabilities.append(decision.probabilities)
            reason.append(decision.reason or "")
            version.append(decision.bundle.version)
            if rehearsal is not None:
                rehearsal.look(decision)
    return _played(bundle, recording, t_end_s, probabilities, reason, version, rehearsal, after_s)


def _played(
    bundle: Bundle,
    recording: Recording,
    t_end_s: list[float],
    probabilities: list[np.ndarray[tuple[int], np.dtype[np.float32]]],
    reason: list[str],
    version: list[int],
    rehearsal: Rehearsal | None,
    after_s: float,
) -> Played:
    ends = np.asarray(t_end_s, np.float64)
    context_s = max(view.seconds for view in bundle.views)
    return Played(
        subject=recording.subject,
        t_end_s=ends,
        probabilities=np.asarray(probabilities, np.float32).reshape(-1, len(bundle.classes)),
        reason=np.asarray(reason, np.str_),
        truth=Truth.of(recording, ends, context_s, bundle.classes, bundle.manifest.target),
        version=np.asarray(version, np.int64),
        scored=ends > after_s,
        events=() if rehearsal is None else tuple(rehearsal.events),
    )


def rotated(recording: Recording) -> Recording | None:
    """The recording begun in another state: cut at the first trial whose label differs from the first one's, the part
    before moved behind, trials moved along. None where all trials are of one label.

    A trial across the cut loses its name; where a stream began later than others or ended earlier, the seam is a hole.
    """
    trials = [trial for trial in recording.trials if trial.label is not None]
    cut_s = next((trial.start_s for trial in trials if trial.label != trials[0].label), None)
    if cut_s is None:
        return None
    length_s = recording.duration_s
    moved = [_moved(trial, cut_s, length_s) for trial in recording.trials]
    in_time = sorted((trial for trial in moved if trial is not None), key=lambda trial: trial.start_s)
    signals = tuple(_turned(signal, cut_s, length_s) for signal in recording.signals)
    return replace(recording, signals=signals, trials=tuple(in_time))


def _moved(trial: Trial, cut_s: float, length_s: float) -> Trial | None:
    if trial.start_s < cut_s < trial.end_s:
        return None
    by = -cut_s if trial.start_s >= cut_s else length_s - cut_s
    return replace(trial, start_s=trial.start_s + by, end_s=trial.end_s + by)


def _turned(signal: Signal, cut_s: float, length_s: float) -> Signal:
    """One stream from ``cut_s`` on, then what came before."""
    rate = signal.spec.rate
    at = int(np.clip(round((cut_s - signal.start_s) * rate), 0, signal.samples.shape[1]))
    after, before = signal.samples[:, at:], signal.samples[:, :at]
    if not after.shape[1]:  # it had ended by then
        return replace(signal, start_s=signal.start_s + length_s - cut_s)
    if not before.shape[1]:  # it had not begun
        return replace(signal, start_s=signal.start_s - cut_s)
    hole = max(0, round((length_s - signal.end_s + signal.start_s) * rate))
    missing = np.full((after.shape[0], hole), np.nan, np.float32)
    return replace(signal, samples=np.concatenate([after, missing, before], axis=1), start_s=0.0)


def turned_scored(played: Played, recording: Recording) -> Played:
    """A rotated play counted from ``after_s`` on as any other or, where a class has no window left by then (the first trial
    was short), from the middle of the first trial on."""
    labels = played.truth.label
    if set(labels[played.asked]) == set(labels[labels >= 0]):
        return played
    first = next(trial for trial in recording.trials if trial.label is not None)
    return replace(played, scored=played.t_end_s > (first.start_s + first.end_s) / 2)
