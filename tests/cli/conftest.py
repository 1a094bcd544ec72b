"""The command line called in this process, or as a program; a recording and a bundle of seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from streamaffect.cli import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data home of the test's own, and no settings of whoever runs it."""
    for variable in [name for name in os.environ if name.startswith("STREAMAFFECT_") and name != "STREAMAFFECT_DATA"]:
        monkeypatch.delenv(variable)
    folder = tmp_path / "home"
    monkeypatch.setenv("STREAMAFFECT_HOME", str(folder))
    return folder


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    def is_error(self, code: int, *parts: str) -> None:
        """One line on standard error that holds the parts, and nothing of Python's."""
        assert (self.code, self.err.count("\n")) == (code, 1), self.err
        assert self.err.startswith("error: ")
        assert "Traceback" not in self.err + self.out
        for part in parts:
            assert part in self.err


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """``cli(*words)`` calls main in this process."""

    def call(*words: object) -> Outcome:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture
def program() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``program(*words)`` starts ``python -m streamaffect``; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: object, **options: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "streamaffect", *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, **pipes | options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=10)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Two runs of three seconds in EEGMAT's layout."""
    rng = np.random.default_rng(0)
    arrays = {"subject": "Subject99", "eeg_fs": 100, "ecg_fs": 128, "eeg_channels": ["Fz", "Cz"]}
    for run in ("rest", "arithmetic"):
        arrays |= {f"{run}_eeg": rng.integers(-99, 99, (2, 300)), f"{run}_eeg_scale": 0.1}
        arrays |= {f"{run}_ecg": rng.integers(-99, 99, 384), f"{run}_ecg_scale": 0.01}
    folder = tmp_path / "eegmat"
    folder.mkdir()
    np.savez(folder / "Subject99.npz", **arrays)
    return folder / "Subject99.npz"


@pytest.fixture(scope="session")
def windows() -> dict[str, np.ndarray]:
    """(80, 6) of a view, class by turns."""
    x = np.random.default_rng(1).normal(size=(80, 6)) + np.arange(80)[:, None] % 2
    return {"ecg.hrv": x.astype(np.float32)}


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, windows: dict[str, np.ndarray]) -> Path:
    """A small bundle, fitted for real."""
    from streamaffect import methods
    from streamaffect.bundle.build import Recipe, build
    from streamaffect.bundle.bundle import ClassEntry, DataEntry, SourceMemory
    from streamaffect.features import views

    at = np.arange(80)
    y, subject, trial = at % 2, (at // 20).astype(str), (at // 10).astype(str)
    model = methods.get("source", normalise=None, epochs=2).fit_source(
        methods.LabelledSet(x=windows, y=y, subject=subject, trial=trial), device="cpu"
    )
    return build(
        tmp_path_factory.mktemp("bundles") / "tiny",
        Recipe("tiny", (views.make("ecg.hrv/1"),), (ClassEntry(name="rest", arousal=-0.5), ClassEntry(name="load")), 5.0),
        model,
        {},
        SourceMemory(windows, y, subject, trial, subject == "3"),
        params={"epochs": 2},
        data=[DataEntry(name="noise", licence="CC0", citation="Nobody, 2026", subjects=["0", "1", "2", "3"])],
        figures={"balanced_accuracy": 0.5},
        provenance={"command": "pytest"},
        card="# tiny\n",
    ).path
