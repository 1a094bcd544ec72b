"""A job: a folder that says all about one adaptation, so that it can be run elsewhere and again.

``job.json`` what to do, ``coreset.npz`` the wearer's windows (no labels: there are none), ``log.txt``; the child leaves
``candidate/`` (a bundle), ``probes.npz`` and ``result.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from streamaffect.errors import UsageError
from streamaffect.signals import Float32

JOB, CORESET, LOG, CANDIDATE, PROBES, RESULT = "job.json", "coreset.npz", "log.txt", "candidate", "probes.npz", "result.json"


class Order(BaseModel):
    """``job.json``: adapt ``bundle`` (a directory) by ``method``; ``device`` as torch names it, or auto."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    bundle: str
    method: str
    params: dict[str, JsonValue] = {}
    seed: int = 0
    device: str = "auto"
    budget_s: float | None = None


class Result(BaseModel):
    """``result.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    status: Literal["done", "failed"]
    error: str | None = None
    seconds: float = 0.0
    terms: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Job:
    """A job folder."""

    path: Path

    @classmethod
    def create(cls, path: Path, order: Order, coreset: Mapping[str, Float32]) -> Self:
        """Make the folder, mode 0700."""
        path.mkdir(parents=True, mode=0o700)
        np.savez(path / CORESET, allow_pickle=False, **{key: value for key, value in coreset.items()})  # noqa: C416
        (path / JOB).write_text(order.model_dump_json(indent=1) + "\n", "utf-8")
        return cls(path)

    def order(self) -> Order:
        file = self.path / JOB
        try:
            return Order.model_validate_json(file.read_text("utf-8"))
        except FileNotFoundError:
            raise UsageError(f"no job at {self.path}: there is no {JOB}") from None
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    def coreset(self) -> dict[str, Float32]:
        return _arrays(self.path / CORESET)

    def probes(self) -> tuple[dict[str, Float32], Float32]:
        """Inputs and torch's probabilities for them."""
        arrays = _arrays(self.path / PROBES)
        return {key[2:]: value for key, value in arrays.items() if key.startswith("x.")}, arrays["probabilities"]

    def result(self) -> Result | None:
        """What the child left, or None when it did not get that far."""
        file = self.path / RESULT
        try:
            return Result.model_validate_json(file.read_text("utf-8"))
        except (FileNotFoundError, ValidationError):
            return None

    @property
    def candidate(self) -> Path:
        return self.path / CANDIDATE


def _arrays(file: Path) -> dict[str, Float32]:
    with np.load(file, allow_pickle=False) as data:
        return {key: data[key].astype(np.float32) for key in data.files}
