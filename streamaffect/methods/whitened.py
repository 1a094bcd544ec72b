"""The core of ``euclidean_alignment``: octave bands, covariances, a person's whitening, linear classifier. torch.

Whitening acts on covariances alone, ``cov(W x) = W cov(x) W'``: so they are taken once, and the graph needs no
decomposition: a person's W is a constant of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import conv1d

from .contract import Float32, Views
from .linear import Regressed
from .model import run_batched

# Daubechies' wavelet with four vanishing moments: low pass (Ten Lectures on Wavelets, table 6.1, N = 4).
_LOW = (
    0.23037781330885523, 0.7148465705525415, 0.6308807679295904, -0.02798376941698385,
    -0.18703481171888114, 0.030841381835986965, 0.032883011666982945, -0.010597401784997278,
)  # fmt: skip
_SHORTEST = 16  # samples that a signal needs for one octave more
_FLOOR = 1e-6  # of a whitened variance, which is about 1


class Whitened(Regressed):
    """``shapes`` of the views; each signal is split into up to ``octaves`` octaves and the rest, as its length allows."""

    kind: ClassVar[str] = "whitened"

    def __init__(self, shapes: Mapping[str, Sequence[int]], classes: int, octaves: int) -> None:
        sizes = {name: tuple(int(d) for d in shape) for name, shape in shapes.items()}
        splits = [_splits(shape[1], octaves) if len(shape) == 2 else 0 for shape in sizes.values()]
        signals = [(shape[0], n) for shape, n in zip(sizes.values(), splits, strict=True) if len(shape) == 2]
        channels = [c for c, n in signals for _ in range(n + 1)]
        width = sum(c * (c + 1) // 2 for c in channels) + sum(shape[0] for shape in sizes.values() if len(shape) == 1)
        super().__init__(width, classes)
        self.shapes, self.octaves, self.splits, self.channels = sizes, octaves, splits, channels
        for band, c in enumerate(channels):
            self.register_buffer(f"whiten{band}", torch.eye(c))
        low = torch.tensor(_LOW)
        self.register_buffer("low", low.flip(0)[None, None], persistent=False)
        self.register_buffer("high", (low * torch.tensor([1.0, -1.0] * 4))[None, None], persistent=False)
        self.location: Tensor
        self.scale: Tensor
        self.register_buffer("location", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def spec(self) -> dict[str, Any]:
        shapes = {name: list(shape) for name, shape in self.shapes.items()}
        return {"shapes": shapes, "classes": self.classes, "octaves": self.octaves}

    def represent(self, views: Sequence[Tensor], keep: Tensor) -> Tensor:
        whitened = []
        for band, flat in enumerate(self._parted(self.covariances(views))):
            W = self.get_buffer(f"whiten{band}")
            whitened.append((W @ flat @ W.T).flatten(1))
        rows = self.describe(torch.cat(whitened, 1), views)
        return (rows - self.location) / self.scale * self._there(keep)

    def whiten(self, matrices: Sequence[npt.ArrayLike]) -> None:
        """Set the W (channels, channels) of each band."""
        for band, W in enumerate(matrices):
            self.get_buffer(f"whiten{band}").copy_(torch.as_tensor(np.asarray(W)))

    def set_moments(self, rows: Float32) -> None:
        """Standardise features by those of ``rows`` (n, d)."""
        self.location.copy_(torch.as_tensor(rows.mean(axis=0)))
        self.scale.copy_(torch.as_tensor(np.maximum(rows.std(axis=0), _FLOOR)))

    def standardised(self, rows: Float32) -> Float32:
        """Features (n, d) as the classifier reads them."""
        return np.asarray((rows - self.location.cpu().numpy()) / self.scale.cpu().numpy())

    def covariances(self, views: Sequence[Tensor]) -> Tensor:
        """(n, sum of channels squared): ``x x' / T`` of each band of each signal, in a row."""
        parts: list[Tensor] = []
        for view, shape, splits in zip(views, self.shapes.values(), self.splits, strict=True):
            if len(shape) == 2:
                parts.extend((x @ x.transpose(1, 2) / x.shape[2]).flatten(1) for x in self._bands(view, splits))
        return torch.cat(parts, 1)

    def describe(self, whitened: Tensor, views: Sequence[Tensor]) -> Tensor:
        """(n, d) log variances and correlations of whitened covariances, as :meth:`covariances` lays them out; vectors."""
        parts: list[Tensor] = []
        for c, band in zip(self.channels, self._parted(whitened), strict=True):
            variance = band.diagonal(dim1=1, dim2=2).clamp_min(_FLOOR)
            first, second = np.triu_indices(c, 1)
            size = (variance[:, first] * variance[:, second]).sqrt()
            parts += [torch.log(variance), band[:, first, second] / size]
        vectors = [view for view, shape in zip(views, self.shapes.values(), strict=True) if len(shape) == 1]
        return torch.cat(parts + vectors, 1)

    def covariances_of(self, views: Views) -> list[Float32]:
        """Of standardised views, for each band (n, channels, channels)."""
        flat = run_batched(self.covariances, [torch.as_tensor(view, device=self.bias.device) for view in views.values()])
        return [band.cpu().numpy() for band in self._parted(flat)]

    def describe_all(self, whitened: Sequence[Float32], views: Views) -> Float32:
        """(n, d) features of whitened covariances and the vectors beside them."""
        flat = np.concatenate([band.reshape(len(band), -1) for band in whitened], axis=1)
        return np.asarray(self.describe(torch.as_tensor(flat), [torch.as_tensor(view) for view in views.values()]).numpy())

    def _parted(self, flat: Tensor) -> list[Tensor]:
        parts = torch.split(flat, [c * c for c in self.channels], 1)
        return [part.reshape(-1, c, c) for part, c in zip(parts, self.channels, strict=True)]

    def _bands(self, x: Tensor, splits: int) -> list[Tensor]:
        """The octaves of (n, c, T), each with half the samples of the one before, and what is left below them."""
        bands = []
        n, c = x.shape[0], x.shape[1]
        for _ in range(splits):
            each = x.reshape(n * c, 1, -1)
            bands.append(conv1d(each, self.get_buffer("high"), stride=2).reshape(n, c, -1))
            x = conv1d(each, self.get_buffer("low"), stride=2).reshape(n, c, -1)
        return [*bands, x]

    def _there(self, keep: Tensor) -> Tensor:
        """``keep`` (n, views) spread over the features (n, d): signals' first, as :meth:`describe` lays them out."""
        signals, vectors = [], []
        for i, (shape, splits) in enumerate(zip(self.shapes.values(), self.splits, strict=True)):
            column = keep[:, i, None]
            if len(shape) == 1:
                vectors.append(column.expand(-1, shape[0]))
            else:
                signals.append(column.expand(-1, (splits + 1) * shape[0] * (shape[0] + 1) // 2))
        return torch.cat(signals + vectors, 1)


def _splits(samples: int, octaves: int) -> int:
    """How many octaves, ``octaves`` at most, a signal of that length has."""
    n = 0
    while n < octaves and samples >= _SHORTEST:
        samples, n = (samples - len(_LOW)) // 2 + 1, n + 1
    return n
