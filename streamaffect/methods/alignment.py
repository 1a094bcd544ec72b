"""What ``dynamic`` minimises when it adapts. torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .cores import Core
from .jobs import Adaptation
from .kernels import gram, lmmd, mmd
from .loop import LoopSettings, adapt_core, rows_of
from .networks import drop_views
from .training import Rows, balanced, cross_entropy, predict

if TYPE_CHECKING:
    from .dynamic import Dynamic

_STILL = 1e-2


def schedule(name: str, p: float) -> float:
    """s(p): the share of the class-wise term."""
    if name == "mmd_to_lsd":
        return 2 / (1 + math.exp(-10 * p)) - 1
    return 0.0 if name == "mmd" else 1.0


def align(job: Adaptation, params: Dynamic) -> Core:
    """The adapted core; see :class:`streamaffect.methods.dynamic.Dynamic`."""
    # Adam's steps do not shrink with the gradient: where the anchor leaves next to none it would wander about. Its
    # epsilon is the gradient below which they do. Weight decay would be such a gradient of its own.
    free = 1 - params.anchor
    settings = LoopSettings(
        epochs=params.adapt_epochs,
        batch_size=params.batch_size,
        lr=params.adapt_lr,
        weight_decay=free * params.weight_decay,
        holdout=params.holdout,
        slack=params.slack,
        eps=1e-8 if free == 1 else _STILL,
    )
    return adapt_core(job, _Alignment(job, params), settings)


class _Alignment:
    """The objective of :func:`align`."""

    def __init__(self, job: Adaptation, params: Dynamic) -> None:
        self.job, self.params = job, params
        self.source, self.target = rows_of(job)
        if params.anchor:
            own = torch.softmax(predict(job.core, self.source.views), 1)
            self.source.y = (1 - params.anchor) * self.source.y + params.anchor * own
        self.few = None if job.few is None else Rows(*job.few, balanced(job.few[1]), job.device)
        self.rng = np.random.default_rng(job.seed + 1)
        self.ratio = torch.ones(job.classes, device=job.device)

    def renew(self, core: Core, p: float) -> None:  # noqa: ARG002 - the same at any progress
        """Estimate the target's proportions anew."""
        if isinstance(self.job.prior, str) and self.job.prior == "source":
            return
        probabilities = torch.softmax(predict(core, self.target.views) / self.job.temperature, 1)
        ratio = self.job.ratio(probabilities.cpu().numpy())
        self.ratio = torch.as_tensor(ratio, dtype=torch.float32, device=self.job.device)

    def loss(self, core: Core, source: Rows, target: Rows, p: float) -> tuple[Tensor, dict[str, Tensor | float]]:
        params = self.params
        few = None if self.few is None else self._few(self.few)
        parts = [source, target] + ([few] if few else [])
        views = [torch.cat(views) for views in zip(*(part.views for part in parts), strict=True)]
        keep = drop_views(1, len(views), params.adapt_view_dropout, self.job.device).expand(len(views[0]), -1)
        embedding, logits = core(views, keep)
        n, m = len(source), len(target)
        ce = cross_entropy(logits[:n], source.y, source.weight, params.smoothing * (1 - params.anchor))
        K = gram(embedding[: n + m], params.kernel, params.sigma)
        probabilities = torch.softmax(logits[n : n + m].detach() / self.job.temperature, 1)
        weight = source.y @ self.ratio
        whole = mmd(K, weight / weight.sum().clamp_min(1e-12), torch.full((m,), 1 / m, device=K.device))
        local = lmmd(K, source.y, probabilities, params.tau)
        s = schedule(params.schedule, p)
        loss = ce + params.gamma * ((1 - s) * whole + s * local)
        terms: dict[str, Tensor | float] = {"source_ce": ce, "mmd": whole, "lsd": local, "schedule": s}
        if few:
            terms["few_shot"] = cross_entropy(logits[n + m :], few.y, few.weight, params.smoothing)
            loss = loss + terms["few_shot"]
        terms["confident"] = (probabilities.amax(1) >= params.tau).float().mean()
        return loss, terms

    def _few(self, rows: Rows) -> Rows:
        size = self.params.batch_size
        return rows if len(rows) <= size else rows.take(self.rng.choice(len(rows), size, replace=False))
