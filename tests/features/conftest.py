"""Real recordings of hearts and heads."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def eegmat(data_root: Path) -> Path:
    """The folder of EEGMAT's .npz."""
    return data_root / "eegmat"
