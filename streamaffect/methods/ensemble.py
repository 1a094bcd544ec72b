"""The ``ensemble`` core: networks from different beginnings, their logits averaged. torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from .cores import Core, build
from .jobs import Fit, Stage


class Ensemble(Core):
    """``members`` cores of ``kind`` and ``spec``. What one of them makes of a stranger by chance is not shared by the others.

    The embedding is theirs side by side, over the root of their number: a squared distance is the mean of the members'.
    """

    kind: ClassVar[str] = "ensemble"

    def __init__(self, members: int, kind: str, spec: dict[str, Any]) -> None:
        super().__init__()
        self._spec = {"members": int(members), "kind": kind, "spec": spec}
        made = [build(kind, spec) for _ in range(members)]
        self.width = sum(member.width for member in made)
        self.members = nn.ModuleList(made)

    @classmethod
    def fit(cls, members: int, fit: Callable[[Fit], Core], job: Fit) -> Self:
        """Cores that ``fit`` makes one after the other: other weights to begin with, other dropout. The job's seed stays,
        so that all hold out the same people, by whom the guard can judge."""
        fitted = []
        for i in range(members):
            stage = Stage(job.progress, i / members, (i + 1) / members)
            fitted.append(fit(replace(job, progress=stage)))
            stage.done()
        made = cls(members, fitted[0].kind, fitted[0].spec())
        made.members = nn.ModuleList(fitted)
        return made

    def spec(self) -> dict[str, Any]:
        return self._spec

    def forward(self, views: Sequence[Tensor], keep: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding (n, members d) and logits (n, C)."""
        embeddings, logits = zip(*(member(views, keep) for member in self.members), strict=True)
        return torch.cat(embeddings, 1) / len(self.members) ** 0.5, torch.stack(logits).mean(0)
