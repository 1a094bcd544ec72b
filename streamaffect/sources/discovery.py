"""What is on the network, and which of it a device profile means. Synchronous: call it in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from streamaffect.errors import SourceError
from streamaffect.sources.channels import site
from streamaffect.sources.devices import DeviceProfile, StreamProfile

if TYPE_CHECKING:
    import pylsl

DETAILS_TIMEOUT_S = 2.0  # for the answer of one sender on the local network
POLL_S = 0.05
# A second device of the kind answers within this time of the first; without the wait the faster one would be taken.
# Senders are called every 0.5 s, and some answer only the second call.
SETTLE_S = 0.7


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A stream on the network. ``labels`` and ``units`` are empty where it tells none (or was not asked)."""

    name: str
    type: str
    channels: int
    rate: float  # Hz; 0 for irregular
    source_id: str
    uid: str  # of this very outlet: new when the sender restarts
    host: str
    labels: tuple[str, ...] = ()
    units: tuple[str, ...] = ()

    def __str__(self) -> str:
        rate = f"{self.rate:g} Hz" if self.rate else "no rate"
        return f"{self.name!r} ({self.type or 'no type'}, {self.channels} ch, {rate}, source_id {self.source_id!r})"


def discover(timeout_s: float = 1.0) -> list[StreamInfo]:
    """Every stream that answers within ``timeout_s``, by name, with labels and units."""
    import pylsl

    handles = pylsl.resolve_streams(timeout_s)
    return sorted((_described(handle) for handle in handles), key=lambda info: (info.name, info.source_id))


def match(device: DeviceProfile, infos: Iterable[StreamInfo]) -> list[tuple[StreamProfile, StreamInfo]]:
    """The device's streams among ``infos``, in the profile's order; optional ones that are not there are left out.

    Raises SourceError, naming what is there, where one is missing or several fit and the profile does not say which.
    """
    there = list(infos)
    found = []
    for profile in device.streams:
        fitting = _fitting(profile, there)
        if len(fitting) > 1:
            listed = ", ".join(str(info) for info in fitting)
            raise AmbiguousError(
                f"{len(fitting)} {profile.modality.upper()} streams fit device {device.name!r}: {listed}: "
                "choose with --name or --source-id"
            )
        if fitting:
            found.append((profile, fitting[0]))
        elif not profile.optional:
            raise SourceError(_missing(device, [profile], there))
    if not found:
        raise SourceError(_missing(device, device.streams, there))
    return found


class AmbiguousError(SourceError):
    """Several streams fit; waiting longer will not help."""


def find(
    device: DeviceProfile, timeout_s: float, stop: threading.Event | None = None
) -> list[tuple[StreamProfile, StreamInfo]]:
    """Waits until the device's streams are there. Raises SourceError as :func:`match` does, after ``timeout_s``."""
    import pylsl

    stop = stop or threading.Event()
    resolver = pylsl.ContinuousResolver()
    deadline = time.monotonic() + timeout_s
    known: dict[str, StreamInfo] = {}
    complete_at: float | None = None
    while True:
        infos = [_known(handle, device, known) for handle in resolver.results()]
        out_of_time = time.monotonic() >= deadline or stop.is_set()
        try:
            found = match(device, infos)
        except AmbiguousError:
            raise
        except SourceError as error:
            if out_of_time:
                raise SourceError(f"{error} (waited {timeout_s:g} s)") from None
            complete_at = None
        else:
            complete_at = complete_at or time.monotonic()
            all_there = len(found) == len(device.streams) or device.name == "generic"
            told = all(profile.source_id == info.source_id for profile, info in found)
            settled = told or time.monotonic() - complete_at >= SETTLE_S
            if out_of_time or (all_there and settled):
                return found
        stop.wait(POLL_S)


def _fitting(profile: StreamProfile, infos: Sequence[StreamInfo]) -> list[StreamInfo]:
    """Those that the profile may mean, narrowed by exact name, complete labels, usual name, in this order."""
    types = {each.casefold() for each in profile.content_types}
    fitting = [
        info
        for info in infos
        if info.type.casefold() in types
        and info.channels >= profile.fewest
        and _told(profile.name, info.name)
        and _told(profile.source_id, info.source_id)
    ]
    wanted = {site(label) for label in profile.channels}
    for better in (
        lambda info: info.name == profile.name or info.source_id == profile.source_id,
        lambda info: profile.by_label and wanted <= {site(label) for label in info.labels},
        lambda info: bool(profile.usual_name) and profile.usual_name in info.name.casefold(),
    ):
        fitting = [info for info in fitting if better(info)] or fitting
    return fitting


def _told(pattern: str | None, value: str) -> bool:
    return pattern is None or value == pattern or fnmatchcase(value, pattern)


def _missing(device: DeviceProfile, profiles: Sequence[StreamProfile], infos: Sequence[StreamInfo]) -> str:
    wanted = "; or ".join(str(profile) for profile in profiles)
    listed = ", ".join(str(info) for info in infos) or "nothing"
    return f"no stream for device {device.name!r} ({wanted}); on the network: {listed}: start the sender or tell --name, --type"


def _known(handle: pylsl.StreamInfo, device: DeviceProfile, known: dict[str, StreamInfo]) -> StreamInfo:
    """The stream, its labels asked for once, and only of those that the device may mean."""
    uid = handle.uid()
    if uid not in known:
        plain = plain_info(handle)
        wanted = any(_fitting(profile, [plain]) for profile in device.streams)
        known[uid] = _described(handle) if wanted else plain
    return known[uid]


def plain_info(handle: pylsl.StreamInfo) -> StreamInfo:
    """What a resolver's answer tells: all but labels and units."""
    return StreamInfo(
        name=handle.name(),
        type=handle.type(),
        channels=handle.channel_count(),
        rate=handle.nominal_srate(),
        source_id=handle.source_id(),
        uid=handle.uid(),
        host=handle.hostname(),
    )


def full_info(full: pylsl.StreamInfo) -> StreamInfo:
    """What a sender's own description tells."""
    labels = tuple(label or "" for label in full.get_channel_labels() or ())
    units = tuple(unit or "" for unit in full.get_channel_units() or ())
    return replace(plain_info(full), labels=labels, units=units)


def _described(handle: pylsl.StreamInfo) -> StreamInfo:
    """With labels and units, asked of the sender; without where it does not answer."""
    import pylsl

    inlet = pylsl.StreamInlet(handle, max_buflen=1, recover=False)
    try:
        return full_info(inlet.info(DETAILS_TIMEOUT_S))
    except (pylsl.util.TimeoutError, pylsl.util.LostError):
        return plain_info(handle)
