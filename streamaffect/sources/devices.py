"""Device profiles: which LSL streams a device sends, and what must be true of them.

A profile finds its streams by content type, channel count, labels and the usual name; every point can be told exactly
(:meth:`DeviceProfile.told`). More profiles join through the entry-point group ``streamaffect.devices``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from streamaffect.errors import UsageError
from streamaffect.signals import Modality

ENTRY_POINTS = "streamaffect.devices"

# LSL content types in use for each modality; the first is what a replay sends.
TYPES = MappingProxyType(
    {
        Modality.ECG: ("ECG", "EKG"),
        Modality.EEG: ("EEG",),
        Modality.EDA: ("EDA", "GSR"),
        Modality.PPG: ("BVP", "PPG"),
        Modality.EMG: ("EMG",),
        Modality.ACC: ("ACC", "Accelerometer"),
        Modality.RESP: ("RESP", "RSP", "Respiration"),
        Modality.TEMP: ("TEMP", "Temperature", "SKT"),
    }
)


@dataclass(frozen=True, slots=True)
class StreamProfile:
    """One stream that a device sends. ``name`` and ``source_id`` are exact or shell patterns (``*-s13``)."""

    modality: Modality
    channels: tuple[str, ...] = ()  # labels, in the order wanted; () takes all as they come
    rate: float | None = None  # Hz; None takes what the stream declares
    types: tuple[str, ...] = ()  # () for those of the modality
    by_label: bool = False  # channels are sites: pick them by label. Otherwise take the first ones
    at_least: int = 1  # channels, where fewer than ``channels`` will do
    usual_name: str = ""  # part of the names that such devices give their streams: a preference, not a must
    optional: bool = False  # the device is of use without this stream
    near: tuple[tuple[str, str], ...] = ()  # sites that it has not, and its electrode that stands in for each
    name: str | None = None
    source_id: str | None = None
    unit: str | None = None  # overrides what the stream says
    rate_told: bool = False  # the user vouches for ``rate``: a stream that declares none is believed

    @property
    def content_types(self) -> tuple[str, ...]:
        return self.types or TYPES[self.modality]

    @property
    def fewest(self) -> int:
        """Channels that the stream must have."""
        return len(self.channels) if self.by_label else self.at_least

    def __str__(self) -> str:
        parts = [f"type {' or '.join(self.content_types)}"]
        parts += [f"{key} {value!r}" for key, value in (("name", self.name), ("source_id", self.source_id)) if value]
        parts.append(f"{self.fewest} channel{'s' if self.fewest > 1 else ''} or more")
        parts += [f"{self.rate:g} Hz"] if self.rate else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """A device: its name on the command line, a line about it, its streams."""

    name: str
    about: str
    streams: tuple[StreamProfile, ...]

    def told(
        self,
        *,
        name: str | None = None,
        source_id: str | None = None,
        type: str | None = None,  # noqa: A002
        rate: float | None = None,
        channels: Iterable[str] | None = None,
        unit: str | None = None,
    ) -> DeviceProfile:
        """The profile with points fixed by the user. ``name`` and ``source_id`` may be shell patterns.

        Type, rate, channels and unit belong to one stream: with a device of several, ``type`` names which one is
        meant, and it alone is kept. Raises UsageError where that leaves it open, or a value cannot be.
        """
        streams = self.streams if type is None else self._of_type(type)
        streams = tuple(
            replace(s, name=name or s.name, source_id=source_id or s.source_id, unit=unit or s.unit) for s in streams
        )
        one = rate is not None or channels is not None or unit is not None
        if one and len(streams) > 1:
            types = ", ".join(s.content_types[0] for s in streams)
            raise UsageError(f"device {self.name!r} has several streams: tell the type too (one of {types})")
        if rate is not None:
            if not rate > 0:
                raise UsageError(f"rate must be positive, got {rate:g} Hz")
            streams = (replace(streams[0], rate=rate, rate_told=True),)
        if channels is not None:
            labels = tuple(channels)
            if not labels or len(set(labels)) != len(labels):
                raise UsageError(f"channels must be distinct labels, got {', '.join(labels) or 'none'}")
            streams = (replace(streams[0], channels=labels, by_label=True),)
        return replace(self, streams=streams)

    def _of_type(self, wanted: str) -> tuple[StreamProfile, ...]:
        for stream in self.streams:
            if wanted.casefold() in (each.casefold() for each in stream.content_types):
                return (replace(stream, types=(wanted,), optional=False),)
        if len(self.streams) == 1:
            return (replace(self.streams[0], types=(wanted,)),)
        known = ", ".join(each for stream in self.streams for each in stream.content_types)
        raise UsageError(f"device {self.name!r} has no stream of type {wanted!r}: choose one of {known}")


# fmt: off
EMOTIV_SITES = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")
MUSE_SITES = ("TP9", "AF7", "AF8", "TP10")
MUSE_NEAR = (("P7", "TP9"), ("Fp1", "AF7"), ("Fp2", "AF8"), ("P8", "TP10"))  # some 3 cm away each
OPENBCI_SITES = ("Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2")  # the headset's default montage
SEED_SITES = (  # the order of the channels in SEED, SEED-IV and SEED-V
    "FP1", "FPZ", "FP2", "AF3", "AF4", "F7", "F5", "F3", "F1", "FZ", "F2", "F4", "F6", "F8", "FT7", "FC5", "FC3", "FC1",
    "FCZ", "FC2", "FC4", "FC6", "FT8", "T7", "C5", "C3", "C1", "CZ", "C2", "C4", "C6", "T8", "TP7", "CP5", "CP3", "CP1",
    "CPZ", "CP2", "CP4", "CP6", "TP8", "P7", "P5", "P3", "P1", "PZ", "P2", "P4", "P6", "P8", "PO7", "PO5", "PO3", "POZ",
    "PO4", "PO6", "PO8", "CB1", "O1", "OZ", "O2", "CB2",
)
# fmt: on


def _eeg(sites: tuple[str, ...], rate: float, usual_name: str, near: tuple[tuple[str, str], ...] = ()) -> tuple[StreamProfile]:
    return (StreamProfile(Modality.EEG, sites, rate, by_label=True, usual_name=usual_name, near=near),)


def _wrist(modality: Modality, channels: tuple[str, ...], rate: float) -> StreamProfile:
    return StreamProfile(modality, channels, rate, at_least=len(channels), usual_name="empatica", optional=True)


GENERIC = DeviceProfile(
    "generic",
    "whatever is found or told: one stream a modality, channels and rates as the streams declare them",
    tuple(StreamProfile(modality, optional=True) for modality in Modality),
)
_ALL = (
    DeviceProfile(
        "shimmer",
        "Shimmer3 ECG, 1-2 leads, 256 Hz",
        (StreamProfile(Modality.ECG, ("ECG1", "ECG2"), 256.0, usual_name="shimmer"),),
    ),
    DeviceProfile(
        "polar-h10", "Polar H10 chest strap, ECG, 130 Hz", (StreamProfile(Modality.ECG, ("ECG",), 130.0, usual_name="polar"),)
    ),
    DeviceProfile("emotiv", "Emotiv EPOC+ / EPOC X, 14 EEG, 128 Hz", _eeg(EMOTIV_SITES, 128.0, "emotiv")),
    DeviceProfile("muse", "Muse, 4 EEG, 256 Hz", _eeg(MUSE_SITES, 256.0, "muse", MUSE_NEAR)),
    DeviceProfile("openbci", "OpenBCI Cyton, 8 EEG, 250 Hz", _eeg(OPENBCI_SITES, 250.0, "obci")),
    DeviceProfile(
        "empatica",
        "Empatica E4: BVP 64, EDA 4, TEMP 4, ACC 32 Hz; any of them will do",
        (
            _wrist(Modality.PPG, ("BVP",), 64.0),
            _wrist(Modality.EDA, ("EDA",), 4.0),
            _wrist(Modality.TEMP, ("TEMP",), 4.0),
            _wrist(Modality.ACC, ("x", "y", "z"), 32.0),
        ),
    ),
    DeviceProfile("seed62", "62 EEG in the order of SEED, 200 Hz", _eeg(SEED_SITES, 200.0, "seed")),
    GENERIC,
)
BUILT_IN = {profile.name: profile for profile in _ALL}


def names() -> list[str]:
    """All device profiles, built in and plugged in."""
    return sorted({*BUILT_IN, *(plugin.name for plugin in _plugins())})


def get(name: str) -> DeviceProfile:
    """Raises UsageError for an unknown name."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    for plugin in _plugins():
        if plugin.name == name:
            profile: DeviceProfile = plugin.load()
            return profile
    raise UsageError(f"unknown device {name!r}: choose one of {', '.join(names())}")


def _plugins() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=ENTRY_POINTS))
