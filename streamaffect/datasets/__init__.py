"""Recordings with labels: one reader a data set or file format, one subject in memory at a time.

Lives here: the registry (:mod:`.registry`); the readers of ``.npz`` layouts (:mod:`.npz`: :mod:`.eegmat`, :mod:`.wrist`, our
own :mod:`.saved`), of EEGMAT as published (:mod:`.eegmat_edf`), of file formats (:mod:`.edf`, :mod:`.empatica`,
:mod:`.embrace`, :mod:`.xdf`, :mod:`.table`) and of feature sets (:mod:`.feature_sets`); those of the published affect sets
(:mod:`.wesad`, :mod:`.dreamer`, :mod:`.amigos`, :mod:`.seed`, :mod:`.seed_v`, :mod:`.seed_features`, :mod:`.faced`,
:mod:`.dmer`) on :mod:`.published`, :mod:`.matlab` and :mod:`.pickles`, with their terms (:mod:`.agreements`); the simulated
person (:mod:`.simulated`); what a folder holds (:mod:`.survey`). May import ``signals``, ``units`` and ``errors`` alone. Other
readers join through the entry-point group ``streamaffect.datasets``.
"""

from streamaffect.datasets.registry import Dataset, Recordings, get, kind_of, names, open, read  # noqa: A004
from streamaffect.datasets.saved import save

__all__ = ["Dataset", "Recordings", "get", "kind_of", "names", "open", "read", "save"]
