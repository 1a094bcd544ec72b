"""What goes in and out of every method: the sets, the model, the method itself. numpy only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Views = Mapping[str, Float32]
Arrays = Mapping[str, npt.ArrayLike]
Shapes = Mapping[str, tuple[int, ...]]

Progress = Callable[[float, Mapping[str, float]], None]
"""``progress(fraction, terms)``: 0..1 and the last step's loss terms by name. Raise :class:`Cancelled` in it to stop."""


class Cancelled(Exception):  # noqa: N818 - an outcome, not an error
    """Raised by a progress callback; leaves ``fit_source`` or ``adapt`` unchanged and without a model."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSet:
    """Windows of known class: ``x`` view -> (n, k) or (n, channels, T), kept as float32.

    ``y`` (n,) class indices, or (n, C) distributions with rows that sum to 1; ``subject`` (n,) ids; ``trial`` (n,) ids
    within the subject (None: each window is its own trial).

    Raises ValueError for differing lengths, NaN or infinity, an empty set, labels that are neither.
    """

    x: Views
    y: npt.NDArray[Any]
    subject: npt.NDArray[Any]
    trial: npt.NDArray[Any] | None = None

    def __post_init__(self) -> None:
        x = _views(self.x)
        n = _length(x)
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "y", _labels(self.y, n))
        object.__setattr__(self, "subject", _ids(self.subject, n, "subject"))
        object.__setattr__(self, "trial", _ids(np.arange(n) if self.trial is None else self.trial, n, "trial"))

    def __len__(self) -> int:
        return len(self.y)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: view.shape[1:] for name, view in self.x.items()}

    @property
    def classes(self) -> int:
        """The number of classes: the width of a distribution, or the largest index + 1."""
        return int(self.y.shape[1] if self.y.ndim == 2 else self.y.max() + 1)

    def distribution(self, classes: int) -> Float32:
        """Labels as (n, classes) distributions; ValueError where the set has more classes than that."""
        if self.classes > classes:
            raise ValueError(f"y has {self.classes} classes, the model {classes}: give labels below {classes}")
        if self.y.ndim == 2:
            return np.pad(self.y, ((0, 0), (0, classes - self.y.shape[1])))
        onehot: Float32 = np.eye(classes, dtype=np.float32)[self.y]
        return onehot

    def hard(self) -> Int64:
        """(n,) class indices: the mode where labels are distributions, the lowest index of equals."""
        return self.y.argmax(axis=1) if self.y.ndim == 2 else self.y

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """The same set, rows chosen by index or mask."""
        assert self.trial is not None  # noqa: S101 - set in __post_init__
        x = {name: view[rows] for name, view in self.x.items()}
        return type(self)(x, self.y[rows], self.subject[rows], self.trial[rows])


@dataclass(frozen=True, slots=True, eq=False)
class UnlabelledSet:
    """One person's windows without labels: ``x`` as in :class:`LabelledSet`, ``trial`` (n,) ids or None."""

    x: Views
    trial: npt.NDArray[Any] | None = None

    def __post_init__(self) -> None:
        x = _views(self.x)
        object.__setattr__(self, "x", x)
        if self.trial is not None:
            object.__setattr__(self, "trial", _ids(self.trial, _length(x), "trial"))

    def __len__(self) -> int:
        return _length(self.x)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: view.shape[1:] for name, view in self.x.items()}


class Model(Protocol):
    """A fitted classifier of windows. A window's view that holds NaN counts as missing; the other views answer."""

    @property
    def method(self) -> str:
        """The registered name of the method that made it."""

    @property
    def classes(self) -> int: ...

    @property
    def views(self) -> Shapes:
        """View -> shape of one window, ``(k,)`` or ``(channels, T)``, in the order of the graph's inputs."""

    @property
    def temperature(self) -> float:
        """Divides the logits before the softmax; 1 is uncalibrated."""

    def predict_proba(self, x: Arrays) -> Float32:
        """(n, C) rows that sum to 1. ValueError for a view absent or of another shape; views not asked for are let be."""

    def embed(self, x: Arrays) -> Float32:
        """(n, d) the representation that alignment and the coreset work on."""

    def calibrated(self, temperature: float) -> Model:
        """A copy with that temperature."""

    def export_onnx(self, path: str | Path) -> None:
        """One self-contained file; inputs named as the views, outputs ``probabilities`` and ``embedding``; any batch."""

    def save(self, path: str | Path) -> None:
        """One ``.npz`` without pickle, for :func:`streamaffect.methods.load`."""


