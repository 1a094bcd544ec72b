"""``helo``: HeLo, emotion distributions from physiology and behaviour. Cross-attention, transport, label correlation."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from .holdout import split
from .jobs import Adaptation, Fit
from .reports import Reports
from .source import Source

if TYPE_CHECKING:
    from .cores import Core

BEHAVIOUR = frozenset(["acc", "audio", "eye", "face", "gait", "gaze", "gesture", "gyro", "pose", "speech", "video", "voice"])


@dataclass(frozen=True, kw_only=True)
class HeLo(Source):
    """HeLo (Zheng et al. 2025) for any set of views, on label distributions or class labels. The fit minimises (Eq. 10)

        KL(L || L^) + cc_weight mean (M^L - M^gt)^2 + wd_weight <T, cost>

    the last term being ours (0: the transport only fuses). ``adapt`` is ours too, the paper has none: it goes on with
    ``gamma`` times the MMD (``align='mmd'``) or the Sinkhorn divergence at ``align_eps`` (``'ot'``) between the source's and
    the target's fused embeddings; ``align=None`` leaves the network as it is. With a ``prior``, source windows count
    ``q_y / p_y`` in it.

    ``query``: the view that asks in the cross-attention (None: an EEG view, else the first that is no behaviour).
    ``behaviour``: the views onto whose tokens the others are transported (None: those whose name begins with a modality in
    ``BEHAVIOUR``, such as ``acc.stats``; where that would be all, or with ``()``, nothing is transported). A lone
    physiological view attends to itself.

    Switches, which the paper ablates: ``cross_attention``, ``ot``, ``label_attention`` (``'joint'`` and ``'propagate'`` are
    two readings of Eq. 9), ``cc_weight=0``. ``residual``: LN(x^m) as Eq. 3 prints (``'key'``), of the query, or of both.
    ``correlation``: M^gt from all training labels or from each batch's. ``detach``: no gradient through T. ``eps`` and
    ``iterations`` are the Sinkhorn's, which the paper leaves open. ``tokens`` a view, of ``width`` (paper: 128), ``heads``,
    ``depth`` and ``feedforward`` of the transformers.

    Class labels become distributions by ``smoothing``, and classes count alike; distributions are taken as they are.
    ``states`` (ours): for few people. The network tells the state, one of those that the source's people have in common by
    the names of their trials, and answers with the mixture of the states' mean reports; trials whose reports do not differ
    are one state (see ``reports``). What one person reported alone is not learnt. ``smoothing`` is then the states'.

    The paper trains for 300 epochs and validates on nothing: here subjects are held out and end the fit (``holdout=0``:
    its last epoch). ``view_dropout`` prepares for sensors that fall off; ``feature_dropout`` leaves out single numbers of the
    vector views in training, so that no few of them decide.
    """

    name: ClassVar[str] = "helo"
    kinds: ClassVar[frozenset[str]] = frozenset({"helo"})

    epochs: int = 300
    lr: float = 1e-3
    weight_decay: float = 0.0
    patience: int = 20
    smoothing: float = 0.1
    query: str | None = None
    behaviour: Sequence[str] | None = None
    tokens: int = 8
    width: int = 64
    heads: int = 4
    depth: int = 1
    feedforward: int = 64
    feature_dropout: float = 0.0
    cross_attention: bool = True
    ot: bool = True
    label_attention: Literal["joint", "propagate"] | None = "joint"
    keys: Literal["all", "others"] = "all"
    states: bool = False
    residual: Literal["key", "query", "both"] = "key"
    eps: float = 0.1
    iterations: int = 20
    detach: bool = False
    correlation: Literal["source", "batch"] = "source"
    cc_weight: float = 1.0
    wd_weight: float = 0.0
    align: Literal["mmd", "ot"] | None = "mmd"
    align_eps: float = 0.05
    gamma: float = 1.0
    adapt_epochs: int = 10
    adapt_lr: float = 3e-4
    slack: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._one_of("label_attention", "joint", "propagate", None)
        self._one_of("keys", "all", "others")
        self._one_of("residual", "key", "query", "both")
        self._one_of("correlation", "source", "batch")
        self._one_of("align", "mmd", "ot", None)
        for switch in ("cross_attention", "ot", "detach", "states"):
            self._one_of(switch, False, True)
        self._at_least(1, "tokens", "width", "heads", "depth", "feedforward", "iterations", "adapt_epochs")
        self._between(0, math.inf, "cc_weight", "wd_weight", "gamma", "slack")
        self._between(1e-3, 10, "eps", "align_eps")
        self._between(0, 0.9, "feature_dropout")
        self._positive("adapt_lr")
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads, got {self.width} and {self.heads}")
        if self.behaviour is not None:
            if isinstance(self.behaviour, str) or not isinstance(self.behaviour, Iterable):
                raise ValueError(f"behaviour must be a list of views, such as [{str(self.behaviour)!r}]")
            object.__setattr__(self, "behaviour", tuple(self.behaviour))

    def roles(self, views: Iterable[str]) -> tuple[str, tuple[str, ...]]:
        """The query and the behaviour views among ``views``. ValueError for names that are not there."""
        names = list(views)
        if absent := [name for name in (self.query, *(self.behaviour or ())) if name is not None and name not in names]:
            raise ValueError(f"query or behaviour names view {absent[0]!r}: the source has {', '.join(names)}")
        behaviour = tuple(self.behaviour if self.behaviour is not None else filter(_is_behaviour, names))
        if self.query in behaviour and self.behaviour is not None:
            raise ValueError(f"view {self.query!r} cannot be both query and behaviour")
        behaviour = tuple(name for name in behaviour if name != self.query)
        felt = [name for name in names if name not in behaviour]
        if not felt:
            felt, behaviour = names, ()
        first = next((name for name in felt if _modality(name) == "eeg"), felt[0])
        return self.query or first, behaviour

    def _fit(self, job: Fit) -> Core:
        from .helo_network import HeloNetwork
        from .helo_objective import fitted

        shapes = job.source.shapes
        query, behaviour = self.roles(shapes)
        reports = Reports.of(job.source, split(job.source, self.holdout, job.seed)[0]) if self.states else None
        states = [] if reports is None else reports.states()
        core = HeloNetwork(
            shapes, job.classes, query, behaviour, [sorted(state) for state in states],
            tokens=self.tokens, width=self.width, heads=self.heads, depth=self.depth, feedforward=self.feedforward,
            dropout=self.dropout, feature_dropout=self.feature_dropout, cross_attention=self.cross_attention, ot=self.ot,
            label_attention=self.label_attention, keys=self.keys, residual=self.residual, eps=self.eps,
            iterations=self.iterations, detach=self.detach,
        )  # fmt: skip
        if reports is not None:
            core.know([reports.mean(state) for state in states])
        return fitted(core.to(job.device), job, self)

    def _adapt(self, job: Adaptation) -> Core:
        if self.align is None:
            return job.core
        from .helo_objective import adapted

        return adapted(job, self)


def _modality(view: str) -> str:
    return re.split(r"[^a-z]", view.lower(), maxsplit=1)[0]


def _is_behaviour(view: str) -> bool:
    return _modality(view) in BEHAVIOUR
