"""Learning from one's own confident answers on the target, behind a gate that needs no labels. torch.

Each round: posteriors of the target's windows, smoothed over their neighbours in time; for every class the most confident
of them, in the class proportions that are expected (class-balanced self-training, Zou et al., ECCV 2018); the method's
own ``_refine`` learns from these and from the source. The labels are hard: soft ones only repeat what the model says
already, and less surely. A round that fails the gate ends it, and what was there before is kept.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .contract import Float32, Float64, Views
from .cores import Core
from .holdout import split
from .jobs import Adaptation, Stage
from .loop import LoopSettings, adapt_core, rows_of
from .training import Rows, balanced, cross_entropy, predict

SHARES = (0.4, 0.6, 0.8)  # of each class's expected windows that are believed, round by round
RADIUS = 3  # windows on either side that a pseudo label listens to
HOLDOUT = 0.2
SOURCE_LOSS = 0.05  # balanced accuracy on the watched source people that may be lost: what fits one person fits others less
COLLAPSE = 0.25  # a class must keep this share of what is expected of it
EPOCHS, RATE, BATCH = 5, 3e-4, 128


class Refines(Protocol):
    """What self-training asks of a method."""

    def _refine(self, job: Adaptation, core: Core, labels: Float32, weight: Float32) -> Core:
        """A core that has learnt from ``labels`` (m, C), distributions, of target windows with ``weight`` (m,) >= 0."""


def refine(job: Adaptation, method: Refines, core: Core) -> Core:
    """``core`` after the rounds that passed the gate; ``core`` itself where none did. Ends early at the deadline."""
    start = _look(job, core)
    q = job.proportions(start.target)
    kept, took = core, 0.0
    for i, share in enumerate(SHARES):
        before = time.perf_counter()
        if before + took > job.deadline:
            break
        posterior = smoothed(_look(job, kept).target, job.trial)
        labels: Float32 = np.eye(job.classes, dtype=np.float32)[posterior.argmax(axis=1)]
        inside = dataclasses.replace(job, progress=Stage(job.progress, i / len(SHARES), (i + 1) / len(SHARES)))
        candidate = method._refine(inside, kept, labels, believed(posterior, q, share))
        now = _look(job, candidate)
        reason = refused(start, now, q, job.trial)
        took = time.perf_counter() - before
        job.tell((i + 1) / len(SHARES), refine_round=i + 1, refine_margin=margin(now.target), refine_kept=float(reason is None))
        if reason is not None:
            break
        kept = candidate
    return kept


def smoothed(probabilities: npt.ArrayLike, trial: npt.NDArray[Any] | None, radius: int = RADIUS) -> Float64:
    """Posteriors (m, C) averaged with up to ``radius`` neighbours on either side, weights falling linearly, within an
    unbroken run of one trial. Without ``trial`` the windows have no order: as they are.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if trial is None:
        return p
    run = np.cumsum(np.r_[True, trial[1:] != trial[:-1]])
    total, weight = p.copy(), np.ones(len(p))
    for d in range(1, min(radius, len(p) - 1) + 1):
        near = (run[d:] == run[:-d]) * (1 - d / (radius + 1))
        total[d:] += near[:, None] * p[:-d]
        total[:-d] += near[:, None] * p[d:]
        weight[d:] += near
        weight[:-d] += near
    average: Float64 = total / weight[:, None]
    return average