class Method(Protocol):
    """A way of learning; made by :func:`streamaffect.methods.get`, immutable, reusable.

    ``device`` is ``'auto'`` (CUDA where there is one), ``'cpu'``, ``'cuda'``, ``'cuda:1'``. Same seed and device, same
    model, and the global random state is left as it was.
    """

    def fit_source(
        self, source: LabelledSet, seed: int = 0, device: str = "auto", progress: Progress | None = None
    ) -> Model: ...

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
        """A new model for the target's person; ``model`` is left as it was.

        ``budget_s`` bounds the wall-clock time of methods that iterate; the closed forms (zscore, coral, tca,
        euclidean_alignment) are through in well under a second on some thousand windows and do not look at it.
        ``labelled_target`` is the explicit few-shot case: without it no label of the target exists anywhere in the call.
        """


def check_views(shapes: Shapes, wanted: Shapes, who: str) -> None:
    """ValueError unless ``shapes`` has every wanted view in the wanted shape."""
    for name, shape in wanted.items():
        if name not in shapes:
            has = ", ".join(shapes) or "none of them"
            raise ValueError(f"{who} lacks view {name!r}: it has {has}, the model reads {', '.join(wanted)}")
        if tuple(shapes[name]) != tuple(shape):
            raise ValueError(f"{who}: view {name!r} has shape {tuple(shapes[name])} a window, the model reads {tuple(shape)}")


def check_classes(source: LabelledSet) -> None:
    """ValueError unless two classes have windows."""
    if len(present := np.unique(source.hard())) < 2:
        raise ValueError(f"y has the one class {present[0]}: learning needs windows of two classes at least")


def _views(x: Mapping[str, npt.ArrayLike]) -> dict[str, Float32]:
    if not isinstance(x, Mapping) or not x:
        raise ValueError("x must map view names to arrays, such as {'ecg.hrv': (n, 8)}, with one view at least")
    with np.errstate(over="ignore"):  # becomes infinity, refused below
        views = {str(name): np.ascontiguousarray(view, dtype=np.float32) for name, view in x.items()}
    for name, view in views.items():
        if view.ndim not in (2, 3) or 0 in view.shape:
            raise ValueError(f"x[{name!r}] must be (n, k) or (n, channels, T) and not empty, got shape {view.shape}")
        if not np.isfinite(view).all():
            bad = np.flatnonzero(~np.isfinite(view).reshape(len(view), -1).all(axis=1))
            raise ValueError(f"x[{name!r}] has NaN or infinity in {len(bad)} windows, first {bad[0]}: drop these windows")
    return views


def _length(x: Views) -> int:
    lengths = {name: len(view) for name, view in x.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"views differ in their number of windows: {lengths}")
    return next(iter(lengths.values()))


def _labels(labels: npt.ArrayLike, n: int) -> npt.NDArray[Any]:
    y: npt.NDArray[Any] = np.asarray(labels)
    if y.shape[:1] != (n,):
        raise ValueError(f"y has shape {y.shape}, x has {n} windows")
    if y.ndim == 1 and y.dtype.kind in "iub":
        if y.min() < 0:
            raise ValueError(f"y must be class indices from 0 on, got {y.min()}")
        return y.astype(np.int64)
    if y.ndim == 2 and y.dtype.kind == "f" and y.shape[1] >= 2:
        total = y.sum(axis=1, keepdims=True)
        if not np.isfinite(y).all() or y.min() < 0 or np.abs(total - 1).max() > 1e-3:
            raise ValueError("y's rows must be distributions: finite, not negative, summing to 1")
        shares: Float32 = (y / total).astype(np.float32)
        return shares
    raise ValueError(f"y must be (n,) class indices or (n, C) distributions, got {y.dtype} of shape {y.shape}")


def _ids(ids: npt.ArrayLike, n: int, name: str) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.asarray(ids)
    if array.shape != (n,):
        raise ValueError(f"{name} must be one id a window, shape ({n},), got {array.shape}")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ValueError(f"{name} has NaN: give each window an id")
    text: npt.NDArray[Any] = array.astype(np.str_)
    return text if array.dtype.kind in "OSU" else array
