"""What ``streamaffect evaluate --json`` wrote, read back and checked: the report trusts no file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from streamaffect.bundle.bundle import LABEL
from streamaffect.errors import UsageError
from streamaffect.evaluate.people import SCHEMA

Value = float | None
Named = Annotated[str, Field(max_length=200)]


class _Part(BaseModel):
    # Keys are added within a schema's version: what is not known here is not an error.
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class Spread(_Part):
    """A score over people: mean, standard deviation, and each person's own (mean over seeds)."""

    mean: Value
    std: Value
    per_subject: dict[Named, Value]
    std_over_seeds: Value = None

    @property
    def known(self) -> dict[str, float]:
        return {name: value for name, value in self.per_subject.items() if value is not None}


class Paired(_Part):
    a: Named
    b: Named
    n: int
    difference: float
    p: float
    q: float


class Minute(_Part):
    minute: int
    n: int
    adapted: Value = Field(alias="with")
    unadapted: Value = Field(alias="without")


class Bin(_Part):
    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


class Risk(_Part):
    coverage: float
    risk: float


class Control(_Part):
    what: str
    mean: Value = None
    std: Value = None
    per_subject: dict[Named, Value] = {}


class Model(_Part):
    name: str
    version: int
    sha256: str
    seen_in_training: list[Named] = []


class Distribution(_Part):
    """Mean share of each part, each person counting the same."""

    reported: dict[Named, float]
    predicted: dict[Named, float]


class Evaluation(_Part):
    """One evaluation. The scores are those of classes, or of distributions (``target`` other than ``label``)."""

    format: Literal["streamaffect.evaluation/1"] = Field(alias="schema")
    kind: Literal["bundle", "loso", "transfer"]
    protocol: Literal["online", "transductive", "split"]
    datasets: list[Named] = Field(min_length=1)
    classes: list[Named] = Field(min_length=2)
    class_labels: dict[Named, list[str]] | None = None
    target: str
    views: list[Named]
    method: Named
    adapts: bool
    params: dict[str, JsonValue]
    model: Model | None
    n_subjects: int = Field(ge=1)
    n_windows: int = Field(ge=0)
    left_out: dict[Named, str]
    after_s: float = 0.0
    delay_s: float = 0.0

    balanced_accuracy: Spread | None = None
    accuracy: Spread | None = None
    macro_f1: Spread | None = None
    auroc: Spread | None = None
    ece: Spread | None = None
    brier: Spread | None = None
    kl: Spread | None = None
    chebyshev: Spread | None = None
    clark: Spread | None = None
    canberra: Spread | None = None
    cosine: Spread | None = None
    intersection: Spread | None = None

    without_adaptation: Spread | None = None
    rotated: Spread | None = None
    rotated_without_adaptation: Spread | None = None
    source_only: Spread | None = None
    zscore: Spread | None = None
    mean_report: Spread | None = None
    knn: Spread | None = None

    chance: Value = None
    majority: Value = None
    selective: list[Risk] = []
    confusion: list[list[int]] = []
    reliability: list[Bin] = []
    distribution: Distribution | None = None
    coverage: Spread
    by_minute: list[Minute]
    adaptation: dict[str, int]
    tests: list[Paired]
    controls: dict[str, bool | Control]
    seeds: list[int]
    command: str

    @model_validator(mode="after")
    def _whole(self) -> Evaluation:
        first = "balanced_accuracy" if self.exclusive else "kl"
        if getattr(self, first) is None:
            raise ValueError(f"no {first}, which figures on {self.target} have")
        if self.confusion and {len(self.confusion), *map(len, self.confusion)} != {len(self.classes)}:
            raise ValueError(f"confusion is not {len(self.classes)} by {len(self.classes)}, the number of classes")
        return self

    @property
    def exclusive(self) -> bool:
        """Whether the classes exclude each other."""
        return self.target == LABEL

    @property
    def score(self) -> Spread:
        """What the tables are about: balanced accuracy (larger is better), or KL (smaller is)."""
        found = self.balanced_accuracy if self.exclusive else self.kl
        if found is None:
            raise ValueError("no first score")
        return found

    @property
    def baseline(self) -> tuple[str, Spread] | None:
        """What stands beside each person: the z-scored regression, or what others report."""
        for name in ("zscore", "mean_report", "knn", "source_only"):
            found: Spread | None = getattr(self, name)
            if found is not None:
                return name, found
        return None

    @property
    def controlled(self) -> bool:
        return self.controls.get("run") is True

    @property
    def found(self) -> dict[str, Control]:
        """The controls that were run."""
        return {name: value for name, value in self.controls.items() if isinstance(value, Control)}


def read(file: Path) -> Evaluation:
    """The evaluation in ``file``.

    Raises:
        UsageError: it cannot be read, is no whole JSON, or is not of our schema.
    """
    write = "write it with 'streamaffect evaluate ... --json FILE'"
    try:
        data = json.loads(file.read_text("utf-8"), parse_constant=_refuse)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # bad UTF-8 is a ValueError too
        raise UsageError(f"{file} is no JSON, or cut short ({error}): {write}") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        raise UsageError(f"{file}: schema is {str(schema)[:60]!r}, a report needs {SCHEMA!r}: {write}")
    try:
        return Evaluation.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        more = f", and {error.error_count() - 1} more" if error.error_count() > 1 else ""
        raise UsageError(f"{file}: {where}: {first['msg']}{more}: {write}") from None


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")
