"""Attention among few tokens, some of which may be missing. torch, plain operations: they export."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_NEVER = -1e9  # exp of it is exactly 0, and a row of nothing else stays finite


def attend(scores: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(scores (..., Q, N)) @ values (..., N, d), over the N that the mask (n, N) holds; without any: their mean."""
    if mask is not None:
        while mask.ndim < scores.ndim:
            mask = mask[:, None]
        scores = torch.where(mask, scores, _NEVER)
    return torch.softmax(scores, -1) @ values


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """The mean (n, d) of tokens (n, N, d) that the mask (n, N) holds, 0 where it holds none."""
    share = mask.to(tokens.dtype)
    return (share[:, None] @ tokens)[:, 0] / share.sum(1, keepdim=True).clamp_min(1)


class Attention(nn.Module):
    """Multi-head attention of x (n, Q, d) to y (n, N, d) with its mask (n, N)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v = self._split(self.query(x)), self._split(self.key(y)), self._split(self.value(y))
        read = attend(q @ k.mT / q.shape[3] ** 0.5, v, mask)
        joined: Tensor = self.dropout(self.out(read.transpose(1, 2).flatten(2)))
        return joined

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)


class Encoder(nn.Module):
    """``depth`` transformer layers, normalised after each part (Vaswani et al. 2017), over tokens with a mask."""

    def __init__(self, depth: int, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(width, heads, feedforward, dropout) for _ in range(depth))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(n, N, d) -> the same; what the mask (n, N) does not hold is 0 and is not read."""
        for layer in self.layers:
            x = layer(x, mask)
        return torch.where(mask[:, :, None], x, 0)


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.first_norm = nn.LayerNorm(width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, feedforward), nn.ReLU(), nn.Dropout(dropout), nn.Linear(feedforward, width), nn.Dropout(dropout)
        )
        self.second_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.first_norm(x + self.attention(x, x, mask))
        y: Tensor = self.second_norm(x + self.feedforward(x))
        return y
