"""Where the open recordings lie, for the tests that read real ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def eegmat() -> Path:
    """The folder of EEGMAT's .npz: below STREAMAFFECT_DATA, or below shared/data beside the repository."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("STREAMAFFECT_DATA", beside)) / "eegmat"
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder}: set STREAMAFFECT_DATA to the folder that holds eegmat")
    return folder
