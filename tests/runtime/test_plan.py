"""What cannot work is said before a run starts, in one line."""

from __future__ import annotations

import shutil

import pytest

from streamaffect.bundle.bundle import SOURCE, WEIGHTS, Bundle, write
from streamaffect.config import RunConfig
from streamaffect.errors import UsageError
from streamaffect.methods.state import read_state, write_state
from streamaffect.runtime.node import plan


def config(method: str, model: str = "ecg-load") -> RunConfig:
    subject = {"id": "anna", "device": "shimmer" if model == "ecg-load" else "generic", "model": model}
    return RunConfig.model_validate({"adaptation": {"method": method}, "subjects": [subject]})


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("magic", "unknown method 'magic': there are amanda"),
        ("sdcnet", "'sdcnet' cannot go on from model 'ecg-load', which 'dynamic' made"),
        ("helo", "'helo' cannot go on from model 'ecg-load', which 'dynamic' made"),
        ("amanda", "'amanda' cannot go on from model 'ecg-load', which 'dynamic' made"),
    ],
)
def test_a_method_that_cannot_go_on_from_the_model_is_refused(method: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        plan(config(method))


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("method", "model"), [("dynamic", "ecg-load"), ("source", "ecg-load"), ("m3d", "ecg-load"), ("m3d", "eeg-load")]
)
def test_a_method_that_can_go_on_is_taken(method: str, model: str) -> None:
    assert plan(config(method, model)).config.adaptation.method == method


def test_what_another_method_made_of_the_model_can_be_rolled_back(bundle: Bundle, own, tmp_path) -> None:
    def fill(work) -> None:
        for name in bundle.manifest.files:
            shutil.copy2(bundle.path / name, work / name)
        state, arrays = read_state(bundle.path / WEIGHTS)
        write_state(work / WEIGHTS, {**state, "method": "amanda", "core": {"kind": "amanda", "spec": {}}}, arrays)

    own.promote(write(tmp_path / "candidate", bundle.manifest, fill).path)
    said = "'dynamic' cannot go on from version 1 of anna's 'ecg-load', which 'amanda' made"
    with pytest.raises(UsageError, match=f"{said}.*'streamaffect models rollback anna ecg-load'"):
        plan(config("dynamic"))
    assert plan(config("amanda")).wearers[0].bundle.version == 1
    own.rollback()
    assert plan(config("dynamic")).wearers[0].bundle.version == 0


@pytest.mark.usefixtures("home")
def test_a_model_without_its_source_serves_and_does_not_adapt(bundle: Bundle, tmp_path) -> None:
    def fill(work) -> None:
        for name in bundle.manifest.files.keys() - {SOURCE}:
            shutil.copy2(bundle.path / name, work / name)

    bare = str(write(tmp_path / "bare", bundle.manifest, fill).path)
    assert not plan(config("source", bare)).adapts
    with pytest.raises(Exception, match=r"lacks source\.npz: run it with --method source"):
        plan(config("dynamic", bare))
