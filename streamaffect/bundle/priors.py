"""How a bundle's manifest says in what way each view is normalised."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from streamaffect.features.normalise import Prior
from streamaffect.features.personal import AnyPrior
from streamaffect.features.recentre import SpdPrior
from streamaffect.features.views import View


class Part(BaseModel):
    """What a manifest is made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PriorEntry(Part):
    """The source prior of the per-person normalisation of one vector view (k,)."""

    location: list[float]
    scale: list[float]
    spread: list[float]
    location_weight: float
    scale_weight: float
    level: bool
    middle: bool = False
    extremes: bool = False
    inertia: float = Field(default=4.0, gt=0)

    def prior(self) -> Prior:
        location, scale, spread = (np.asarray(v, np.float64) for v in (self.location, self.scale, self.spread))
        weights, blocks = (self.location_weight, self.scale_weight), (self.level, self.middle, self.extremes)
        return Prior(location, scale, spread, *weights, *blocks, self.inertia)

    @classmethod
    def of(cls, prior: Prior) -> Self:
        return cls(
            location=prior.location.tolist(),
            scale=prior.scale.tolist(),
            spread=prior.spread.tolist(),
            location_weight=prior.location_weight,
            scale_weight=prior.scale_weight,
            level=prior.level,
            middle=prior.middle,
            extremes=prior.extremes,
            inertia=prior.inertia,
        )


class SpdEntry(Part):
    """The source prior of recentring one view of log-covariances: ``mean`` (bands, c, c)."""

    mean: list[list[list[float]]]
    weight: float
    metric: str
    scale: float

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        self.prior()
        return self

    def prior(self) -> SpdPrior:
        return SpdPrior(np.asarray(self.mean, np.float64), self.weight, self.metric, self.scale)

    @classmethod
    def of(cls, prior: SpdPrior) -> Self:
        return cls(mean=prior.mean.tolist(), weight=prior.weight, metric=prior.metric, scale=prior.scale)


def _kind(prior: object) -> str:
    """An entry with a ``mean`` is one of matrices: told so, a wrong one is judged as what it is."""
    return "spd" if isinstance(prior, SpdEntry) or (isinstance(prior, dict) and "mean" in prior) else "elements"


AnyEntry = Annotated[Annotated[PriorEntry, Tag("elements")] | Annotated[SpdEntry, Tag("spd")], Discriminator(_kind)]


def entry_of(prior: AnyPrior) -> PriorEntry | SpdEntry:
    return SpdEntry.of(prior) if isinstance(prior, SpdPrior) else PriorEntry.of(prior)


def fits(entry: PriorEntry | SpdEntry, view: View) -> bool:
    """Whether the prior is as long as the vectors of ``view``."""
    if isinstance(entry, SpdEntry):
        return len(entry.mean) == view.covariances and (entry.prior().width,) == view.shape
    return all((len(values),) == view.shape for values in (entry.location, entry.scale, entry.spread))
