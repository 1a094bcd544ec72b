"""LSL outlets that can be taken off the network at a chosen moment.

pylsl destroys an outlet with its last reference, and a traceback may hold one: so one place alone holds it, and drops it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from streamaffect.signals import Float32, Float64, StreamSpec
from streamaffect.sources.devices import TYPES

if TYPE_CHECKING:
    import pylsl

BUFFER_S = 60  # of samples that an outlet keeps for a consumer that lags
MARKERS_TYPE = "Markers"


class SignalOutlet:
    """A regular stream, off the network until :meth:`create`; each time it comes with the same source_id."""

    def __init__(self, spec: StreamSpec, source_id: str) -> None:
        self.spec = spec
        self.source_id = source_id
        self._handle: pylsl.StreamOutlet | None = None

    @property
    def there(self) -> bool:
        return self._handle is not None

    @property
    def read(self) -> bool:
        """Whether a consumer is connected; what is pushed from then on reaches it."""
        return self._handle is not None and self._handle.have_consumers()

    def create(self) -> None:
        import pylsl

        spec, type_ = self.spec, TYPES[self.spec.modality][0]
        info = pylsl.StreamInfo(spec.name, type_, len(spec.channels), spec.rate, "float32", self.source_id)
        info.set_channel_labels(list(spec.channels))
        info.set_channel_types(spec.modality.upper())
        info.set_channel_units(spec.unit or "none")
        self._handle = pylsl.StreamOutlet(info, max_buffered=BUFFER_S)

    def push(self, samples: Float32, timestamps: Float64) -> bool:
        """(channels, n) at LSL times (n,). False where the stream is off the network: nothing was sent."""
        if self._handle is None:
            return False
        if timestamps.size:
            self._handle.push_chunk(np.ascontiguousarray(samples.T), timestamps.tolist())
        return True

    def destroy(self) -> None:
        """Takes about 25 ms; consumers see the stream lost."""
        self._handle = None


class MarkersOutlet:
    """A stream of texts, each at its time."""

    def __init__(self, name: str, source_id: str) -> None:
        self.name = name
        self.source_id = source_id
        self._handle: pylsl.StreamOutlet | None = None

    def create(self) -> None:
        import pylsl

        info = pylsl.StreamInfo(self.name, MARKERS_TYPE, 1, pylsl.IRREGULAR_RATE, "string", self.source_id)
        self._handle = pylsl.StreamOutlet(info)

    def push(self, text: str, at_s: float) -> None:
        if self._handle is not None:
            self._handle.push_sample([text], at_s)

    def destroy(self) -> None:
        self._handle = None
