"""``source``: a network fitted on the labelled subjects, used as it is. The baseline of every adaptation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from .contract import LabelledSet, Model, Progress, UnlabelledSet, check_classes, check_views
from .scaling import Scaling, standardised

if TYPE_CHECKING:
    from .model import NetworkModel


@dataclass(frozen=True, kw_only=True)
class Source:
    """Parameters of the fit; the defaults are dynAmiC's Table 1 where it gives one.

    ``normalise='subject'`` standardises the vector views of each person by that person's own windows, at the fit and,
    for the target, at ``adapt``; before that, a new person is standardised by the pooled source.
    ``weight_decay``: the paper prints 10^5, read as 10^-5. ``patience`` epochs without a lower loss on ``holdout`` (the
    share of source subjects held out, 0: none, last epoch). ``lead``: the share of the epochs in which the vector views
    are fitted alone, so that signals add to them instead of learning people by heart. ``view_dropout``: the rate at which
    a window's view is left out in training, so that no view dominates and a missing one can be survived.
    """

    name: ClassVar[str] = "source"

    normalise: Literal["subject"] | None = None
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
        if self.normalise not in (None, "subject"):
            raise ValueError(f"normalise must be 'subject' or None, got {self.normalise!r}")
        self._at_least(1, "epochs", "patience")
        self._at_least(2, "batch_size")
        self._between(0, 1, "weight_decay")
        self._between(0, 0.9, "holdout", "smoothing", "dropout", "view_dropout", "lead")
        self._positive("lr")

    def fit_source(self, source: LabelledSet, seed: int = 0, device: str = "auto", progress: Progress | None = None) -> Model:
        check_classes(source)
        torch_missing()
        from .model import NetworkModel
        from .networks import Network
        from .training import FitSettings, Rows, balanced, find_device, fit, seeded

        where = find_device(device)
        scaling = Scaling.of(source.x)
        y = source.distribution(source.classes)
        with seeded(seed, where):
            network = Network(source.shapes, source.classes, self.dropout).to(where)
            rows = Rows(standardised(source, scaling, self.normalise), y, balanced(y), where)
            s = FitSettings(
                self.epochs, self.batch_size, self.lr, self.weight_decay,
                self.patience, self.holdout, self.smoothing, self.view_dropout, self.lead,
            )  # fmt: skip
            fit(network, rows, source, s, seed, progress)
        return NetworkModel(self.name, source.shapes, network, scaling, source.classes, self.params())

    def adapt(
        self,
        model: Model,
        source: LabelledSet,
        target: UnlabelledSet,
        seed: int = 0,  # noqa: ARG002 - the contract of all methods
        device: str = "auto",  # noqa: ARG002
        budget_s: float | None = None,  # noqa: ARG002
        progress: Progress | None = None,  # noqa: ARG002
        labelled_target: LabelledSet | None = None,
    ) -> Model:
        """The model as it is, standardised for the target's person where ``normalise='subject'``."""
        incumbent = self._incumbent(model, source, target)
        if labelled_target is not None:
            raise ValueError("method 'source' does not adapt: it takes no labelled_target")
        scaling = incumbent.scaling.personal(target) if self.normalise else incumbent.scaling
        return incumbent.adapted(self.name, self.params(), incumbent.network, scaling)

    @classmethod
    def restore(cls, config: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Model:
        torch_missing()
        from .model import NetworkModel

        return NetworkModel.restore(config, arrays)

    def params(self) -> dict[str, Any]:
        """The parameters as JSON takes them."""
        return {k: v.tolist() if isinstance(v, (np.ndarray, np.generic)) else v for k, v in asdict(self).items()}

    def _incumbent(self, model: Model, source: LabelledSet, target: UnlabelledSet) -> NetworkModel:
        """``model``, checked to be one this method can go on from with these sets."""
        torch_missing()
        from .model import NetworkModel

        if not isinstance(model, NetworkModel):
            raise ValueError(  # noqa: TRY004 - a value of another method, not of a wrong type
                f"method {self.name!r} adapts models of source and dynamic, not of {model.method!r}"
            )
        if model.params.get("normalise") != self.normalise:
            raise ValueError(
                f"the model was fitted with normalise={model.params.get('normalise')!r}: adapt with the same, "
                f"not {self.normalise!r}"
            )
        check_views(source.shapes, model.views, "source")
        check_views(target.shapes, model.views, "target")
        return model

    def _at_least(self, low: int, *fields: str) -> None:
        for name in fields:
            value = getattr(self, name)
            if not isinstance(value, Integral) or int(value) < low:
                raise ValueError(f"{name} must be an integer from {low} on, got {value!r}")

    def _between(self, low: float, high: float, *fields: str) -> None:
        for name in fields:
            value = getattr(self, name)
            if not isinstance(value, Real) or not low <= float(value) <= high:
                raise ValueError(f"{name} must lie in [{low}, {high}], got {value!r}")

    def _positive(self, *fields: str) -> None:
        for name in fields:
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 < float(value) < float("inf"):
                raise ValueError(f"{name} must be positive, got {value!r}")


def torch_missing() -> None:
    """ImportError that names the extra, where torch is not installed."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise ImportError("learning needs torch: pip install 'streamaffect[adapt]'") from error
