"""SEED-V's raw files: Neuroscan .cnt, 66 channels of 32-bit integers at 1000 Hz."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from streamaffect import datasets
from streamaffect.datasets.seed import SITES
from streamaffect.datasets.seed_v import BOUNDS, SEED_V_PROTOCOL, SeedV
from streamaffect.errors import DatasetError

pytest.importorskip("mne")

# In the order of the amplifier: mastoids and eye electrodes lie among the others.
CHANNELS = [site.upper() for site in (*SITES[:32], "M1", *SITES[32:40], "M2", *SITES[40:], "VEO", "HEO")]
UV_PER_COUNT = 0.5
SECONDS = 32
# The published layout with trials of one second: (1 3 5 ...) to (2 4 6 ...)
SHORT = SeedV(bounds=((tuple(range(1, 31, 2)), tuple(range(2, 32, 2))),) * 3)


def _microvolts(session: int) -> np.ndarray:
    """Each channel has a tone of its own in the EEG's range, and one that 200 Hz would fold into it."""
    t = np.arange(SECONDS * 1000) / 1000
    tones = [np.sin(2 * np.pi * (2 + i % 30) * t) * (10 + session + i) for i in range(len(CHANNELS))]
    return np.asarray(tones) + 400 * np.sin(2 * np.pi * 390 * t)


def write(root: Path, session: int, name: str, *, rate: int = 1000, channels: list[str] | None = None) -> Path:
    """After the SETUP, ELECTLOC and TEEG structures of Neuroscan's format."""
    names = CHANNELS if channels is None else channels
    counts = np.round(_microvolts(session)[: len(names)] / UV_PER_COUNT).astype("<i4")
    setup = bytearray(900)
    setup[:12] = b"Version 3.0\0"
    setup[225:235], setup[235:247] = b"08/04/18\0\0", b"12:00:00\0\0\0\0"
    table = 900 + 75 * len(names) + counts.nbytes
    for offset, form, value in ((370, "<H", len(names)), (376, "<H", rate), (864, "<i", counts.shape[1]), (886, "<i", table)):
        struct.pack_into(form, setup, offset, value)
    struct.pack_into("<f", setup, 890, counts.shape[1] / rate)
    electrodes = bytearray(75 * len(names))
    for i, channel in enumerate(names):
        electrodes[75 * i : 75 * i + len(channel)] = channel.encode()
        angle = 2 * np.pi * i / len(names)
        struct.pack_into("<2f", electrodes, 75 * i + 19, 300 + 200 * np.cos(angle), 200 + 200 * np.sin(angle))
        struct.pack_into("<f", electrodes, 75 * i + 59, 204.8)  # sensitivity
        struct.pack_into("<f", electrodes, 75 * i + 71, UV_PER_COUNT)
    place = root / "EEG_raw"
    place.mkdir(parents=True, exist_ok=True)
    path = place / name
    path.write_bytes(bytes(setup) + bytes(electrodes) + counts.T.tobytes() + struct.pack("<Bll", 2, 0, 0))
    return path


def test_trials_are_cut_and_taken_down_to_200_hz(tmp_path: Path) -> None:
    write(tmp_path, 2, "3_2_20180524.cnt")
    write(tmp_path, 1, "3_1_20180507.cnt")
    assert SHORT.subjects(tmp_path) == ["3"]
    recording = SHORT.load(tmp_path, "3")
    [eeg] = recording.signals
    assert (eeg.spec.channels, eeg.spec.rate, eeg.spec.unit) == (SITES, 200, "uV")
    assert recording.duration_s == 30
    assert [(trial.name, trial.start_s, trial.end_s) for trial in recording.trials][14:16] == [
        ("s1-t15", 14, 15),
        ("s2-t01", 15, 16),
    ]
    assert [trial.label for trial in recording.trials][15:18] == ["sad", "fear", "neutral"]
    assert recording.meta == {"session1": "20180507", "session2": "20180524"}
    middle = slice(60, 140)  # of the second: the ends have the filter's edges
    for site in ("Fp1", "TP8", "O2"):
        expected = (2 + CHANNELS.index(site.upper()) % 30, 12 + CHANNELS.index(site.upper()))
        t = 1 + np.arange(200) / 200  # session 2 begins with trial 1, at 1 s of its file
        tone = expected[1] * np.sin(2 * np.pi * expected[0] * t)
        found = eeg.samples[SITES.index(site), 15 * 200 : 16 * 200]
        assert np.abs(found - tone)[middle].max() < 0.05 * expected[1]


def test_published_bounds_are_ordered_and_as_many_as_the_labels() -> None:
    for (starts, ends), labels in zip(BOUNDS, SEED_V_PROTOCOL.labels, strict=True):
        assert len(starts) == len(ends) == len(labels) == 15
        assert all(start < end for start, end in zip(starts, ends, strict=True))
        assert all(end < start for end, start in zip(ends, starts[1:], strict=False))
        assert sorted(labels) == sorted([0, 1, 2, 3, 4] * 3)


def test_file_that_ends_before_its_trials_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, 1, "3_1_20180507.cnt")
    with pytest.raises(DatasetError, match=r"ends after 32 s, trial 1 ends at 102 s: truncated") as caught:
        next(iter(datasets.open("seed_v", tmp_path)))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("keep", [0, 500, 3000, 100_000])
def test_truncated_file_is_told_in_one_line(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path, 1, "3_1_20180507.cnt")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DatasetError, match=r"no Neuroscan file, or truncated") as caught:
        SHORT.load(tmp_path, "3")
    assert "\n" not in str(caught.value)


def test_other_rate_and_other_channels_are_refused(tmp_path: Path) -> None:
    write(tmp_path, 1, "1_1_20180804.cnt", rate=500)
    with pytest.raises(DatasetError, match="sampled at 500 Hz, SEED-V at 1000"):
        SHORT.load(tmp_path, "1")
    write(tmp_path, 1, "2_1_20180416.cnt", channels=[name for name in CHANNELS if name not in ("CZ", "CB2")])
    with pytest.raises(DatasetError, match="lacks the channels Cz, CB2"):
        SHORT.load(tmp_path, "2")
    with pytest.raises(DatasetError, match="no person '7'"):
        SHORT.load(tmp_path, "7")
