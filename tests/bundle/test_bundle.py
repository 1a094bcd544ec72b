"""Whole or not there at all: what is loaded is what was written, byte for byte."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamaffect.bundle import build
from streamaffect.bundle.bundle import (
    CARD,
    MANIFEST,
    MODEL,
    SOURCE,
    WEIGHTS,
    Bundle,
    BundleExistsError,
    Manifest,
    SourceMemory,
    write,
)
from streamaffect.errors import BundleError
from streamaffect.runtime.engine import Engine

Copy = Callable[[str], Path]
FILES = (MANIFEST, MODEL, WEIGHTS, SOURCE, CARD)


def sealed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The bundle with another manifest whose sums are right, as a foreign program could write it."""
    from streamaffect.bundle import bundle as module

    data = json.loads((path / MANIFEST).read_text())
    del data["sha256"]
    change(data)
    (path / MANIFEST).write_text(module._render({**data, "sha256": module._digest(data)}))
    return path


def test_bundle_says_how_to_feed_it(shipped_bundle: Bundle, recipe: build.Recipe) -> None:
    loaded = Bundle.load(shipped_bundle.path)
    assert (loaded.path, loaded.sha256, loaded.manifest) == (
        shipped_bundle.path,
        shipped_bundle.sha256,
        shipped_bundle.manifest,
    )
    assert sorted(loaded.manifest.files) == sorted(set(FILES) - {MANIFEST})
    assert loaded.classes == ("calm", "busy")
    assert [view.layout for view in loaded.views] == [view.layout for view in recipe.views]
    assert loaded.input_shapes == {"eeg.de": (20,)}
    assert np.array_equal(loaded.priors["eeg.de"].location, shipped_bundle.priors["eeg.de"].location)
    said = Engine(loaded)(Engine(loaded).blank())
    assert said.probabilities.sum() == pytest.approx(1, abs=1e-6)


def test_priors_survive_the_disk_to_the_last_bit(shipped_bundle: Bundle, windows: build.Windows, recipe: build.Recipe) -> None:
    written, read = build.fit_priors(windows, recipe)["eeg.de"], shipped_bundle.priors["eeg.de"]
    for name in ("location", "scale", "spread"):
        assert np.array_equal(getattr(written, name), getattr(read, name))


def test_source_memory_survives_in_half_precision(shipped_bundle: Bundle) -> None:
    memory = SourceMemory.load(shipped_bundle)
    assert memory.x["eeg.de"].dtype == np.float32
    assert len(memory.y) == len(memory.held_out) == len(memory.x["eeg.de"])
    assert set(memory.subject[memory.held_out]).isdisjoint(memory.subject[~memory.held_out])
    assert set(memory.y.tolist()) == {0, 1}


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_named(copy: Copy, name: str) -> None:
    path = copy("b")
    (path / name).unlink()
    with pytest.raises(BundleError, match=name):
        Bundle.load(path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_truncated_file_is_refused(copy: Copy, name: str, share: float) -> None:
    path = copy("b")
    content = (path / name).read_bytes()
    (path / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(BundleError, match=name):
        Bundle.load(path)


@pytest.mark.parametrize("name", FILES)
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_altered_byte_is_refused(shipped_bundle: Bundle, tmp_path: Path, name: str, where: float, flip: int) -> None:
    path = tmp_path / "b"
    if not path.is_dir():
        shutil.copytree(shipped_bundle.path, path)
    content = (shipped_bundle.path / name).read_bytes()
    spoilt = bytearray(content)
    spoilt[int(where * len(content))] ^= flip
    (path / name).write_bytes(spoilt)
    with pytest.raises(BundleError):
        Bundle.load(path)


def test_bytes_of_the_manifest_that_mean_nothing_count_too(shipped_bundle: Bundle, copy: Copy) -> None:
    path = copy("b")
    content = (path / MANIFEST).read_bytes()
    for place in range(0, len(content), 7):
        spoilt = bytearray(content)
        spoilt[place] = ord(" ") if spoilt[place] != ord(" ") else ord("\t")  # as harmless a change as there is
        (path / MANIFEST).write_bytes(spoilt)
        with pytest.raises(BundleError):
            Bundle.load(path)


@pytest.mark.parametrize("text", ["", "[]", "3", "null", '"x"', "{}", "{", "[" * 100_000, "\ufeff{}", "\x00"])
def test_manifest_that_is_none_is_refused(copy: Copy, text: str) -> None:
    path = copy("b")
    (path / MANIFEST).write_text(text)
    with pytest.raises(BundleError, match=MANIFEST + "|format"):
        Bundle.load(path)


def test_folder_that_is_no_bundle_points_to_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="models list"):
        Bundle.load(tmp_path / "nothing")


def test_foreign_format_is_told_apart_from_damage(copy: Copy) -> None:
    path = sealed(copy("b"), lambda data: data.update(format=2))
    with pytest.raises(BundleError, match="format 2, this version reads format 1"):
        Bundle.load(path)


def test_layout_of_another_version_is_refused(copy: Copy) -> None:
    path = sealed(copy("b"), lambda data: data["views"][0].update(layout="0" * 64))
    with pytest.raises(BundleError, match=r"eeg\.de/1 is laid out differently"):
        Bundle.load(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d["views"][0].update(name="eeg.magic/1"), "unknown view"),
        (lambda d: d["views"][0]["params"].update(colour="red"), "colour"),
        (lambda d: d["views"][0]["prior"]["scale"].pop(), "another length"),
        (lambda d: d.update(mood="good"), "mood"),
        (lambda d: d.update(temperature=0), "temperature"),
        (lambda d: d["classes"].pop(), "classes"),
        (lambda d: d["files"].update({"../../outside": "0"}), "files"),
        (lambda d: d["files"].update({".hidden": "0"}), "files"),
        (lambda d: d["files"].pop(MODEL), MODEL),
    ],
)
def test_manifest_that_makes_no_sense_is_refused(copy: Copy, change: Callable[[dict[str, Any]], object], says: str) -> None:
    with pytest.raises(BundleError, match=says):
        Bundle.load(sealed(copy("b"), change))


