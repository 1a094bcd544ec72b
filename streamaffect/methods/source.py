"""``source``: a network fitted on the labelled subjects, used as it is. The baseline of every adaptation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .base import Base
from .jobs import Adaptation, Fit

if TYPE_CHECKING:
    from .cores import Core


@dataclass(frozen=True, kw_only=True)
class Source(Base):
    """Parameters of the fit; the defaults are dynAmiC's Table 1 where it gives one.

    ``weight_decay``: the paper prints 10^5, read as 10^-5. ``patience`` epochs without a lower loss on ``holdout`` (the
    share of source subjects held out, 0: none, last epoch). ``lead``: the share of the epochs in which the vector views
    are fitted alone, so that signals add to them instead of learning people by heart. ``view_dropout``: the rate at which
    a window's view is left out in training, so that no view dominates and a missing one can be survived.

    ``adapt`` leaves the core as it is, of whatever method: what changes is the standardisation, where
    ``normalise='subject'``.
    """

    name: ClassVar[str] = "source"

    epochs: int = 100
    batch_size: int = 128
    lr: float = 1e-4
    weight_decay: float = 1e-5
    patience: int = 10
    holdout: float = 0.2
    smoothing: float = 0.05
    dropout: float = 0.2
    lead: float = 0.0
    view_dropout: float = 0.35

    def __post_init__(self) -> None:
        super().__post_init__()
        self._at_least(1, "epochs", "patience")
        self._at_least(2, "batch_size")
        self._between(0, 1, "weight_decay")
        self._between(0, 0.9, "holdout", "smoothing", "dropout", "view_dropout", "lead")
        self._positive("lr")

    def _fit(self, job: Fit) -> Core:
        from .networks import Network
        from .training import FitSettings, fit

        core = Network(job.source.shapes, job.classes, self.dropout).to(job.device)
        s = FitSettings(
            self.epochs, self.batch_size, self.lr, self.weight_decay,
            self.patience, self.holdout, self.smoothing, self.view_dropout, self.lead,
        )  # fmt: skip
        fit(core, job, s)
        return core

    def _adapt(self, job: Adaptation) -> Core:
        return job.core
