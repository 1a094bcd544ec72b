"""The adaptation loop of ``dynamic``. torch."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .contract import Float64, Int64, LabelledSet, Progress
from .holdout import split
from .kernels import gram, lmmd, mmd
from .model import NetworkModel
from .networks import Network, drop_views
from .priors import check_prior, expectation_maximisation
from .training import Rows, State, batches, cross_entropy, holdout_loss, predict, set_rate, snapshot

if TYPE_CHECKING:
    from .dynamic import Dynamic

_STILL = 1e-2
_HELD_OUT = 512  # held-out source windows that are looked at after each epoch


@dataclass(frozen=True, slots=True)
class Job:
    """One adaptation: the method's parameters, the incumbent, and the standardised windows on the device."""

    params: Dynamic
    incumbent: NetworkModel
    source: LabelledSet
    rows: Rows
    target: Rows
    few: Rows | None
    seed: int
    started: float
    budget_s: float | None


class Pace:
    """How many of ``total`` steps fit into the budget, by the time that steps took so far.

    ``reserve_s`` is kept for what comes after the last step. While the budget does not bind, the plan is ``total`` and
    the result does not depend on the clock.
    """

    def __init__(self, total: int, started: float, budget_s: float | None, reserve_s: float = 0.0) -> None:
        self.total = total
        self._end = math.inf if budget_s is None else started + budget_s - reserve_s
        self._times: list[float] = []
        self._p = 0.0

    def progress(self, step: int) -> float | None:
        """p in [0, 1) of this step, never falling; None when there is no time or step left."""
        now = time.perf_counter()
        self._times.append(now)
        took = np.diff(self._times[1:] if len(self._times) > 2 else self._times)  # the first step warms up
        slowest, mean = (float(took.max()), float(took.mean())) if took.size else (0.0, 0.0)
        if step >= self.total or now + slowest > self._end:
            return None
        planned = self.total if self._end == math.inf or not mean else min(self.total, step + (self._end - now) / mean)
        self._p = max(self._p, step / max(planned, step + 1))
        return self._p


def schedule(name: str, p: float) -> float:
    """s(p): the share of the class-wise term."""
    if name == "mmd_to_lsd":
        return 2 / (1 + math.exp(-10 * p)) - 1
    return 0.0 if name == "mmd" else 1.0


def align(job: Job, device: torch.device, progress: Progress | None) -> Network:
    """The adapted network; the incumbent's is left as it was."""
    run = _Run(job, device)
    step = 0
    while (p := run.pace.progress(step)) is not None:
        terms = run.step(step, p)
        step += 1
        if step % run.steps_an_epoch == 0:
            terms |= run.look()
        if progress is not None:
            progress(min(1.0, max(p, step / run.pace.total)), terms)
    return run.finish(looked=step % run.steps_an_epoch == 0)


