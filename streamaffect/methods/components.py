"""``tca``: transfer components, then logistic regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, cast

import numpy as np

from .contract import Float32, Float64, Int64
from .coral import ROUNDS, STILL
from .jobs import Adaptation
from .zscore import ZScore

if TYPE_CHECKING:
    from .cores import Core
    from .linear import Linear

_NOISE = 1e-4  # of the widest component's spread: float32 has seven digits, and the map is as large as the spread is small


@dataclass(frozen=True, kw_only=True)
class TCA(ZScore):
    """TCA (Pan et al., IEEE TNN 2011) of rows scaled to length 1; see ``tca`` for the mathematics.

    ``components`` at most; ``kernel='linear'`` is the primal form, ``'rbf'`` has ``gamma``. ``mu`` weighs keeping the
    components small against bringing the means together, the paper's. ``support``: source windows that rbf components
    are found on at most, drawn in the proportions of the classes; the model carries them and the target's along.

    Before ``adapt`` there is no target: the model of ``fit_source`` is that of ``zscore``.

    With a ``prior`` of the target's, the source windows are drawn in the target's class proportions.
    """

    name: ClassVar[str] = "tca"
    kinds: ClassVar[frozenset[str]] = frozenset({"linear", "kernel_linear"})

    components: int = 30
    kernel: Literal["linear", "rbf"] = "linear"
    gamma: float = 0.5
    mu: float = 1.0
    support: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.anchor:
            raise ValueError("method 'tca' takes no anchor: its components are others at each adaptation")
        self._at_least(1, "components")
        self._at_least(10, "support")
        self._one_of("kernel", "linear", "rbf")
        self._positive("gamma", "mu")

    def _align(self, job: Adaptation, core: Core) -> tuple[Linear, Float32]:
        from .linear import Linear

        sizes = [view.shape[1] for view in job.x.values()]
        plain = Linear(sizes, job.classes, unit=True)
        source, target = plain.embed(job.x), plain.embed(job.target)
        aligned, ratio = cast("Linear", core), np.zeros(job.classes)
        for _ in range(ROUNDS):
            last, ratio = ratio, job.ratio(aligned.posteriors(aligned.embed(job.target), job.temperature))
            if np.abs(ratio - last).max() < STILL:
                break
            aligned = self._mapped(sizes, source[self._draw(job, ratio)], target, job).to(job.device)
            rows = aligned.embed(job.x)
            aligned.solve(rows, job.y, self.C)
        return aligned, rows

    def _mapped(self, sizes: list[int], source: Float32, target: Float32, job: Adaptation) -> Linear:
        """A core that tells components, each of variance 1 over all source windows; its classifier is not fitted."""
        import torch

        from .linear import KernelLinear, Linear
        from .tca import tca_linear, tca_rbf

        core: Linear
        if self.kernel == "linear":
            found = tca_linear(source, target, self.components, self.mu)
            core = Linear(sizes, job.classes, found.shape[1], unit=True)
        else:
            kernel = tca_rbf(source, target, self.components, self.gamma, self.mu)
            found = kernel.coefficients
            core = KernelLinear(sizes, job.classes, found.shape[1], len(kernel.support), self.gamma)
            core.support.copy_(torch.as_tensor(kernel.support))
        core.map.copy_(torch.as_tensor(found))
        spread = torch.as_tensor(core.embed(job.x).std(axis=0))
        # features that depend on each other leave components of rounding errors: those are not blown up but dropped
        core.map.div_(torch.where(spread > _NOISE * spread.max(), spread, torch.inf))
        return core

    def _draw(self, job: Adaptation, ratio: Float64) -> Int64:
        """Source windows to find components on, each class ``ratio`` times as often as it occurs."""
        y = job.source.hard()
        rng = np.random.default_rng(job.seed)
        wanted = ratio * np.bincount(y, minlength=job.classes)
        limit = self.support if self.kernel == "rbf" else len(y)
        scale = min(limit / wanted.sum(), 1 / max(ratio.max(), 1e-12))
        drawn = [rng.permutation(np.flatnonzero(y == c))[: max(1, round(scale * w))] for c, w in enumerate(wanted) if w > 0]
        return np.sort(np.concatenate(drawn))
