"""What people of the source report in the states that they have in common. numpy only.

People sit through the same trials, and a trial's name says which. What one of them reports is the state's mean report and
much that is theirs alone: of few people the former can be learnt, the latter cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .contract import Float64, Int64, LabelledSet
from .distributions import kl

FLOOR = 1e-6  # of a mean report: nothing is ruled out because nobody here felt it

State = frozenset[str]


@dataclass(frozen=True, slots=True)
class Reports:
    """One report a person and trial: ``shares`` (m, C), the ``person`` (m,) and the name of the ``trial`` (m,)."""

    shares: Float64
    person: npt.NDArray[Any]
    trial: npt.NDArray[np.str_]

    @classmethod
    def of(cls, source: LabelledSet, rows: Int64) -> Self:
        """Of these windows of ``source``, whose labels are distributions; a trial's report is the mean of its windows'.

        Raises ValueError for class labels, and where fewer than two people report.
        """
        if source.y.ndim == 1:
            raise ValueError("states are those of labels that are distributions: these are classes, fit with states=False")
        person, trial = np.asarray(source.subject)[rows], np.asarray(source.trial)[rows].astype(np.str_)
        if len(people := np.unique(person)) < 2:
            raise ValueError(f"states are what people have in common: {len(people)} is too few, fit with states=False")
        y = np.asarray(source.y, np.float64)[rows]
        own = [(p, t) for p in people for t in np.unique(trial[person == p])]
        shares = np.stack([y[(person == p) & (trial == t)].mean(axis=0) for p, t in own])
        return cls(shares, np.asarray([p for p, _ in own]), np.asarray([t for _, t in own], np.str_))

    def states(self) -> list[State]:
        """Trials by state. Two trials are one state where that tells a person's report, from the other people's mean
        report of the state, no worse than two do, by KL(report || mean): greedily, the best pair first.
        """
        states = [frozenset([str(name)]) for name in dict.fromkeys(self.trial)]
        risk = {state: self._risk(state) for state in states}
        while len(states) > 1:
            for a, b in combinations(states, 2):
                if a | b not in risk:
                    risk[a | b] = self._risk(a | b)
            a, b = min(combinations(states, 2), key=lambda pair: risk[pair[0] | pair[1]] - risk[pair[0]] - risk[pair[1]])
            if risk[a | b] > risk[a] + risk[b]:
                break
            states = [state for state in states if state not in (a, b)] + [a | b]
        return sorted(states, key=min)

    def mean(self, state: State) -> Float64:
        """(C,) the mean report of ``state``, summing to 1, positive."""
        shares = np.maximum(self.shares[self._rows(state)].mean(axis=0), FLOOR)
        return np.asarray(shares / shares.sum())

    def _risk(self, state: State) -> float:
        """Sum over the state's reports of their divergence from the other people's mean of it or, where the others have
        none, from the mean of all that they report."""
        total, own = 0.0, self._rows(state)
        for name in np.unique(self.person[own]):
            others = self.person != name
            known = others & own if (others & own).any() else others
            mine = self.shares[own & ~others]
            total += float(kl(mine, np.broadcast_to(self.shares[known].mean(axis=0), mine.shape)).sum())
        return total

    def _rows(self, state: State) -> npt.NDArray[np.bool_]:
        return np.isin(self.trial, sorted(state))
