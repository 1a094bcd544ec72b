"""What a stream's unit means to the pipeline, or an error that says what to pass."""

from __future__ import annotations

from streamaffect import units
from streamaffect.errors import SourceError
from streamaffect.signals import Modality
from streamaffect.units import CANONICAL

__all__ = ["CANONICAL", "factor"]


def factor(modality: Modality, unit: str, stream: str) -> float:
    """:func:`streamaffect.units.factor`. Raises SourceError for a unit that is not known."""
    found = units.factor(modality, unit)
    if found is None:
        known = ", ".join(units.spellings(modality))
        raise SourceError(f"stream {stream!r} is in {unit!r}, which is no unit of {modality}: pass --unit with one of {known}")
    return found