class _Run:
    """The moving parts of one adaptation."""

    def __init__(self, job: Job, device: torch.device) -> None:
        self.job, self.device = job, device
        self.network = copy.deepcopy(job.incumbent.network).to(device).eval()
        self.rng = np.random.default_rng(job.seed)
        self.train, held = split(job.source, job.params.holdout, job.seed)
        self.held = job.rows.take(self.rng.permutation(held)[:_HELD_OUT]) if len(held) else None
        # Adam's steps do not shrink with the gradient: where the anchor leaves next to none it would wander about. Its
        # epsilon is the gradient below which they do. Weight decay would be such a gradient of its own.
        free = 1 - job.params.anchor
        self.optimiser = torch.optim.Adam(
            self.network.parameters(),
            lr=job.params.adapt_lr,
            weight_decay=free * job.params.weight_decay,
            eps=1e-8 if free == 1 else _STILL,
        )
        self.steps_an_epoch = math.ceil(len(self.train) / job.params.batch_size)
        self.parts: list[Int64] = []
        before = time.perf_counter()
        self.limit = math.inf if self.held is None else holdout_loss(self.network, self.held) + job.params.slack
        reserve_s = 1.5 * (time.perf_counter() - before)  # the last look takes as long as this one
        self.pace = Pace(job.params.adapt_epochs * self.steps_an_epoch, job.started, job.budget_s, reserve_s)
        self.safe: State = snapshot(self.network)
        self.ratio = self._ratio()

    def step(self, step: int, p: float) -> dict[str, float]:
        """One update; the terms of its loss."""
        params = self.job.params
        if not self.parts:
            self.parts = batches(self.train, params.batch_size, self.rng)
        source = self.job.rows.take(self.parts.pop())
        set_rate(self.optimiser, params.adapt_lr, p)
        loss, terms = self._loss(source, self._sample(self.job.target), schedule(params.schedule, p))
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return {**terms, "epoch": step // self.steps_an_epoch}

    def look(self) -> dict[str, float]:
        """At the held-out source windows and, where asked for, the target's proportions, after an epoch."""
        self.ratio = self._ratio()
        if self.held is None:
            return {}
        loss = holdout_loss(self.network, self.held)
        if loss <= self.limit:
            self.safe = snapshot(self.network)
        return {"holdout": loss}

    def finish(self, looked: bool) -> Network:
        if self.held is not None:
            if not looked:
                self.look()
            self.network.load_state_dict(self.safe)
        return self.network

    def _loss(self, source: Rows, target: Rows, s: float) -> tuple[Tensor, dict[str, float]]:
        params, few = self.job.params, None if self.job.few is None else self._sample(self.job.few)
        parts = [source, target] + ([few] if few else [])
        views = [torch.cat(views) for views in zip(*(part.views for part in parts), strict=True)]
        keep = drop_views(1, len(views), params.adapt_view_dropout, self.device).expand(len(views[0]), -1)
        embedding, logits = self.network(views, keep)
        n, m = len(source), len(target)
        ce = cross_entropy(logits[:n], source.y, source.weight, params.smoothing * (1 - params.anchor))
        K = gram(embedding[: n + m], params.kernel, params.sigma)
        probabilities = torch.softmax(logits[n : n + m].detach() / self.job.incumbent.temperature, 1)
        whole = mmd(K, self._marginal(source), torch.full((m,), 1 / m, device=self.device))
        local = lmmd(K, source.y, probabilities, params.tau)
        loss = ce + params.gamma * ((1 - s) * whole + s * local)
        terms = {"source_ce": ce, "mmd": whole, "lsd": local}
        if few:
            terms["few_shot"] = cross_entropy(logits[n + m :], few.y, few.weight, params.smoothing)
            loss = loss + terms["few_shot"]
        terms["confident"] = (probabilities.amax(1) >= params.tau).float().mean()
        return loss, {"schedule": s, **{name: float(term.detach()) for name, term in terms.items()}}

    def _marginal(self, source: Rows) -> Tensor:
        weight = source.y @ self.ratio
        return weight / weight.sum().clamp_min(1e-12)

    def _ratio(self) -> Tensor:
        """``q_c / p_c`` (C,): how much more a source window of class c counts in the marginal."""
        prior = self.job.params.prior
        p = self.job.rows.y.mean(0)
        if isinstance(prior, str) and prior == "source":
            return torch.ones_like(p)
        q = self._estimate() if isinstance(prior, str) else check_prior(prior, len(p))
        return torch.as_tensor(q, dtype=p.dtype, device=p.device) / p.clamp_min(1e-12) * (p > 0)

    def _estimate(self) -> Float64:
        """The classifier is trained class-balanced, so its posteriors are those of uniform proportions.

        EM takes posteriors at their word, and before alignment they are off: half as many uniform pseudo windows as
        there are windows keep it from running away with them.
        """
        logits = predict(self.network, self.job.target.views) / self.job.incumbent.temperature
        uniform = np.full(logits.shape[1], 1 / logits.shape[1])
        return expectation_maximisation(torch.softmax(logits, 1).cpu().numpy(), uniform, strength=len(logits) / 2)

    def _sample(self, rows: Rows) -> Rows:
        """All the rows, or a batch of them drawn anew."""
        size = self.job.params.batch_size
        return rows if len(rows) <= size else rows.take(self.rng.choice(len(rows), size, replace=False))
