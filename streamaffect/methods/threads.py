"""One pool of threads at a time, and none where it costs more than it brings. torch at call."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import import_module

_WORTH_IT = 4000  # rows of a kernel matrix from which torch's threads pay


@contextlib.contextmanager
def sparing(rows: int) -> Iterator[None]:
    """numpy's and scipy's BLAS on one thread; torch too below 4,000 ``rows``, else with its own threads.

    Idle threads of one pool spin for a while, on cores that the other's are waiting for: alternating between them takes
    twice the time of either. Where threadpoolctl (it comes with scikit-learn) is missing, BLAS stays as it is.
    """
    import torch

    try:
        blas = import_module("threadpoolctl").threadpool_limits(1, user_api="blas")
    except ImportError:
        blas = contextlib.nullcontext()
    before = torch.get_num_threads()
    with blas:
        if rows < _WORTH_IT:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
