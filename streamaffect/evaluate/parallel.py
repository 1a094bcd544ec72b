"""Work that takes hours, in pieces that are finished once: in processes of one thread each, killed and gone on with at will."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import Protocol

Progress = Callable[[int, int], None]
"""``progress(done, of)``, pieces."""


class Piece(Protocol):
    """One piece of work; travels to another process."""

    @property
    def file(self) -> str:
        """The name that its result has in the folder."""

    def do(self, folder: Path, out: Path) -> None:
        """Make ``out``, from what earlier pieces left in ``folder``."""


def finish(pieces: Sequence[Piece], folder: Path, processes: int, progress: Progress | None = None) -> None:
    """Do those whose result is not in ``folder`` yet. A result is there whole or not at all.

    With one process they are done in this one.
    """
    wanted = [piece for piece in pieces if not (folder / piece.file).exists()]
    done = len(pieces) - len(wanted)
    if progress is not None:
        progress(done, len(pieces))
    for number, _ in enumerate(_each(partial(_do, folder), wanted, min(processes, len(wanted))), done + 1):
        if progress is not None:
            progress(number, len(pieces))


def _each(work: Callable[[Piece], None], pieces: Sequence[Piece], processes: int) -> Iterator[None]:
    if processes <= 1:
        yield from map(work, pieces)
        return
    spawn = multiprocessing.get_context("spawn")
    with one_thread(), ProcessPoolExecutor(processes, spawn, _die_with_parent) as pool:
        futures = [pool.submit(work, piece) for piece in pieces]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _do(folder: Path, piece: Piece) -> None:
    draft = folder / f".{os.getpid()}-{piece.file}"
    try:
        piece.do(folder, draft)
        draft.rename(folder / piece.file)
    finally:
        if draft.is_dir():
            shutil.rmtree(draft)
        draft.unlink(missing_ok=True)


def _die_with_parent() -> None:
    """A parent that is killed cannot end its pool, whose children would wait for work for ever."""
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    os._exit(3)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Children that start meanwhile compute on one thread: numerical libraries read these once, when they load."""
    before = {variable: os.environ.get(variable) for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    os.environ.update(dict.fromkeys(before, "1"))
    try:
        yield
    finally:
        for variable, value in before.items():
            if value is None:
                del os.environ[variable]
            else:
                os.environ[variable] = value
