"""Controls on made-up people of whom it is known what gives them away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamaffect.bundle.build import Recipe, Windows
from streamaffect.bundle.bundle import ClassEntry
from streamaffect.evaluate.bundle_on import Settings
from streamaffect.evaluate.controls import controls
from streamaffect.evaluate.runs import Evaluated
from streamaffect.features import views

LEVEL = views.eda_stats().features.index("ln_level")


def found(order: tuple[str, ...], tells: Any, target: str = "label") -> dict[str, Any]:
    """Six people through the trials ``order``; ``tells(y, trial number, rng)`` (n, k) is added to noise."""
    view = views.eda_stats()
    context_s, parts = view.seconds, []
    rng = np.random.default_rng(0)
    for number in range(6):
        t = np.arange(context_s, 120.0 + 1e-6, 5.0)
        ends = np.concatenate([t + 120.0 * i for i in range(len(order))])
        at = np.repeat(np.arange(len(order)), t.size)
        y = np.array([("rest", "stress").index(order[i]) for i in at])
        x = rng.normal(size=(ends.size, view.shape[0])) + 5 * rng.normal(size=view.shape[0]) + tells(y, at, ends)
        trial = np.array([f"{order[i]}-{i}" for i in at])
        parts.append((x.astype(np.float32), y, np.full(y.size, f"s{number}"), trial, ends))
    x, y, who, trial, ends = (np.concatenate(column) for column in zip(*parts, strict=True))
    recipe = Recipe("made-up", (view,), (ClassEntry(name="rest"), ClassEntry(name="stress")), 5.0, target=target)
    windows = Windows({view.key: x}, y, who, trial, ends)
    return controls(Evaluated("loso", ("made",), recipe, None, "zscore", Settings("transductive"), 1, (), windows, {}))


def one(feature: int, value: np.ndarray) -> np.ndarray:
    out = np.zeros((value.size, 5))
    out[:, feature] = value
    return out


def test_a_fixed_order_is_told_by_the_clock_alone() -> None:
    fixed = found(("rest", "stress", "rest"), lambda y, at, t: one(1, 3.0 * y))
    assert fixed["time"]["mean"] > 0.95
    assert fixed["reference"]["mean"] > 0.85
    assert fixed["null"]["what"].startswith("the first two trials of rest")
    assert 0.3 < fixed["null"]["mean"] < 0.7


def test_drift_passes_for_a_label_and_shows_in_the_null_contrast() -> None:
    drifting = found(("rest", "stress", "rest"), lambda y, at, t: one(LEVEL, t / 60.0))
    assert drifting["null"]["mean"] > 0.85
    assert set(drifting["null"]["per_subject"]) == {f"s{i}" for i in range(6)}


def test_without_levels_nothing_is_left_where_the_level_told_it() -> None:
    level = found(("rest", "stress", "rest", "stress"), lambda y, at, t: one(LEVEL, 3.0 * y))
    assert level["reference"]["mean"] > 0.85
    assert level["levels_removed"]["mean"] < 0.65
    assert "ln_level" in level["levels_removed"]["what"]
    assert "no_acc" not in level


def test_statistics_of_one_class_cost() -> None:
    two = found(("rest", "stress", "rest", "stress"), lambda y, at, t: one(1, 3.0 * y))
    assert two["composition"]["mean"] < two["reference"]["mean"] - 0.1


def test_halves_of_a_trial_are_compared_where_no_label_has_two() -> None:
    halves = found(("rest", "stress"), lambda y, at, t: one(1, 3.0 * y))
    assert "first half of" in halves["null"]["what"]
    assert halves["null"]["mean"] == pytest.approx(0.5, abs=0.3)


def test_distributions_have_no_controls_and_say_so() -> None:
    assert "none for distributions" in found(("rest", "stress"), lambda y, at, t: one(1, y), "panas")["time"]["what"]
