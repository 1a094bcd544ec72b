"""SEED-V: 62-channel EEG of 16 people who watched film clips of five emotions in three sessions; the raw signals.

Liu et al., IEEE TCDS 14(2), 2022; bcmi.sjtu.edu.cn/home/seed/seed-v.html, by agreement.

Known from the set's page and readme: ``EEG_raw/1_1_20180804.cnt`` (person, session, date), Neuroscan at 1000 Hz, with M1,
M2, VEO and HEO beside the 62 channels; labels and the trials' bounds in whole seconds as printed in the readme. Read by
mne: extra ``datasets``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from streamaffect.datasets.npz import natural
from streamaffect.datasets.published import Clip, Published, folder, joined, layout
from streamaffect.datasets.seed import SITES, SPEC, Protocol, trial_name
from streamaffect.errors import DatasetError, UsageError
from streamaffect.signals import Recording

RATE = 1000  # Hz, of the files
Bounds = tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
SEED_V_PROTOCOL = Protocol(
    ("disgust", "fear", "sad", "neutral", "happy"),
    (
        (4, 1, 3, 2, 0, 4, 1, 3, 2, 0, 4, 1, 3, 2, 0),
        (2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0),
        (2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0),
    ),
)
# Starts and ends [s] of the trials of each session, from the start of its file
BOUNDS: Bounds = (
    (
        (30, 132, 287, 555, 773, 982, 1271, 1628, 1730, 2025, 2227, 2435, 2667, 2932, 3204),
        (102, 228, 524, 742, 920, 1240, 1568, 1697, 1994, 2166, 2401, 2607, 2901, 3172, 3359),
    ),
    (
        (30, 299, 548, 646, 836, 1000, 1091, 1392, 1657, 1809, 1966, 2186, 2333, 2490, 2741),
        (267, 488, 614, 773, 967, 1059, 1331, 1622, 1777, 1908, 2153, 2302, 2428, 2709, 2817),
    ),
    (
        (30, 353, 478, 674, 825, 908, 1200, 1346, 1451, 1711, 2055, 2307, 2457, 2726, 2888),
        (321, 418, 643, 764, 877, 1147, 1284, 1418, 1679, 1996, 2275, 2425, 2664, 2857, 3066),
    ),
)
_DATED = re.compile(r"(\d+)_([123])_(\d{8})")  # person, session, date


@dataclass(frozen=True, slots=True)
class SeedV(Published):
    """Clips cut from the raw files and taken down to 200 Hz (anti-aliased), as the publisher does; no other filter."""

    name: str = "seed_v"
    about: str = "EEG 200 Hz, 62 channels; 45 film clips: disgust, fear, sad, neutral, happy"
    bounds: Bounds = BOUNDS

    def subjects(self, root: Path | None) -> list[str]:
        return sorted({match[1] for match, _ in self._files(root)}, key=natural)

    def load(self, root: Path | None, subject: str) -> Recording:
        files = [(int(match[2]), match[3], path) for match, path in self._files(root) if match[1] == subject]
        if not files:
            raise DatasetError(f"{root}: {self.name!r} has no person {subject!r} there")
        clips = (clip for session, _, path in files for clip in self._clips(session, path))
        with layout(files[0][2].parent, self.name):
            signals, trials = joined((SPEC,), clips)
        dates = {f"session{session}": date for session, date, _ in files}
        return Recording(self.name, subject, signals, trials, MappingProxyType(dates))

    def _files(self, root: Path | None) -> list[tuple[re.Match[str], Path]]:
        found = folder(self.name, root, ("EEG_raw", "SEED-V/EEG_raw"), "*_*_*.cnt").glob("*.cnt")
        return [(match, path) for path in sorted(found) if (match := _DATED.fullmatch(path.stem))]

    def _clips(self, session: int, path: Path) -> Iterator[Clip]:
        from scipy.signal import resample_poly

        raw = _opened(path)
        picks, labels = _picks(path, raw), SEED_V_PROTOCOL.of(session)
        for number, (start_s, end_s) in enumerate(zip(*self.bounds[session - 1], strict=True), 1):
            if end_s * RATE > raw.n_times:
                length = f"{raw.n_times / RATE:.0f} s"
                raise DatasetError(f"{path}: ends after {length}, trial {number} ends at {end_s} s: truncated, fetch it again")
            volts = raw.get_data(picks=picks, start=start_s * RATE, stop=end_s * RATE)
            samples = resample_poly(volts * 1e6, 1, RATE // round(SPEC.rate), axis=1)
            yield Clip(trial_name(session, number), labels[number - 1], (np.asarray(samples, np.float32),))


def _opened(path: Path) -> Any:
    """mne's view of the file, unread. Raises DatasetError, UsageError without mne."""
    try:
        from mne.io import read_raw_cnt
    except ImportError:
        raise UsageError("data set 'seed_v' is read by mne, which is not there: pip install 'streamaffect[datasets]'") from None
    try:
        raw = read_raw_cnt(path, preload=False, verbose="ERROR")
    except (RuntimeError, OSError, ValueError, LookupError, struct.error) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise DatasetError(f"{path}: no Neuroscan file, or truncated ({reason}): fetch it again") from error
    if raw.info["sfreq"] != RATE:
        raise DatasetError(f"{path}: sampled at {raw.info['sfreq']:g} Hz, SEED-V at {RATE}: is it the set's own file?")
    return raw


def _picks(path: Path, raw: Any) -> list[str]:
    """The 62 channels in the published order under the file's spelling."""
    spelt = {name.casefold(): name for name in raw.ch_names}
    if missing := [site for site in SITES if site.casefold() not in spelt]:
        raise DatasetError(f"{path}: lacks the channels {', '.join(missing)}: is it a file of SEED-V?")
    return [spelt[site.casefold()] for site in SITES]


SEED_V = SeedV()
