"""What every method does around its own part: checks, standardisation by person, budget, progress. numpy at import."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from . import shift
from .contract import Float32, Float64, LabelledSet, Model, Progress, Shapes, UnlabelledSet, check_classes, check_views
from .jobs import Adaptation, Fit, Prior, Stage
from .priors import check_prior
from .scaling import Scaling, consistency, standardised

if TYPE_CHECKING:
    from .cores import Core
    from .model import CoreModel

_REFINE = 0.25  # the share of budget and progress that self-training takes


@dataclass(frozen=True, kw_only=True)
class Base:
    """The parameters that all methods have; a method adds its own, ``_fit`` and ``_adapt``.

    ``normalise='subject'`` standardises the vector views of each person by that person's own windows, at the fit and,
    for the target, at ``adapt``; before that, a new person is standardised by the pooled source. None: by the pooled
    source throughout, for views that are normalised already.

    ``prior``: the target's class proportions q. ``'source'`` takes those of the source; ``'estimate'`` tells them
    without labels, from vectors that are standardised by person (see ``shift``), else from the model's answers; an array
    gives them. Methods that align marginals weigh source windows by ``q_y / p_y``,
    so that what differs is not the proportions (see ``priors``), and standardisation by person allows for q (see ``shift``).

    ``consistency``: above 0, features whose class means differ between the source's people as much as between classes get
    less variance than 1, the more so the larger it is (see :func:`scaling.consistency`); for views that are normalised
    already.

    ``self_training``: after adapting, learn from the confident answers on the target, if that passes a gate which needs
    no labels (see ``self_training``).
    """

    name: ClassVar[str]
    reads: ClassVar[Literal["any", "vectors", "signals"]] = "any"  # "signals": one signal view at least
    kinds: ClassVar[frozenset[str]] = frozenset()  # of core it can go on from; empty: any

    normalise: Literal["subject"] | None = "subject"
    prior: Prior = "source"
    self_training: bool = False
    consistency: float = 0.0

    def __post_init__(self) -> None:
        self._one_of("normalise", None, "subject")
        self._one_of("self_training", False, True)
        self._between(0, 4, "consistency")
        if self.consistency and self.normalise is not None:
            raise ValueError("consistency is for views that are normalised already: it needs normalise=None")
        if isinstance(self.prior, str):
            self._one_of("prior", "source", "estimate")
        else:
            object.__setattr__(self, "prior", check_prior(self.prior, np.size(self.prior)))

    def fit_source(self, source: LabelledSet, seed: int = 0, device: str = "auto", progress: Progress | None = None) -> Model:
        """See :class:`streamaffect.methods.Method`."""
        check_classes(source)
        self._check_shapes(source.shapes)
        torch_missing()
        from .model import CoreModel
        from .training import find_device, seeded

        where = find_device(device)
        scaling = Scaling.of(source.x)
        if self.consistency:
            scaling = scaling.weighted(consistency(source, self.consistency))
        job = Fit(
            x=standardised(source, scaling, self.normalise),
            y=source.distribution(source.classes),
            source=source,
            seed=seed,
            device=where,
            progress=(stage := Stage(progress)),
        )
        with seeded(seed, where):
            core = self._fit(job)
        stage.done()
        return CoreModel(self.name, source.shapes, core, scaling, source.classes, self.params())

    def adapt(
        self,
        model: Model,
        source: LabelledSet,
        target: UnlabelledSet,
        seed: int = 0,
        device: str = "auto",
        budget_s: float | None = None,
        progress: Progress | None = None,
        labelled_target: LabelledSet | None = None,
    ) -> Model:
        """See :class:`streamaffect.methods.Method`."""
        started = time.perf_counter()
        if budget_s is not None and not (isinstance(budget_s, Real) and budget_s > 0):
            raise ValueError(f"budget_s must be positive, got {budget_s!r}")
        incumbent = self._incumbent(model, source, target)
        check_classes(source)
        y = source.distribution(incumbent.classes)
        self._check_prior(y)
        from .training import find_device, seeded

        where = find_device(device)
        x, scaling, shares = self._standardise(incumbent, source, target, seed)
        first = 1 - _REFINE if self.self_training else 1.0
        job = Adaptation(
            x=x,
            y=y,
            source=source,
            seed=seed,
            device=where,
            progress=(stage := Stage(progress, 0, first)),
            core=copy.deepcopy(incumbent.core).to(where),  # the incumbent goes on serving, on the CPU
            temperature=incumbent.temperature,
            target=scaling.apply(target.x),
            trial=target.trial,
            few=self._few(labelled_target, incumbent, scaling),
            prior=self.prior if shares is None else shares,
            started=started,
            budget_s=budget_s and first * budget_s,
        )
        with seeded(seed, where):
            core = self._adapt(job)
            stage.done()
            if self.self_training:
                from .self_training import refine

                last = Stage(progress, first, 1.0)
                core = refine(replace(job, progress=last, budget_s=budget_s), self, core)
                last.done()
        adapted = incumbent.adapted(self.name, self.params(), core, scaling)
        # a temperature is for the scores it was fitted to
        return adapted if core.kind == incumbent.core.kind else adapted.calibrated(1.0)

    def _fit(self, job: Fit) -> Core:
        """A core fitted on the source."""
        raise NotImplementedError

    def _adapt(self, job: Adaptation) -> Core:
        """A core for the target's person; ``job.core`` stays as it is."""
        raise NotImplementedError

    def _refine(self, job: Adaptation, core: Core, labels: Float32, weight: Float32) -> Core:
        """A core that has learnt from ``labels`` (m, C) of target windows with ``weight`` (m,); networks as they are."""
        from .self_training import relearn

        return relearn(job, core, labels, weight)

    def _standardise(
        self, incumbent: CoreModel, source: LabelledSet, target: UnlabelledSet, seed: int
    ) -> tuple[dict[str, Float32], Scaling, Float64 | None]:
        """The source's views, the target's scaling, and the target's class proportions where that took them."""
        if self.normalise is None:
            return standardised(source, incumbent.scaling, None), incumbent.scaling, None
        if isinstance(self.prior, str) and self.prior == "source":
            return standardised(source, incumbent.scaling, self.normalise), incumbent.scaling.personal(target), None
        if isinstance(self.prior, str):
            q = shift.proportions(source, target, incumbent.classes, seed, incumbent.views)
        else:
            q = check_prior(self.prior, incumbent.classes)
        if q is None:  # no vector views: nothing to standardise by person
            return standardised(source, incumbent.scaling, self.normalise), incumbent.scaling, None
        x = shift.standardised(source, incumbent.scaling, incumbent.classes)
        return x, shift.personal(source, incumbent.scaling, target, q), q

    @classmethod
    def restore(cls, config: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Model:
        torch_missing()
        from .model import CoreModel

        return CoreModel.restore(config, arrays)

    def params(self) -> dict[str, Any]:
        """The parameters as JSON takes them."""
        return {k: v.tolist() if isinstance(v, (np.ndarray, np.generic)) else v for k, v in asdict(self).items()}

    def _incumbent(self, model: Model, source: LabelledSet, target: UnlabelledSet) -> CoreModel:
        """``model``, checked to be one this method can go on from with these sets."""
        torch_missing()
        from .model import CoreModel

        if not isinstance(model, CoreModel) or (self.kinds and model.core.kind not in self.kinds):
            made = getattr(model, "method", type(model).__name__)
            raise ValueError(f"method {self.name!r} cannot go on from a model of {made!r}: fit one by {self.name!r}")
        if model.params.get("normalise") != self.normalise:
            raise ValueError(
                f"the model was fitted with normalise={model.params.get('normalise')!r}: adapt with the same, "
                f"not {self.normalise!r}"
            )
        self._check_shapes(model.views)
        check_views(source.shapes, model.views, "source")
        check_views(target.shapes, model.views, "target")
        return model

    def _few(
        self,
        labelled: LabelledSet | None,
        incumbent: CoreModel,  # noqa: ARG002 - for methods that learn from a few labels
        scaling: Scaling,  # noqa: ARG002
    ) -> tuple[dict[str, Float32], Float32] | None:
        if labelled is None:
            return None
        raise ValueError(f"method {self.name!r} takes no labelled_target: 'dynamic' and 'm3d' do")

    def _check_prior(self, y: Float32) -> None:
        """ValueError for an array of another length than the classes, or one that leaves none of the source's windows."""
        if not isinstance(self.prior, str) and not (check_prior(self.prior, y.shape[1]) @ y.sum(axis=0)) > 0:
            raise ValueError(f"prior {self.params()['prior']} gives all to classes of which the source has no windows")

    def _check_shapes(self, shapes: Shapes) -> None:
        signals = [name for name, shape in shapes.items() if len(shape) != 1]
        if self.reads == "vectors" and signals:
            raise ValueError(
                f"method {self.name!r} reads vector views (k,), not the signal {signals[0]!r} {tuple(shapes[signals[0]])}: "
                "give features of it, or take 'dynamic', 'helo' or 'amanda'"
            )

    def _one_of(self, field: str, *values: Any) -> None:
        value = getattr(self, field)
        if not any(value is v or (type(value) is type(v) and value == v) for v in values):
            raise ValueError(f"{field} must be {' or '.join(map(repr, values))}, got {value!r}")

    def _at_least(self, low: int, *fields: str) -> None:
        for name in fields:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < low:
                raise ValueError(f"{name} must be an integer from {low} on, got {value!r}")

    def _between(self, low: float, high: float, *fields: str) -> None:
        for name in fields:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not low <= float(value) <= high:
                raise ValueError(f"{name} must lie in [{low}, {high}], got {value!r}")

    def _positive(self, *fields: str) -> None:
        for name in fields:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < float("inf"):
                raise ValueError(f"{name} must be positive, got {value!r}")


def torch_missing() -> None:
    """ImportError that names the extra, where torch is not installed."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise ImportError("learning needs torch: pip install 'streamaffect[adapt]'") from error
