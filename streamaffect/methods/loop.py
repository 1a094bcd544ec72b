"""The adaptation loop of every network: budget, progress, cancelling, the best state so far. torch."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from .contract import Int64
from .cores import Core
from .holdout import split
from .jobs import Adaptation, Pace
from .training import Rows, State, balanced, batches, holdout_loss, set_rate, snapshot

_HELD_OUT = 512  # held-out source windows that are looked at after each epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """``mode='eval'`` keeps dropout off and batch statistics those of the source; ``'train'`` is the fit's own mode.

    An epoch is a pass over the source, or over the target (``epoch_of``), the other side is sampled beside it. ``slack``:
    how far the loss on held-out source windows may rise over the incumbent's before a state is not kept.
    """

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float = 0.0
    holdout: float = 0.2
    slack: float = math.inf
    mode: str = "eval"
    epoch_of: str = "source"
    eps: float = 1e-8


class Objective(Protocol):
    """A loss over batches. ``source`` and ``target`` are all the rows, in the order of the job's."""

    source: Rows
    target: Rows

    def loss(self, core: Core, source: Rows, target: Rows, p: float) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        """What to minimise on these batches at progress ``p``, and its terms by name."""

    def renew(self, core: Core, p: float) -> None:
        """Before each epoch: pseudo labels, proportions, augmented ``source`` and ``target``."""


def rows_of(job: Adaptation) -> tuple[Rows, Rows]:
    """The job's source and target on its device; the target's ``y`` is zero."""
    weight = balanced(job.y)
    size = len(next(iter(job.target.values())))
    blank = np.zeros((size, job.classes), dtype=np.float32)
    return Rows(job.x, job.y, weight, job.device), Rows(job.target, blank, weight, job.device)


def adapt_core(job: Adaptation, objective: Objective, settings: LoopSettings) -> Core:
    """The adapted core; ``job.core`` is left as it was.

    The last epoch is returned, not a "best" one, unless the loss on held-out source windows rose by more than ``slack``
    over the incumbent's: then the last state within it.
    """
    run = _Run(job, objective, settings)
    step = 0
    while (p := run.pace.progress(step)) is not None:
        terms = run.step(step, p)
        step += 1
        if step % run.steps_an_epoch == 0:
            terms |= run.look()
        job.tell(max(p, step / run.pace.total), **terms)
    return run.finish(looked=step % run.steps_an_epoch == 0)


class _Run:
    """The moving parts of one adaptation."""

    def __init__(self, job: Adaptation, objective: Objective, s: LoopSettings) -> None:
        self.job, self.objective, self.s = job, objective, s
        self.core = copy.deepcopy(job.core).to(job.device).eval()
        self.rng = np.random.default_rng(job.seed)
        self.train, held = split(job.source, s.holdout, job.seed)
        self.held = objective.source.take(self.rng.permutation(held)[:_HELD_OUT]) if len(held) else None
        self.optimiser = torch.optim.Adam(self.core.parameters(), lr=s.lr, weight_decay=s.weight_decay, eps=s.eps, fused=True)
        passed = self.train if s.epoch_of == "source" else np.arange(len(objective.target))
        self.passed: Int64 = passed
        self.steps_an_epoch = math.ceil(len(passed) / s.batch_size)
        self.parts: list[Int64] = []
        before = time.perf_counter()
        self.limit = math.inf if self.held is None else holdout_loss(self.core, self.held) + s.slack
        reserve_s = 1.5 * (time.perf_counter() - before)  # the last look takes as long as this one
        self.pace = Pace(s.epochs * self.steps_an_epoch, job.deadline, reserve_s)
        self.safe: State = snapshot(self.core)

    def step(self, step: int, p: float) -> dict[str, float]:
        """One update; the terms of its loss."""
        if not self.parts:
            self.objective.renew(self.core.eval(), p)
            self.parts = batches(self.passed, self.s.batch_size, self.rng)
        passed = self.parts.pop()
        if self.s.epoch_of == "source":
            source, target = self.objective.source.take(passed), self._sample(self.objective.target, None)
        else:
            source, target = self._sample(self.objective.source, self.train), self.objective.target.take(passed)
        set_rate(self.optimiser, self.s.lr, p)
        self.core.train(self.s.mode == "train")
        loss, terms = self.objective.loss(self.core, source, target, p)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        told = {name: float(term.detach() if isinstance(term, Tensor) else term) for name, term in terms.items()}
        return {**told, "epoch": step // self.steps_an_epoch}

    def look(self) -> dict[str, float]:
        """At the held-out source windows, after an epoch."""
        if self.held is None:
            return {}
        loss = holdout_loss(self.core, self.held)
        if loss <= self.limit:
            self.safe = snapshot(self.core)
        return {"holdout": loss}

    def finish(self, looked: bool) -> Core:
        if self.held is not None:
            if not looked:
                self.look()
            self.core.load_state_dict(self.safe)
        return self.core.eval()

    def _sample(self, rows: Rows, among: Int64 | None) -> Rows:
        """All the rows, or a batch of them drawn anew."""
        size = self.s.batch_size
        if among is None:
            return rows if len(rows) <= size else rows.take(self.rng.choice(len(rows), size, replace=False))
        return rows.take(among if len(among) <= size else self.rng.choice(among, size, replace=False))
