"""The network: an encoder a view, fused to one embedding, and a two-layer classifier. torch.

The paper gives three residual blocks, a 64-d embedding and a shallow perceptron, no widths or strides; those here are
ours: a strided stem brings a signal to about 300 steps before the first block, so that a step costs a core little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from .cores import Core

EMBEDDING = 64
_WIDTHS = (32, 64, 128)
_KERNELS = (7, 5, 3)
_STEM_KERNEL = 15
_STEM_STEPS = 320  # samples left after the stem, at most about twice this


class Block(nn.Module):
    """Two convolutions with batch normalisation and a projected shortcut; halves the time axis."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, kernel, stride=2, padding=kernel // 2, bias=False)
        self.first_norm = nn.BatchNorm1d(outputs)
        self.second = nn.Conv1d(outputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.second_norm = nn.BatchNorm1d(outputs)
        self.shortcut = nn.Conv1d(inputs, outputs, 1, stride=2, bias=False)
        self.shortcut_norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        return torch.relu(y + self.shortcut_norm(self.shortcut(x)))


class ResNet1d(nn.Module):
    """(n, channels, T) -> (n, 64): stem, three residual blocks (32, 64, 128), global average pooling, linear."""

    def __init__(self, channels: int, samples: int) -> None:
        super().__init__()
        stride = 1
        while samples // (2 * stride) >= _STEM_STEPS:
            stride *= 2
        self.stem = nn.Conv1d(channels, _WIDTHS[0], _STEM_KERNEL, stride=stride, padding=_STEM_KERNEL // 2, bias=False)
        self.stem_norm = nn.BatchNorm1d(_WIDTHS[0])
        widths = zip((_WIDTHS[0], *_WIDTHS), _WIDTHS, _KERNELS, strict=False)
        self.blocks = nn.Sequential(*(Block(i, o, kernel) for i, o, kernel in widths))
        self.project = nn.Linear(_WIDTHS[-1], EMBEDDING)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.blocks(torch.relu(self.stem_norm(self.stem(x))))
        projected: Tensor = self.project(y.mean(-1))
        return projected


class Network(Core):
    """``shapes`` view -> shape of one window, in the order of the inputs; standardised views in.

    A missing view's code is zero. Signals enter the fusion with weight zero at first: the vectors, which say most with the
    fewest weights, lead, and a signal's encoder earns what part it gets.
    """

    kind: ClassVar[str] = "network"
    width = EMBEDDING

    def __init__(self, shapes: Mapping[str, Sequence[int]], classes: int, dropout: float = 0.2) -> None:
        super().__init__()
        self._spec = {"shapes": {name: list(shape) for name, shape in shapes.items()}, "classes": classes, "dropout": dropout}
        self.encoders = nn.ModuleList(_encoder(shape) for shape in shapes.values())
        self.fuse = nn.Linear(EMBEDDING * len(shapes), EMBEDDING)
        self.signals = [len(shape) == 2 for shape in shapes.values()]
        if not all(self.signals):
            with torch.no_grad():
                for i in np.flatnonzero(self.signals):
                    self.fuse.weight[:, EMBEDDING * i : EMBEDDING * (i + 1)] = 0
        self.classify = nn.Sequential(
            nn.Linear(EMBEDDING, EMBEDDING // 2), nn.ReLU(), nn.Dropout(dropout), nn.Linear(EMBEDDING // 2, classes)
        )

    def spec(self) -> dict[str, Any]:
        return self._spec

    def forward(self, views: Sequence[Tensor], keep: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding (n, 64) and logits (n, C); ``keep`` (n, views) 1 where the view counts, 0 where it is missing."""
        codes = [self._code(i, x, keep[:, i, None]) for i, x in enumerate(views)]
        embedding: Tensor = self.fuse(torch.cat(codes, 1))
        return embedding, self.classify(embedding)

    def _code(self, i: int, x: Tensor, keep: Tensor) -> Tensor:
        if self.training and not bool(keep.any()):
            return x.new_zeros(len(x), EMBEDDING)  # spares the encoder, and its batch statistics
        return torch.relu(self.encoders[i](x)) * keep


def _encoder(shape: Sequence[int]) -> nn.Module:
    if len(shape) == 2:
        return ResNet1d(*shape)
    return nn.Sequential(nn.Linear(shape[0], EMBEDDING), nn.ReLU(), nn.Linear(EMBEDDING, EMBEDDING))


def drop_views(n: int, views: int, rate: float, device: torch.device) -> Tensor:
    """``keep`` (n, views) for training: each view left out with ``rate``, never all of a window's."""
    if views == 1:
        return torch.ones(n, 1, device=device)
    keep = torch.rand(n, views, device=device) >= rate
    spared = torch.randint(views, (n,), device=device)
    keep[torch.arange(n, device=device), spared] |= ~keep.any(1)
    return keep.float()
