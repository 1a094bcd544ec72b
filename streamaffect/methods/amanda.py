"""``amanda``: modality-balanced alignment. Each view has its own encoder and head; those aligned worst weigh most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from .contract import Shapes
from .jobs import Adaptation, Fit
from .source import Source

if TYPE_CHECKING:
    from .cores import Core

Encoder = Literal["mlp", "resnet", "textcnn", "lstm"]
_OF_SIGNALS = ("resnet", "textcnn", "lstm")


@dataclass(frozen=True, kw_only=True)
class Amanda(Source):
    """Amanda (anonymous ACL submission). The M views and their union M + 1 are its modalities. It minimises (Eq. 10)

        sum_m CE_m + gamma log|Sigma_m| / 2   +   alpha1 LA   +   alpha2 h(CA_1, .., CA_{M+1})

    the first sum, the information bottleneck (Eq. 5), at the fit too; ``adapt`` goes on from the fitted model. LA aligns
    the mean prediction on the target with its class proportions (Eq. 8), CA_m the covariances of the codes (Eq. 9), and h
    balances the modalities (see ``balance``). The union's head answers. Switches: ``gamma``, ``alpha1``, ``alpha2`` = 0.

    ``surrogate``: h is the ``p``-norm (1: unbalanced, up to ``'inf'``: the worst alone) or ``'logexp'`` at rate ``t``.
    ``heads``: ``'sum'`` of the cross-entropies (paper), ``'balanced'``: h of them, ``'fused'``: the union's alone.
    ``encoders``: for signals ``'resnet'``, ``'textcnn'`` or ``'lstm'``, or view -> encoder; vectors have an MLP.
    ``means``: CA_m aligns the mean codes too, with this weight (ours; 0 is the paper's: covariances do not see a shift).
    ``scaled``: CA_m / (4 d_m^2), as Deep CORAL; ``alpha2`` is the paper's for the unscaled one. ``momentum``: LA compares
    a running mean of predictions where a batch is not all of the target (0: the batch alone).

    The paper assumes that source and target have the same class proportions. With a ``prior``, LA takes the given or
    estimated ones, and source windows count ``q_y / p_y`` in CA. The cross-entropies are class-balanced, so LA reads
    ``softmax(logits + log q)``, which is the answer of a classifier taught under the proportions q.

    A missing view's code is zero; its loss, covariance and head do not count. ``view_dropout`` trains for that.
    """

    name: ClassVar[str] = "amanda"
    kinds: ClassVar[frozenset[str]] = frozenset({"amanda"})

    lr: float = 5e-4
    weight_decay: float = 0.0
    smoothing: float = 0.0
    width: int = 128
    encoders: Encoder | Mapping[str, Encoder] = "resnet"
    heads: Literal["sum", "balanced", "fused"] = "sum"
    gamma: float = 5e-4
    alpha1: float = 0.08
    alpha2: float = 0.1
    surrogate: Literal["norm", "logexp"] = "norm"
    p: float | Literal["inf"] = 2.0
    t: float = 1.0
    means: float = 0.0
    scaled: bool = False
    momentum: float = 0.9
    adapt_epochs: int = 10
    adapt_lr: float = 5e-4
    adapt_view_dropout: float = 0.0
    slack: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._one_of("heads", "sum", "balanced", "fused")
        self._one_of("surrogate", "norm", "logexp")
        self._one_of("scaled", False, True)
        self._at_least(1, "width", "adapt_epochs")
        self._between(0, math.inf, "gamma", "alpha1", "alpha2", "means", "slack")
        self._between(0, 0.999, "momentum")
        self._between(0, 0.9, "adapt_view_dropout")
        self._positive("adapt_lr", "t")
        if self.p == math.inf:
            object.__setattr__(self, "p", "inf")  # JSON has no infinity
        if self.p != "inf":
            self._between(1, math.inf, "p")
        if isinstance(self.encoders, Mapping):
            object.__setattr__(self, "encoders", dict(self.encoders))  # the caller's own may change, or be no dict
        named = self.encoders.values() if isinstance(self.encoders, Mapping) else [self.encoders]
        if unknown := [name for name in named if name not in (*_OF_SIGNALS, "mlp")]:
            raise ValueError(f"encoders must be 'resnet', 'textcnn' or 'lstm', or view -> encoder, got {unknown[0]!r}")

    @property
    def strength(self) -> float:
        """p of the norm or t of log-exp."""
        return self.t if self.surrogate == "logexp" else float(self.p)

    def _fit(self, job: Fit) -> Core:
        from .amanda_alignment import fit
        from .amanda_network import AmandaNetwork

        shapes = job.source.shapes
        core = AmandaNetwork(shapes, job.classes, self._encoders(shapes), self.width, self.dropout).to(job.device)
        fit(core, job, self)
        return core

    def _adapt(self, job: Adaptation) -> Core:
        from .amanda_alignment import align

        return align(job, self)

    def _encoders(self, shapes: Shapes) -> dict[str, Encoder]:
        """View -> encoder; ValueError for views that are not there and encoders of another shape."""
        given = self.encoders if isinstance(self.encoders, Mapping) else {}
        if absent := [name for name in given if name not in shapes]:
            raise ValueError(f"encoders names view {absent[0]!r}: the source has {', '.join(shapes)}")
        rest: Encoder = "resnet" if isinstance(self.encoders, Mapping) else self.encoders
        chosen: dict[str, Encoder] = {}
        for name, shape in shapes.items():
            vector = len(shape) == 1
            encoder = given.get(name, "mlp" if vector else rest)
            if vector != (encoder == "mlp"):
                wanted = "a vector (k,): 'mlp'" if vector else "a signal (channels, T): 'resnet', 'textcnn' or 'lstm'"
                raise ValueError(f"encoders gives {encoder!r} to view {name!r}, which is {wanted}")
            chosen[name] = encoder
        return chosen
