"""A generated problem with a known shift, small enough to fit in a blink."""

from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from sklearn import config_context, get_config, set_config

from streamaffect import methods

SHIFT = np.array([4.0, 0, 0, 1, 0, 0])


def people(seed: int, subjects: int, windows: int, shift: np.ndarray | float = 0.0, samples: int = 96) -> dict:
    """Two balanced classes told by features 0, 1 and 2; each person is a little off, and all are off by ``shift``.

    A shift of feature 0 leaves the class readable from 1 and 2: what alignment can find and a fixed classifier cannot.
    ``wave`` oscillates faster in class 1.
    """
    rng = np.random.default_rng(seed)
    n = subjects * windows
    y = np.arange(n) % 2
    subject = np.repeat(np.arange(subjects), windows)
    vector = rng.normal(size=(n, 6)) + 0.2 * rng.normal(size=(subjects, 6))[subject] + shift
    vector[:, :3] += (y[:, None] - 0.5) * [3.0, 2.4, 2.0]
    phase = (4 + 3 * y[:, None]) * np.linspace(0, 2 * np.pi, samples) + rng.uniform(0, 6, size=(n, 1))
    wave = np.stack([np.sin(phase), np.cos(phase)], axis=1) + 0.8 * rng.normal(size=(n, 2, samples))
    trial = y + 2 * (np.arange(n) % windows // (windows // 4))
    x = {"vector": vector.astype(np.float32), "a.wave": wave.astype(np.float32)}
    return {"x": x, "y": y, "subject": subject, "trial": trial}


def only(data: dict, view: str) -> dict:
    return {**data, "x": {view: data["x"][view]}}


def accuracy(model: methods.Model, data: dict) -> float:
    return float((model.predict_proba(data["x"]).argmax(axis=1) == data["y"]).mean())


@pytest.fixture(scope="session")
def lab() -> SimpleNamespace:
    """The generator, for tests of their own problems."""
    return SimpleNamespace(people=people, only=only, accuracy=accuracy, shift=SHIFT)


@pytest.fixture(scope="session")
def source() -> methods.LabelledSet:
    return methods.LabelledSet(**people(0, subjects=6, windows=40))


@pytest.fixture(scope="session")
def target() -> methods.UnlabelledSet:
    return methods.UnlabelledSet(people(1, 1, 64, SHIFT)["x"])


@pytest.fixture(scope="session")
def model(source: methods.LabelledSet) -> methods.Model:
    return methods.get("source", epochs=8, lr=3e-3, normalise=None).fit_source(source, device="cpu")


@pytest.fixture(scope="session")
def vector_source() -> methods.LabelledSet:
    return methods.LabelledSet(**only(people(0, subjects=6, windows=40), "vector"))


@pytest.fixture(scope="session")
def vector_model(vector_source: methods.LabelledSet) -> methods.Model:
    return methods.get("dynamic", epochs=40, lr=3e-3, normalise=None).fit_source(vector_source, device="cpu")


@pytest.fixture
def skada() -> Iterator[ModuleType]:
    """The peer, where it is installed; importing it changes scikit-learn's global configuration, which is put back."""
    before = get_config()
    module = pytest.importorskip("skada")
    set_config(**before)
    with config_context(enable_metadata_routing=True):
        yield module
