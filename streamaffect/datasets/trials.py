"""From marks, spans and columns of labels to trials."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path

from streamaffect.errors import DatasetError
from streamaffect.signals import Float64, Trial

_BEGINS = re.compile(r"(?i)[\s_/:-]+(start|begin|onset)$")
_ENDS = re.compile(r"(?i)(^|.*[\s_/:-])(end|stop|offset)$")
HEADER = ("name", "label", "start_s", "end_s")


def spans(found: Iterable[tuple[str, str | None, float, float]]) -> tuple[Trial, ...]:
    """Trials of (name, label, start_s, end_s), in order of time; a name met again gets a number (rest, rest-2).

    What has no length is left out.
    """
    seen: Counter[str] = Counter()
    trials = []
    for name, label, start_s, end_s in sorted(found, key=lambda each: each[2:]):
        if end_s > start_s:
            seen[name] += 1
            trials.append(Trial(f"{name}-{seen[name]}" if seen[name] > 1 else name, label, float(start_s), float(end_s)))
    return tuple(trials)


def from_marks(marks: Iterable[tuple[float, str]], end_s: float) -> tuple[Trial, ...]:
    """Each mark (time, text) begins a trial of that label, which lasts until the next one, or ``end_s`` for the last.

    ``rest start`` is a mark of ``rest``; ``rest end``, ``end``, ``stop`` and an empty text only end what went before.
    """
    ordered = [*sorted(marks, key=lambda mark: mark[0]), (end_s, "")]
    lasting = ((_BEGINS.sub("", text.strip()), at_s, until_s) for (at_s, text), (until_s, _) in pairwise(ordered))
    return spans((text, text, at_s, until_s) for text, at_s, until_s in lasting if text and not _ENDS.match(text))


def from_presses(presses_s: Iterable[float], end_s: float) -> tuple[Trial, ...]:
    """From each press of a button to the next, or ``end_s``: trials tag-1, tag-2... without a label."""
    bounds = [*sorted(presses_s), end_s]
    return spans((f"tag-{number}", None, *pair) for number, pair in enumerate(pairwise(bounds), 1))


def from_columns(t_s: Float64, labels: Sequence[str] | None, trials: Sequence[str] | None, step_s: float) -> tuple[Trial, ...]:
    """Runs of equal label and trial, row by row at ``t_s``; rows with neither belong to none. ``step_s``: a row's length."""
    rows = zip(t_s.tolist(), labels or [""] * t_s.size, trials or [""] * t_s.size, strict=True)
    found = []
    for (label, trial), run in groupby(rows, key=lambda row: row[1:]):
        times = [row[0] for row in run]
        if label or trial:
            found.append((trial or label, label or None, times[0], times[-1] + step_s))
    return spans(found)


def from_table(path: Path) -> tuple[Trial, ...]:
    """A ``trials.csv`` with the columns name, label, start_s, end_s in seconds of the recording; a label may be empty.

    Raises DatasetError with the row that cannot be.
    """
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise DatasetError(f"{path}: is not UTF-8 text: save it again as CSV UTF-8") from None
    with io.StringIO(text, newline="") as file:
        rows = csv.DictReader(file)
        if missing := [name for name in HEADER if name not in (rows.fieldnames or ())]:
            raise DatasetError(f"{path}: lacks the column {', '.join(missing)}: its first line must be {','.join(HEADER)}")
        found = []
        for number, row in enumerate(rows, 2):
            try:
                start_s, end_s = float(row["start_s"]), float(row["end_s"])
            except (TypeError, ValueError):
                start_s = end_s = float("nan")
            if not end_s > start_s:
                raise DatasetError(f"{path}: line {number}: start_s and end_s must be seconds in that order, got {_said(row)}")
            found.append((row["name"] or row["label"] or f"trial-{number - 1}", row["label"] or None, start_s, end_s))
    return spans(found)


def within(trials: Iterable[Trial], end_s: float) -> tuple[Trial, ...]:
    """The trials cut to [0, end_s); those outside are left out."""
    cut = (replace(trial, start_s=max(0.0, trial.start_s), end_s=min(end_s, trial.end_s)) for trial in trials)
    return tuple(trial for trial in cut if trial.end_s > trial.start_s)


def _said(row: dict[str, str]) -> str:
    return f"{row['start_s']!r} and {row['end_s']!r}"
