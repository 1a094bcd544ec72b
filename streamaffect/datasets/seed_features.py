"""SEED, SEED-IV, SEED-V: the differential entropy that the sets publish, by windows.

Papers and agreement: see :mod:`.seed` and :mod:`.seed_v`. Known from the sets' pages: SEED ``ExtractedFeatures`` (1 s
windows; later releases have ``ExtractedFeatures_1s`` and ``ExtractedFeatures_4s``), SEED-IV ``eeg_feature_smooth/1`` .. ``3``
(4 s), files named as those of the signals, with ``de_movingAve1`` and ``de_LDS1`` .. (62, windows, 5); SEED-V
``EEG_DE_features/1_123.npz`` (4 s), ``data`` and ``label`` being pickled dictionaries, trial 0 .. 44 -> (windows, 310) and
(windows,). Bands: delta 1-4, theta 4-8, alpha 8-14, beta 14-31, gamma 31-50 Hz, so near our ``eeg.de`` but not it. Inferred:
the 310 of SEED-V are channel by channel, each delta to gamma, as other readers of the set take them.

Smoothing by a linear dynamical system (``de_LDS``) looks at the whole trial, the future too: a live model cannot have that.
So the sets ``seed_de`` and ``seed_iv_de`` are the moving average, ``seed_de_lds`` and ``seed_iv_de_lds`` are there to compare
with papers. Whether the average is centred is not told. SEED-V does not say how, or whether, its features are smoothed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from streamaffect.datasets import matlab, pickles
from streamaffect.datasets.npz import load_arrays, natural
from streamaffect.datasets.published import Published, folder, layout
from streamaffect.datasets.seed import (
    SEED_IV_PROTOCOL,
    SEED_PROTOCOL,
    SESSIONS,
    SITES,
    Protocol,
    Sessions,
    check_labels,
    numbered,
    trial_name,
)
from streamaffect.datasets.seed_v import SEED_V_PROTOCOL
from streamaffect.errors import DatasetError
from streamaffect.signals import FeatureTable, Float32

BANDS = 5
_WINDOW_S = {"ExtractedFeatures": 1.0, "ExtractedFeatures_1s": 1.0, "ExtractedFeatures_4s": 4.0}  # by folder; else 4 s
Part = tuple[str, str, Float32]  # trial, label, (windows, 310)


@dataclass(frozen=True, slots=True)
class SeedFeatures(Published):
    """``variable`` is ``de_movingAve`` or ``de_LDS``. ``eeg.de`` (n, 310), channel by channel, each delta to gamma."""

    name: str
    sessions: Sessions
    protocol: Protocol
    variable: str
    about: str
    kind: str = "features"

    def subjects(self, root: Path | None) -> list[str]:
        return list(self.sessions.files(root))

    def recognises(self, folder: Path) -> bool:
        """The signals' files have the same names: what is in the first one tells."""
        return self.sessions.hold(folder, rf"^{self.variable}\d+$")

    def load(self, root: Path | None, subject: str) -> FeatureTable:
        files = self.sessions.of(root, subject)
        place = files[0][1].parent
        window_s = _WINDOW_S.get(place.name, 4.0 if self.sessions.by_folder else 1.0)
        return _table(self.name, subject, (part for session, path in files for part in self._parts(session, path)), window_s)

    def _parts(self, session: int, path: Path) -> Iterator[Part]:
        labels = self.protocol.of(session)
        check_labels(path.parent / "label.mat", session, self.protocol)
        for number, variable in numbered(path, rf"^{self.variable}(\d+)", len(labels)).items():
            entropy = matlab.load(path, variable)[variable]
            with layout(path, self.name):
                if entropy.ndim != 3 or entropy.shape[0] != len(SITES) or entropy.shape[2] != BANDS:
                    raise ValueError(f"{variable} has shape {entropy.shape}, expected ({len(SITES)}, windows, {BANDS})")
                x = entropy.transpose(1, 0, 2).reshape(-1, len(SITES) * BANDS).astype(np.float32)
            yield trial_name(session, number), labels[number - 1], x