def believed(probabilities: Float64, q: npt.ArrayLike, share: float) -> Float32:
    """(m,) 1 for the ``share`` of ``q_c m`` windows of each class c, of those that say c, that are surest; else 0."""
    said, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    weight = np.zeros(len(said), dtype=np.float32)
    for c, expected in enumerate(np.asarray(q) * len(said)):
        of_class = np.flatnonzero(said == c)
        surest = of_class[np.argsort(-sure[of_class], kind="stable")]
        weight[surest[: int(np.ceil(share * expected))]] = 1
    return weight


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Posteriors (m, C) on the target, and balanced accuracy on the watched source people."""

    target: Float64
    source: float


def refused(start: Seen, now: Seen, q: npt.ArrayLike, trial: npt.NDArray[Any] | None) -> str | None:
    """Why the candidate is not to be trusted; None where it is. ``start`` is what was there before the first round.

    It must do as well on the source, be surer on the target, say every class that is expected, and change its mind from
    window to window no more often. Surer, once neighbours are heard: a model that was too sure of single windows becomes
    less so by agreeing with itself.
    """
    if not np.isfinite(now.target).all():
        return "posteriors are not finite"
    if now.source < start.source - SOURCE_LOSS:
        return f"source accuracy fell from {start.source:.3f} to {now.source:.3f}"
    if trial is not None and changes(now.target, trial) > changes(start.target, trial):
        return "answers change more often from window to window"
    sure, before_it = (margin(smoothed(seen.target, trial)) for seen in (now, start))
    if sure <= before_it:
        return f"margin fell from {before_it:.3f} to {sure:.3f}"
    shares, before = (_shares(seen.target) for seen in (now, start))
    for c, least in enumerate(COLLAPSE * np.asarray(q)):
        if shares[c] < min(least, before[c]):
            return f"class {c} collapsed to {shares[c]:.3f} of the windows"
    return None


def margin(probabilities: Float64) -> float:
    """Mean difference between the two largest posteriors."""
    ordered = np.sort(probabilities, axis=1)
    return float((ordered[:, -1] - ordered[:, -2]).mean())


def changes(probabilities: Float64, trial: npt.NDArray[Any]) -> int:
    """How many neighbouring windows of one trial differ in their class."""
    said = probabilities.argmax(axis=1)
    return int(((said[1:] != said[:-1]) & (trial[1:] == trial[:-1])).sum())


def relearn(job: Adaptation, core: Core, labels: Float32, weight: Float32) -> Core:
    """A network's ``_refine``: a few epochs of cross-entropy on the source and on the weighted pseudo labels."""
    if not weight.any():
        return core
    objective = _PseudoLabels(dataclasses.replace(job, core=core), labels, weight)
    return adapt_core(objective.job, objective, LoopSettings(epochs=EPOCHS, batch_size=BATCH, lr=RATE, holdout=0.0))


class _PseudoLabels:
    def __init__(self, job: Adaptation, labels: Float32, weight: Float32) -> None:
        self.job = job
        self.source, target = rows_of(job)
        trusted = np.flatnonzero(weight)
        self.target = target.take(trusted)
        share = labels[trusted] * weight[trusted, None]
        self.target.y = torch.as_tensor(share * balanced(share / share.sum(axis=1, keepdims=True)), device=job.device).float()

    def loss(self, core: Core, source: Rows, target: Rows, p: float) -> tuple[Tensor, Mapping[str, Tensor | float]]:  # noqa: ARG002
        logits = _logits(core, [torch.cat(pair) for pair in zip(source.views, target.views, strict=True)])
        n = len(source)
        known = cross_entropy(logits[:n], source.y, source.weight)
        own = -(target.y * torch.log_softmax(logits[n:], 1)).sum() / target.y.sum().clamp_min(1e-12)
        return known + own, {"source_ce": known, "pseudo_ce": own}

    def renew(self, core: Core, p: float) -> None:
        """Labels stay for the round."""


def _logits(core: Core, views: list[Tensor]) -> Tensor:
    logits: Tensor = core(views, torch.ones(len(views[0]), len(views), device=views[0].device))[1]
    return logits


def _look(job: Adaptation, core: Core) -> Seen:
    watched = split(job.source, HOLDOUT, job.seed)[1]
    if not len(watched):
        watched = np.arange(len(job.source))
    said = _posteriors(job, core, {name: view[watched] for name, view in job.x.items()}).argmax(axis=1)
    y = job.source.hard()[watched]
    recall = [float((said[y == c] == c).mean()) for c in np.unique(y)]
    return Seen(_posteriors(job, core, job.target), float(np.mean(recall)))


def _posteriors(job: Adaptation, core: Core, views: Views) -> Float64:
    core = core.to(job.device)
    logits = predict(core, [torch.as_tensor(view, device=job.device) for view in views.values()])
    posterior: Float64 = torch.softmax(logits.double() / job.temperature, 1).cpu().numpy()
    return posterior


def _shares(probabilities: Float64) -> Float64:
    return np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1]) / len(probabilities)
