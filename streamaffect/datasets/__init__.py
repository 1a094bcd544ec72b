"""Recordings with labels: one reader a data set, one subject in memory at a time.

Lives here: the registry (:mod:`.registry`); the readers of the ``.npz`` layouts (:mod:`.npz`, :mod:`.eegmat`,
:mod:`.wrist`); those of the published sets (:mod:`.wesad`, :mod:`.dreamer`, :mod:`.amigos`, :mod:`.seed`, :mod:`.seed_v`,
:mod:`.seed_features`, :mod:`.faced`, :mod:`.dmer`) on :mod:`.published`, :mod:`.matlab` and :mod:`.pickles`, with their terms
(:mod:`.agreements`); the simulated person (:mod:`.simulated`). May import ``signals`` and ``errors`` alone. Other readers
join through the entry-point group ``streamaffect.datasets``.
"""

from streamaffect.datasets.registry import Dataset, Recordings, names, open, read  # noqa: A004

__all__ = ["Dataset", "Recordings", "names", "open", "read"]
