"""SEED and SEED-IV: 62-channel EEG of people who watched film clips in three sessions; the signals.

Zheng & Lu, IEEE TAMD 7(3), 2015 (SEED); Zheng et al., IEEE Trans. Cybernetics 49(3), 2019 (SEED-IV);
bcmi.sjtu.edu.cn/home/seed, by agreement.

Known from the sets' pages and readmes. SEED: ``Preprocessed_EEG/1_20131027.mat`` (person, date), 15 people, three files
each, and ``label.mat``. SEED-IV: ``eeg_raw_data/1`` .. ``3`` (sessions) with ``1_20160518.mat``. Both: a variable a trial,
``djc_eeg1`` .. (anybody's initials), (62, samples) at 200 Hz, labels as printed in the readme, channels in the order of
channel-order.xlsx. Inferred: microvolts; SEED's sessions are in the order of their dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from streamaffect.datasets import matlab
from streamaffect.datasets.npz import natural
from streamaffect.datasets.published import Clip, Published, columns, folder, joined, layout
from streamaffect.errors import DatasetError
from streamaffect.signals import Modality, Recording, StreamSpec

# fmt: off
SITES = (
    "Fp1", "Fpz", "Fp2", "AF3", "AF4", "F7", "F5", "F3", "F1", "Fz", "F2", "F4", "F6", "F8",
    "FT7", "FC5", "FC3", "FC1", "FCz", "FC2", "FC4", "FC6", "FT8",
    "T7", "C5", "C3", "C1", "Cz", "C2", "C4", "C6", "T8",
    "TP7", "CP5", "CP3", "CP1", "CPz", "CP2", "CP4", "CP6", "TP8",
    "P7", "P5", "P3", "P1", "Pz", "P2", "P4", "P6", "P8",
    "PO7", "PO5", "PO3", "POz", "PO4", "PO6", "PO8", "CB1", "O1", "Oz", "O2", "CB2",
)
# fmt: on
SPEC = StreamSpec("eeg", Modality.EEG, SITES, 200.0, "uV")
SESSIONS = 3
_DATED = re.compile(r"(\d+)_(\d{8})")  # person, date


@dataclass(frozen=True, slots=True)
class Protocol:
    """``labels`` of the trials of sessions 1 to 3, as indices into ``classes``."""

    classes: tuple[str, ...]
    labels: tuple[tuple[int, ...], ...]

    def of(self, session: int) -> list[str]:
        return [self.classes[label] for label in self.labels[session - 1]]


SEED_PROTOCOL = Protocol(("negative", "neutral", "positive"), ((2, 1, 0, 0, 1, 2, 0, 1, 2, 2, 1, 0, 1, 2, 0),) * SESSIONS)
SEED_IV_PROTOCOL = Protocol(
    ("neutral", "sad", "fear", "happy"),
    (
        (1, 2, 3, 0, 2, 0, 0, 1, 0, 1, 2, 1, 1, 1, 2, 3, 2, 2, 3, 3, 0, 3, 0, 3),
        (2, 1, 3, 0, 0, 2, 0, 2, 3, 3, 2, 3, 2, 0, 1, 1, 2, 1, 0, 3, 0, 1, 3, 1),
        (1, 2, 2, 1, 3, 3, 3, 1, 1, 2, 1, 0, 2, 3, 3, 0, 2, 3, 0, 0, 2, 0, 1, 0),
    ),
)


@dataclass(frozen=True, slots=True)
class Sessions:
    """Where the files of each person and session lie: in one folder, in the order of their dates, or in a folder a session."""

    name: str
    places: tuple[str, ...]
    by_folder: bool

    def files(self, root: Path | None) -> Mapping[str, list[tuple[int, Path]]]:
        """Person -> (session, file), in order. A session that is not there is left out."""
        found = folder(self.name, root, self.places, "1/*_*.mat" if self.by_folder else "*_*.mat")
        paths = [
            path for path in sorted(found.glob("[123]/*.mat" if self.by_folder else "*.mat")) if _DATED.fullmatch(path.stem)
        ]
        people: dict[str, list[tuple[int, Path]]] = {}
        for path in sorted(paths, key=lambda path: path.stem.split("_")[1]):
            sessions = people.setdefault(path.stem.split("_")[0], [])
            sessions.append((int(path.parent.name) if self.by_folder else len(sessions) + 1, path))
        if many := next((person for person, sessions in people.items() if len(sessions) > SESSIONS), None):
            raise DatasetError(f"{found}: person {many} has {len(people[many])} files, {self.name!r} has three sessions")
        return {person: sorted(people[person]) for person in sorted(people, key=natural)}

    def hold(self, root: Path, pattern: str) -> bool:
        """Whether the first file there has a variable of that name."""
        try:
            first = next(iter(self.files(root).values()))[0][1]
            return any(re.search(pattern, variable) for variable in matlab.variables(first))
        except DatasetError:
            return False

    def of(self, root: Path | None, subject: str) -> list[tuple[int, Path]]:
        """Raises DatasetError where there is none."""
        files = self.files(root)
        if subject not in files:
            raise DatasetError(f"{root}: {self.name!r} has no person {subject!r} there: there are {', '.join(files)}")
        return files[subject]


@dataclass(frozen=True, slots=True)
class Seed(Published):
    """The sessions follow each other: trials ``s1-t01`` .. ``s3-t15``. One trial of a file is in memory beside the sessions."""

    name: str
    sessions: Sessions
    protocol: Protocol
    about: str

    def subjects(self, root: Path | None) -> list[str]:
        return list(self.sessions.files(root))

    def recognises(self, folder: Path) -> bool:
        """The features' files have the same names: what is in the first one tells."""
        return self.sessions.hold(folder, r"_eeg\d+$")

    def load(self, root: Path | None, subject: str) -> Recording:
        files = self.sessions.of(root, subject)
        with layout(files[0][1].parent, self.name):
            signals, trials = joined((SPEC,), (clip for session, path in files for clip in self._clips(session, path)))
        dates = {f"session{session}": path.stem.split("_")[1] for session, path in files}
        return Recording(self.name, subject, signals, trials, MappingProxyType(dates))

    def _clips(self, session: int, path: Path) -> Iterator[Clip]:
        labels = self.protocol.of(session)
        check_labels(path.parent / "label.mat", session, self.protocol)
        for number, variable in numbered(path, r"_eeg(\d+)", len(labels)).items():
            samples = matlab.load(path, variable)[variable]
            with layout(path, self.name):
                yield Clip(trial_name(session, number), labels[number - 1], (columns(samples, len(SITES), variable),))


