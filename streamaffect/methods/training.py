"""Fitting a network core on the source, and what adaptation shares with it. torch."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch
from torch import Tensor

from .contract import Int64, Views
from .cores import Core
from .holdout import split
from .jobs import Fit
from .model import run_batched
from .networks import drop_views

State = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """The parameters of a fit; see :class:`streamaffect.methods.source.Source`."""

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    patience: int
    holdout: float
    smoothing: float
    view_dropout: float
    lead: float = 0.0


class Rows:
    """Windows on the device: standardised views in the core's order, ``y`` (n, C), class ``weight`` (C,).

    ``index`` (n,) are the places of these rows in the set they were taken from.
    """

    def __init__(self, views: Views, y: np.ndarray, weight: np.ndarray, device: torch.device) -> None:
        self.views = [torch.as_tensor(view, device=device) for view in views.values()]
        self.index = torch.arange(len(y), device=device)
        self.y = torch.as_tensor(y, dtype=torch.float32, device=device)
        self.weight = torch.as_tensor(weight, dtype=torch.float32, device=device)

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: Int64) -> Rows:
        index = torch.as_tensor(rows, device=self.y.device)
        taken = copy.copy(self)
        taken.views, taken.y, taken.index = [view[index] for view in self.views], self.y[index], self.index[index]
        return taken


def balanced(y: np.ndarray) -> np.ndarray:
    """Class weights (C,) ``1 / (C p_c)`` over the classes that are there, 0 for the others; ``y`` (n, C)."""
    share = y.mean(axis=0)
    present = share > 0
    return np.where(present, 1 / (np.maximum(share, 1e-12) * present.sum()), 0)


def cross_entropy(logits: Tensor, y: Tensor, weight: Tensor, smoothing: float = 0.0) -> Tensor:
    """``sum_i w_i H(y_i, softmax(logits_i)) / sum_i w_i`` with ``w_i = y_i . weight``, labels smoothed before."""
    smooth = (1 - smoothing) * y + smoothing / y.shape[1]
    w = y @ weight
    losses = -(smooth * torch.log_softmax(logits, 1)).sum(1)
    return (w * losses).sum() / w.sum().clamp_min(1e-12)


Loss = Callable[[Core, Rows, Tensor], Tensor]


def fit(core: Core, job: Fit, s: FitSettings, loss: Loss | None = None, rows: Callable[[int], Rows] | None = None) -> None:
    """Train in place: Adam, cosine annealing to 0, class-balanced cross-entropy (or ``loss``), view dropout.

    The state with the lowest cross-entropy on held-out subjects is kept; ``patience`` epochs without a lower one end the
    fit. Where nothing can be held out, the last epoch is kept. For the first ``lead`` of the epochs the vector views are
    fitted alone, where there are signals beside them; what is kept comes from the epochs after.

    ``loss(core, batch, keep)``; ``rows(epoch)`` gives the training rows of that epoch, in the order of the source's, where
    they change (augmentation).
    """
    base = Rows(job.x, job.y, balanced(job.y), job.device)
    train, held = split(job.source, s.holdout, job.seed)
    watch = base.take(held)
    rng = np.random.default_rng(job.seed)
    optimiser = torch.optim.Adam(core.parameters(), lr=s.lr, weight_decay=s.weight_decay, fused=True)
    best, best_loss, waited = snapshot(core), math.inf, 0
    mixed = len({view.ndim for view in base.views}) == 2
    leading = min(round(s.lead * s.epochs), s.epochs - 1) if mixed else 0  # the last epoch teaches all
    for epoch in range(s.epochs):
        if epoch == leading:
            best_loss, waited = math.inf, 0
        set_rate(optimiser, s.lr, epoch / s.epochs)
        taught = base if rows is None else rows(epoch)
        parts = batches(train, s.batch_size, rng)
        terms = {"source_ce": _epoch(core, taught, parts, optimiser, s, loss, lead=epoch < leading)}
        if len(held) and epoch >= leading:
            terms["holdout"] = holdout_loss(core, watch)
            waited += 1
            if terms["holdout"] < best_loss:
                best, best_loss, waited = snapshot(core), terms["holdout"], 0
        job.tell((epoch + 1) / s.epochs, **terms)
        if waited >= s.patience:
            break
    if len(held):
        core.load_state_dict(best)
    core.eval()


def _epoch(
    core: Core, rows: Rows, parts: list[Int64], optimiser: torch.optim.Adam, s: FitSettings, loss: Loss | None, *, lead: bool
) -> float:
    core.train()
    vectors = torch.tensor([view.ndim == 2 for view in rows.views], device=rows.y.device)
    total = 0.0
    for part in parts:
        batch = rows.take(part)
        if lead:
            keep = vectors.float().expand(len(batch), -1)
        else:
            keep = drop_views(len(batch), len(batch.views), s.view_dropout, batch.y.device)
        if loss is None:
            value = cross_entropy(core(batch.views, keep)[1], batch.y, batch.weight, s.smoothing)
        else:
            value = loss(core, batch, keep)
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += float(value.detach()) * len(part)
    return total / sum(map(len, parts))


def predict(core: Core, views: list[Tensor]) -> Tensor:
    """Logits (n, C) in evaluation mode, all views present."""
    core.eval()
    return run_batched(lambda part: core(part, torch.ones(len(part[0]), len(part), device=part[0].device))[1], views)


def holdout_loss(core: Core, rows: Rows) -> float:
    """The class-balanced cross-entropy, without smoothing or dropout."""
    return float(cross_entropy(predict(core, rows.views), rows.y, rows.weight))


def batches(rows: Int64, size: int, rng: np.random.Generator) -> list[Int64]:
    """``rows`` in random order, cut into about equal parts of at most ``size`` (batch normalisation dislikes crumbs)."""
    return [part for part in np.array_split(rng.permutation(rows), math.ceil(len(rows) / size)) if len(part)]


def set_rate(optimiser: torch.optim.Optimizer, lr: float, p: float) -> None:
    """Cosine annealing from ``lr`` at progress 0 to 0 at 1."""
    for group in optimiser.param_groups:
        group["lr"] = lr * (1 + math.cos(math.pi * p)) / 2


def snapshot(core: Core) -> State:
    return {name: tensor.detach().clone() for name, tensor in core.state_dict().items()}


def find_device(name: str) -> torch.device:
    """``'auto'`` is CUDA where there is one. ValueError for a device that is not there, or is neither CPU nor CUDA."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ValueError(f"device {name!r} is unknown: give 'auto', 'cpu' or 'cuda'")
    if device.type == "cuda" and not (torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()):
        raise ValueError(f"device {name!r} is not there: give 'cpu' or 'auto'")
    return device


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """torch's random state set to ``seed`` on ``device``, and as it was afterwards; deterministic convolutions.

    ValueError for a seed that is no integer of 0 to 2^63 - 1.
    """
    if not isinstance(seed, Integral) or not 0 <= seed < 2**63:
        raise ValueError(f"seed must be an integer from 0 to 2^63 - 1, got {seed!r}")
    devices = [torch.cuda.current_device() if device.index is None else device.index] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=devices),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
    ):
        torch.default_generator.manual_seed(int(seed))
        for number in devices:
            with torch.cuda.device(number):  # manual_seed is for the current one
                torch.cuda.manual_seed(seed)
        yield
