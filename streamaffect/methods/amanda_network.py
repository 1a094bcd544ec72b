"""Amanda's network: an encoder and a head for each view, and a head on all codes together. torch.

The paper has TextCNN for sequences of acoustic and lexical features, an LSTM for visual ones, codes of 128 and MLP heads
of sizes it does not give. Vectors (an MLP) and raw signals (ResNet1d) are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .cores import Core
from .networks import ResNet1d

_KERNELS = (3, 4, 5)  # Kim, EMNLP 2014, as in Zhao et al., ACL 2021, whom the paper follows
_FILTERS = 64
_HIDDEN = 64  # of a head


class TextCNN(nn.Module):
    """(n, channels, T) -> (n, width): convolutions over 3, 4 and 5 steps, the largest answer of each, linear."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.grams = nn.ModuleList(nn.Conv1d(channels, _FILTERS, kernel, padding=kernel // 2) for kernel in _KERNELS)
        self.project = nn.Linear(_FILTERS * len(_KERNELS), width)

    def forward(self, x: Tensor) -> Tensor:
        largest = [torch.relu(gram(x)).amax(-1) for gram in self.grams]
        projected: Tensor = self.project(torch.cat(largest, 1))
        return projected


class Lstm(nn.Module):
    """(n, channels, T) -> (n, width): one layer, the state after the last step."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.weights = nn.ParameterList(nn.LSTM(channels, width).parameters())

    def forward(self, x: Tensor) -> Tensor:
        if torch.onnx.is_in_onnx_export():
            return self._onnx(x.permute(2, 0, 1))
        zero = x.new_zeros(1, len(x), self.weights[1].shape[1])
        steps = torch.lstm(x.transpose(1, 2), (zero, zero), list(self.weights), True, 1, 0.0, self.training, False, True)[0]
        return steps[:, -1]

    def _onnx(self, steps: Tensor) -> Tensor:
        """ONNX's own operator for (T, n, channels); the exporter would unfold the loop over time."""
        w, r, *biases = (_onnx_gates(weight) for weight in self.weights)
        width = r.shape[2]
        _, state = torch.onnx.ops.symbolic_multi_out(
            "LSTM",
            (steps, w, r, torch.cat(biases, 1)),
            attrs={"hidden_size": width},
            dtypes=(steps.dtype, steps.dtype),
            shapes=((len(steps), 1, steps.shape[1], width), (1, steps.shape[1], width)),
            version=14,
        )
        return state[0]


def _onnx_gates(weight: Tensor) -> Tensor:
    """(1, 4 h, ..) in ONNX's order of gates (input, output, forget, cell) from torch's (input, forget, cell, output)."""
    h = len(weight) // 4
    return torch.cat([weight[:h], weight[3 * h :], weight[h : 3 * h]])[None]


class AmandaNetwork(Core):
    """``shapes`` view -> shape of one window, in the order of the inputs; ``encoders`` view -> ``'mlp'``, ``'resnet'``,
    ``'textcnn'`` or ``'lstm'``.

    Its answer is that of the last head, on ``Z_{M+1} = [Z_1; ..; Z_M]``; a missing view's code is zero there.
    """

    kind: ClassVar[str] = "amanda"

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int]],
        classes: int,
        encoders: Mapping[str, str],
        width: int = 128,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self._spec = {
            "shapes": {name: list(shape) for name, shape in shapes.items()},
            "classes": classes,
            "encoders": dict(encoders),
            "width": width,
            "dropout": dropout,
        }
        self.encoders = nn.ModuleList(_encoder(encoders[name], shape, width) for name, shape in shapes.items())
        widths = [width] * len(shapes) + [width * len(shapes)]
        self.heads = nn.ModuleList(_head(inputs, classes, dropout) for inputs in widths)

    def spec(self) -> dict[str, Any]:
        return self._spec

    def forward(self, views: Sequence[Tensor], keep: Tensor) -> tuple[Tensor, Tensor]:
        """Z_{M+1} (n, M width) and its head's logits (n, C); ``keep`` (n, M) 1 where the view is there, 0 where not."""
        fused = torch.cat(self._codes(views, keep), 1)
        return fused, self.heads[-1](fused)

    def everything(self, views: Sequence[Tensor], keep: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The codes and the logits of all M + 1 modalities; those of a missing view tell nothing."""
        codes = self._codes(views, keep)
        codes.append(torch.cat(codes, 1))
        return codes, [head(code) for head, code in zip(self.heads, codes, strict=True)]

    def _codes(self, views: Sequence[Tensor], keep: Tensor) -> list[Tensor]:
        return [encode(x) * keep[:, i, None] for i, (encode, x) in enumerate(zip(self.encoders, views, strict=True))]


def _encoder(name: str, shape: Sequence[int], width: int) -> nn.Module:
    if name == "mlp":
        return nn.Sequential(nn.Linear(shape[0], width), nn.ReLU(), nn.Linear(width, width))
    if name == "resnet":
        encoder = ResNet1d(*shape)
        encoder.project = nn.Linear(encoder.project.in_features, width)
        return encoder
    return (TextCNN if name == "textcnn" else Lstm)(shape[0], width)


def _head(inputs: int, classes: int, dropout: float) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, _HIDDEN), nn.ReLU(), nn.Dropout(dropout), nn.Linear(_HIDDEN, classes))
