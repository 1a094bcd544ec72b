"""A person's windows among the source people's, as the model sees them before and after it has adapted to the person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from streamaffect.bundle.build import Windows, normalise_in_order
from streamaffect.bundle.bundle import SOURCE, Bundle
from streamaffect.errors import StreamAffectError, UsageError
from streamaffect.evaluate.offline import Learned
from streamaffect.evaluate.report.svg import CLASSES, COLOURS, MARKERS, Plot, plot
from streamaffect.signals import Float64

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from streamaffect.methods import Method
    from streamaffect.signals import Float32

SHOWN = 400  # source windows in a picture: more hide each other


def adapts(model: Bundle, method: str) -> bool:
    """Whether there is a before and an after: a method that adapts, and source windows to adapt with."""
    return SOURCE in model.manifest.files and method not in ("none", "source")


def learner(model: Bundle, method: str) -> Method:
    """``method`` with the bundle's parameters where it is the bundle's own. Raises UsageError for an unknown one."""
    from streamaffect import methods

    own = model.manifest.params if method == model.manifest.method else {}
    try:
        return methods.get(method, **{"normalise": None, **own})
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from None


def picture(model: Bundle, windows: Windows, method: str, *, seen: bool) -> Plot:
    """t-SNE of the embeddings of source windows and of ``windows``, one person's, before and after; ``seen``: the person was
    in the model's training.

    Raises:
        StreamAffectError: the method cannot go on from this model, or not with these windows.
    """
    from streamaffect import methods
    from streamaffect.runtime.engine import Engine

    learned, subject = Learned.of(model), str(windows.subject[0])
    x = normalise_in_order(windows, np.arange(len(windows)), learned.priors, whole=True)
    known = learned.memory().known()
    rows = np.unique(np.linspace(0, len(known) - 1, SHOWN).round().astype(np.int64))
    both = {key: np.concatenate([known.x[key][rows], own]) for key, own in x.items()}
    # One stretch of time: where trials begin and end is not told.
    target = methods.UnlabelledSet(x, np.zeros(len(windows), np.int64))
    try:
        adapted = learner(model, method).adapt(learned.model, known, target, seed=0, device="cpu")
    except ValueError as error:  # another family of models, too few windows
        raise StreamAffectError(f"{model.name}, adapted to {subject}: {error}") from None
    truth = known.y[rows] if known.y.ndim == 1 else known.y[rows].argmax(axis=1)
    y = np.concatenate([truth.astype(np.int64), windows.y])
    clouds = [_flat(Engine(model)(both).embedding), _flat(adapted.embed(both))]
    says = f"Windows of {subject} (large) among {len(rows)} of the source people's (small and pale), as the model sees them "
    says += f"before and after {method} has adapted to all of {subject}'s unlabelled windows. t-SNE keeps neighbours together; "
    says += "distances between clumps mean nothing."
    if seen:
        says += f" {subject} was in the model's training: the picture says nothing of strangers."

    def draw(figure: Figure) -> None:
        _clouds(figure, clouds, y, len(rows), model.classes)

    return plot("data-neighbours", "Before and after adaptation", says, draw, 3.6)


def _flat(embedding: Float32) -> Float64:
    """(n, 2) by t-SNE (van der Maaten and Hinton, JMLR 2008), each dimension standardised first."""
    from sklearn.manifold import TSNE

    x = embedding.astype(np.float64)
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)
    start = "pca" if x.shape[1] > 1 else "random"
    out: Float64 = TSNE(perplexity=min(30.0, (len(x) - 1) / 3), init=start, random_state=0).fit_transform(x).astype(np.float64)
    return out


def _clouds(figure: Figure, clouds: list[Float64], y: npt.NDArray[np.int64], of_source: int, classes: tuple[str, ...]) -> None:
    person = np.arange(len(y)) >= of_source
    for axes, cloud, title in zip(figure.subplots(1, 2), clouds, ("before", "after"), strict=True):
        for c, name in enumerate(classes):
            colour, marker = CLASSES[c % len(CLASSES)], MARKERS[c % len(MARKERS)]
            style: dict[str, Any] = {"color": colour, "marker": marker}
            there = cloud[(y == c) & ~person]
            axes.scatter(there[:, 0], there[:, 1], s=9, alpha=0.28, linewidths=0, **style)
            there = cloud[(y == c) & person]
            rim = {"edgecolors": COLOURS["ink"], "linewidths": 0.7}
            axes.scatter(there[:, 0], there[:, 1], s=30, label=name, **style, **rim)
        axes.set_title(title)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(True)
        axes.spines[:].set_color(COLOURS["grid"])
    handles = figure.axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=min(5, len(classes)), handletextpad=0.2, columnspacing=1.2)
