"""One observation to what the model reads and whether it should speak: the code path of training and of the river alike."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamaffect.features.personal import AnyPrior, normaliser_of
from streamaffect.features.quality import USABLE, quality
from streamaffect.features.views import View
from streamaffect.features.windows import LAG_S, Windower
from streamaffect.signals import Chunk, Float32, Modality, Observation, Recording, StreamSpec

MIN_COVERAGE = 0.7
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Features:
    """The views of one observation. ``plain``: as computed; ``x``: normalised for this person, as the model reads it.

    ``missing``: the modalities that are not to be trusted while others are. Their views are NaN in ``x``, which the model
    takes for missing, and it answers by the others. ``reason`` says why none is to be trusted, or that one is still
    ``warming_up`` (else ``coverage``, ``missing_modality``, ``quality``); None where the model may speak.
    A modality's windows count in the normaliser when it is to be trusted and the model may speak, a window as a whole in
    coreset and training when it is ``whole``. ``quality`` is None for a modality that is absent.
    """

    seq: int
    t_start_s: float
    t_end_s: float
    plain: Mapping[str, Float32]
    x: Mapping[str, Float32]
    quality: Mapping[Modality, float | None]
    coverage: float
    reason: str | None
    missing: frozenset[Modality] = frozenset()

    @property
    def whole(self) -> bool:
        """Whether every view is there and to be trusted."""
        return self.reason is None and not self.missing


class Extractor:
    """Views and normalisation of one person's stream; the statistics of the person live here."""

    def __init__(self, views: Sequence[View], priors: Mapping[str, AnyPrior]) -> None:
        self.views = tuple(views)
        self.normalisers = {key: normaliser_of(prior) for key, prior in priors.items()}

    def snapshot(self) -> Extractor:
        """A copy with the person's statistics as they are now, for another thread."""
        twin = Extractor(self.views, {})
        # An update replaces a normaliser's arrays and never changes them.
        twin.normalisers = {key: copy.copy(normaliser) for key, normaliser in self.normalisers.items()}
        return twin

    def context_s(self) -> dict[Modality, float]:
        """Seconds of each modality that the views reach back."""
        modalities = {view.modality for view in self.views}
        return {m: max(view.seconds for view in self.views if view.modality == m) for m in sorted(modalities)}

    def __call__(self, observation: Observation) -> Features:
        plain = {view.key: self._view(view, observation) for view in self.views}
        qualities = {m: self._quality(m, observation) for m in self.context_s()}
        reasons = {m: self._reason(m, observation, plain, q) for m, q in qualities.items()}
        reason = _of_all(reasons)
        missing = frozenset(m for m, why in reasons.items() if why is not None) if reason is None else frozenset()
        x = {}
        for view in self.views:
            value = plain[view.key]
            if reason is None and view.modality not in missing and view.key in self.normalisers:
                self.normalisers[view.key].update(value)
            normalised = self.normalise(view.key, value)
            x[view.key] = np.full_like(normalised, np.nan) if view.modality in missing else normalised
        there = [w.coverage for m, w in observation.windows.items() if m not in missing]
        absent = {m for m in missing if reasons[m] != "quality"}
        return Features(
            observation.seq,
            observation.t_start_s,
            observation.t_end_s,
            plain,
            x,
            {m: None if m in absent else q for m, q in qualities.items()},
            min(there, default=0.0),
            reason,
            missing,
        )

    def normalise(self, key: str, x: Float32) -> Float32:
        """View ``key`` (..., k) by the person's statistics as they are now; a view without any passes as it is."""
        return self.normalisers[key](x) if key in self.normalisers else x

    @staticmethod
    def _view(view: View, observation: Observation) -> Float32:
        window = observation.windows.get(view.modality)
        return np.full(view.shape, np.nan, np.float32) if window is None else view(window)

    @staticmethod
    def _quality(modality: Modality, observation: Observation) -> float | None:
        window = observation.windows.get(modality)
        if window is None or not window.mask.any():
            return None
        try:
            return quality(window)
        except Exception as error:  # noqa: BLE001 - as with views: what a detector cannot take is no dead river
            _LOG.warning("quality of %s until %.3f s taken as 0: %s", modality, window.t_end_s, error)
            return 0.0

    def _reason(
        self, modality: Modality, observation: Observation, plain: Mapping[str, Float32], quality: float | None
    ) -> str | None:
        """Why ``modality`` is not to be trusted, or None."""
        if quality is None:
            return "missing_modality"
        views = [view for view in self.views if view.modality is modality]
        for view in views:
            window = observation.windows[modality].last(view.seconds)
            if window.coverage < MIN_COVERAGE:
                return "warming_up" if window.warming_up else "coverage"
        return None if quality >= USABLE and all(np.isfinite(plain[view.key]).all() for view in views) else "quality"


def _of_all(reasons: Mapping[Modality, str | None]) -> str | None:
    """Why to abstain. One modality is enough to speak by, but what is only warming up is waited for."""
    found = set(reasons.values())
    if None in found:
        return "warming_up" if "warming_up" in found else None
    return next(why for why in ("missing_modality", "warming_up", "coverage", "quality") if why in found)


def specs_of(recording: Recording, views: Sequence[View]) -> dict[Modality, StreamSpec]:
    """The streams of ``recording`` that ``views`` need; ValueError when one is not there."""
    have = {signal.spec.modality: signal.spec for signal in reversed(recording.signals)}  # the first of a modality counts
    missing = sorted({view.modality for view in views} - have.keys())
    if missing:
        raise ValueError(
            f"{recording.dataset}/{recording.subject} has no {', '.join(missing)}: it has {', '.join(sorted(have))}"
        )
    return {view.modality: have[view.modality] for view in views}


def chunks_of(recording: Recording, specs: Mapping[Modality, StreamSpec], chunk_s: float) -> Iterator[tuple[Modality, Chunk]]:
    """The recording as chunks of ``chunk_s`` in the order in which they would arrive, stamped on the recording's clock.

    Chunks are no longer than ``LAG_S``: one stream's would have to wait too long for the other's.
    """
    if not chunk_s > 0:
        raise ValueError(f"chunks must be longer than nothing, got {chunk_s} s")
    chunk_s = min(chunk_s, LAG_S)
    signals = [next(s for s in recording.signals if s.spec.modality is modality) for modality in specs]
    signals.sort(key=lambda signal: signal.start_s)  # the grid of windows begins with what arrives first
    start_s = signals[0].start_s
    for k in range(int(np.ceil((recording.duration_s - start_s) / chunk_s))):
        for signal in signals:
            offset = signal.start_s - start_s
            lo, hi = (max(0, round((t * chunk_s - offset) * signal.spec.rate)) for t in (k, k + 1))
            part = signal.samples[:, lo:hi]
            if part.shape[1]:
                stamps = signal.start_s + (lo + np.arange(part.shape[1])) / signal.spec.rate
                yield signal.spec.modality, Chunk(stamps, part)


def windows_of(recording: Recording, extractor: Extractor, hop_s: float, chunk_s: float = 1.0) -> Iterator[Features]:
    """Every window of a recording in order, as the river would have seen it."""
    specs = specs_of(recording, extractor.views)
    windower = Windower(specs, extractor.context_s(), hop_s)
    for modality, chunk in chunks_of(recording, specs, chunk_s):
        for observation in windower.push(modality, chunk)[0]:
            yield extractor(observation)
