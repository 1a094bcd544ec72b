"""What ``amanda`` minimises, at the fit and when it adapts. torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from .amanda_network import AmandaNetwork
from .balance import MeanPrediction, balance, bottleneck, correlation_alignment, label_alignment, weights
from .cores import Core
from .jobs import Adaptation, Fit
from .loop import LoopSettings, adapt_core, rows_of
from .networks import drop_views
from .training import FitSettings, Rows, cross_entropy, predict
from .training import fit as fit_core

if TYPE_CHECKING:
    from .amanda import Amanda

_UNION = "union"
_RARE = 1e-6  # a class that the target is said not to have, before its logarithm


def fit(core: AmandaNetwork, job: Fit, params: Amanda) -> None:
    """Eq. 5 on the source, in place."""
    s = FitSettings(
        params.epochs, params.batch_size, params.lr, params.weight_decay,
        params.patience, params.holdout, params.smoothing, params.view_dropout, params.lead,
    )  # fmt: skip

    def loss(core: Core, batch: Rows, keep: Tensor) -> Tensor:
        codes, logits = cast(AmandaNetwork, core).everything(batch.views, keep)
        return teach(codes, logits, batch, keep, params)[0]

    fit_core(core, job, s, loss)


def align(job: Adaptation, params: Amanda) -> Core:
    """Eq. 10 from the incumbent; see :class:`streamaffect.methods.amanda.Amanda`."""
    settings = LoopSettings(
        epochs=params.adapt_epochs,
        batch_size=params.batch_size,
        lr=params.adapt_lr,
        weight_decay=params.weight_decay,
        holdout=params.holdout,
        slack=params.slack,
    )
    return adapt_core(job, _Objective(job, params), settings)


def teach(
    codes: list[Tensor], logits: list[Tensor], rows: Rows, keep: Tensor, params: Amanda
) -> tuple[Tensor, dict[str, Tensor | float]]:
    """The information bottleneck (Eq. 5) of M + 1 codes and logits, and its terms.

    Sigma is diagonal, so that log|Sigma| of the union is the sum of the views': each counts twice, and windows that lack
    a view do not blur it.
    """
    present = [*keep.T, torch.ones_like(keep[:, 0])]
    ce = torch.stack(
        [
            cross_entropy(z, rows.y * kept[:, None], rows.weight, params.smoothing)
            for z, kept in zip(logits, present, strict=True)
        ]
    )
    if params.heads == "fused":
        taught = ce[-1]
    elif params.heads == "balanced":
        taught = balance(ce, params.surrogate, params.strength)
    else:
        taught = ce.sum()
    terms: dict[str, Tensor | float] = {"source_ce": ce[-1]}
    if params.gamma:
        terms["spread"] = 2 * sum(
            (bottleneck(code, kept) for code, kept in zip(codes[:-1], keep.T, strict=True)), torch.zeros_like(taught)
        )
        taught = taught + params.gamma * terms["spread"]
    return taught, terms


class _Objective:
    """Eq. 10 over batches."""

    def __init__(self, job: Adaptation, params: Amanda) -> None:
        self.job, self.params = job, params
        self.source, self.target = rows_of(job)
        self.modalities = [*job.x, _UNION]
        self.ratio = torch.ones(job.classes, device=job.device)
        self.proportions = self._tensor(job.source_proportions)
        self.mean = MeanPrediction(params.momentum if len(self.target) > params.batch_size else 0.0)

    def renew(self, core: Core, p: float) -> None:  # noqa: ARG002 - the same at any progress
        """Estimate the target's proportions anew."""
        if isinstance(self.job.prior, str) and self.job.prior == "source":
            return
        probabilities = torch.softmax(predict(core, self.target.views) / self.job.temperature, 1).cpu().numpy()
        self.ratio = self._tensor(self.job.ratio(probabilities))
        self.proportions = self._tensor(self.job.proportions(probabilities))

    def loss(self, core: Core, source: Rows, target: Rows, p: float) -> tuple[Tensor, dict[str, Tensor | float]]:  # noqa: ARG002
        n, params = len(source), self.params
        views = [torch.cat(both) for both in zip(source.views, target.views, strict=True)]
        keep = drop_views(1, len(views), params.adapt_view_dropout, self.job.device).expand(len(views[0]), -1)
        codes, logits = cast(AmandaNetwork, core).everything(views, keep)
        loss, terms = teach([z[:n] for z in codes], [z[:n] for z in logits], source, keep[:n], params)
        if params.alpha1:
            terms["label_alignment"] = self._labels(logits[-1][n:])
            loss = loss + params.alpha1 * terms["label_alignment"]
        if params.alpha2:
            a = self._correlation(codes, n, source.y @ self.ratio)
            terms["alignment"] = balance(a, params.surrogate, params.strength)
            loss = loss + params.alpha2 * terms["alignment"]
            psi = weights(a, params.surrogate, params.strength)
            terms |= {f"psi.{name}": weight for name, weight in zip(self.modalities, psi, strict=True)}
            terms |= {f"ca.{name}": each for name, each in zip(self.modalities, a, strict=True)}
        return loss, terms

    def _labels(self, logits: Tensor) -> Tensor:
        q = self.proportions
        under_q = torch.softmax(logits + torch.log(q.clamp_min(_RARE)), 1)
        return label_alignment(self.mean(under_q), q)

    def _correlation(self, codes: list[Tensor], n: int, weight: Tensor) -> Tensor:
        """CA_m (M + 1,)."""
        ones = torch.ones(len(codes[0]) - n, device=weight.device)
        a = [correlation_alignment(z[:n], z[n:], weight, ones, self.params.means) for z in codes]
        if self.params.scaled:
            a = [each / (4 * z.shape[1] ** 2) for each, z in zip(a, codes, strict=True)]
        return torch.stack(a)

    def _tensor(self, values: object) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32, device=self.job.device)