def test_model_of_another_width_is_refused_by_the_engine(copy: Copy) -> None:
    path = sealed(copy("b"), lambda data: data["views"][0].update(prior=None))
    with pytest.raises(BundleError, match=r"model.onnx reads"):
        Engine(Bundle.load(path))


def test_failure_while_writing_leaves_nothing(tmp_path: Path, shipped_bundle: Bundle) -> None:
    def fill(work: Path) -> None:
        (work / MODEL).write_bytes(b"half of it")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "b", shipped_bundle.manifest, fill)
    assert not list(tmp_path.iterdir())


_CRASH = """
import os, shutil, sys
from pathlib import Path
from streamaffect.bundle.bundle import Bundle, write
source, target, stage = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
bundle = Bundle.load(source)

def fill(work):
    for name in bundle.manifest.files:
        shutil.copy2(source / name, work / name)
        if stage == "fill":
            os._exit(9)

real = os.fsync
if stage == "sync":
    os.fsync = lambda handle: os._exit(9)
if stage == "rename":
    Path.rename = lambda *_: os._exit(9)
write(target, bundle.manifest, fill)
"""


@pytest.mark.parametrize("stage", ["fill", "sync", "rename"])
def test_crash_while_writing_leaves_nothing_that_is_found(
    tmp_path: Path, shipped_bundle: Bundle, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamaffect.bundle import registry

    target = tmp_path / "models" / "b"
    ended = subprocess.run([sys.executable, "-c", _CRASH, str(shipped_bundle.path), str(target), stage], check=False)
    assert ended.returncode == 9
    assert not target.exists()
    monkeypatch.setattr(registry, "shipped", lambda: target.parent)
    assert registry.list_shipped() == []
    assert len(list(target.parent.iterdir())) == 1  # what the crash left, hidden
    assert write(target, shipped_bundle.manifest, _filler(shipped_bundle)).path == target
    assert registry.list_shipped() == ["b"]


def _filler(bundle: Bundle) -> Callable[[Path], None]:
    def fill(work: Path) -> None:
        for name in bundle.manifest.files:
            shutil.copy2(bundle.path / name, work / name)

    return fill


def test_bundle_is_never_written_over_another(base: Bundle) -> None:
    with pytest.raises(BundleExistsError, match="already"):
        write(base.path, base.manifest, _filler(base))


def test_bundle_written_by_two_at_once_is_one_of_them(tmp_path: Path, base: Bundle) -> None:
    target = tmp_path / "b"

    def slow(work: Path) -> None:
        write(target, base.manifest, _filler(base))  # someone else is faster
        _filler(base)(work)

    with pytest.raises(BundleExistsError, match="meanwhile"):
        write(target, base.manifest.model_copy(update={"name": "other"}), slow)
    assert Bundle.load(target).name == "made-up"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "base"]


def test_manifest_reads_what_it_writes(shipped_bundle: Bundle) -> None:
    text = (shipped_bundle.path / MANIFEST).read_text()
    assert shipped_bundle.manifest.text() == text
    assert json.loads(text)["sha256"] == shipped_bundle.sha256
    assert Manifest.model_validate(shipped_bundle.manifest.model_dump()) == shipped_bundle.manifest
