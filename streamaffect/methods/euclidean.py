"""``euclidean_alignment``: each person's signals whitened by their own mean covariance, then logistic regression."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import numpy.typing as npt

from .contract import Float32, Float64, Shapes
from .coral import power
from .jobs import Adaptation, Fit
from .priors import check_prior
from .regression import Regression
from .shift import estimate

if TYPE_CHECKING:
    from .cores import Core
    from .whitened import Whitened

_FLOOR = 1e-12
_SHRINKAGE = 0.01  # of a mean covariance towards a multiple of the identity: channels may depend on each other


@dataclass(frozen=True, kw_only=True)
class EuclideanAlignment(Regression):
    """EA (He and Wu, IEEE TBME 2020, eq. 4 and 5): windows X (channels, T) of a person become ``R^-1/2 X``, R the mean of
    their ``X X' / T``. Made for EEG: signals whose channels are alike.

    ``octaves`` > 0 splits the signals into that many octave bands first, from the highest down, and what is left (by a
    wavelet: no sampling rate is needed), and aligns each band: that is ours; 0 is the paper's. Features of a band are the
    log variances and the correlations of the whitened channels. Vectors beside the signals are standardised as ever.

    With a ``prior`` of the target's, their R is brought to what the source's whitened windows have in the target's class
    proportions, instead of to the identity.
    """

    name: ClassVar[str] = "euclidean_alignment"
    reads: ClassVar = "signals"
    kinds: ClassVar[frozenset[str]] = frozenset({"whitened"})

    octaves: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._at_least(0, "octaves")

    def _check_shapes(self, shapes: Shapes) -> None:
        super()._check_shapes(shapes)
        if not any(len(shape) == 2 for shape in shapes.values()):
            raise ValueError("method 'euclidean_alignment' aligns signals (channels, T) and there is none: take 'zscore'")

    def _fit(self, job: Fit) -> Whitened:
        from .whitened import Whitened

        core = Whitened(job.source.shapes, job.classes, self.octaves)
        covariances = core.covariances_of(job.x)
        rows = core.describe_all(_by_person(covariances, job.source.subject), job.x)
        core.set_moments(rows)
        core.whiten([power(_mean(band), -0.5) for band in covariances])  # of somebody new: all people's
        core.solve(core.standardised(rows), job.y, self.C)
        return core.to(job.device)

    def _adapt(self, job: Adaptation) -> Whitened:
        """The classifier stays."""
        core = copy.deepcopy(cast("Whitened", job.core))
        own = core.covariances_of(job.target)
        whiten = [power(_mean(band), -0.5) for band in own]
        core.whiten(whiten)
        if isinstance(job.prior, str) and job.prior == "source":
            return core
        known = core.covariances_of(job.x)
        q = self._proportions(job, known, own)
        of_class = [_class_means(band, job.y) for band in _by_person(known, job.source.subject)]
        more = q - job.source_proportions
        core.whiten([power(_expected(M, more), 0.5) @ W for M, W in zip(of_class, whiten, strict=True)])
        return core

    def _proportions(self, job: Adaptation, source: list[Float32], target: list[Float32]) -> Float64:
        """q (C,): as given, or told by the log variances of the channels, which a person's gains shift."""
        if not isinstance(job.prior, str):
            return check_prior(job.prior, job.classes)
        rows, own = (np.concatenate([_log_variances(band) for band in bands], axis=1) for bands in (source, target))
        return estimate(rows, job.y, job.source.subject, own, job.seed)

    def _align(self, job: Adaptation, core: Core) -> tuple[Whitened, Float32]:
        aligned = copy.deepcopy(cast("Whitened", core))
        whitened = _by_person(aligned.covariances_of(job.x), job.source.subject)
        return aligned, aligned.standardised(aligned.describe_all(whitened, job.x))


def _by_person(covariances: list[Float32], subject: npt.NDArray[Any]) -> list[Float32]:
    """Each person's covariances (n, c, c), of every band, whitened by the inverse root of their mean."""
    whitened = [np.empty_like(band) for band in covariances]
    for u in np.unique(subject):
        own = subject == u
        for band, out in zip(covariances, whitened, strict=True):
            W = power(_mean(band[own]), -0.5)
            out[own] = W @ band[own] @ W
    return whitened


def _mean(covariances: Float32) -> Float64:
    R: Float64 = covariances.mean(axis=0, dtype=np.float64)
    shrunk: Float64 = (1 - _SHRINKAGE) * R + _SHRINKAGE * np.trace(R) / len(R) * np.eye(len(R))
    return shrunk


def _log_variances(covariances: Float32) -> Float32:
    variance = np.diagonal(covariances, axis1=1, axis2=2)
    return np.asarray(np.log(np.maximum(variance, _FLOOR)))


def _class_means(whitened: Float32, y: Float32) -> Float64:
    """(C, c, c), the mean whitened covariance of each class."""
    share = y / np.maximum(y.sum(axis=0), 1e-12)
    means: Float64 = np.tensordot(share.T.astype(np.float64), whitened, 1)
    return means


def _expected(of_class: Float64, more: Float64) -> Float64:
    """What a shrunken R becomes under the whitening for the source's proportions, where these differ by ``more`` (C,).

    Where they do not it is the identity, by the definition of the whitening.
    """
    changed: Float64 = np.eye(of_class.shape[1]) + (1 - _SHRINKAGE) * np.tensordot(more, of_class, 1)
    return changed
