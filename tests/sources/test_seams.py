"""Plug-ins, and what importing costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from streamaffect import datasets
from streamaffect.sources import devices

PLUG_IN = """
from streamaffect.datasets.simulated import SimulatedPeople
from streamaffect.signals import Modality
from streamaffect.sources.devices import DeviceProfile, StreamProfile
BELT = DeviceProfile("belt", "a breathing belt", (StreamProfile(Modality.RESP, ("RESP",), 25.0),))
PEOPLE = SimulatedPeople("more-people")
"""


def test_installed_plug_ins_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "affect_plug_in.py").write_text(PLUG_IN)
    info = tmp_path / "affect_plug_in-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: affect-plug-in\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[streamaffect.devices]\nbelt = affect_plug_in:BELT\n[streamaffect.datasets]\nmore-people = affect_plug_in:PEOPLE\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert "belt" in devices.names()
    assert devices.get("belt").streams[0].rate == 25.0
    assert "more-people" in datasets.names()
    assert datasets.open("more-people", subject="person-2").subjects == ("person-2",)


def test_importing_sources_and_datasets_loads_nothing_heavy() -> None:
    program = (
        "import sys, streamaffect.datasets, streamaffect.sources.lsl, streamaffect.sources.replay\n"
        "print([name for name in ('torch', 'scipy', 'pylsl', 'neurokit2', 'pandas', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
