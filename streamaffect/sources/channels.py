"""Which rows of a stream are the channels wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamaffect.errors import SourceError
from streamaffect.sources.devices import StreamProfile

# Sites renamed when the 10-20 system grew into the 10-10 system (Klem et al. 1999): the same places on the head.
_RENAMED = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8"}


@dataclass(frozen=True, slots=True)
class Pick:
    """``rows`` of the stream, in the order wanted, and their names."""

    rows: tuple[int, ...]
    names: tuple[str, ...]


def site(label: str) -> str:
    """A label in the form in which labels are compared: any case, old and new 10-20 names alike."""
    plain = label.strip().casefold()
    return _RENAMED.get(plain, plain)


def pick(profile: StreamProfile, labels: Sequence[str], count: int, stream: str) -> Pick:
    """The rows of a stream of ``count`` channels; ``labels`` is empty where it has none.

    Sites are found by label, else by the electrode that stands in for them (``near``), or taken as they come where the stream
    has no labels and the count fits. Channels that are
    no sites are the first ones, under the stream's own labels where it has them. Raises SourceError for a missing one.
    """
    labelled = len(labels) == count and all(labels) and len(set(labels)) == count
    if profile.by_label:
        return _by_label(profile, labels, stream) if labelled else _as_they_come(profile, count, stream)
    if count < profile.fewest:
        raise SourceError(f"stream {stream!r} has {count} channels, the profile needs {profile.fewest}: pass --channels")
    taken = min(count, len(profile.channels)) if profile.channels else count
    if labelled:
        return Pick(tuple(range(taken)), tuple(labels[:taken]))
    ours = profile.channels or tuple(f"{profile.modality}{row + 1}" for row in range(count))
    return Pick(tuple(range(taken)), ours[:taken])


def has(profile: StreamProfile, channels: Sequence[str]) -> bool:
    """Whether a device of ``profile`` has an electrode for each of ``channels``; one whose sites are not told may."""
    if not profile.by_label:
        return True
    there = {site(label) for label in (*profile.channels, *(wanted for wanted, _ in profile.near))}
    return all(site(channel) in there for channel in channels)


def _by_label(profile: StreamProfile, labels: Sequence[str], stream: str) -> Pick:
    there = {site(label): row for row, label in enumerate(labels)}
    for wanted, electrode in profile.near:
        if site(electrode) in there:
            there.setdefault(site(wanted), there[site(electrode)])
    if missing := [label for label in profile.channels if site(label) not in there]:
        has = f"(it has {', '.join(labels)})"
        raise SourceError(f"stream {stream!r} has no channel {', '.join(missing)} {has}: pass --channels or another --device")
    return Pick(tuple(there[site(label)] for label in profile.channels), profile.channels)


def _as_they_come(profile: StreamProfile, count: int, stream: str) -> Pick:
    wanted = len(profile.channels)
    if count != wanted:
        raise SourceError(
            f"stream {stream!r} has {count} channels without labels, the profile needs {wanted}: label them in the sender"
        )
    return Pick(tuple(range(wanted)), profile.channels)
