"""One person's bundles in order, with ``current``. Version 0 is the model as it ships, which lives elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from streamaffect.bundle.bundle import Bundle, Manifest, write
from streamaffect.errors import BundleError, UsageError

_CURRENT = "current"


def home() -> Path:
    """Where people's models live: ``STREAMAFFECT_HOME``, else the platform's data directory."""
    told = os.environ.get("STREAMAFFECT_HOME")
    if told:
        return Path(told)
    from platformdirs import user_data_path

    return user_data_path("streamaffect")


def shipped() -> Path:
    """Where the bundles that ship live: in the wheel, or in the checkout beside the package."""
    package = Path(__file__).parents[1]
    inside = package / "_models"
    return inside if inside.is_dir() else package.parent / "models"


def find(model: str) -> Path:
    """The directory of ``model``: a path, or the name of a bundle that ships."""
    path = Path(model)
    if (path / "bundle.json").is_file() or path.parent != Path():
        return path
    if (shipped() / model / "bundle.json").is_file():
        return shipped() / model
    names = ", ".join(list_shipped()) or "none"
    raise UsageError(f"no model {model!r}: the shipped ones are {names}; or give the path of a bundle")


def list_shipped() -> list[str]:
    """Names of the bundles that ship."""
    return sorted(file.parent.name for file in shipped().glob("*/bundle.json"))


class Registry:
    """Versions of ``base`` that were made for one person, in ``root`` (mode 0700: models are personal data)."""

    def __init__(self, root: Path, base: Bundle) -> None:
        self.root, self.base = root, base
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        root.chmod(0o700)

    @classmethod
    def of(cls, subject: str, base: Bundle) -> Registry:
        """The registry of ``subject`` for models grown from ``base``."""
        return cls(home() / "subjects" / subject / f"{base.name}-{base.sha256[:12]}", base)

    def versions(self) -> list[int]:
        """Versions on disk, rising, without 0."""
        return sorted(int(path.name[1:]) for path in self.root.glob("v[0-9]*") if (path / "bundle.json").is_file())

    @property
    def current(self) -> int:
        """The version in use; 0 when nothing was promoted, or all was rolled back."""
        file = self.root / _CURRENT
        text = file.read_text().strip() if file.is_file() else "0"
        return int(text) if text.isdigit() and (int(text) == 0 or int(text) in self.versions()) else 0

    def path(self, version: int) -> Path:
        return self.base.path if version == 0 else self.root / f"v{version:04d}"

    def load(self, version: int | None = None) -> Bundle:
        """A version's bundle, verified; the current one by default."""
        return Bundle.load(self.path(self.current if version is None else version))

    def load_current(self) -> tuple[Bundle, list[str]]:
        """The newest intact bundle from ``current`` down, and what was wrong with those passed over."""
        troubles: list[str] = []
        for version in [v for v in reversed(self.versions()) if v <= self.current]:
            try:
                return self.load(version), troubles
            except BundleError as error:
                troubles.append(str(error))
        return self.base, troubles

    def promote(self, candidate: Path) -> Bundle:
        """Take the bundle at ``candidate`` in as the next version and make it current."""
        bundle = Bundle.load(candidate)
        version = max([0, *self.versions()]) + 1
        manifest = Manifest.model_validate({**bundle.manifest.model_dump(), "version": version, "files": {}})

        def fill(work: Path) -> None:
            for name in bundle.manifest.files:
                shutil.copy2(candidate / name, work / name)

        promoted = write(self.path(version), manifest, fill)
        self._point(version)
        return promoted

    def rollback(self) -> Bundle:
        """Make the version before the current one current; it is not deleted but never becomes current by itself again."""
        current = self.current
        if current == 0:
            raise BundleError(f"nothing to roll back in {self.root}: the model is the one that shipped")
        before = [version for version in self.versions() if version < current]
        self._point(before[-1] if before else 0)
        return self.load()

    def reject(self, job: Path, reason: str) -> Path:
        """Put a refused candidate's job folder aside, with the reason."""
        aside = self.root / "rejected" / f"{time.strftime('%Y%m%dT%H%M%S')}-{job.name}"
        aside.parent.mkdir(exist_ok=True)
        shutil.move(job, aside)
        (aside / "reason.json").write_text(json.dumps({"reason": reason}) + "\n")
        return aside

    def prune(self, keep: int = 5) -> Sequence[int]:
        """Delete all but the newest ``keep`` versions and the current one; returns what went."""
        versions = self.versions()
        doomed = [v for v in versions[: max(0, len(versions) - keep)] if v != self.current]
        for version in doomed:
            shutil.rmtree(self.path(version))
        return doomed

    def _point(self, version: int) -> None:
        draft = self.root / f".{_CURRENT}.{os.getpid()}"
        draft.write_text(f"{version}\n")
        draft.replace(self.root / _CURRENT)
