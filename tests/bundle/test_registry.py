"""One person's versions: in order, private, and never without a model that loads."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streamaffect.bundle import registry
from streamaffect.bundle.bundle import MANIFEST, MODEL, Bundle
from streamaffect.bundle.registry import Registry
from streamaffect.errors import BundleError, UsageError

Copy = Callable[[str], Path]


@pytest.fixture
def own(base: Bundle, tmp_path: Path) -> Registry:
    return Registry(tmp_path / "subjects" / "anna" / "made-up", base)


def spoil(path: Path) -> None:
    content = bytearray((path / MODEL).read_bytes())
    content[len(content) // 2] ^= 1
    (path / MODEL).write_bytes(content)


def test_without_versions_the_shipped_model_serves(own: Registry, base: Bundle) -> None:
    assert own.current == 0
    assert own.versions() == []
    assert own.load().sha256 == base.sha256
    assert own.load_current() == (base, [])
    with pytest.raises(BundleError, match="nothing to roll back"):
        own.rollback()


def test_promoted_candidate_is_the_next_version_and_current(own: Registry, base: Bundle) -> None:
    for number in (1, 2, 3):
        bundle = own.promote(base.path)
        assert (bundle.version, own.current) == (number, number)
        assert bundle.manifest.files == base.manifest.files
        assert bundle.sha256 != base.sha256  # its version is another
    assert own.versions() == [1, 2, 3]
    newest, troubles = own.load_current()
    assert (newest.sha256, troubles) == (bundle.sha256, [])
    assert Registry(own.root, base).current == 3


def test_candidate_that_does_not_load_is_not_promoted(own: Registry, copy: Copy) -> None:
    candidate = copy("candidate")
    spoil(candidate)
    with pytest.raises(BundleError, match=MODEL):
        own.promote(candidate)
    assert (own.current, own.versions()) == (0, [])
    assert not list(own.root.iterdir())


def test_models_are_private(own: Registry, base: Bundle) -> None:
    own.root.chmod(0o755)
    Registry(own.root, base).promote(base.path)
    assert stat.S_IMODE(own.root.stat().st_mode) == 0o700


def test_rollback_goes_back_one_at_a_time_to_the_shipped_model(own: Registry, base: Bundle) -> None:
    for _ in range(2):
        own.promote(base.path)
    assert own.rollback().version == 1
    assert own.current == 1
    assert own.rollback() == base
    assert own.current == 0
    assert own.versions() == [1, 2]
    with pytest.raises(BundleError, match="nothing to roll back"):
        own.rollback()


def test_version_that_was_rolled_back_never_comes_back_by_itself(own: Registry, base: Bundle) -> None:
    for _ in range(2):
        own.promote(base.path)
    own.rollback()  # 2 was bad
    assert own.promote(base.path).version == 3
    assert own.rollback().version == 1
    assert own.promote(base.path).version == 4
    spoil(own.path(4))
    bundle, [trouble] = own.load_current()
    assert bundle.version == 1
    assert "v0004" in trouble


def test_rollback_passes_over_what_does_not_load(own: Registry, base: Bundle) -> None:
    for _ in range(3):
        own.promote(base.path)
    spoil(own.path(2))
    assert own.rollback().version == 1
    assert own.current == 1


def test_damaged_current_version_falls_back_and_says_so(own: Registry, base: Bundle) -> None:
    for _ in range(3):
        own.promote(base.path)
    spoil(own.path(3))
    (own.path(2) / MANIFEST).unlink()
    bundle, troubles = own.load_current()
    assert bundle.version == 1
    assert len(troubles) == 1
    assert MODEL in troubles[0]
    spoil(own.path(1))
    bundle, troubles = own.load_current()
    assert bundle == base
    assert len(troubles) == 2


def test_current_version_that_is_gone_is_told(own: Registry, base: Bundle) -> None:
    for _ in range(2):
        own.promote(base.path)
    (own.path(2) / MANIFEST).unlink()
    bundle, [trouble] = own.load_current()
    assert bundle.version == 1
    assert MANIFEST in trouble
    assert own.promote(base.path).version == 3  # the ruin keeps its number


@pytest.mark.parametrize("content", [b"", b"\n", b"two", b"\xff\xfe", b"-1", "\u00b2".encode()])
def test_pointer_that_says_nothing_serves_the_shipped_model_and_says_so(own: Registry, base: Bundle, content: bytes) -> None:
    own.promote(base.path)
    (own.root / "current").write_bytes(content)
    assert own.current == 0
    bundle, [trouble] = own.load_current()
    assert bundle == base
    assert "names no version" in trouble


def test_stray_folders_are_no_versions(own: Registry, base: Bundle) -> None:
    for name in ("v1x", "version", "v", "jobs", ".v0009.tmp"):
        (own.root / name).mkdir()
        (own.root / name / MANIFEST).write_text("{}")
    assert own.versions() == []
    assert own.promote(base.path).version == 1


def test_those_who_promote_at_once_get_versions_of_their_own(own: Registry, base: Bundle) -> None:
    with ThreadPoolExecutor(4) as pool:
        promoted = [bundle.version for bundle in pool.map(lambda _: Registry(own.root, base).promote(base.path), range(8))]
    assert sorted(promoted) == own.versions() == list(range(1, 9))
    assert own.current in promoted
    assert own.load().version == own.current
    assert sorted(path.name[0] for path in own.root.iterdir()) == ["c", *"v" * 8]


def test_prune_keeps_the_newest_and_the_current(own: Registry, base: Bundle) -> None:
    for _ in range(5):
        own.promote(base.path)
    while own.current != 2:
        own.rollback()
    assert own.prune(keep=2) == [1, 3]
    assert own.versions() == [2, 4, 5]
    assert own.current == 2
    assert own.prune(keep=2) == []
    assert own.promote(base.path).version == 6
    with pytest.raises(ValueError, match="keep must be 1 or more"):
        own.prune(keep=0)


def test_refused_candidate_is_put_aside_with_the_reason(own: Registry) -> None:
    job = own.root / "jobs" / "abc"
    job.mkdir(parents=True)
    (job / "job.json").write_text("{}")
    aside = own.reject(job, "entropy collapsed")
    assert not job.exists()
    assert aside.parent == own.root / "rejected"
    assert json.loads((aside / "reason.json").read_text()) == {"reason": "entropy collapsed"}
    assert (aside / "job.json").is_file()


def test_models_are_found_by_path_and_by_name(base: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "shipped", lambda: tmp_path)
    assert registry.list_shipped() == ["base"]
    assert registry.find("base") == registry.find(str(base.path)) == base.path
    with pytest.raises(UsageError, match="no model 'nope': the shipped ones are base"):
        registry.find("nope")


def test_home_is_told_by_the_environment(tmp_path: Path, base: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMAFFECT_HOME", str(tmp_path / "home"))
    own = Registry.of("anna", base)
    assert own.root == tmp_path / "home" / "subjects" / "anna" / f"made-up-{base.sha256[:12]}"
    monkeypatch.setenv("STREAMAFFECT_HOME", "~/affect")
    assert registry.home() == Path.home() / "affect"
