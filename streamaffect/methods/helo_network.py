"""HeLo's network: any set of views, cross-attention, optimal transport to behaviour, attention led by label correlation. torch.

Each view becomes tokens of one width. Physiological tokens are fused by cross-attention from the query view (Eq. 1-4),
carried onto the tokens of each behaviour view by optimal transport (Eq. 5, 6), and read by label tokens whose likeness
to each other is learnt from the labels (Eq. 7-9). A missing view has no tokens anywhere: what it holds is never read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from . import transport
from .attention import Attention, Encoder, attend, masked_mean
from .cores import Core
from .networks import ResNet1d

_TRUNK = 128  # channels of ResNet1d's last block
_TOLERANCE = 1e-4  # of a token's mass, while learning; an answer takes all iterations: it must not depend on its batch


@dataclass(frozen=True, kw_only=True)
class Design:
    """The sizes and switches of the network; :class:`streamaffect.methods.helo.HeLo` explains them."""

    tokens: int = 8
    width: int = 64
    heads: int = 4
    depth: int = 1
    feedforward: int = 64
    dropout: float = 0.1
    feature_dropout: float = 0.0
    cross_attention: bool = True
    ot: bool = True
    label_attention: str | None = "joint"
    keys: str = "all"
    residual: str = "key"
    eps: float = 0.1
    iterations: int = 20
    detach: bool = False


class HeloNetwork(Core):
    """``shapes`` view -> shape of one window, in the order of the inputs; ``query`` and ``behaviour`` name some of them.

    ``states``: the trials of each state that people have in common. With any, the network tells which it is, and the answer
    is the mixture of the states' mean ``reports`` (states, C), a buffer that a fit sets. ``design`` are the fields of
    :class:`Design`.
    """

    kind: ClassVar[str] = "helo"

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int]],
        classes: int,
        query: str,
        behaviour: Sequence[str] = (),
        states: Sequence[Sequence[str]] = (),
        **design: Any,
    ) -> None:
        super().__init__()
        self.design = d = Design(**design)
        self.states = [list(trials) for trials in states]
        self._roles = {"classes": classes, "query": query, "behaviour": list(behaviour), "states": self.states}
        self._shapes = {name: list(shape) for name, shape in shapes.items()}
        names = list(shapes)
        self.query = names.index(query)
        self.acts = [names.index(name) for name in behaviour]
        feels = [i for i in range(len(names)) if i not in self.acts]
        others = [i for i in feels if i != self.query]
        self.keys = others if d.cross_attention and d.keys == "others" and others else feels
        self.forget = nn.Dropout(d.feature_dropout)
        points = d.tokens * len(self.keys)  # of the physiological representation, and of each behaviour view (paper: 2C)
        self.project = nn.ModuleList(
            _projection(tuple(shape), points if i in self.acts else d.tokens, d.width)
            for i, shape in enumerate(shapes.values())
        )
        layers = (d.depth, d.width, d.heads, d.feedforward, d.dropout)
        self.cross = nn.ModuleList(Attention(d.width, d.heads, d.dropout) for _ in self.keys) if d.cross_attention else None
        self.norm = nn.ModuleList(nn.LayerNorm(d.width) for _ in self.keys)
        self.body = Encoder(*layers)
        self.behaviour = Encoder(*layers) if self.acts else None
        self.labels = LabelAttention(classes, d.width, d.label_attention) if d.label_attention else None
        self.correlation: Tensor
        self.register_buffer("correlation", torch.eye(classes))  # M^gt of the training labels; a fit sets it
        self.reports: Tensor
        if self.states:
            self.register_buffer("reports", torch.full((len(self.states), classes), 1 / classes))
        read = d.width * (classes if d.label_attention else 1)
        self.reduce = nn.Sequential(nn.Linear(read, d.width), nn.ReLU(), nn.Dropout(d.dropout), nn.Linear(d.width, d.width))
        self.classify = nn.Sequential(nn.ReLU(), nn.Dropout(d.dropout), nn.Linear(d.width, len(self.states) or classes))

    def spec(self) -> dict[str, Any]:
        return {"shapes": self._shapes, **self._roles, **asdict(self.design)}

    def forward(self, views: Sequence[Tensor], keep: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding (n, width), the input of the head's last layer, and logits (n, C)."""
        embedding, scores, _ = self.answer(views, keep)
        return embedding, self.logits(scores)

    def know(self, reports: Sequence[npt.NDArray[np.float64]]) -> None:
        """Take the mean report (C,) of each state."""
        self.reports.copy_(torch.as_tensor(np.stack(reports)))

    def logits(self, scores: Tensor) -> Tensor:
        """(n, C) of the head's scores: these or, of states (n, states), the logarithm of the mixture of their reports."""
        return torch.log(torch.softmax(scores, 1) @ self.reports) if self.states else scores

    def answer(self, views: Sequence[Tensor], keep: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embedding, the head's scores, and the transport cost <T, cost> (n,) of Eq. 5, summed over the behaviour views;
        0 where nothing is moved."""
        there = keep > 0
        views = [self.forget(view) if view.ndim == 2 else view for view in views]
        x = [torch.where(there[:, i, None, None], self.project[i](view), 0) for i, view in enumerate(views)]
        felt, known = self._fuse(x, there)
        tokens, mask, cost = self._carry(felt, known, x, there)
        read = self.labels(tokens, mask).flatten(1) if self.labels is not None else masked_mean(tokens, mask)
        embedding = self.reduce(read)
        return embedding, self.classify(embedding), cost

    def label_likeness(self) -> Tensor | None:
        """M^L (C, C), the cosines of the label tokens (Eq. 7)."""
        return None if self.labels is None else self.labels.likeness()

    def _fuse(self, x: list[Tensor], there: Tensor) -> tuple[Tensor, Tensor]:
        """x^phy (n, points, width) and its mask (n, points), Eq. 1-4.

        Without the query a block is LN(x^m) alone; without view m it is missing or, where the query has no block of its
        own, LN(x^query).
        """
        blocks, masks = [], []
        asked = there[:, self.query, None, None]
        stands_in = self.query not in self.keys
        for j, i in enumerate(self.keys):
            given = there[:, i, None, None]
            if self.cross is None:
                block, known = self.norm[j](x[i]), given
            else:
                attended = self.cross[j](x[self.query], x[i])
                both = attended + self._residual(j, x[self.query], x[i])
                one = self.norm[j](torch.where(given, x[i], x[self.query]))
                block, known = torch.where(asked & given, both, one), given | asked if stands_in else given
            blocks.append(torch.where(known, block, 0))
            masks.append(known[:, :, 0].expand(-1, block.shape[1]))
        return torch.cat(blocks, 1), torch.cat(masks, 1)

    def _residual(self, j: int, query: Tensor, key: Tensor) -> Tensor:
        carried = {"key": key, "query": query, "both": query + key}[self.design.residual]
        normed: Tensor = self.norm[j](carried)
        return normed

    def _carry(self, felt: Tensor, known: Tensor, x: list[Tensor], there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x^m (n, N, width) of Eq. 6, its mask (n, N), and the transport cost (n,).

        Where a behaviour view is missing there is nothing to carry to: the physiological tokens stay as they are.
        """
        if self.behaviour is None:
            return self.body(felt, known), known, felt.new_zeros(felt.shape[0])
        tokens, masks, cost = [], [], felt.new_zeros(felt.shape[0])
        for i in self.acts if self.design.ot else ():
            both = known.any(1) & there[:, i]
            moved, paid = self._transport(felt, known, x[i])
            tokens.append(self.body(torch.where(both[:, None, None], moved, felt), known | both[:, None]))
            masks.append(known | both[:, None])
            cost = cost + torch.where(both, paid, 0)
        if not self.design.ot:
            tokens, masks = [self.body(felt, known)], [known]
        for i in self.acts:
            seen = there[:, i, None].expand(-1, x[i].shape[1])
            tokens.append(self.behaviour(x[i], seen))
            masks.append(seen)
        return torch.cat(tokens, 1), torch.cat(masks, 1), cost

    def _transport(self, felt: Tensor, known: Tensor, acted: Tensor) -> tuple[Tensor, Tensor]:
        """The barycentric map (1/b_j) sum_i T_ij x_i onto a behaviour view's tokens, and <T, cost>."""
        cost = transport.cosine_cost(felt, acted)
        a = (known | ~known.any(1, keepdim=True)).to(cost.dtype)  # where there is none, any mass will do: it is not used
        a = a / a.sum(1, keepdim=True)
        b = torch.full_like(cost[:, 0], 1 / cost.shape[2])
        d = self.design
        tolerance = _TOLERANCE if torch.is_grad_enabled() else None
        T = transport.plan(cost.detach() if d.detach else cost, a, b, d.eps, d.iterations, tolerance, largest=2.0)
        return cost.shape[2] * T.mT @ felt, (T * cost).sum((1, 2))


class LabelAttention(nn.Module):
    """Label tokens read the fused tokens under their own learnt correlation (Eq. 7, 9).

    Eq. 9 adds M^L (C x C) to Q K' (C x N), which does not conform. ``'joint'``: label tokens are keys too, and M^L is the
    bias of their part. ``'propagate'``: (I + M^L) Q K'.
    """

    def __init__(self, classes: int, width: int, form: str) -> None:
        super().__init__()
        self.form = form
        self.embedding = nn.Parameter(torch.randn(classes, width) / width**0.5)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def likeness(self) -> Tensor:
        unit = nn.functional.normalize(self.embedding, dim=1)
        return unit @ unit.T

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """x^o (n, C, width) of tokens (n, N, width) with mask (n, N)."""
        asked, M = self.query(self.embedding), self.likeness()
        scores = asked @ self.key(tokens).mT
        values = self.value(tokens)
        n = tokens.shape[0]
        if self.form == "propagate":
            scores = scores + M @ scores
        else:
            own = (asked @ self.key(self.embedding).T + M).expand(n, -1, -1)
            scores = torch.cat([own, scores], 2)
            values = torch.cat([self.value(self.embedding).expand(n, -1, -1), values], 1)
            mask = torch.cat([torch.ones_like(mask[:, :1]).expand(-1, len(M)), mask], 1)
        return attend(scores / tokens.shape[2] ** 0.5, values, mask)


class SignalTokens(nn.Module):
    """(n, channels, T) -> (n, tokens, width): the residual convolutions of ``dynamic``, time cut into equal parts."""

    def __init__(self, channels: int, samples: int, tokens: int, width: int) -> None:
        super().__init__()
        trunk = ResNet1d(channels, samples)
        self.stem, self.stem_norm, self.blocks = trunk.stem, trunk.stem_norm, trunk.blocks
        with torch.no_grad():
            steps = self.blocks.eval()(self.stem(torch.zeros(1, channels, samples))).shape[2]
        self.blocks.train()
        self.register_buffer("parts", _parts(steps, tokens), persistent=False)
        self.linear = nn.Linear(_TRUNK, width)

    def forward(self, x: Tensor) -> Tensor:
        steps: Tensor = self.blocks(torch.relu(self.stem_norm(self.stem(x))))
        tokens: Tensor = self.linear((steps @ self.get_buffer("parts")).mT)
        return tokens


def _projection(shape: tuple[int, ...], tokens: int, width: int) -> nn.Module:
    if len(shape) == 2:
        return SignalTokens(*shape, tokens, width)
    return nn.Sequential(nn.Linear(shape[0], tokens * width), nn.Unflatten(1, (tokens, width)))


def _parts(steps: int, tokens: int) -> Tensor:
    """(steps, tokens) that averages time into equal parts, which overlap where there are more parts than steps."""
    parts = torch.zeros(steps, tokens)
    for t in range(tokens):
        start, end = t * steps // tokens, -(-(t + 1) * steps // tokens)
        parts[start:end, t] = 1 / (end - start)
    return parts
