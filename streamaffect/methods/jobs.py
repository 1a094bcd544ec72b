"""What a method is given to work on, once checked and standardised: a fit, an adaptation. numpy only."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from .contract import Float32, Float64, LabelledSet, Progress, Views
from .priors import check_prior, expectation_maximisation

if TYPE_CHECKING:
    import torch

    from .cores import Core

Prior = Literal["source", "estimate"] | npt.ArrayLike


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """``x`` the standardised views of the source, ``y`` (n, C) distributions, ``source`` the set as it was given."""

    x: Views
    y: Float32
    source: LabelledSet
    seed: int
    device: torch.device
    progress: Progress

    @property
    def classes(self) -> int:
        return int(self.y.shape[1])

    def tell(self, fraction: float, **terms: float) -> None:
        """Report progress, 0..1; raises Cancelled where the caller wants no more."""
        self.progress(min(1.0, max(0.0, fraction)), terms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation(Fit):
    """``core`` the incumbent's, to be left as it is; ``target`` the standardised views of the person.

    ``few`` are the standardised views and distributions of labelled target windows, in the explicit few-shot case only.
    ``trial`` (m,) are ids of the target's stretches of time, or None where the windows have no order.
    """

    core: Core
    temperature: float
    target: Views
    trial: npt.NDArray[Any] | None
    few: tuple[Views, Float32] | None
    prior: Prior
    started: float
    budget_s: float | None

    @property
    def deadline(self) -> float:
        """On ``time.perf_counter``; infinity without a budget."""
        return math.inf if self.budget_s is None else self.started + self.budget_s

    @property
    def source_proportions(self) -> Float64:
        p: Float64 = self.y.mean(axis=0, dtype=np.float64)
        return p

    def proportions(self, probabilities: npt.ArrayLike) -> Float64:
        """q (C,) of the target by the ``prior`` parameter, from posteriors (m, C) of a classifier trained class-balanced.

        EM takes posteriors at their word, and before alignment they are off: half as many uniform pseudo windows as
        there are windows keep it from running away with them.
        """
        if not isinstance(self.prior, str):
            return check_prior(self.prior, self.classes)
        if self.prior == "source":
            return self.source_proportions
        uniform = np.full(self.classes, 1 / self.classes)
        p = np.asarray(probabilities)
        return expectation_maximisation(p, uniform, strength=len(p) / 2)

    def ratio(self, probabilities: npt.ArrayLike) -> Float64:
        """``q_c / p_c`` (C,): how much more a source window of class c counts in the marginal; ones for ``'source'``."""
        p = self.source_proportions
        if isinstance(self.prior, str) and self.prior == "source":
            return np.ones_like(p)
        present = p > 0
        return np.divide(self.proportions(probabilities), p, out=np.zeros_like(p), where=present)


class Pace:
    """How many of ``total`` steps fit before ``end``, by the time that steps took so far.

    ``reserve_s`` is kept for what comes after the last step. While the budget does not bind, the plan is ``total`` and
    the result does not depend on the clock.
    """

    def __init__(self, total: int, end: float = math.inf, reserve_s: float = 0.0) -> None:
        self.total = total
        self._end = end - reserve_s
        self._calls = self._before = 0
        self._last = self._since = self._slowest = self._mean = 0.0
        self._p = 0.0

    def progress(self, step: int) -> float | None:
        """p in [0, 1) of this step, never falling; None when there is no time or step left."""
        now = time.perf_counter()
        if self._calls in (1, 2):  # the first step warms up: with the second it is forgotten
            self._since, self._before, self._slowest = self._last, self._calls - 1, 0.0
        if self._calls:
            self._slowest = max(self._slowest, now - self._last)
            self._mean = (now - self._since) / (self._calls - self._before)
        self._calls, self._last = self._calls + 1, now
        if step >= self.total or now + self._slowest > self._end:
            return None
        left = math.inf if self._end == math.inf or not self._mean else (self._end - now) / self._mean
        planned = min(self.total, step + left)
        self._p = max(self._p, step / max(planned, step + 1))
        return self._p


class Stage:
    """A stage of the work, which takes the caller's fraction from ``low`` to ``high``; keeps the last terms."""

    def __init__(self, progress: Progress | None, low: float = 0.0, high: float = 1.0) -> None:
        self._progress, self._low, self._high = progress, low, high
        self._last: tuple[float, Mapping[str, float]] = (0.0, {})

    def __call__(self, fraction: float, terms: Mapping[str, float]) -> None:
        self._last = (fraction, terms)
        if self._progress is not None:
            self._progress(self._low + (self._high - self._low) * fraction, terms)

    def done(self) -> None:
        """The stage is through, whatever fraction it had come to."""
        fraction, terms = self._last
        if fraction < 1:
            self(1.0, terms)
