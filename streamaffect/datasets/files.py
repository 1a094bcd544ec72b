"""Folders of one file a subject, whatever the format; and packages that are imported only where a file needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from streamaffect.datasets.npz import natural
from streamaffect.errors import DatasetError, UsageError
from streamaffect.signals import Recording


@dataclass(frozen=True, slots=True)
class FileDataset:
    """A folder of ``SUBJECT.suffix``. ``suffixes`` in lower case, with the dot; ``reader`` makes a file a Recording."""

    name: str
    suffixes: tuple[str, ...]
    reader: Callable[[Path], Recording]
    about: str = ""

    def takes(self, path: Path) -> bool:
        return path.suffix.lower() in self.suffixes

    def recognises(self, folder: Path) -> bool:
        return any(self._files(folder))

    def subjects(self, root: Path | None) -> list[str]:
        folder = folder_of(root, self.name, self.recognises, f"{' or '.join(self.suffixes)} files")
        return sorted((path.stem for path in self._files(folder)), key=natural)

    def load(self, root: Path | None, subject: str) -> Recording:
        folder = folder_of(root, self.name, self.recognises, f"{' or '.join(self.suffixes)} files")
        for path in self._files(folder):
            if path.stem == subject:
                return self.read(path)
        raise DatasetError(f"{folder}: holds no {subject}{' or '.join(self.suffixes)}: check --subject")

    def read(self, path: Path) -> Recording:
        """One file. Raises DatasetError where it is not there, or not to be read."""
        if not path.exists():
            raise DatasetError(f"{path}: no such recording")
        try:
            return self.reader(path)
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error

    def _files(self, folder: Path) -> Iterable[Path]:
        return (path for path in sorted(folder.iterdir()) if self.takes(path)) if folder.is_dir() else ()


def folder_of(root: Path | None, name: str, fits: Callable[[Path], bool], what: str) -> Path:
    """``root/name`` or ``root``, whichever ``fits``. Raises UsageError without a root, DatasetError where neither does."""
    if root is None:
        raise UsageError(f"data set {name!r} needs the folder of its recordings: pass --root DIR")
    for folder in (root / name, root):
        if folder.is_dir() and fits(folder):
            return folder
    raise DatasetError(f"{root}: holds no {what} of {name!r}, nor does {root / name}: check --root")


def package(name: str, what: str) -> ModuleType:
    """The module, imported now. Raises UsageError that says which extra brings it."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        root = name.partition(".")[0]
        raise UsageError(f"reading {what} needs {root}, which is not installed: pip install 'streamaffect[datasets]'") from None


def first_line(error: BaseException) -> str:
    """What an exception of somebody else's says, short enough for ours."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
