"""A person's models, by the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def anna(bundle: Path, cli: Callable) -> Path:
    """Two versions of the model, made hers; returns the folder that holds them."""
    for _ in range(2):
        assert cli("models", "promote", "anna", bundle, bundle).code == 0
    return Path(json.loads(cli("models", "list", "--subject", "anna", "--json").out)[0]["path"]).parent


def test_show_tells_all_of_the_manifest(bundle: Path, cli: Callable):
    out = cli("models", "show", bundle).out
    assert out.startswith(f"tiny version 0: {bundle}\n")
    for part in ("rest (valence unknown, arousal -0.5)", "ecg.hrv/1 (6,): 30 s of ecg", "balanced_accuracy: 0.5", "CC0"):
        assert part in out
    shown = json.loads(cli("models", "show", bundle, "--json").out)
    assert shown["data"][0]["citation"] == "Nobody, 2026"
    assert len(shown["sha256"]) == 64


def test_verify_says_what_is_broken(bundle: Path, tmp_path: Path, cli: Callable):
    assert cli("models", "verify", bundle).out == f"intact {bundle}\n"
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    model = bytearray((copy / "model.onnx").read_bytes())
    model[100] ^= 1
    (copy / "model.onnx").write_bytes(model)
    outcome = cli("models", "verify", copy)
    assert outcome.code == 1
    assert "BROKEN" in outcome.out
    assert "its sha256 differs" in outcome.out
    (verdict,) = json.loads(cli("models", "verify", copy, "--json").out)
    assert "its sha256 differs" in verdict["error"]


def test_versions_of_a_subject_are_listed_with_the_current_one(anna: Path, cli: Callable):
    listed = json.loads(cli("models", "list", "--subject", "anna", "--json").out)
    assert [(entry["version"], entry["current"]) for entry in listed] == [(1, False), (2, True)]
    assert "2 (current)" in cli("models", "list").out
    assert (anna.stat().st_mode & 0o777) == 0o700


def test_show_and_verify_take_a_subjects_current_version(anna: Path, bundle: Path, cli: Callable):
    assert cli("models", "show", bundle, "--subject", "anna").out.startswith("tiny version 2: ")
    assert cli("models", "verify", bundle, "--subject", "anna").out == f"intact {anna / 'v0002'}\n"
    assert str(anna / "v0001") in cli("models", "verify").out


def test_a_broken_version_is_listed_as_such(anna: Path, cli: Callable):
    (anna / "v0001" / "weights.npz").unlink()
    outcome = cli("models", "list")
    assert outcome.code == 0
    assert "weights.npz is missing" in outcome.out


def test_rollback_down_to_the_model_that_ships(anna: Path, bundle: Path, cli: Callable):
    assert "back from version 2 to version 1" in cli("models", "rollback", "anna", bundle).out
    assert "to the model as it ships" in cli("models", "rollback", "anna", bundle).out
    cli("models", "rollback", "anna", bundle).is_error(1, "nothing to roll back")


def test_prune_keeps_the_newest(anna: Path, bundle: Path, cli: Callable):
    assert cli("models", "prune", "anna", bundle).out == "anna: nothing to delete\n"
    assert cli("models", "prune", "anna", bundle, "--keep", 1).out == "anna: deleted version 1\n"
    cli("models", "prune", "anna", bundle, "--keep", 0).is_error(2, "--keep must be 1 or more")


def test_unknown_names(bundle: Path, home: Path, anna: Path, cli: Callable):
    unknown = cli("models", "show", "nosuch")
    unknown.is_error(unknown.code, "no model 'nosuch': the shipped ones are")
    assert unknown.code in (1, 2)
    cli("models", "rollback", "bob", bundle).is_error(2, "no models of subject 'bob'", "there are anna")
    assert not (home / "subjects" / "bob").exists()
    cli("models", "promote", "Not A Name", bundle, bundle).is_error(2, "subject 'Not A Name' must be")
    cli("models", "promote", "anna", bundle, home).is_error(1, f"no bundle at {home}")


def test_a_bundle_of_another_kind_is_not_promoted(bundle: Path, tmp_path: Path, cli: Callable):
    from streamaffect.bundle.bundle import Bundle, write

    loaded = Bundle.load(bundle)
    files = [bundle / name for name in loaded.manifest.files]
    other = loaded.manifest.model_copy(update={"name": "other"})
    write(tmp_path / "other", other, lambda work: [shutil.copy2(file, work) for file in files])
    cli("models", "promote", "anna", bundle, tmp_path / "other").is_error(2, "is no 'tiny'")