def trial_name(session: int, number: int) -> str:
    return f"s{session}-t{number:02d}"


def numbered(path: Path, pattern: str, count: int) -> dict[int, str]:
    """1 .. ``count`` -> the variable whose name ends in ``pattern``, its group the number. Raises DatasetError for a hole."""
    matches = ((re.search(f"{pattern}$", variable), variable) for variable in matlab.variables(path))
    found = {int(match[1]): variable for match, variable in matches if match}
    if missing := [str(number) for number in range(1, count + 1) if number not in found]:
        raise DatasetError(f"{path}: lacks trial {', '.join(missing)} of {count}: fetch it again")
    return {number: found[number] for number in range(1, count + 1)}


def check_labels(path: Path, session: int, protocol: Protocol) -> None:
    """That ``label.mat`` beside the files, where there is one, has the published labels (-1, 0, 1 in SEED)."""
    if not path.exists():
        return
    with layout(path, "label.mat"):
        labels = matlab.load(path, "label")["label"].ravel().astype(int)
        labels -= labels.min()
    if labels.tolist() != list(protocol.labels[session - 1]):
        raise DatasetError(f"{path}: other labels than the set publishes: is it another set's?")


SEED = Seed(
    "seed",
    Sessions("seed", ("Preprocessed_EEG", "SEED/Preprocessed_EEG"), by_folder=False),
    SEED_PROTOCOL,
    "EEG 200 Hz, 62 channels; 15 film clips in three sessions: negative, neutral, positive",
)
SEED_IV = Seed(
    "seed_iv",
    Sessions("seed_iv", ("eeg_raw_data", "SEED_IV/eeg_raw_data"), by_folder=True),
    SEED_IV_PROTOCOL,
    "EEG 200 Hz, 62 channels; 72 film clips: neutral, sad, fear, happy",
)
