"""Flag over environment over file over default; what is wrong is named."""

from __future__ import annotations

import tomllib

import pytest

from streamaffect import config
from streamaffect.errors import UsageError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('node = "lab"\n[broker]\nurl = "mqtt://file:1"\n[[subjects]]\nid = "anna"\ndevice = "muse"\n')
    return path


def test_flag_beats_environment_beats_file_beats_default(file):
    environ = {"STREAMAFFECT_BROKER": "mqtt://env:2", "STREAMAFFECT_DEVICE": "emotiv"}
    loaded = config.load(file, {("subjects", "0", "device"): "shimmer", ("subjects", "0", "id"): None}, environ)
    assert loaded.node == "lab"
    assert loaded.broker.url == "mqtt://env:2"
    assert (loaded.subjects[0].id, loaded.subjects[0].device) == ("anna", "shimmer")
    assert loaded.adaptation.method == "dynamic"


def test_sample_is_the_defaults_and_names_every_key():
    text = config.sample()
    assert config.RunConfig.model_validate(tomllib.loads(text)) == config.RunConfig()
    for section in (config.RunConfig, config.BrokerConfig, config.AdaptationConfig, config.SubjectConfig, config.StreamChoice):
        assert all(f"{name} =" in text or f"[{name}" in text or f".{name}]" in text for name in section.model_fields)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("node = 'Lab 1'", "node: String should match"),
        ("speed = 3", "speed: Extra inputs are not permitted"),
        ("[adaptation]\nbudget_s = -1", "adaptation.budget_s: Input should be greater than 0, got -1"),
        ("[[subjects]]\nid='a'\n[[subjects]]\nid='a'", "ids must differ"),
        ("node = ", "is no TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path, text, said):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"run\.toml") as caught:
        config.load(path, {}, {})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("subjects = []", "subjects: must be a list of at least 1, got []"),
        ("subjects = 'anna'", "subjects: must be a list of at least 1, got 'anna'"),
        ("subjects = ['anna']", "subjects.0: must be a table, got 'anna'"),
        ("broker = 'mqtt://x'", "broker: must be a table, got 'mqtt://x'"),
    ],
)
def test_flag_does_not_hide_that_the_file_is_wrong(tmp_path, text, said):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"run\.toml") as caught:
        config.load(path, {("subjects", "0", "device"): "shimmer", ("broker", "url"): "embedded"}, {})
    assert said in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        config.load(tmp_path / "none.toml", {}, {})
