"""An inlet with what turns its samples into the pipeline's: rows wanted, units, the rate agreed on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamaffect.errors import SourceError
from streamaffect.signals import Float32, StreamSpec
from streamaffect.sources import units
from streamaffect.sources.channels import pick
from streamaffect.sources.devices import StreamProfile
from streamaffect.sources.discovery import StreamInfo
from streamaffect.sources.inlet import Inlet

# Declared rates are rounded (250.1, 249.98); crystals are good to 100 ppm. Beyond this it is another rate.
RATE_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Tap:
    inlet: Inlet
    spec: StreamSpec
    rows: tuple[int, ...]
    factor: float

    @classmethod
    def on(cls, inlet: Inlet, profile: StreamProfile, device: str) -> Tap:
        """Raises SourceError where the stream is not as the profile says."""
        info = inlet.info
        rate = agreed_rate(profile, info, device)
        picked = pick(profile, info.labels, info.channels, info.name)
        told = {info.units[row] for row in picked.rows} if len(info.units) == info.channels else {""}
        if len(told) > 1:
            raise SourceError(f"stream {info.name!r} mixes the units {', '.join(sorted(told))}: pass --channels of one unit")
        factor = units.factor(profile.modality, profile.unit or told.pop(), info.name)
        spec = StreamSpec(info.name, profile.modality, picked.names, rate, units.CANONICAL[profile.modality])
        return cls(inlet, spec, picked.rows, factor)

    def samples(self, raw: npt.NDArray[np.generic]) -> Float32:
        """(n, stream's channels) of any number type to (channels, n) float32 in the canonical unit; always a copy."""
        rows = raw.T[list(self.rows)]
        if self.factor != 1.0:
            rows = rows.astype(np.float64) * self.factor
        return np.ascontiguousarray(rows, dtype=np.float32)


def agreed_rate(profile: StreamProfile, info: StreamInfo, device: str) -> float:
    """Hz. Raises SourceError where what the stream declares and what the profile says differ, or neither says any."""
    declared, wanted = info.rate, profile.rate
    if declared <= 0:
        if wanted is not None and profile.rate_told:
            return wanted
        raise SourceError(
            f"stream {info.name!r} declares no rate: pass --rate{f' {wanted:g}' if wanted else ''} if it is regular"
        )
    if wanted is None:
        return declared
    if abs(declared / wanted - 1.0) > RATE_TOLERANCE:
        said = "you say" if profile.rate_told else f"the profile {device!r} says"
        rounded = round(declared)
        advice = rounded if rounded and abs(declared / rounded - 1.0) <= RATE_TOLERANCE else declared
        raise SourceError(
            f"stream {info.name!r} sends {declared:g} Hz, {said} {wanted:g} Hz: pass --rate {advice:g} or fix the device"
        )
    return wanted
