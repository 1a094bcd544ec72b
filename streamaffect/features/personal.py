"""A view's normalisation for one person, whichever kind its values take: the one place that knows that there are two."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from streamaffect.features.normalise import Normaliser, Prior
from streamaffect.features.recentre import Recentre, SpdPrior
from streamaffect.features.views import View
from streamaffect.signals import Float32

RECENTRE = "recentre"  # the option that says whether log-covariances are recentred; the others are Prior.fit's
AnyPrior = Prior | SpdPrior
AnyNormaliser = Normaliser | Recentre


def fit_prior(view: View, x: Float32, subject: npt.NDArray[np.str_], options: Mapping[str, float]) -> AnyPrior:
    """What the people of ``x`` (n, k) say of vector ``view``. Log-covariances are recentred, unless ``options`` say
    ``recentre`` false; what is not is normalised by element, with the other ``options``."""
    plain = {key: value for key, value in options.items() if key != RECENTRE}
    if view.covariances and options.get(RECENTRE, True):
        return SpdPrior.fit(x, subject, view.covariances)
    return Prior.fit(x, subject, **plain)


def normaliser_of(prior: AnyPrior) -> AnyNormaliser:
    """A person of whom nothing is known but ``prior``."""
    return Recentre(prior) if isinstance(prior, SpdPrior) else Normaliser(prior)