@dataclass(frozen=True, slots=True)
class SeedVFeatures(Published):
    """``eeg.de`` (n, 310) of 4 s windows. The labels in the file must be the published ones."""

    name: str = "seed_v_de"
    about: str = "differential entropy of 4 s windows of seed_v"
    kind: str = "features"

    def subjects(self, root: Path | None) -> list[str]:
        return sorted((path.stem.split("_")[0] for path in self._folder(root).glob("*_123.npz")), key=natural)

    def load(self, root: Path | None, subject: str) -> FeatureTable:
        path = self._folder(root) / f"{subject}_123.npz"
        arrays = load_arrays(path)
        with layout(path, self.name):
            data, label = (pickles.loads(arrays[key].tobytes(), f"{path}: {key}") for key in ("data", "label"))
            parts = list(self._parts(data, label))
        return _table(self.name, subject, parts, 4.0)

    def _parts(self, data: object, label: object) -> Iterator[Part]:
        if not (isinstance(data, dict) and isinstance(label, dict)):
            raise TypeError("data and label must be dictionaries")
        trials = [(session, number, name) for session in range(1, SESSIONS + 1) for number, name in _named(session)]
        for i, (session, number, name) in enumerate(trials):
            x, classes = data[i], label[i]
            if x.ndim != 2 or x.shape[1] != len(SITES) * BANDS or len(x) != len(classes):
                raise ValueError(
                    f"trial {i} has shape {x.shape} and {len(classes)} labels, expected (n, {len(SITES) * BANDS}), n"
                )
            if {SEED_V_PROTOCOL.classes[int(one)] for one in classes} != {name}:
                raise ValueError(f"trial {i} is not labelled {name}, as the set publishes it")
            yield trial_name(session, number), name, np.asarray(x, np.float32)

    def _folder(self, root: Path | None) -> Path:
        return folder(self.name, root, ("EEG_DE_features", "SEED-V/EEG_DE_features"), "*_123.npz")


def _named(session: int) -> Iterable[tuple[int, str]]:
    return enumerate(SEED_V_PROTOCOL.of(session), 1)


def _table(dataset: str, subject: str, parts: Iterable[Part], window_s: float) -> FeatureTable:
    names, labels, tables = zip(*parts, strict=True)
    lengths = [len(table) for table in tables]
    if not all(np.isfinite(table).all() for table in tables):
        raise DatasetError(f"{dataset!r}, person {subject}: a feature is not finite: fetch the file again")
    return FeatureTable(
        dataset=dataset,
        subject=subject,
        x=MappingProxyType({"eeg.de": np.concatenate(tables)}),
        label=_spread(labels, lengths),
        trial=_spread(names, lengths),
        t_end_s=np.concatenate([np.arange(1, n + 1) * window_s for n in lengths]),
        meta=MappingProxyType({"channels": " ".join(SITES), "window_s": window_s}),
    )


def _spread(values: Iterable[str], lengths: list[int]) -> npt.NDArray[np.str_]:
    return np.repeat(np.asarray(list(values)), lengths)


def _seed(name: str, variable: str, how: str) -> SeedFeatures:
    places = tuple(f"{above}{place}" for above in ("", "SEED/") for place in _WINDOW_S)
    return SeedFeatures(
        name,
        Sessions(name, places, by_folder=False),
        SEED_PROTOCOL,
        variable,
        f"differential entropy by windows of seed, {how}",
    )


def _seed_iv(name: str, variable: str, how: str) -> SeedFeatures:
    sessions = Sessions(name, ("eeg_feature_smooth", "SEED_IV/eeg_feature_smooth"), by_folder=True)
    return SeedFeatures(name, sessions, SEED_IV_PROTOCOL, variable, f"differential entropy by windows of seed_iv, {how}")


SEED_TABLES = (
    _seed("seed_de", "de_movingAve", "moving average"),
    _seed("seed_de_lds", "de_LDS", "LDS-smoothed (looks ahead)"),
    _seed_iv("seed_iv_de", "de_movingAve", "moving average"),
    _seed_iv("seed_iv_de_lds", "de_LDS", "LDS-smoothed (looks ahead)"),
    SeedVFeatures(),
)
