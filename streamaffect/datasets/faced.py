"""FACED: EEG of 123 people who watched 28 film clips of nine emotions; the cleaned signals, and the features.

Chen et al., A Large Finer-grained Affective Computing EEG Dataset, Scientific Data 10, 740, 2023,
doi:10.1038/s41597-023-02650-w; Synapse syn50614194, with an account.

Known from the paper and the set's code: ``Processed_data/sub000.pkl`` .. ``sub122.pkl``, each an array (28 clips, 32
electrodes, 7500), the last 30 s of a clip at 250 Hz, in microvolts, 0.05-47 Hz, common average, in the order of the clips
(not of the session); ``EEG_Features/DE/sub000.pkl.pkl`` (28, 32, 30 s, 5 bands), the doubled ending being the publisher's;
``Data/sub000/After_remarks.mat``, a struct array ``After_remark`` with a clip's ``score`` (12 items, 0 to 7) and its number
``vid``. Inferred: the electrodes' order, which Electrode_Location.xlsx has, from other readers of the set (30 scalp
electrodes, then the two mastoids); the mastoids are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from streamaffect.datasets import matlab, pickles
from streamaffect.datasets.npz import natural
from streamaffect.datasets.published import Clip, Distributions, Published, columns, folder, joined, layout, shares
from streamaffect.signals import FeatureTable, Float32, Modality, Recording, StreamSpec

# fmt: off
SITES = (
    "Fp1", "Fp2", "Fz", "F3", "F4", "F7", "F8", "FC1", "FC2", "FC5", "FC6", "Cz", "C3", "C4", "T7", "T8",
    "CP1", "CP2", "CP5", "CP6", "Pz", "P3", "P4", "P7", "P8", "PO3", "PO4", "Oz", "O1", "O2",
)
# fmt: on
EMOTIONS = (
    *("anger",) * 3,
    *("disgust",) * 3,
    *("fear",) * 3,
    *("sadness",) * 3,
    *("neutral",) * 4,
    *("amusement",) * 3,
    *("inspiration",) * 3,
    *("joy",) * 3,
    *("tenderness",) * 3,
)
# The items of a self-report, in order; the first eight are emotions.
ITEMS = (
    *("joy", "tenderness", "inspiration", "amusement", "anger", "disgust", "fear", "sadness"),
    *("arousal", "valence", "familiarity", "liking"),
)
SPEC = StreamSpec("eeg", Modality.EEG, SITES, 250.0, "uV")
SECONDS, BANDS = 30, 5
_ELECTRODES = 32
_MOST = 7.0  # of a score


@dataclass(frozen=True, slots=True)
class Faced(Published):
    """The cleaned EEG. Trials ``c01`` .. ``c28``, labelled by the clip's emotion; where ``Data`` is there, the person's own
    report is the distribution ``emotions``, and its items go to ``meta`` (``c01/valence``)."""

    name: str = "faced"
    about: str = "EEG 250 Hz, 30 channels; 28 film clips of nine emotions"

    def subjects(self, root: Path | None) -> list[str]:
        return _subjects(self._folder(root))

    def load(self, root: Path | None, subject: str) -> Recording:
        path = self._folder(root) / f"{subject}.pkl"
        clips = pickles.load(path)
        reports = _reports(path, subject)
        with layout(path, self.name):
            _check(clips, (len(EMOTIONS), _ELECTRODES, round(SECONDS * SPEC.rate)))
            signals, trials = joined((SPEC,), (_clip(clips[i], i, reports) for i in range(len(EMOTIONS))))
        return Recording(self.name, subject, signals, trials, MappingProxyType(_meta(reports)))

    def _folder(self, root: Path | None) -> Path:
        return folder(self.name, root, ("Processed_data", "FACED/Processed_data"), "sub[0-9][0-9][0-9].pkl")


@dataclass(frozen=True, slots=True)
class FacedFeatures(Published):
    """Differential entropy of each second: ``eeg.de`` (840, 150), electrode by electrode, each delta to gamma."""

    name: str = "faced_de"
    about: str = "differential entropy by seconds of the same"
    kind: str = "features"

    def subjects(self, root: Path | None) -> list[str]:
        return _subjects(self._folder(root))

    def load(self, root: Path | None, subject: str) -> FeatureTable:
        found = self._folder(root)
        doubled = found / f"{subject}.pkl.pkl"
        path = doubled if doubled.exists() else found / f"{subject}.pkl"
        entropy = pickles.load(path)
        reports = _reports(path, subject)
        with layout(path, self.name):
            _check(entropy, (len(EMOTIONS), _ELECTRODES, SECONDS, BANDS))
            x = entropy[:, : len(SITES)].transpose(0, 2, 1, 3).reshape(-1, len(SITES) * BANDS)
        clip = np.repeat(np.arange(len(EMOTIONS)), SECONDS)
        return FeatureTable(
            dataset=self.name,
            subject=subject,
            x=MappingProxyType({"eeg.de": np.ascontiguousarray(x, np.float32)}),
            label=np.asarray(EMOTIONS)[clip],
            trial=np.asarray([_name(i) for i in range(len(EMOTIONS))])[clip],
            t_end_s=np.tile(np.arange(1.0, SECONDS + 1), len(EMOTIONS)),
            distributions=_by_row(reports, clip),
            meta=MappingProxyType({"channels": " ".join(SITES), **_meta(reports)}),
        )

    def _folder(self, root: Path | None) -> Path:
        return folder(self.name, root, ("EEG_Features/DE", "FACED/EEG_Features/DE", "DE"), "sub*.pkl")


def _name(i: int) -> str:
    return f"c{i + 1:02d}"


def _subjects(found: Path) -> list[str]:
    return sorted({path.name.split(".")[0] for path in found.glob("sub*.pkl")}, key=natural)


def _check(array: object, shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype.kind not in "biuf":
        raise ValueError(f"it holds {getattr(array, 'shape', type(array).__name__)}, expected numbers of shape {shape}")


def _clip(samples: npt.NDArray[np.generic], i: int, reports: Mapping[int, Mapping[str, float]]) -> Clip:
    emotions = _emotions(reports.get(i, {}))
    distributions: Distributions = {"emotions": MappingProxyType(emotions)} if emotions else {}
    return Clip(_name(i), EMOTIONS[i], (columns(samples[: len(SITES)], len(SITES), _name(i)),), 0.0, distributions)


def _emotions(report: Mapping[str, float]) -> dict[str, float]:
    return shares({item: report[item] for item in ITEMS[:8]}) if report else {}


def _by_row(reports: Mapping[int, Mapping[str, float]], clip: npt.NDArray[np.int_]) -> Mapping[str, Mapping[str, Float32]]:
    """``emotions`` where every clip was reported on, and none with 0 throughout; else nothing."""
    known = [_emotions(reports.get(i, {})) for i in range(len(EMOTIONS))]
    if not all(known):
        return MappingProxyType({})
    table = {item: np.asarray([report[item] for report in known], np.float32)[clip] for item in ITEMS[:8]}
    return MappingProxyType({"emotions": MappingProxyType(table)})


def _meta(reports: Mapping[int, Mapping[str, float]]) -> dict[str, str | float]:
    return {f"{_name(i)}/{item}": score for i, report in sorted(reports.items()) for item, score in report.items()}


def _reports(path: Path, subject: str) -> dict[int, dict[str, float]]:
    """By the clip's number less one; none where ``Data`` lies neither beside the features nor above them."""
    places = (parent / "Data" / subject / "After_remarks.mat" for parent in path.parents[:4])
    remarks = next((place for place in places if place.exists()), None)
    if remarks is None:
        return {}
    content = matlab.load(remarks, "After_remark")["After_remark"]
    with layout(remarks, "faced"):
        return dict(_report(entry) for entry in content.ravel())


def _report(entry: np.void) -> tuple[int, dict[str, float]]:
    scores, vid = np.asarray(entry["score"], np.float64).ravel(), int(np.asarray(entry["vid"]).item())
    if len(scores) != len(ITEMS) or not 1 <= vid <= len(EMOTIONS) or not ((scores >= 0) & (scores <= _MOST)).all():
        raise ValueError(f"a remark has {len(scores)} scores on clip {vid}, expected {len(ITEMS)} from 0 to {_MOST:g}")
    return vid - 1, dict(zip(ITEMS, scores.tolist(), strict=True))


FACED = Faced()
FACED_DE = FacedFeatures()
