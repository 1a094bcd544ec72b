"""A bundle: a model on disk with all that is needed to feed it, judge it and adapt it further. Whole or not there at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, JsonValue, ValidationError

from streamaffect.bundle.priors import AnyEntry, Part, fits
from streamaffect.errors import BundleError
from streamaffect.features import views
from streamaffect.features.personal import AnyPrior
from streamaffect.features.views import View
from streamaffect.methods import LabelledSet

MANIFEST = "bundle.json"
MODEL, WEIGHTS, SOURCE, CARD = "model.onnx", "weights.npz", "source.npz", "CARD.md"
FORMAT = 1
LABEL = "label"
NAME_PATTERN = r"^[a-z0-9_-]{1,64}$"
_FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]  # beside the manifest and nowhere else


class BundleExistsError(BundleError):
    """There is something already where a bundle was to be written."""


class ClassEntry(Part):
    """One class; valence and arousal in -1..1 where it has them."""

    name: str = Field(pattern=r"^[a-z0-9_-]{1,32}$")
    valence: float | None = Field(default=None, ge=-1, le=1)
    arousal: float | None = Field(default=None, ge=-1, le=1)


class ViewEntry(Part):
    """One input of the model: the view, its parameters, the hash of its layout, and how it is normalised."""

    name: str
    params: dict[str, JsonValue]
    layout: str
    prior: AnyEntry | None = None


class DataEntry(Part):
    """A data set that went into the model."""

    name: str
    licence: str
    citation: str
    subjects: list[str]


class Manifest(Part):
    """``bundle.json``. ``target``: what the classes are classes of, ``label`` where they exclude each other, else the name of
    the distribution that the model was taught. ``smoothing_s``: time constant of the average over the past that is served."""

    format: Literal[1] = 1
    name: str = Field(pattern=NAME_PATTERN)
    version: int = Field(default=0, ge=0)
    classes: list[ClassEntry] = Field(min_length=2)
    target: str = LABEL
    views: list[ViewEntry] = Field(min_length=1)
    hop_s: float = Field(gt=0)
    smoothing_s: float = Field(default=0.0, ge=0)
    method: str
    params: dict[str, JsonValue] = Field(default_factory=dict)
    temperature: float = Field(default=1.0, gt=0)
    parent: str | None = None
    provenance: dict[str, JsonValue] = Field(default_factory=dict)
    data: list[DataEntry] = Field(default_factory=list)
    figures: dict[str, JsonValue] = Field(default_factory=dict)
    files: dict[_FileName, str] = Field(default_factory=dict)

    def text(self) -> str:
        """``bundle.json``, with the sha256 of the manifest, and through ``files`` of the whole bundle."""
        data = self.model_dump(mode="json")
        return _render({**data, "sha256": _digest(data)})


def _digest(data: dict[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _render(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=1) + "\n"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle at ``path``."""

    path: Path
    manifest: Manifest
    views: tuple[View, ...]
    sha256: str

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def version(self) -> int:
        return self.manifest.version

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self.manifest.classes)

    @property
    def exclusive(self) -> bool:
        """Whether the classes exclude each other, so that the most probable one is what the wearer is taken to be in. Of a
        distribution (such as PANAS) it is the largest of many shares and says little."""
        return self.manifest.target == LABEL

    @property
    def priors(self) -> dict[str, AnyPrior]:
        """Priors of the views that are normalised, by view key."""
        pairs = zip(self.views, self.manifest.views, strict=True)
        return {view.key: entry.prior.prior() for view, entry in pairs if entry.prior is not None}

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """What the model reads, a window: normalised shapes by view key."""
        priors = self.priors
        return {view.key: (priors[view.key].width,) if view.key in priors else view.shape for view in self.views}

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and verify: every file there and unaltered, a format and view layouts that this version knows.

        Raises:
            BundleError: one line that says what is wrong.
        """
        manifest, sha256 = _read_manifest(path)
        for name, wanted in manifest.files.items():
            file = path / name
            if not file.is_file():
                raise BundleError(f"bundle {path}: {name} is missing: copy the bundle again")
            if _hash(file) != wanted:
                raise BundleError(f"bundle {path}: {name} is not the file that was written (its sha256 differs): copy it again")
        if MODEL not in manifest.files:
            raise BundleError(f"bundle {path}: {MANIFEST} lists no {MODEL}")
        return cls(path, manifest, tuple(_view(path, entry) for entry in manifest.views), sha256)


def _read_manifest(path: Path) -> tuple[Manifest, str]:
    """The manifest and its sha256. The text must be, byte for byte, what :func:`write` makes of its content."""
    file = path / MANIFEST
    if not file.is_file():
        raise BundleError(f"no bundle at {path}: there is no {MANIFEST}; 'streamaffect models list' shows those there are")
    try:
        text = file.read_bytes().decode("utf-8")
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError("not an object")  # noqa: TRY301, TRY004 - told below with the other ways to be no manifest
    except (ValueError, RecursionError) as error:
        raise BundleError(f"bundle {path}: {MANIFEST} is truncated or altered ({error}): copy the bundle again") from None
    if data.get("format") != FORMAT:
        raise BundleError(f"bundle {path}: format {data.get('format')!r}, this version reads format {FORMAT}")
    rendered = _render(data)
    found = data.pop("sha256", None)
    if rendered != text or found != _digest(data):
        raise BundleError(
            f"bundle {path}: {MANIFEST} was altered after it was written (its sha256 differs): copy the bundle again"
        )
    try:
        return Manifest.model_validate(data), found
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BundleError(f"bundle {path}: {MANIFEST}: {where}: {first['msg']}") from None


def _view(path: Path, entry: ViewEntry) -> View:
    try:
        view = views.make(entry.name, **entry.params)
    except ValueError as error:
        raise BundleError(f"bundle {path}: {error}") from None
    if view.layout != entry.layout:
        raise BundleError(f"bundle {path}: view {entry.name} is laid out differently in this version: train the model again")
    if entry.prior is not None and not fits(entry.prior, view):
        raise BundleError(f"bundle {path}: view {entry.name} is {view.shape}, its prior is of another length: train it again")
    return view


def _hash(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write(path: Path, manifest: Manifest, fill: Callable[[Path], None]) -> Bundle:
    """Make a bundle at ``path``: ``fill`` puts its files into a hidden directory beside it, then they are hashed, synced and
    renamed into place. A crash leaves nothing at ``path``.

    Raises:
        BundleExistsError: there is something at ``path``.
    """
    if path.exists():
        raise BundleExistsError(f"{path} is there already: give another path, or delete it first")
    path.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        fill(work)
        files = {file.name: _hash(file) for file in sorted(work.iterdir())}
        manifest = manifest.model_copy(update={"files": files})
        (work / MANIFEST).write_bytes(manifest.text().encode())
        for file in work.iterdir():
            _sync(file)
        _sync(work)
        work.chmod(0o755)  # a temporary directory is private; the registry guards what must be
        _move(work, path)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    _sync(path.parent)
    return Bundle.load(path)


def _move(work: Path, path: Path) -> None:
    try:
        work.rename(path)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise BundleExistsError(f"{path} was written by someone else meanwhile") from None
        raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class SourceMemory:
    """What adaptation remembers of the source people: normalised views, labels ((n,) classes or (n, C) distributions),
    subjects, trials, and which windows are held out, so that the guard can judge a candidate on windows it never trained on.
    """

    x: dict[str, np.ndarray[Any, np.dtype[np.float32]]]
    y: np.ndarray[Any, np.dtype[np.int64 | np.float32]]
    subject: np.ndarray[Any, np.dtype[np.str_]]
    trial: np.ndarray[Any, np.dtype[np.str_]]
    held_out: np.ndarray[Any, np.dtype[np.bool_]]

    def known(self) -> LabelledSet:
        """What adaptation trains on: everybody but the people held out."""
        rows = ~self.held_out
        x = {key: value[rows] for key, value in self.x.items()}
        return LabelledSet(x=x, y=self.y[rows], subject=self.subject[rows], trial=self.trial[rows])

    def save(self, file: Path) -> None:
        """Views in half precision: normalised values lie within +-10, where its error is below a thousandth."""
        arrays: dict[str, Any] = {f"x.{key}": value.astype(np.float16) for key, value in self.x.items()}
        np.savez_compressed(file, y=self.y, subject=self.subject, trial=self.trial, held_out=self.held_out, **arrays)

    @classmethod
    def load(cls, bundle: Bundle) -> Self:
        """The memory in ``bundle``; BundleError when it ships none."""
        if SOURCE not in bundle.manifest.files:
            raise BundleError(f"bundle {bundle.path} carries no {SOURCE}: it cannot be adapted")
        with np.load(bundle.path / SOURCE, allow_pickle=False) as data:
            x = {key[2:]: data[key].astype(np.float32) for key in data.files if key.startswith("x.")}
            return cls(x, data["y"], data["subject"], data["trial"], data["held_out"])
