"""Words in, exit code out; whatever goes wrong is one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from streamaffect import __version__, methods
from streamaffect.cli import VERBS, devices
from streamaffect.errors import BrokerError

HEAVY = ("pydantic", "numpy", "scipy", "rich", "pylsl", "torch", "onnxruntime", "aiomqtt")


def test_help_names_every_verb_and_imports_nothing_heavy():
    script = f"""
import sys
from streamaffect.cli import main
code = main(["--help"])
print("heavy", [name for name in {HEAVY} if name in sys.modules], code)
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "heavy [] 0"
    assert all(f"\n    {verb} " in out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, cli: Callable):
    outcome = cli(verb, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert f"usage: streamaffect {verb}" in outcome.out


@pytest.mark.parametrize("verb", ["run", "train"])
def test_help_names_every_method(verb: str, cli: Callable):
    said = " ".join(cli(verb, "--help").out.split())
    assert f"there are {', '.join(methods.names())}" in said


def test_readme_names_every_method_that_is_built_in():
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    assert [name for name in methods.names() if f"`{name}`" not in readme] == []


def test_version(cli: Callable):
    assert cli("--version").out == f"streamaffect {__version__}\n"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("", "required: VERB"),
        ("reply", "did you mean 'replay'?"),
        ("models lst", "did you mean 'list'?"),
        ("replay x --sped 2", "unknown flag '--sped', did you mean '--speed'?"),
        ("devices shimmer", "unknown argument 'shimmer': see 'streamaffect devices --help'"),
        ("models list --jsno", "unknown flag '--jsno', did you mean '--json'?"),
    ],
)
def test_bad_usage_is_one_line_with_the_nearest_word(words: str, part: str, cli: Callable):
    cli(*words.split()).is_error(2, part)


def test_verbose_is_taken_before_and_after_the_verb(cli: Callable):
    assert cli("-v", "devices").code == cli("devices", "-v").code == cli("schema", "config", "-v").code == 0


@pytest.fixture
def fail_with(monkeypatch: pytest.MonkeyPatch, cli: Callable) -> Callable:
    """``fail_with(error, *flags)``: the outcome of a verb that raises."""

    def call(error: BaseException, *flags: str) -> object:
        def fail(_: object) -> int:
            raise error

        monkeypatch.setattr(devices, "call", fail)
        return cli("devices", *flags)

    return call


def test_failure_at_run_time_is_code_1(fail_with: Callable):
    fail_with(BrokerError("no broker\nat all")).is_error(1, "no broker at all")


def test_an_error_within_a_task_group_is_told_as_itself(fail_with: Callable):
    fail_with(ExceptionGroup("tasks", [BrokerError("no broker")])).is_error(1, "error: no broker\n")


def test_a_missing_extra_is_named(fail_with: Callable):
    error = ModuleNotFoundError("No module named 'torch'", name="torch.nn")
    fail_with(error).is_error(2, "pip install 'streamaffect[adapt]'")


def test_interrupted_is_code_130_without_a_word(fail_with: Callable):
    outcome = fail_with(KeyboardInterrupt())
    assert (outcome.code, outcome.err) == (130, "")


def test_a_mistake_of_ours_is_one_line_and_a_file(fail_with: Callable):
    outcome = fail_with(KeyError("x"))
    outcome.is_error(1, "unexpected KeyError: 'x'")
    file = Path(outcome.err.partition("traceback is in ")[2].partition(" ")[0])
    assert "raise error" in file.read_text()
    file.unlink()


def test_a_mistake_of_ours_shows_its_traceback_when_verbose(fail_with: Callable):
    outcome = fail_with(KeyError("x"), "-v")
    assert outcome.code == 1
    assert outcome.err.startswith("Traceback")
    assert outcome.err.splitlines()[-1].startswith("error: unexpected KeyError")


def test_a_closed_pipe_is_no_error(program: Callable):
    reading, writing = os.pipe()
    os.close(reading)
    process = program("schema", "asyncapi", stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (1, "")


def test_devices(cli: Callable):
    assert "shimmer    Shimmer3 ECG" in cli("devices").out
    listed = {device["name"]: device for device in json.loads(cli("devices", "--json").out)}
    assert listed["shimmer"]["streams"][0] == {
        "modality": "ecg",
        "types": ["ECG", "EKG"],
        "channels": ["ECG1", "ECG2"],
        "rate": 256.0,
        "optional": False,
    }
