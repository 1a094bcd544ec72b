"""CSV and Parquet tables, one or more a subject: ``anna.csv``, or ``anna.ecg.csv`` and ``anna.eda.csv`` for two rates.

A column is named by what it holds: ``ecg``, ``ecg[mV]``, ``eeg:Fz[uV]``, ``acc:x[g]``: kind, channel, unit. In ``anna.ecg.csv``
the kind may be left out. ``time`` holds seconds (``time[ms]`` for others) on any clock that the subject's files share.
``label`` and ``trial``, where equal from row to row, become trials; ``anna.trials.csv`` (name,label,start_s,end_s) may tell
them instead. Rows where a stream's columns are all empty are not of that stream: a wide table may mix rates.

``streams.toml`` beside the tables translates names that are others, and tells the rate of tables without a time::

    rate = 256                    # of all, or by kind: [rates] ecg = 256
    [columns]
    "Timestamp (ms)" = "time[ms]"
    "Heart" = "ecg:II[mV]"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from streamaffect import units
from streamaffect.datasets import lattice, trials
from streamaffect.datasets.columns import Table, read_table
from streamaffect.datasets.files import folder_of
from streamaffect.datasets.npz import natural
from streamaffect.errors import DatasetError
from streamaffect.signals import Float64, Modality, Recording, Signal, StreamSpec, Trial

SIDECAR = "streams.toml"
_NAME = re.compile(r"(?P<kind>[^:\[\]]*?)\s*(?::\s*(?P<channel>[^\[\]]+?))?\s*(?:\[(?P<unit>[^\]]*)\])?")
_TIME_UNITS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


@dataclass(frozen=True, slots=True)
class Sidecar:
    """``streams.toml``: names of columns as we have them, and rates by kind ('' for all)."""

    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    rates: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, folder: Path) -> Sidecar:
        path = folder / SIDECAR
        if not path.is_file():
            return cls()
        try:
            told = tomllib.loads(path.read_text("utf-8"))
            rates = {"": told.pop("rate", None), **told.pop("rates", {})}
            columns = {str(name): str(ours) for name, ours in told.pop("columns", {}).items()}
            known = {str(kind): float(rate) for kind, rate in rates.items() if rate is not None}
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, ValueError, AttributeError) as error:
            raise DatasetError(f"{path}: is no TOML with rate, [rates] and [columns]: {error}") from None
        if told or any(not rate > 0 for rate in known.values()):
            raise DatasetError(f"{path}: may hold positive rates, [rates] and [columns] alone, got {', '.join(told) or known}")
        return cls(columns, known)


@dataclass(frozen=True, slots=True)
class TableDataset:
    """A folder of tables; a subject is what comes before the first dot of their names."""

    name: str
    suffix: str
    about: str

    def takes(self, path: Path) -> bool:
        return path.suffix.lower() == self.suffix

    def recognises(self, folder: Path) -> bool:
        return any(self._files(folder))

    def subjects(self, root: Path | None) -> list[str]:
        folder = folder_of(root, self.name, self.recognises, f"{self.suffix} tables")
        return sorted({_subject(path) for path in self._files(folder)}, key=natural)

    def load(self, root: Path | None, subject: str) -> Recording:
        folder = folder_of(root, self.name, self.recognises, f"{self.suffix} tables")
        files = [path for path in self._files(folder) if _subject(path) == subject]
        if not files:
            raise DatasetError(f"{folder}: holds no {subject}{self.suffix}: check --subject")
        return self._recording(folder, subject, files)

    def read(self, path: Path) -> Recording:
        """The subject that the file belongs to, with the other tables of the same subject."""
        if not path.is_file():
            raise DatasetError(f"{path}: no such recording")
        return self.load(path.parent, _subject(path))

    def _files(self, folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if self.takes(path) and not path.name.endswith((f"trials{self.suffix}", f"subject-info{self.suffix}")):
                yield path

    def _recording(self, folder: Path, subject: str, files: Sequence[Path]) -> Recording:
        sidecar = Sidecar.of(folder)
        parts = [Part.of(path, read_table(path), sidecar) for path in files]
        streams = [stream for part in parts for stream in part.streams(sidecar)]
        if not streams:
            raise DatasetError(f"{files[0]}: no column is a signal (it has {', '.join(parts[0].unused[:8])}): see {SIDECAR}")
        origin = min(start for _, start, _ in streams)
        signals = tuple(Signal(spec, samples, start - origin) for spec, start, samples in streams)
        end_s = max(signal.end_s for signal in signals)
        told = folder / f"{subject}.trials.csv"
        found = trials.from_table(told) if told.is_file() else _trials(parts, origin)
        unused = ", ".join(dict.fromkeys(name for part in parts for name in part.unused))
        meta: dict[str, str | float] = {"unused_columns": unused} if unused else {}
        return Recording(self.name, subject, signals, trials.within(found, end_s), MappingProxyType(meta))


@dataclass(frozen=True, slots=True)
class Part:
    """One table: time (n,) or None, columns by kind as (channel, unit, values (n,)), and the texts of two columns."""

    path: Path
    t_s: Float64 | None
    kinds: Mapping[Modality, list[tuple[str, str, Float64]]]
    label: list[str] | None
    trial: list[str] | None
    unused: list[str]

    @classmethod
    def of(cls, path: Path, table: Table, sidecar: Sidecar) -> Part:
        kinds: dict[Modality, list[tuple[str, str, Float64]]] = {}
        texts: dict[str, list[str]] = {}
        t_s, unused = None, []
        implied = Modality(kind) if (kind := path.stem.rpartition(".")[2].lower()) in {*Modality} else None
        for name in table.names:
            found = _NAME.fullmatch(sidecar.columns.get(name, name).strip())
            kind, channel, unit = found.group("kind", "channel", "unit") if found else (name, None, None)
            if kind.lower() in ("label", "trial"):
                texts[kind.lower()] = table.texts(name)
            elif kind.lower() == "time":
                if (scale := _TIME_UNITS.get(unit or "")) is None:
                    raise DatasetError(f"{path}: column {name!r}: time is in one of s, ms, us, ns, not {unit!r}")
                t_s = table.numbers(name) * scale
            elif kind.lower() in {*Modality}:
                kinds.setdefault(Modality(kind.lower()), []).append((channel or kind, unit or "", table.numbers(name)))
            elif implied is not None and table.is_number(name) and channel is None:
                kinds.setdefault(implied, []).append((kind, unit or "", table.numbers(name)))
            else:
                unused.append(name)
        return cls(path, t_s, kinds, texts.get("label"), texts.get("trial"), unused)

    def streams(self, sidecar: Sidecar) -> Iterator[tuple[StreamSpec, float, Any]]:
        """Spec, start on the table's clock and samples of each kind. Raises DatasetError where there is no rate or unit."""
        for modality in (modality for modality in Modality if modality in self.kinds):
            columns = self.kinds[modality]
            values = np.array([samples * self._factor(modality, unit) for _, unit, samples in columns])
            told = sidecar.rates.get(modality, sidecar.rates.get("", 0.0))
            stamps = self._stamps(modality, values.shape[1], told)
            there = np.isfinite(values).any(axis=0)
            try:
                rate = told or lattice.rate_of(stamps[there], 0.0)
                start, samples = lattice.on_grid(stamps[there], values[:, there], rate)
                spec = StreamSpec(modality, modality, tuple(name for name, *_ in columns), rate, units.CANONICAL[modality])
            except ValueError as error:
                raise DatasetError(f"{self.path}: {modality} {error}") from None
            yield spec, start, samples

    def _factor(self, modality: Modality, unit: str) -> float:
        if (factor := units.factor(modality, unit)) is None:
            known = ", ".join(units.spellings(modality))
            raise DatasetError(f"{self.path}: a column is in {unit!r}, which is no unit of {modality} ({known})")
        return factor

    def _stamps(self, modality: Modality, count: int, rate: float) -> Float64:
        if self.t_s is not None:
            return self.t_s
        if not rate:
            remedy = f"add one in seconds, or {SIDECAR} beside it with rate = ... (Hz of {modality})"
            raise DatasetError(f"{self.path}: has no column 'time': {remedy}")
        return np.arange(count) / rate

    def rows(self) -> tuple[Float64, float] | None:
        """Times of the rows and the length of one, where they are known."""
        if self.t_s is None or self.t_s.size < 2:
            return None
        return self.t_s, float(np.nanmedian(np.diff(self.t_s)))


def _subject(path: Path) -> str:
    return path.name.partition(".")[0]


def _trials(parts: Sequence[Part], origin: float) -> tuple[Trial, ...]:
    """Of the first table that tells any."""
    for part in parts:
        if part.label or part.trial:
            if (rows := part.rows()) is None:
                raise DatasetError(f"{part.path}: has labels but no column 'time': add one, or SUBJECT.trials.csv")
            return trials.from_columns(rows[0] - origin, part.label, part.trial, rows[1])
    return ()


CSV = TableDataset("csv", ".csv", "tables of text, columns named like ecg[mV] or eeg:Fz")
PARQUET = TableDataset("parquet", ".parquet", "the same tables as Parquet")
