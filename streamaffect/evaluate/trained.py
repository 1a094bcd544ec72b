"""A bundle for one evaluation, made as ``streamaffect train`` makes those that ship."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from streamaffect import methods
from streamaffect.bundle.build import Recipe, Windows, build, fit_priors, remember, spare_guards, training_set
from streamaffect.bundle.bundle import Bundle
from streamaffect.signals import Float32


def train(
    path: Path,
    windows: Windows,
    recipe: Recipe,
    method: str,
    params: Mapping[str, Any],
    seed: int,
    provenance: Mapping[str, Any],
) -> Bundle:
    """Write a bundle at ``path``, fitted on ``windows``; its temperature is fitted on the people kept for the guard.

    Raises:
        ValueError: the windows carry no labels, or the method cannot learn from them.
    """
    learner = methods.get(method, **{"normalise": None, **params})
    priors = fit_priors(windows, recipe)
    taught, guards = spare_guards(training_set(windows, priors, recipe, seed), learner, seed)
    model = learner.fit_source(taught, seed=seed, device="cpu")
    memory = remember(windows, priors, recipe, seed, guards)
    if memory.held_out.any():
        unseen = {key: value[memory.held_out] for key, value in memory.x.items()}
        model = model.calibrated(_temperature(model, unseen, memory.y[memory.held_out]))
    about: dict[str, Any] = {"params": {"normalise": None, **params}, "data": [], "figures": {}, "provenance": provenance}
    return build(path, recipe, model, priors, memory, **about, card=f"# {recipe.name}\n\nMade for one evaluation.\n")


def _temperature(model: methods.Model, x: Mapping[str, Float32], y: npt.NDArray[Any]) -> float:
    return model.temperature * methods.fit_temperature(model.predict_proba(x), y)
