"""The parts of the head, by the names of sites."""

from __future__ import annotations

import numpy as np
import pytest

from streamaffect.features import views
from streamaffect.features.eeg import differential_entropy
from streamaffect.features.regions import regions
from streamaffect.signals import Modality, StreamSpec, Window

OLD = ("Fp1", "F3", "C3", "T3", "T5", "P3", "O1", "Fz")
NEW = ("Fp1", "F3", "C3", "T7", "P7", "P3", "O1", "Fz")


def window_of(sites: tuple[str, ...]) -> Window:
    x = (np.random.default_rng(0).normal(size=(len(sites), 512)) * np.arange(1, len(sites) + 1)[:, None] * 5).astype(np.float32)
    return Window(StreamSpec("eeg", Modality.EEG, sites, 128.0, "uV"), 0.0, 4.0, x, x, np.ones(512, np.bool_))


def test_old_and_new_names_are_the_same_places() -> None:
    assert (
        regions(OLD)
        == regions(NEW)
        == {"frontal": [0, 1, 7], "central": [2], "temporal": [3], "parietal": [4, 5], "occipital": [6]}
    )


def test_what_is_no_site_is_left_out() -> None:
    assert regions(("A2-A1", "TP9", "EOG", "oz")) == {"temporal": [1], "occipital": [3]}


def test_a_region_is_the_mean_of_its_electrodes() -> None:
    window = window_of(NEW)
    view = views.make("eeg.regions/1", channels=list(NEW), seconds=4.0)
    each = differential_entropy(window, NEW).reshape(len(NEW), 5)
    assert view.shape == (25,)
    assert view.features[:5] == ("frontal.delta", "frontal.theta", "frontal.alpha", "frontal.beta", "frontal.gamma")
    assert np.allclose(view(window)[:5], each[[0, 1, 7]].mean(axis=0), atol=1e-5)
    assert np.allclose(view(window)[5:10], each[2], atol=1e-5)


def test_channels_that_lie_nowhere_are_refused() -> None:
    with pytest.raises(ValueError, match="none of X1, X2 is a site"):
        views.make("eeg.regions/1", channels=["X1", "X2"])
