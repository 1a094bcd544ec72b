"""Where the open recordings lie, for the tests that read real ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of folders of .npz: STREAMAFFECT_DATA, or shared/data beside the repository."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    root = Path(os.environ.get("STREAMAFFECT_DATA", beside))
    if not (root / "eegmat").is_dir():
        pytest.skip(f"no recordings in {root}: set STREAMAFFECT_DATA to the folder that holds eegmat, wesad_wrist, ...")
    return root
