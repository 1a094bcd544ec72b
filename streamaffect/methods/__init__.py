"""The learning: methods that fit on labelled sources and adapt to one person's unlabelled windows.

Everything here knows arrays alone and nothing of streams; it can be lifted out of the project. The face, the sets, the
coreset and the calibration need numpy alone; torch is imported when a method fits, adapts or loads.

    m = methods.get("dynamic", tau=0.9)
    model = m.fit_source(source)                      # LabelledSet -> Model
    model = m.adapt(model, source, target)            # + UnlabelledSet -> Model
    model.predict_proba({"ecg.raw": x})               # (n, C) float32
"""

from . import coreset
from .calibration import fit_temperature
from .contract import Cancelled, LabelledSet, Method, Model, Progress, UnlabelledSet
from .holdout import held_out
from .registry import get, load, names

__all__ = [
    "Cancelled",
    "LabelledSet",
    "Method",
    "Model",
    "Progress",
    "UnlabelledSet",
    "coreset",
    "fit_temperature",
    "get",
    "held_out",
    "load",
    "names",
]
