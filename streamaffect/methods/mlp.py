"""The ``mlp`` core: SDC-Net's two fully connected layers and a small classifier on the concatenated vectors. torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .cores import Core


class MLP(Core):
    """sum(``widths``) -> 64 -> 64, ReLU and ``dropout`` after each, and a classifier 64 -> 32 -> ``classes``.

    The paper gives the extractor (310-64-64, dropout 0.25) and not the classifier: 64-32-C with dropout 0.5 is its
    authors' code. ``widths`` are those of the vector views, in the order of the inputs.
    """

    kind: ClassVar[str] = "mlp"

    def __init__(
        self, widths: Sequence[int], classes: int, hidden: int = 64, dropout: float = 0.25, classifier_dropout: float = 0.5
    ) -> None:
        super().__init__()
        self._spec = {"widths": list(widths), "classes": classes, "hidden": hidden}
        self._spec |= {"dropout": dropout, "classifier_dropout": classifier_dropout}
        self.extract = nn.Sequential(
            nn.Linear(sum(widths), hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout),
        )  # fmt: skip
        self.classify = nn.Sequential(
            nn.Linear(hidden, hidden // 2), nn.ReLU(), nn.Dropout(classifier_dropout), nn.Linear(hidden // 2, classes)
        )

    def spec(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON takes them."""
        return dict(self._spec)

    def forward(self, views: Sequence[Tensor], keep: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding (n, hidden) and logits (n, C) of views (n, k); ``keep`` (n, views) is 0 where one is missing."""
        x = views[0] if len(views) == 1 else torch.cat([view * keep[:, i, None] for i, view in enumerate(views)], 1)
        embedding: Tensor = self.extract(x)
        return embedding, self.classify(embedding)
