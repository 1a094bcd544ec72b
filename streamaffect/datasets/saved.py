"""Our own layout of any recording, one ``.npz`` a subject: what ``datasets convert`` writes, read back as it was.

``streamaffect_recording``: JSON with the streams, trials and notes; ``signal_0``, ``signal_1``...: samples (channels, n) as
float32, or as int16 with ``scale_0`` and ``offset_0`` (channels,), where -32768 is NaN.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from streamaffect.datasets.npz import Arrays, NpzDataset
from streamaffect.errors import DatasetError
from streamaffect.signals import Float32, Modality, Recording, Signal, StreamSpec, Trial

FORMAT = 1
KEY = "streamaffect_recording"
_NAN = -32768
_STEPS = 65534  # of int16 without the one that is NaN


def save(recording: Recording, path: str | Path, *, int16: bool = False) -> Path:
    """Write the recording, whole or not at all; what is there is replaced.

    float32 comes back bit by bit. ``int16`` takes half the room and rounds each channel to 1/65534 of its range. Raises
    DatasetError where it cannot be written.
    """
    path = Path(path)
    arrays: dict[str, npt.NDArray[np.generic]] = {KEY: np.array(json.dumps(_about(recording)))}
    for index, signal in enumerate(recording.signals):
        arrays |= _counted(signal.samples, index) if int16 else {f"signal_{index}": signal.samples}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as work:
            new = Path(work) / "new.npz"
            np.savez_compressed(new, **arrays)  # type: ignore[arg-type]
            new.replace(path)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be written ({error.strerror or error})") from error
    return path


def _about(recording: Recording) -> dict[str, object]:
    return {
        "format": FORMAT,
        "dataset": recording.dataset,
        "subject": recording.subject,
        "signals": [{**asdict(signal.spec), "start_s": signal.start_s} for signal in recording.signals],
        "trials": [
            {
                **{key: getattr(trial, key) for key in ("name", "label", "start_s", "end_s")},
                "distributions": {name: dict(shares) for name, shares in trial.distributions.items()},
            }
            for trial in recording.trials
        ],
        "meta": dict(recording.meta),
    }


def _counted(samples: Float32, index: int) -> dict[str, npt.NDArray[np.generic]]:
    """int16 over the finite range of each channel."""
    finite = np.where(np.isfinite(samples), samples, np.nan).astype(np.float64)
    there = np.isfinite(finite)
    low = np.where(there.any(axis=1), np.min(finite, axis=1, where=there, initial=np.inf), 0.0)
    high = np.where(there.any(axis=1), np.max(finite, axis=1, where=there, initial=-np.inf), 0.0)
    scale = np.where(high > low, (high - low) / _STEPS, 1.0)
    offset = (high + low) / 2
    counts = np.where(there, np.round((np.nan_to_num(finite) - offset[:, None]) / scale[:, None]), _NAN)
    return {f"signal_{index}": counts.astype(np.int16), f"scale_{index}": scale, f"offset_{index}": offset}


def _parse(arrays: Arrays) -> Recording:
    about = json.loads(str(arrays[KEY]))
    if about["format"] != FORMAT:
        raise ValueError(f"format {about['format']}, this release reads {FORMAT}: update streamaffect")
    signals = []
    for index, told in enumerate(about["signals"]):
        start_s = float(told.pop("start_s"))
        spec = StreamSpec(**told | {"modality": Modality(told["modality"]), "channels": tuple(told["channels"])})
        samples = _samples(arrays, index)
        if samples.ndim != 2 or samples.shape[0] != len(spec.channels):
            raise ValueError(f"signal_{index} is {samples.shape}, expected {len(spec.channels)} channels")
        signals.append(Signal(spec, samples, start_s))
    trials = tuple(_trial(told) for told in about["trials"])
    return Recording(about["dataset"], about["subject"], tuple(signals), trials, MappingProxyType(about["meta"]))


def _samples(arrays: Arrays, index: int) -> Float32:
    plain = arrays[f"signal_{index}"]
    if plain.dtype != np.int16:
        return np.asarray(plain, np.float32)
    scale, offset = (np.asarray(arrays[f"{name}_{index}"], np.float64)[:, None] for name in ("scale", "offset"))
    return np.where(plain == _NAN, np.nan, np.asarray(plain, np.float64) * scale + offset).astype(np.float32)


def _trial(told: dict[str, object]) -> Trial:
    shares = told.pop("distributions")
    if not isinstance(shares, dict):
        raise TypeError("distributions of a trial are no mapping")
    frozen = MappingProxyType({name: MappingProxyType(each) for name, each in shares.items()})
    return Trial(**told, distributions=frozen)  # type: ignore[arg-type]


SAVED = NpzDataset("npz", frozenset({KEY}), _parse, "recordings written by 'streamaffect datasets convert'")
