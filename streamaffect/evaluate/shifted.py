"""People who differ: a generator of cross-subject shift, for comparing methods where the truth is known.

A class c has a mean m_c, the same for all. The windows of person s are

    x_t = g_s * (R_s (m_c + d_sc + o_trial + e_t)) + b_s,      e_t = r e_{t-1} + sqrt(1 - r^2) w_t,   w_t ~ N(0, S)

with R_s a random rotation of the whole feature space, g_s a gain and b_s an offset a feature (the affine part), d_sc a
shift of class c of this person (the class-conditional part), o_trial a shift of each trial, and e_t noise that is
correlated over the windows of a trial (AR(1)). Each trial has one class. Proportions of the classes are balanced, or
those of ``proportions``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamaffect.methods import LabelledSet
from streamaffect.signals import Float32, Float64

SPLIT = 0.6  # the share of the features in the first view, where there are two


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How much people differ; units are standard deviations of the noise.

    ``rotation`` [rad]: root mean square angle of R_s in each of ``features / 2`` random planes. ``gain``: standard
    deviation of the log gain of a feature. ``separation``: distance of two class means; ``conditional``: root mean square
    length of d_sc, as a share of that. ``trial``: that of a feature's o_trial, as a share of its noise.
    ``proportions`` (C,) of each person's windows, None: balanced.

    The defaults were set by two baselines alone, before any method had run: logistic regression without and with
    standardisation by person stand about where they stand on real recordings (.70 and .74), and a classifier
    taught on a person's own labels reaches .95 on their other trials.
    """

    classes: int = 3
    features: int = 30
    separation: float = 4.0
    rotation: float = 1.05
    gain: float = 0.3
    offset: float = 0.6
    conditional: float = 0.5
    trial: float = 0.2
    correlation: float = 0.6
    trials: int = 12
    windows: int = 15
    proportions: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class World:
    """What people have in common: class means (C, features) and the spread of the noise (features,)."""

    means: Float64
    spread: Float64


def world(shift: Shift, seed: int) -> World:
    """Class means at ``separation`` from each other (a simplex, turned at random); features of unequal noise."""
    rng = np.random.default_rng([seed, 1])
    corners = np.linalg.qr(rng.normal(size=(shift.features, shift.classes)))[0].T * shift.separation / np.sqrt(2)
    return World(corners - corners.mean(axis=0), rng.uniform(0.5, 1.0, shift.features))


def person(common: World, shift: Shift, seed: int, number: int) -> LabelledSet:
    """Person ``number``: views ``body.a`` and ``body.b`` (vectors), trials in time order."""
    rng = np.random.default_rng([seed, 2, number])
    k = shift.features
    rotation = _rotation(rng, k, shift.rotation)
    gain, offset = np.exp(shift.gain * rng.normal(size=k)), shift.offset * rng.normal(size=k)
    means = common.means + shift.conditional * rng.normal(size=common.means.shape) / np.sqrt(k) * shift.separation
    labels = _labels(rng, shift)
    rows, y, trial = [], [], []
    for i, label in enumerate(labels):
        noise = _correlated(rng, shift.windows, common.spread, shift.correlation)
        rows.append(means[label] + shift.trial * rng.normal(size=k) * common.spread + noise)
        y += [label] * shift.windows
        trial += [i] * shift.windows
    x: Float32 = (gain * (np.concatenate(rows) @ rotation.T) + offset).astype(np.float32)
    cut = round(SPLIT * k)
    views = {"body.a": x[:, :cut], "body.b": x[:, cut:]}
    return LabelledSet(views, np.array(y), np.full(len(y), f"p{number:03d}"), np.array(trial))


def joined(people: list[LabelledSet]) -> LabelledSet:
    """The people as one set."""
    views = {name: np.concatenate([p.x[name] for p in people]) for name in people[0].x}
    parts: list[tuple[npt.NDArray[np.generic], ...]] = [(p.y, p.subject, np.asarray(p.trial)) for p in people]
    return LabelledSet(views, *(np.concatenate(column) for column in zip(*parts, strict=True)))


def _rotation(rng: np.random.Generator, k: int, angle: float) -> Float64:
    """Planes at random, an angle in each."""
    basis = np.linalg.qr(rng.normal(size=(k, k)))[0]
    turned = basis.copy()
    for i in range(0, k - 1, 2):
        theta = angle * rng.normal()
        a, b = basis[:, i], basis[:, i + 1]
        turned[:, i], turned[:, i + 1] = np.cos(theta) * a + np.sin(theta) * b, np.cos(theta) * b - np.sin(theta) * a
    out: Float64 = turned @ basis.T
    return out


def _labels(rng: np.random.Generator, shift: Shift) -> npt.NDArray[np.int64]:
    """A class a trial, by the proportions, every class at least once, in random order."""
    share = np.full(shift.classes, 1 / shift.classes) if shift.proportions is None else np.asarray(shift.proportions)
    counts = np.maximum(1, np.round(share * shift.trials)).astype(np.int64)
    counts[counts.argmax()] += shift.trials - counts.sum()
    return rng.permutation(np.repeat(np.arange(shift.classes), counts))


def _correlated(rng: np.random.Generator, n: int, spread: Float64, r: float) -> Float64:
    noise = rng.normal(size=(n, len(spread))) * spread
    for i in range(1, n):
        noise[i] = r * noise[i - 1] + np.sqrt(1 - r * r) * noise[i]
    return noise
