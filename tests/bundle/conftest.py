"""A bundle built for real, in seconds: two classes told by their alpha rhythm, three people, two electrodes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streamaffect import methods
from streamaffect.bundle import build
from streamaffect.bundle.bundle import Bundle, ClassEntry, DataEntry
from streamaffect.features import views
from streamaffect.signals import Modality, Recording, Signal, StreamSpec, Trial

EEG = StreamSpec("eeg", Modality.EEG, ("Cz", "Pz"), 128.0, "uV")


def _person(name: str, seed: int) -> Recording:
    rng = np.random.default_rng(seed)
    t = np.arange(80 * 128) / 128
    alpha = np.where(t < 40, 20.0, 5.0) * np.sin(2 * np.pi * 10 * t)
    x = rng.normal(0, 5, (2, t.size)) * (1 + rng.random((2, 1))) + alpha
    trials = (Trial("calm-1", "calm", 0.0, 40.0), Trial("busy-1", "busy", 40.0, 80.0))
    return Recording("made-up", name, (Signal(EEG, x.astype(np.float32)),), trials)


@pytest.fixture(scope="session")
def recordings() -> list[Recording]:
    return [_person(f"p{seed}", seed) for seed in range(3)]


@pytest.fixture(scope="session")
def recipe() -> build.Recipe:
    classes = (ClassEntry(name="calm", valence=0.2, arousal=-0.5), ClassEntry(name="busy", valence=-0.1, arousal=0.5))
    view = views.eeg_de(channels=["Cz", "Pz"], seconds=4.0, reference="none")
    return build.Recipe("made-up", (view,), classes, hop_s=2.0, orders=3)


@pytest.fixture(scope="session")
def windows(recordings: list[Recording], recipe: build.Recipe) -> build.Windows:
    return build.gather(recordings, recipe)


@pytest.fixture(scope="session")
def shipped_bundle(tmp_path_factory: pytest.TempPathFactory, windows: build.Windows, recipe: build.Recipe) -> Bundle:
    """Read it, never write it: :func:`base` is a copy for that."""
    priors = build.fit_priors(windows, recipe)
    taught = build.training_set(windows, priors, recipe, 0)
    model = methods.get("source", normalise=None, epochs=3).fit_source(taught, device="cpu")
    return build.build(
        tmp_path_factory.mktemp("models") / "made-up",
        recipe,
        model,
        priors,
        build.remember(windows, priors, methods.held_out(taught, 0.2, 0)),
        params={"epochs": 3},
        data=[DataEntry(name="made-up", licence="CC0", citation="nobody", subjects=["p0", "p1", "p2"])],
        figures={"subjects": 0},
        provenance={"seed": 0},
        card="# made-up\n",
    )


@pytest.fixture
def copy(shipped_bundle: Bundle, tmp_path: Path) -> Callable[[str], Path]:
    """``copy(name)``: the bundle once more, in a folder of its own, to be spoilt."""

    def make(name: str) -> Path:
        return Path(shutil.copytree(shipped_bundle.path, tmp_path / name))

    return make


@pytest.fixture
def base(copy: Callable[[str], Path]) -> Bundle:
    return Bundle.load(copy("base"))
