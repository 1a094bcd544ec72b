"""A bundle whose EEG covariances are recentred: to the disk and back, and onto the river."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamaffect import methods
from streamaffect.bundle import build, bundle, registry
from streamaffect.bundle.bundle import MANIFEST, Bundle
from streamaffect.errors import BundleError
from streamaffect.evaluate import baselines
from streamaffect.features import views
from streamaffect.features.extract import Extractor, windows_of
from streamaffect.features.normalise import Prior
from streamaffect.features.recentre import SpdPrior
from streamaffect.runtime.engine import Engine
from streamaffect.signals import Recording


@pytest.fixture(scope="module")
def covarying(recipe: build.Recipe) -> build.Recipe:
    view = views.eeg_cov(channels=["Cz", "Pz"], bands=["theta", "alpha"], seconds=4.0, reference="none")
    return replace(recipe, views=(*recipe.views, view))


@pytest.fixture(scope="module")
def many(recordings: list[Recording], covarying: build.Recipe) -> build.Windows:
    return build.gather(recordings, covarying)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, many: build.Windows, covarying: build.Recipe) -> Bundle:
    priors = build.fit_priors(many, covarying)
    taught = build.training_set(many, priors, covarying, 0)
    model = methods.get("source", normalise=None, epochs=3).fit_source(taught, device="cpu")
    memory = build.remember(many, priors, np.array(["p2"]))
    path = tmp_path_factory.mktemp("recentred") / "recentred"
    return build.build(path, covarying, model, priors, memory, params={}, data=[], figures={}, provenance={}, card="# r\n")


def altered(written: Bundle, path: Path, **prior: object) -> Path:
    """A copy of the bundle with another prior of its covariances, its sums right."""
    data = json.loads((written.path / MANIFEST).read_text())
    del data["sha256"]
    data["views"][1]["prior"].update(prior)
    path.mkdir()
    for name in data["files"]:
        (path / name).write_bytes((written.path / name).read_bytes())
    (path / MANIFEST).write_text(bundle._render({**data, "sha256": bundle._digest(data)}))
    return path


def test_what_is_loaded_normalises_to_the_same_bits(written: Bundle, many: build.Windows, covarying: build.Recipe) -> None:
    fitted, loaded = build.fit_priors(many, covarying), Bundle.load(written.path).priors
    assert isinstance(loaded["eeg.de"], Prior)
    assert isinstance(loaded["eeg.cov"], SpdPrior)
    rows = np.flatnonzero(many.subject == "p1")
    a, b = (build.normalise_in_order(many, rows, priors)["eeg.cov"] for priors in (fitted, loaded))
    assert a.tobytes() == b.tobytes()


def test_river_of_a_loaded_bundle_sees_what_training_saw(
    written: Bundle, many: build.Windows, recordings: list[Recording]
) -> None:
    loaded = Bundle.load(written.path)
    extractor = Extractor(loaded.views, loaded.priors)
    live = [f.x["eeg.cov"] for f in windows_of(recordings[1], extractor, 2.0, 0.3) if f.whole]
    taught = build.normalise_in_order(many, np.flatnonzero(many.subject == "p1"), loaded.priors)["eeg.cov"]
    assert np.stack(live).tobytes() == taught.tobytes()


def test_engine_reads_recentred_views_and_baselines_stand_beside(written: Bundle, many: build.Windows) -> None:
    engine = Engine(written)
    assert written.input_shapes == {"eeg.de": (20,), "eeg.cov": (6,)}
    assert engine(engine.blank()).probabilities.sum() == pytest.approx(1, abs=1e-6)
    one = many.take(many.subject == "p2")
    found = baselines.of_bundle(written, one)
    right = found["zscore"].argmax(axis=1) == one.y
    assert right[one.y >= 0].mean() > 0.9


def test_recentring_can_be_left_out(many: build.Windows, covarying: build.Recipe) -> None:
    priors = build.fit_priors(many, replace(covarying, prior_options={"recentre": False, "level": False}))
    assert all(isinstance(prior, Prior) and not prior.level for prior in priors.values())


@pytest.mark.parametrize(
    ("prior", "says"),
    [
        ({"mean": [[[1.0, 0.0], [0.0, 1.0]]]}, "prior is of another length"),
        ({"mean": [np.eye(3).tolist()] * 2}, "prior is of another length"),
        ({"mean": [[[1.0, 0.0], [0.0]]]}, "prior"),
        ({"mean": [np.diag([1.0, -1.0]).tolist()] * 2}, "positive definite"),
        ({"metric": "wasserstein"}, "metric"),
        ({"weight": 0.0}, "weigh"),
    ],
)
def test_prior_that_makes_no_sense_is_refused(written: Bundle, tmp_path: Path, prior: dict[str, object], says: str) -> None:
    assert Bundle.load(altered(written, tmp_path / "same")).sha256 == written.sha256
    with pytest.raises(BundleError, match=says):
        Bundle.load(altered(written, tmp_path / "b", **prior))


def test_models_that_ship_load_and_say_the_same_of_themselves() -> None:
    assert registry.list_shipped()
    for name in registry.list_shipped():
        path = registry.shipped() / name
        loaded = Bundle.load(path)
        kept = json.loads((path / MANIFEST).read_text())
        assert loaded.sha256 == kept["sha256"]
        for entry, known in zip(loaded.manifest.views, kept["views"], strict=True):
            assert known == entry.model_dump(mode="json", exclude_unset=True)
            assert entry.model_dump().keys() == known.keys()
        assert all(isinstance(prior, Prior) for prior in loaded.priors.values())
