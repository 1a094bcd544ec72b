"""A simulated person, and labelled so: no evidence about real people, but a wearer for demonstrations and tests.

A hidden state swings between ``rest`` (0) and ``load`` (1) block by block. Heart rate, its variability, EEG band powers,
skin conductance and pulse amplitude follow it, each by an amount that is the person's own; so are resting heart rate,
breathing, spectra and electrode gains. The same subject and schedule give the same samples.

The signals come from closed forms (:mod:`.physiology`), not from neurokit2's simulators: those return no beat times to
test against, cannot change their heart rate on the way without a break in the wave, and cost 1.3 s and 100 MB to import.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from streamaffect.datasets import physiology
from streamaffect.errors import UsageError
from streamaffect.signals import Float32, Float64, Modality, Recording, Signal, StreamSpec, Trial

CLASSES = ("rest", "load")
DURATION_S = 600.0
BLOCK_S = 60.0
PEOPLE = 20
# Sites enough to play as any headset of up to 19 + 8 electrodes: 10-20, and those of the Emotiv EPOC and the Muse.
# fmt: off
SITES = (
    "Fp1", "Fp2", "AF3", "AF4", "AF7", "AF8", "F7", "F3", "Fz", "F4", "F8",
    "FC5", "FC6", "T7", "C3", "Cz", "C4", "T8", "TP9", "TP10",
    "P7", "P3", "Pz", "P4", "P8", "O1", "O2",
)
# fmt: on
SPECS = MappingProxyType(
    {
        Modality.ECG: StreamSpec("ecg", Modality.ECG, ("ECG",), 256.0, "uV"),
        Modality.EEG: StreamSpec("eeg", Modality.EEG, SITES, 256.0, "uV"),
        Modality.PPG: StreamSpec("bvp", Modality.PPG, ("BVP",), 64.0, "au"),
        Modality.EDA: StreamSpec("eda", Modality.EDA, ("EDA",), 4.0, "uS"),
        Modality.TEMP: StreamSpec("temp", Modality.TEMP, ("TEMP",), 4.0, "degC"),
        Modality.ACC: StreamSpec("acc", Modality.ACC, ("x", "y", "z"), 32.0, "g"),
    }
)


@dataclass(frozen=True, slots=True)
class SimulatedPeople:
    """The data set ``simulated``: ``person-1`` .. ``person-20``. It needs no folder; ``root`` is not looked at."""

    name: str = "simulated"
    about: str = "simulated people at rest and under load: ECG, EEG, PPG, EDA, TEMP, ACC"

    def subjects(self, root: Path | None) -> list[str]:  # noqa: ARG002
        return [f"person-{number}" for number in range(1, PEOPLE + 1)]

    def load(self, root: Path | None, subject: str) -> Recording:  # noqa: ARG002
        return person(subject)


SIMULATED = SimulatedPeople()


def person(
    subject: str = "person-1",
    *,
    duration_s: float = DURATION_S,
    block_s: float = BLOCK_S,
    first: str = "rest",
    modalities: Collection[Modality] = tuple(SPECS),
) -> Recording:
    """A session of blocks of ``block_s`` in turn, starting with ``first``; trials ``rest-1``, ``load-1``, ``rest-2``...

    The person is the subject's name: any text is someone. A modality left out changes nothing in the others. Raises
    UsageError for a length that is not positive, an unknown class or a modality that is not simulated.
    """
    if not (duration_s >= 1 and block_s > 0):
        raise UsageError(f"simulated person: lengths must be positive, got duration {duration_s} s, blocks {block_s} s")
    if first not in CLASSES:
        raise UsageError(f"simulated person: unknown class {first!r}: choose one of {', '.join(CLASSES)}")
    if unknown := [str(modality) for modality in modalities if modality not in SPECS]:
        raise UsageError(f"simulated person: no {', '.join(unknown)}: choose among {', '.join(SPECS)}")
    trials = _schedule(duration_s, block_s, first)
    body = physiology.Body.of(zlib.crc32(subject.encode()), _state(trials, duration_s))
    signals = tuple(Signal(SPECS[m], _samples(body, m, duration_s)) for m in SPECS if m in modalities)
    meta: dict[str, str | float] = {"simulated": "yes: no real person", "resting_heart_rate": body.person.heart_rate}
    return Recording("simulated", subject, signals, trials, MappingProxyType(meta))


def _state(trials: tuple[Trial, ...], duration_s: float) -> Float64:
    """(n,) at ``physiology.STATE_RATE``: 0 in rest, 1 in load, before the body's lag."""
    state = np.zeros(round(duration_s * physiology.STATE_RATE) + 1)
    for trial in trials:
        if trial.label == "load":
            state[round(trial.start_s * physiology.STATE_RATE) : round(trial.end_s * physiology.STATE_RATE)] = 1.0
    return state


def _schedule(duration_s: float, block_s: float, first: str) -> tuple[Trial, ...]:
    offset = CLASSES.index(first)
    blocks = int(np.ceil(duration_s / block_s))
    trials = []
    for block in range(blocks):
        label = CLASSES[(block + offset) % 2]
        end_s = min((block + 1) * block_s, duration_s)
        trials.append(Trial(f"{label}-{block // 2 + 1}", label, block * block_s, end_s))
    return tuple(trials)


def _samples(body: physiology.Body, modality: Modality, duration_s: float) -> Float32:
    spec = SPECS[modality]
    t = np.arange(round(duration_s * spec.rate)) / spec.rate
    match modality:
        case Modality.ECG:
            return body.ecg(t)
        case Modality.EEG:
            return body.eeg(t, SITES)
        case Modality.PPG:
            return body.ppg(t)
        case Modality.EDA:
            return body.eda(t)
        case Modality.TEMP:
            return body.temperature(t)
        case _:
            return body.acceleration(t)
