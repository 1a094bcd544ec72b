"""``m3d``: manifold features, dynamic distribution alignment and an ensemble of its iterations, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from .base import Base
from .contract import Float32, LabelledSet, check_views
from .jobs import Adaptation, Fit
from .linkclue import LINKAGES, SIMILARITIES
from .scaling import Scaling
from .threads import sparing

if TYPE_CHECKING:
    from .cores import Core
    from .model import CoreModel

ENSEMBLES = (*(f"{s}-{linkage}" for s in SIMILARITIES for linkage in LINKAGES), "vote", "last")


@dataclass(frozen=True, kw_only=True)
class M3D(Base):
    """Parameters; the defaults are the paper's where it gives one.

    ``reduction`` to ``d`` components (``tca_kernel`` ``'linear'`` or ``'rbf'`` with ``tca_gamma``, ``tca_ridge``), then
    ``manifold`` with subspaces of ``dim`` (None: half of what d leaves). ``gamma`` of the rbf kernel on unit rows. ``eta``,
    ``rho``, ``strength`` (the paper's lambda) weigh the norm, the Laplacian over ``neighbours`` and the alignment.
    ``iterations`` at most; it stops where the labels stay, with the same answer. ``mu``: ``'paper'`` eq. 15, ``'meda'``
    its ancestor's, or a number; ``error`` of the A-distances. ``start``: the first labels, ``'auto'`` nearest neighbour,
    or the incumbent's answers where it was adapted already. ``ensemble`` of the iterations' labels.

    Ours: ``max_rows`` of the source at most, drawn by subject and class; ``balanced`` label weights; ``temporal`` weight
    of graph edges between consecutive windows of one trial of the target; ``support`` rows of the model at most (None:
    all, which answers as the solution does and takes far less than a millisecond a window).
    """

    name: ClassVar[str] = "m3d"
    reads: ClassVar = "vectors"

    reduction: Literal["tca", "pca", "none"] = "tca"
    d: int = 128
    tca_kernel: Literal["linear", "rbf"] = "linear"
    tca_gamma: float = 0.5
    tca_ridge: float = 1.0
    manifold: Literal["grassmann", "none"] = "grassmann"
    dim: int | None = None
    gamma: float = 0.5
    eta: float = 0.1
    rho: float = 1.0
    strength: float = 0.4
    iterations: int = 10
    neighbours: int = 10
    mu: Literal["paper", "meda"] | float = "paper"
    error: Literal["training", "cross-validated"] = "training"
    start: Literal["auto", "nearest", "linear", "tree", "incumbent"] = "auto"
    ensemble: str = "cts-average"
    max_rows: int = 3000
    balanced: bool = True
    temporal: float = 0.0
    support: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._one_of("reduction", "tca", "pca", "none")
        self._one_of("tca_kernel", "linear", "rbf")
        self._one_of("manifold", "grassmann", "none")
        self._one_of("error", "training", "cross-validated")
        self._one_of("start", "auto", "nearest", "linear", "tree", "incumbent")
        self._one_of("ensemble", *ENSEMBLES)
        self._one_of("balanced", False, True)
        self._at_least(1, "d", "iterations", "neighbours")
        self._at_least(16, "max_rows", *(["support"] if self.support is not None else []))
        if self.dim is not None:
            self._at_least(1, "dim")
        self._positive("tca_gamma", "tca_ridge", "gamma", "eta")
        self._between(0, 1e6, "rho", "strength", "temporal")
        if isinstance(self.mu, str):
            self._one_of("mu", "paper", "meda")
        else:
            self._between(0, 1, "mu")

    def _fit(self, job: Fit) -> Core:
        from .transduction import fit

        with sparing(min(len(job.y), self.max_rows)):
            return fit(job, self)

    def _adapt(self, job: Adaptation) -> Core:
        from .transduction import adapt

        with sparing(min(len(job.y), self.max_rows) + len(next(iter(job.target.values())))):
            return adapt(job, self)

    def _refine(self, job: Adaptation, core: Core, labels: Float32, weight: Float32) -> Core:
        """Solved anew, with the believed windows of the target among the labelled rows."""
        from .transduction import refine

        with sparing(min(len(job.y), self.max_rows) + len(next(iter(job.target.values())))):
            return refine(job, self, core, labels, weight)

    def _few(
        self, labelled: LabelledSet | None, incumbent: CoreModel, scaling: Scaling
    ) -> tuple[dict[str, Float32], Float32] | None:
        if labelled is None:
            return None
        check_views(labelled.shapes, incumbent.views, "labelled_target")
        return scaling.apply(labelled.x), labelled.distribution(incumbent.classes)
