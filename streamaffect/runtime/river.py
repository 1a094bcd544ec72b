"""The river's pure core: samples in, decisions out. No asyncio, no LSL, no MQTT, no clock but the samples' own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from streamaffect.bundle.bundle import Bundle
from streamaffect.features.extract import Extractor, Features
from streamaffect.features.windows import Gap, Windower
from streamaffect.runtime.engine import Engine
from streamaffect.runtime.smoothing import Smoother
from streamaffect.signals import Chunk, Float32, Modality, Observation, StreamSpec


@dataclass(frozen=True, slots=True)
class Decision:
    """What one window is taken for. ``probabilities`` (C,) sum to 1, averaged over the past as the bundle says; ``instant``
    (C,) what the model said of this window alone; ``reason`` is why it abstains, or None."""

    features: Features
    probabilities: Float32
    instant: Float32
    embedding: Float32
    bundle: Bundle
    reason: str | None

    @property
    def whole(self) -> bool:
        """Whether the model spoke, and every view was there: what adaptation learns from."""
        return self.reason is None and self.features.whole

    @property
    def label(self) -> str | None:
        return None if self.reason else self.bundle.classes[int(self.probabilities.argmax())]

    @property
    def entropy(self) -> float:
        """Shannon entropy of ``probabilities`` as a share of its maximum, 0..1."""
        return entropy(self.probabilities)

    def expectation(self, what: str) -> float | None:
        """Expected ``valence`` or ``arousal``, or None where a class carries none."""
        values = [getattr(entry, what) for entry in self.bundle.manifest.classes]
        if any(value is None for value in values):
            return None
        return float(np.clip(self.probabilities @ np.asarray(values), -1.0, 1.0))


def entropy(probabilities: Float32) -> float:
    """Shannon entropy of ``probabilities`` (C,) as a share of its maximum, 0..1."""
    p = probabilities.astype(np.float64)
    return float(np.clip(-(p * np.log(np.maximum(p, 1e-12))).sum() / np.log(p.size), 0.0, 1.0))


class River:
    """Windows, features, model and abstention of one person. ``engine`` may be replaced between any two calls."""

    def __init__(self, engine: Engine, specs: Mapping[Modality, StreamSpec]) -> None:
        self.engine, self._specs = engine, dict(specs)
        self.extractor = Extractor(engine.bundle.views, engine.bundle.priors)
        self.windower = Windower(self._specs, self.extractor.context_s(), engine.bundle.manifest.hop_s)
        self._smoother = Smoother(engine.bundle.manifest.smoothing_s)

    def warm(self) -> None:
        """Let a river of its own have two hops of noise, so that what is imported and built at first use is there before the
        wearer's first window."""
        scratch, rng = River(self.engine, self._specs), np.random.default_rng(0)
        for modality, spec in self._specs.items():
            n = int(np.ceil(2 * self.windower.hop_s * spec.rate)) + 1
            noise = rng.normal(0.0, 100.0, (len(spec.channels), n)).astype(np.float32)
            scratch.push(modality, Chunk(np.arange(n) / spec.rate, noise))

    def push(self, modality: Modality, chunk: Chunk) -> tuple[list[Decision], list[Gap]]:
        """One chunk of one stream; returns the decisions it completes and the holes it reveals."""
        observations, gaps = self.windower.push(modality, chunk)
        return self._decide(observations), gaps

    def stall(self, modality: Modality) -> list[Decision]:
        """A stream went silent: no longer wait for it."""
        return self._decide(self.windower.stall(modality))

    def advance(self, to_s: float) -> list[Decision]:
        """Nothing came, but LSL time has reached ``to_s``."""
        return self._decide(self.windower.advance(to_s))

    def swap(self, engine: Engine) -> Engine:
        """Serve with ``engine`` from the next window on; returns the one that served until now.

        Views, priors and hop must be the same: the wearer's statistics go on.
        """
        ours, theirs = self.engine.bundle, engine.bundle
        if [v.layout for v in theirs.views] != [v.layout for v in ours.views] or theirs.manifest.hop_s != ours.manifest.hop_s:
            raise ValueError("a swapped model must read the same views at the same hop")
        before, self.engine = self.engine, engine
        return before

    def _decide(self, observations: Iterable[Observation]) -> list[Decision]:
        return [self._classify(self.extractor(observation)) for observation in observations]

    def _classify(self, features: Features) -> Decision:
        engine, reason = self.engine, features.reason
        prediction = engine({key: value[None] for key, value in features.x.items()})
        probabilities, embedding = prediction.probabilities[0], prediction.embedding[0]
        if not (np.isfinite(probabilities).all() and np.isfinite(embedding).all()):
            reason = reason or "model_error"
            probabilities, embedding = np.full_like(probabilities, 1 / probabilities.size), np.zeros_like(embedding)
        elif reason is not None and any(not np.isfinite(value).all() for value in features.plain.values()):
            # Not enough was measured: nothing is said, rather than what the model makes of the rest.
            probabilities = np.full_like(probabilities, 1 / probabilities.size)
        served = probabilities if reason else self._smoother(probabilities, features.t_end_s)
        return Decision(features, served, probabilities, embedding, engine.bundle, reason)
