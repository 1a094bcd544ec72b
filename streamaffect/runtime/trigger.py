"""When to adapt: the coreset first full, drift, an interval, a command; never too often, never after three failures."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamaffect.runtime.river import Decision, entropy
from streamaffect.signals import Float32, Float64

MAX_FAILURES = 3
# Alignment pulls the wearer's windows towards the source people's mixture of states. While the wearer was in one state only
# that does harm, so it waits until the serving model has seen two, each in this share of the windows.
SEEN = 0.1
_MEMORY = 400  # windows that count for it


@dataclass(frozen=True, slots=True)
class Schedule:
    """``first``: trustworthy windows before the first adaptation; ``min_gap_s`` between two; ``interval_s`` at the latest
    (None: no such trigger); all on the stream's clock."""

    first: int = 24
    min_gap_s: float = 120.0
    interval_s: float | None = 900.0
    drift: bool = True


class Drift:
    """Has the stream left what the model was adapted on? Two cheap signals, with hysteresis.

    The mean embedding of the last ``n`` windows against that of the reference, in units of the reference's standard
    deviation, averaged over dimensions; and the mean entropy's rise. Either above its upper limit raises the flag; both
    below their lower limits lower it.
    """

    SHIFT = (0.6, 1.0)
    RISE = (0.1, 0.2)

    def __init__(self, n: int = 24) -> None:
        self._recent: deque[tuple[Float32, float]] = deque(maxlen=n)
        self._reference: tuple[Float64, Float64, float] | None = None
        self.shift = self.rise = 0.0
        self.raised = False

    def rebase(self, embedding: Float32, entropy: float) -> None:
        """What is normal from now on: ``embedding`` (n, d) and mean entropy of what the model was adapted on."""
        spread = embedding.std(axis=0).astype(np.float64)
        self._reference = (embedding.mean(axis=0).astype(np.float64), np.maximum(spread, 1e-3 + spread.mean()), entropy)
        self._recent.clear()
        self.raised = False

    def forget(self) -> None:
        """No reference any more: nothing is drift until the next one."""
        self._reference = None
        self._recent.clear()
        self.raised = False

    def look(self, decision: Decision) -> bool:
        """Count a trustworthy window; True while drift is on."""
        self._recent.append((decision.embedding, entropy(decision.instant)))
        if self._reference is None or len(self._recent) < (self._recent.maxlen or 0):
            return False
        mean, spread, usual = self._reference
        now = np.mean([e for e, _ in self._recent], axis=0)
        self.shift = float(np.abs((now - mean) / spread).mean())
        self.rise = float(np.mean([h for _, h in self._recent]) - usual)
        if self.shift > self.SHIFT[1] or self.rise > self.RISE[1]:
            self.raised = True
        elif self.shift < self.SHIFT[0] and self.rise < self.RISE[0]:
            self.raised = False
        return self.raised


def two_states(said: Sequence[int]) -> bool:
    """Whether two classes at least take a share of ``SEEN`` each of the decisions ``said``."""
    counts = Counter(said).values()
    return sum(count >= SEEN * len(said) for count in counts) >= 2


class Trigger:
    """Counts windows and says why to adapt now, or nothing.

    Where the classes do not exclude each other (``exclusive``) the largest share says nothing of the wearer's states, and no
    two of them are waited for.
    """

    def __init__(self, schedule: Schedule, *, exclusive: bool = True) -> None:
        self.schedule, self._exclusive = schedule, exclusive
        self.drift = Drift()
        self.windows = 0
        self.failures = 0
        self._said: deque[int] = deque(maxlen=_MEMORY)
        self._asked = False
        self._refusals = 0
        self._last_s: float | None = None

    @property
    def waits(self) -> str:
        """Why enough windows are not enough yet, or nothing."""
        enough = self.windows >= self.schedule.first and self._last_s is None
        return "waiting until the model has seen two states" if enough and not self._varied else ""

    @property
    def _varied(self) -> bool:
        return not self._exclusive or two_states(self._said)

    @property
    def disabled(self) -> bool:
        return self.failures >= MAX_FAILURES

    def ask(self) -> None:
        """A command: adapt at the next window, whatever the gap; also lifts the stop after failures."""
        self._asked, self.failures = True, 0

    def look(self, decision: Decision) -> str | None:
        """Count a decision; returns the reason to adapt now: ``command``, ``coreset_full``, ``drift``, ``interval``.

        Windows with a modality missing do not count: a sensor that fell off is not drift.
        """
        if not decision.whole:
            return None
        self.windows += 1
        self._said.append(int(decision.probabilities.argmax()))
        drifting = self.drift.look(decision)
        now_s = decision.features.t_end_s
        if self._asked and self.windows >= 2:
            return "command"
        if self.disabled or self.windows < self.schedule.first or not self._varied:
            return None
        if self._last_s is None:
            return "coreset_full"
        self._last_s = min(self._last_s, now_s)  # the sender's clock may begin anew
        since_s = now_s - self._last_s
        # A candidate refused is likely to be refused again soon: each time in a row, wait twice as long.
        if since_s < self.schedule.min_gap_s * 2**self._refusals:
            return None
        if drifting and self.schedule.drift:
            return "drift"
        interval_s = self.schedule.interval_s
        return "interval" if interval_s is not None and since_s >= interval_s else None

    def started(self, now_s: float) -> None:
        """An adaptation began at stream time ``now_s``."""
        self._asked, self._last_s = False, now_s

    def rolled_back(self) -> None:
        """What was adapted proved no good: as after a refusal, and what it took for normal no longer counts."""
        self.drift.forget()
        self._refusals = min(6, self._refusals + 1)

    def ended(self, *, ok: bool, refused: bool = False) -> bool:
        """It ended, with a candidate (``ok``) that the guard may have ``refused``.

        True when this failure was the one that switches adaptation off.
        """
        self.failures = 0 if ok else self.failures + 1
        self._refusals = min(6, self._refusals + 1) if refused else 0
        return self.failures == MAX_FAILURES
