"""One LSL inlet, owned by one thread for life."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from streamaffect.errors import SourceError
from streamaffect.signals import Float64
from streamaffect.sources.discovery import StreamInfo, full_info

if TYPE_CHECKING:
    import pylsl

# Measured with liblsl 1.18 at 256 Hz: dejitter (its regression forgets with a half-time of 90 s) takes a hole of
# 5 s for slowness. The step in the time stamps vanishes (largest 4.7 ms), the first sample after the hole is 5.0 s
# early, and after 60 s of catching up they overshoot by 1.1 s; 1 % of lost samples moves them by up to 64 ms. Gaps
# would be hidden from us, so it stays off: the windower has its own tracker of the sample grid. monotonize stays off
# too: once a sender's clock goes back it holds every later time stamp at the last one for ever. The clocks are synced.
MAX_PULL = 4096  # samples
# A sender often answers only the second call, 0.5 s after the first (over loopback as well), and a lost packet costs as much.
RESOLVE_S = 2.0
RESOLVE_POLL_S = 0.02
ANSWER_S = 2.0  # within which a sender that was found must answer each question
POLL_S = 0.1  # longest wait for a sample, so also the longest that closing waits


class NotThereError(SourceError):
    """No such stream, or none that answers: it may come yet."""


class InletLostError(Exception):
    """The sender closed the stream or its connection broke."""


class Inlet:
    """Opens the stream of ``uid`` or, without, of ``source_id``; ``info`` is what its sender tells.

    ``buffer_s`` bounds what liblsl keeps for us; ``stop`` ends the search early. Raises NotThereError where no such
    stream is found, or it does not answer. Samples are kept from the moment of opening: a stream found ``again`` is
    opened before its clock is measured, so that those 0.6 s are not lost too; at the first opening the sender may be
    a fast replay that waits for us, and they would overflow what liblsl keeps.
    """

    def __init__(
        self, uid: str, source_id: str, name: str, *, buffer_s: float, stop: threading.Event, again: bool = False
    ) -> None:
        import pylsl

        handles = _resolved(_predicate(uid, source_id, name), stop)
        if not handles:
            raise NotThereError(f"stream {name!r} is not on the network")
        newest = max(handles, key=lambda handle: handle.created_at())
        try:
            self._inlet = pylsl.StreamInlet(
                newest,
                max_buflen=math.ceil(buffer_s),
                recover=False,  # liblsl's own recovery is silent: it hides losses
                processing_flags=pylsl.proc_clocksync,
            )
            if again:
                self._inlet.open_stream(ANSWER_S)
            self.info: StreamInfo = full_info(self._inlet.info(ANSWER_S))
            # The first estimate takes 0.6 s (8 probes). Left to the first pull, it would block there for up to 5 s.
            self._inlet.time_correction(ANSWER_S)
            self._inlet.open_stream(ANSWER_S)
        except RuntimeError as error:  # the base of all that pylsl raises
            raise NotThereError(f"stream {name!r} is announced but does not answer: {error}") from None
        if self._inlet.np_dtype is None:
            raise SourceError(f"stream {name!r} sends text, not numbers: choose another with --name")
        self._buffer = np.empty((MAX_PULL, self.info.channels), self._inlet.np_dtype)

    def pull(self, timeout_s: float) -> tuple[Float64, npt.NDArray[np.generic]] | None:
        """Waits for a sample, then takes all that are there: times (n,), samples (n, channels) of the stream's type.

        None where none came. Raises InletLostError. Waiting for one sample and then taking the rest without waiting
        delivers each of the device's chunks as it comes; a pull_chunk with a time-out would wait for its whole size.
        """
        try:
            sample, first = self._inlet.pull_sample(timeout=timeout_s)
            if first is None:
                return None
            _, rest = self._inlet.pull_chunk(timeout=0.0, max_samples=MAX_PULL - 1, dest_obj=self._buffer[1:])
        except RuntimeError as error:  # LostError, or an internal error of liblsl: either way this inlet is done
            raise InletLostError(str(error)) from None
        self._buffer[0] = sample
        return np.array([first, *rest], dtype=np.float64), self._buffer[: len(rest) + 1]


def _resolved(predicate: str, stop: threading.Event) -> list[pylsl.StreamInfo]:
    """The streams that fit, as soon as one answers; none after RESOLVE_S or when asked to stop."""
    import pylsl

    resolver = pylsl.ContinuousResolver(pred=predicate)
    give_up_s = time.monotonic() + RESOLVE_S
    while not (found := resolver.results()) and time.monotonic() < give_up_s and not stop.wait(RESOLVE_POLL_S):
        pass
    return list(found)


def _predicate(uid: str, source_id: str, name: str) -> str:
    """An XPath condition. A stream without source_id can only be told by its name."""
    if uid:
        return f"uid={_quoted(uid)}"
    return f"source_id={_quoted(source_id)}" if source_id else f"name={_quoted(name)}"


def _quoted(value: str) -> str:
    """XPath 1.0 has no escapes: the quote that does not occur, or the parts between quotes joined."""
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    return "concat(" + ', "\'", '.join(f"'{part}'" for part in value.split("'")) + ")"
