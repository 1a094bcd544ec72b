"""One person's bundles in order, with ``current``. Version 0 is the model as it ships, which lives elsewhere."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from streamaffect.bundle.bundle import MANIFEST, Bundle, BundleExistsError, Manifest, write
from streamaffect.errors import BundleError, UsageError

_CURRENT = "current"
_ROLLED_BACK = "rolled_back"
_VERSION = re.compile(r"v(\d{4,9})")
_TRIES = 20
_LOG = logging.getLogger(__name__)


def home() -> Path:
    """Where people's models live: ``STREAMAFFECT_HOME``, else the platform's data directory."""
    told = os.environ.get("STREAMAFFECT_HOME")
    if told:
        return Path(told).expanduser()
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
    if (path / MANIFEST).is_file() or path.parent != Path():
        return path
    if (shipped() / model / MANIFEST).is_file():
        return shipped() / model
    names = ", ".join(list_shipped()) or "none"
    raise UsageError(f"no model {model!r}: the shipped ones are {names}; or give the path of a bundle")


def list_shipped() -> list[str]:
    """Names of the bundles that ship."""
    names = (file.parent.name for file in shipped().glob(f"*/{MANIFEST}"))
    return sorted(name for name in names if not name.startswith("."))  # one that a crash left half written


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
        return [number for number in self._taken() if (self.path(number) / MANIFEST).is_file()]

    def _taken(self) -> list[int]:
        """Numbers in use, be they of whole versions or of ruins."""
        found = (_VERSION.fullmatch(path.name) for path in self.root.iterdir())
        return sorted(int(match[1]) for match in found if match)

    @property
    def current(self) -> int:
        """The version in use; 0 when nothing was promoted, or all was rolled back."""
        pointer = self._pointer()
        return pointer if pointer in self.versions() else 0

    def _pointer(self) -> int:
        """What the file says; 0 without one, or where it says nothing sensible."""
        return (self._numbers(_CURRENT) or [0])[-1]

    def _numbers(self, name: str) -> list[int]:
        """The version numbers in a file, one a line; what is no number is passed over."""
        file = self.root / name
        words = file.read_bytes().split() if file.is_file() else []
        return [int(word) for word in words if word.isdigit()]

    def path(self, version: int) -> Path:
        return self.base.path if version == 0 else self.root / f"v{version:04d}"

    def load(self, version: int | None = None) -> Bundle:
        """A version's bundle, verified; the current one by default."""
        return Bundle.load(self.path(self.current if version is None else version))

    def load_current(self) -> tuple[Bundle, list[str]]:
        """The newest intact bundle from ``current`` down, and what was wrong with those passed over."""
        bundle, troubles = self._first_intact(self._down_from(self._pointer()))
        file = self.root / _CURRENT
        if file.is_file() and not self._numbers(_CURRENT):
            troubles.append(f"{file} names no version")
        return bundle, troubles

    def _first_intact(self, versions: Sequence[int]) -> tuple[Bundle, list[str]]:
        troubles: list[str] = []
        for version in versions:
            try:
                return self.load(version), troubles
            except BundleError as error:
                troubles.append(str(error))
        return self.base, troubles

    def _down_from(self, version: int) -> list[int]:
        """``version`` and those before it that were never rolled back, newest first, without 0."""
        shunned = self._numbers(_ROLLED_BACK)
        before = [v for v in reversed(self.versions()) if v < version and v not in shunned]
        return [version, *before] if version else []

    def promote(self, candidate: Path) -> Bundle:
        """Take the bundle at ``candidate`` in as the next version and make it current."""
        bundle = Bundle.load(candidate)

        def fill(work: Path) -> None:
            for name in bundle.manifest.files:
                shutil.copy2(candidate / name, work / name)

        for _ in range(_TRIES):
            version = max([0, *self._taken()]) + 1
            manifest = Manifest.model_validate({**bundle.manifest.model_dump(), "version": version, "files": {}})
            try:
                promoted = write(self.path(version), manifest, fill)
            except BundleExistsError:
                continue  # another process took the number
            self._point(version)
            return promoted
        raise BundleError(f"no free version number in {self.root} after {_TRIES} tries: is someone else writing there?")

    def rollback(self) -> Bundle:
        """Make the version before the current one current; it is not deleted but never becomes current by itself again.

        Versions that were rolled back earlier or do not load are passed over.
        """
        current = self._pointer()
        if current == 0:
            raise BundleError(f"nothing to roll back in {self.root}: the model is the one that shipped")
        bundle, troubles = self._first_intact(self._down_from(current)[1:])
        for trouble in troubles:
            _LOG.warning("rolling back further than one version: %s", trouble)
        self._point(bundle.version if bundle is not self.base else 0)
        shunned = sorted({*self._numbers(_ROLLED_BACK), current})
        self._put(_ROLLED_BACK, "".join(f"{version}\n" for version in shunned))
        return bundle

    def reject(self, job: Path, reason: str) -> Path:
        """Put a refused candidate's job folder aside, with the reason."""
        aside = self.root / "rejected" / f"{time.strftime('%Y%m%dT%H%M%S')}-{job.name}"
        aside.parent.mkdir(exist_ok=True)
        shutil.move(job, aside)
        (aside / "reason.json").write_text(json.dumps({"reason": reason}) + "\n")
        return aside

    def prune(self, keep: int = 5) -> Sequence[int]:
        """Delete all but the newest ``keep`` (1 or more) versions and the current one; returns what went."""
        if keep < 1:
            raise ValueError(f"keep must be 1 or more, got {keep}: version numbers are never used twice")
        versions = self.versions()
        doomed = [v for v in versions[:-keep] if v != self.current]
        for version in doomed:
            # Renamed first: a version is never half there.
            aside = self.root / f".doomed-{version}-{os.getpid()}"
            self.path(version).rename(aside)
            shutil.rmtree(aside)
        return doomed

    def _point(self, version: int) -> None:
        self._put(_CURRENT, f"{version}\n")

    def _put(self, name: str, text: str) -> None:
        """Replace a file of the registry at once, and for good: synced, so that a power cut leaves the old one or the new."""
        handle, draft = tempfile.mkstemp(prefix=f".{name}.", dir=self.root)
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
        Path(draft).replace(self.root / name)
