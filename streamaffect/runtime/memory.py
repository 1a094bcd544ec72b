"""What the wearer's recent past leaves behind for adaptation: windows without labels, bounded."""

from __future__ import annotations

from collections import deque

import numpy as np

from streamaffect.features.extract import Extractor
from streamaffect.methods import coreset
from streamaffect.runtime.engine import Engine
from streamaffect.runtime.river import Decision
from streamaffect.signals import Float32

CAPACITY = 2000  # windows: 2 h 46 min at a 5 s hop
RECENT = 120  # windows the guard looks at


class Memory:
    """The last ``capacity`` windows that were fit to judge, the oldest dropped.

    Those in which a modality is missing stay out: what is not there cannot be aligned, and where a sensor fell off is no
    state of the wearer. So a wearer whose sensor is gone for good keeps the model as it is by then.

    Views are kept as computed and normalised when they are asked for, by the person's statistics as they are by then: the
    first windows were normalised when little was known of the wearer.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._windows: deque[dict[str, Float32]] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self._windows)

    def add(self, decision: Decision) -> None:
        """Remember a window, unless it was not to be trusted whole."""
        if decision.whole:
            self._windows.append(dict(decision.features.plain))

    def snapshot(self) -> Memory:
        """A copy for another thread; the windows themselves are shared and never change."""
        copy = Memory(self._windows.maxlen or CAPACITY)
        copy._windows.extend(self._windows)
        return copy

    def recent(self, extractor: Extractor, n: int = RECENT) -> dict[str, Float32]:
        """The newest ``n`` windows, oldest first, as the model reads them: {view key: (n, ...)}."""
        windows = list(self._windows)[-n:]
        return {v.key: extractor.normalise(v.key, np.stack([w[v.key] for w in windows])) for v in extractor.views}

    def coreset(self, extractor: Extractor, engine: Engine, *, fraction: float, minimum: int, seed: int) -> dict[str, Float32]:
        """dynAmiC's coreset of all that is remembered, chosen on the engine's embedding: {view key: (k, ...)}."""
        x = self.recent(extractor, len(self))
        chosen = np.sort(coreset.select(engine(x).embedding, fraction=fraction, minimum=minimum, seed=seed))
        return {key: value[chosen] for key, value in x.items()}
