"""XDF: what LabRecorder writes of LSL streams (our own ``replay`` among them), one file a subject.

pyxdf reads the chunks and puts the streams on one clock by their offsets; its smoothing of time stamps is off, for it hides
losses: samples are laid on the nominal grid by :mod:`.lattice`. A stream's type says what it is (ECG, EEG, EDA, GSR, PPG, BVP,
ACC, TEMP, RESP, EMG); text streams of type ``Markers`` become trials. Of a truncated file all whole chunks are read, and
``meta["truncated"]`` says so.
"""

from __future__ import annotations

import contextlib
import io
import logging
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np

from streamaffect import units
from streamaffect.datasets import lattice, trials
from streamaffect.datasets.channels import modality_of
from streamaffect.datasets.files import FileDataset, first_line, package
from streamaffect.errors import DatasetError
from streamaffect.signals import Float64, Modality, Recording, Signal, StreamSpec

_MAGIC = b"XDF:"
_TAGS = range(1, 7)  # file header, stream header, samples, clock offset, boundary, stream footer
_LENGTHS = {1: "<B", 4: "<I", 8: "<Q"}
Stream = Mapping[str, Any]


def read(path: Path) -> Recording:
    """Streams of a known type as signals, text streams as trials; the names of the others in ``meta``."""
    content, whole = _whole_chunks(path)
    streams = _load(path, content)
    meta: dict[str, str | float] = {} if whole else {"truncated": "yes: its last chunk is not whole"}
    marks, signals, unused = [], [], []
    origin = _origin(path, streams)
    for stream in streams:
        modality = modality_of(_text(stream, "type"))
        if _text(stream, "channel_format") == "string":
            marks += [(at, _first(row)) for at, row in zip(stream["time_stamps"], stream["time_series"], strict=True)]
        elif modality is None or not len(stream["time_stamps"]):
            unused.append(_text(stream, "name"))
        else:
            signals.append(_signal(path, stream, modality, origin))
    if unused:
        meta["unused_streams"] = ", ".join(unused)
    if not signals:
        raise DatasetError(f"{path}: has no stream of a known type with samples (it has {', '.join(unused) or 'none'})")
    end_s = max(signal.end_s for signal in signals)
    found = trials.from_marks(((float(at - origin), text) for at, text in marks), end_s)
    order = {modality: place for place, modality in enumerate(Modality)}
    ordered = _named(sorted(signals, key=lambda signal: order[signal.spec.modality]))
    return Recording("xdf", path.stem, ordered, trials.within(found, end_s), MappingProxyType(meta))


def _whole_chunks(path: Path) -> tuple[bytes, bool]:
    """The file up to the last chunk that is whole, and whether that is all of it."""
    content = path.read_bytes()
    if content[:4] != _MAGIC:
        raise DatasetError(f"{path}: not an XDF file: check its name, or record it again")
    at = len(_MAGIC)
    while at < len(content):
        try:
            width = content[at]
            (length,) = struct.unpack_from(_LENGTHS[width], content, at + 1)
            (tag,) = struct.unpack_from("<H", content, at + 1 + width)
        except (KeyError, struct.error):
            return content[:at], False
        if tag not in _TAGS:
            return content, True  # damaged within: pyxdf looks for the next boundary
        if at + 1 + width + length > len(content):
            return content[:at], False
        at += 1 + width + length
    return content, True


def _load(path: Path, content: bytes) -> list[Stream]:
    pyxdf = package("pyxdf", "XDF files")
    try:
        with _quiet(logging.getLogger("pyxdf")):
            streams: list[Stream] = pyxdf.load_xdf(io.BytesIO(content), dejitter_timestamps=False)[0]
    except (ParseError, struct.error, KeyError, ValueError, IndexError, EOFError, OSError, RuntimeError) as error:
        raise DatasetError(f"{path}: a damaged XDF file ({first_line(error)}): record it again") from error
    return streams


@contextlib.contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """What pyxdf says of single chunks is for its developers."""
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _text(stream: Stream, key: str) -> str:
    return str(stream["info"][key][0] or "")


def _first(row: Any) -> str:
    return str(row[0] if len(row) else "")


def _origin(path: Path, streams: list[Stream]) -> float:
    """LSL time of the recording's zero: the first sample of all streams of a known type."""
    known = [s for s in streams if _text(s, "channel_format") != "string" and modality_of(_text(s, "type"))]
    firsts = [float(np.min(s["time_stamps"])) for s in known if len(s["time_stamps"])]
    if firsts:
        return min(firsts)
    types = ", ".join(f"{_text(s, 'name')} ({_text(s, 'type') or 'no type'})" for s in streams) or "none"
    raise DatasetError(f"{path}: has no stream of a known type with samples: it has {types}")


def _signal(path: Path, stream: Stream, modality: Modality, origin: float) -> Signal:
    name = _text(stream, "name")
    stamps: Float64 = np.asarray(stream["time_stamps"], np.float64)
    values = np.asarray(stream["time_series"], np.float64).T
    labels, unit = _channels(stream, values.shape[0])
    if (factor := units.factor(modality, unit)) is None:
        known = ", ".join(units.spellings(modality))
        raise DatasetError(f"{path}: stream {name!r} is in {unit!r}, which is no unit of {modality} ({known})")
    try:
        rate = lattice.rate_of(stamps, float(_text(stream, "nominal_srate") or 0.0))
        start_s, samples = lattice.on_grid(stamps, values * factor, rate)
    except ValueError as error:
        raise DatasetError(f"{path}: stream {name!r} {error}") from None
    return Signal(
        StreamSpec(name or str(modality), modality, labels, rate, units.CANONICAL[modality]), samples, start_s - origin
    )


def _channels(stream: Stream, count: int) -> tuple[tuple[str, ...], str]:
    """Labels, and the unit that all channels share ('' where they tell none or ``none``)."""
    try:
        told = stream["info"]["desc"][0]["channels"][0]["channel"]
        labels = tuple(str((channel.get("label") or [""])[0] or "") for channel in told)
        shared = {str((channel.get("unit") or [""])[0] or "") for channel in told} - {"none"}
    except (KeyError, IndexError, TypeError, AttributeError):
        labels, shared = (), set()
    if len(labels) != count or len(set(labels)) != count or "" in labels:
        labels = tuple(f"ch{number}" for number in range(1, count + 1))
    return labels, shared.pop() if len(shared) == 1 else ""


def _named(signals: list[Signal]) -> tuple[Signal, ...]:
    """Streams of one name told apart by a number."""
    seen: Counter[str] = Counter()
    named = []
    for signal in signals:
        seen[signal.spec.name] += 1
        number = seen[signal.spec.name]
        spec = replace(signal.spec, name=f"{signal.spec.name}-{number}") if number > 1 else signal.spec
        named.append(replace(signal, spec=spec))
    return tuple(named)


XDF = FileDataset("xdf", (".xdf",), read, "LSL recordings as LabRecorder writes them, markers as trials")
