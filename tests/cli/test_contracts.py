"""``schema`` and ``config``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from streamaffect import __version__
from streamaffect.config import RunConfig, sample


def test_schema_of_one_message_and_of_all(cli: Callable):
    one = json.loads(cli("schema", "message", "emotion").out)
    jsonschema.Draft202012Validator.check_schema(one)
    every = json.loads(cli("schema", "message").out)
    assert every["streamaffect.emotion/1"] == one
    assert len(every) == 7
    assert json.loads(cli("schema", "message", "streamaffect.emotion/1").out) == one
    cli("schema", "message", "nosuch").is_error(2, "unknown message 'nosuch': choose one of emotion")


def test_schema_of_the_configuration_accepts_a_configuration(cli: Callable):
    schema = json.loads(cli("schema", "config").out)
    jsonschema.validate(RunConfig().model_dump(mode="json", exclude_none=True), schema)


def test_asyncapi(cli: Callable):
    document = json.loads(cli("schema", "asyncapi").out)
    assert (document["asyncapi"], document["info"]["version"]) == ("3.0.0", __version__)


def test_a_written_configuration_is_right(tmp_path: Path, cli: Callable):
    assert cli("config", "init").out == sample()
    file = tmp_path / "run.toml"
    assert "written" in cli("config", "init", file).out
    assert cli("config", "check", file).out == f"{file}: right: wearer with generic; method dynamic\n"
    cli("config", "init", file).is_error(2, "is already there")
    cli("config", "init", tmp_path / "no" / "run.toml").is_error(1, "cannot write", "No such file or directory")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[broker", "is no TOML"),
        ("nod = 'x'", "nod: Extra inputs are not permitted"),
        ("[[subjects]]\ndevice = 'nosuch'", "unknown device 'nosuch'"),
        ("[[subjects]]\nmodel = 'nosuch'", "no model 'nosuch'"),
        ("[adaptation]\nmethod = 'nosuch'", "unknown method 'nosuch'"),
        ("[adaptation]\nparams = {nosuch = 1}", "has no parameter 'nosuch'"),
        ("[broker]\nurl = 'http://x'", "broker 'http://x' is no address"),
    ],
)
def test_a_wrong_configuration_is_told_in_one_line(text: str, part: str, tmp_path: Path, cli: Callable):
    file = tmp_path / "run.toml"
    file.write_text(text)
    cli("config", "check", file).is_error(2, part, str(file))


def test_a_configuration_that_is_not_there(cli: Callable):
    cli("config", "check", "/nowhere.toml").is_error(2, "/nowhere.toml: No such file or directory")
