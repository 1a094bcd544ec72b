"""A bundle for one evaluation, made as ``streamaffect train`` makes those that ship."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from streamaffect import methods
from streamaffect.bundle.build import Recipe, Windows, build, fit_priors, remember, spare_guards, training_set
from streamaffect.bundle.bundle import Bundle, SourceMemory
from streamaffect.evaluate.offline import Learned

_SAME = 1e-3  # answers that differ by less are the same


def learn(
    windows: Windows, recipe: Recipe, method: str, params: Mapping[str, Any], seed: int, *, calibrated: bool = True
) -> tuple[Learned, SourceMemory]:
    """Fit on ``windows``; the temperature, where ``calibrated``, on the people kept for the guard, whom the model has not seen.

    Raises:
        ValueError: the windows carry no labels, or the method cannot learn from them, or learnt nothing.
    """
    learner = methods.get(method, **{"normalise": None, **params})
    priors = fit_priors(windows, recipe)
    taught, guards = spare_guards(training_set(windows, priors, recipe, seed), learner, seed)
    model = learner.fit_source(taught, seed=seed, device="cpu")
    memory = remember(windows, priors, guards)
    refuse_collapsed(model, memory)
    model = by_guards(model, memory) if calibrated else model
    return Learned(model, recipe.views, priors, lambda: memory, recipe.smoothing_s), memory


class CollapsedError(ValueError):
    """A model that answers the same whatever it reads."""


def refuse_collapsed(model: methods.Model, memory: SourceMemory) -> None:
    """Raises :class:`CollapsedError`: the accuracy alone of such a model looks like that of a hard task."""
    said = model.predict_proba(memory.x)
    if np.ptp(said, axis=0).max() < _SAME:
        always = ", ".join(f"{p:.2f}" for p in said[0])
        raise CollapsedError(
            f"the fit of {model.method!r} collapsed: it answers ({always}) to every window of the people it was fitted on; "
            "lower lr, weight_decay or epochs, or take another method"
        )


def by_guards(model: methods.Model, memory: SourceMemory) -> methods.Model:
    """The model with the temperature that suits the people kept for the guard, whom it has not seen; itself without any."""
    if not memory.held_out.any():
        return model
    unseen = {key: value[memory.held_out] for key, value in memory.x.items()}
    # Of a model with temperature T0, what is fitted is T / T0.
    relative = methods.fit_temperature(model.predict_proba(unseen), memory.y[memory.held_out])
    return model.calibrated(model.temperature * relative)


def ship(
    path: Path,
    learned: Learned,
    memory: SourceMemory,
    recipe: Recipe,
    params: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> Bundle:
    """Write what :func:`learn` learnt as a bundle at ``path``."""
    about: dict[str, Any] = {"params": {"normalise": None, **params}, "data": [], "figures": {}, "provenance": provenance}
    text = f"# {recipe.name}\n\nMade for one evaluation.\n"
    return build(path, recipe, learned.model, learned.priors, memory, **about, card=text)
