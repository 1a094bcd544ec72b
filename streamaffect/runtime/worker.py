"""The workshop's child process: ``python -m streamaffect.runtime.worker JOB``. torch lives here and nowhere else.

It writes a progress line of JSON now and then on standard output, ``{"progress": 0.4, "terms": {...}}``, and the result
into the job's folder. Exit code 0 when a candidate is there.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from streamaffect import methods
from streamaffect.bundle.bundle import CARD, MODEL, SOURCE, WEIGHTS, Bundle, SourceMemory, write
from streamaffect.errors import StreamAffectError
from streamaffect.runtime.job import LOG, PROBES, RESULT, Job, Result
from streamaffect.signals import Float32

_PROBES = 16
log = logging.getLogger("streamaffect.worker")


def run(job: Job, tell: methods.Progress | None = None) -> Result:
    """Adapt as the job says; leaves candidate and probes in its folder. ``tell`` hears of the progress.

    Raises:
        StreamAffectError, ValueError: bad order, bundle or coreset.
    """
    order = job.order()
    bundle = Bundle.load(Path(order.bundle))
    source, coreset = SourceMemory.load(bundle).known(), job.coreset()
    last: dict[str, float] = {}

    def progress(share: float, terms: Mapping[str, float]) -> None:
        last.update(terms)
        if tell is not None:
            tell(share, terms)

    begin = time.perf_counter()
    # The views are normalised already, by the river.
    method = methods.get(order.method, **{"normalise": None, **order.params})
    model = method.adapt(
        methods.load(bundle.path / WEIGHTS),
        source,
        methods.UnlabelledSet(x=coreset),
        seed=order.seed,
        device=order.device,
        budget_s=order.budget_s,
        progress=progress,
    )
    seconds = time.perf_counter() - begin
    log.info("adapted by %s in %.1f s on %d windows: %s", order.method, seconds, len(next(iter(coreset.values()))), last)
    probes = _probes(bundle, coreset)
    expected = {"probabilities": model.predict_proba(probes), **{f"x.{key}": value for key, value in probes.items()}}
    np.savez(job.path / PROBES, allow_pickle=False, **expected)
    _ship(job, bundle, model)
    return Result(status="done", seconds=seconds, terms=last)


def _probes(bundle: Bundle, coreset: Mapping[str, Float32]) -> dict[str, Float32]:
    """Some windows, and where the model reads several modalities the same with each of them missing in turn: the candidate
    must stand that too."""
    some = {key: value[:_PROBES] for key, value in coreset.items()}
    modalities = list(dict.fromkeys(view.modality for view in bundle.views))
    if len(modalities) == 1:
        return some
    of = {view.key: view.modality for view in bundle.views}
    return {
        key: np.concatenate([np.full_like(x, np.nan) if of[key] is gone else x for gone in (None, *modalities)])
        for key, x in some.items()
    }


def _ship(job: Job, bundle: Bundle, model: methods.Model) -> None:
    changes = {
        "method": model.method,
        "params": job.order().params,
        "parent": bundle.sha256,
        "temperature": model.temperature,
        "provenance": {**bundle.manifest.provenance, "adapted_from": bundle.version},
        "files": {},
    }

    def fill(work: Path) -> None:
        model.export_onnx(work / MODEL)
        model.save(work / WEIGHTS)
        for name in (SOURCE, CARD):
            if name in bundle.manifest.files:
                shutil.copy2(bundle.path / name, work / name)

    write(job.candidate, type(bundle.manifest).model_validate({**bundle.manifest.model_dump(), **changes}), fill)


def _print(share: float, terms: Mapping[str, float]) -> None:
    print(json.dumps({"progress": round(share, 3), "terms": dict(terms)}), flush=True)  # noqa: T201 - the protocol


def _die_with_parent() -> None:
    """The parent holds the other end of our standard input: it closes when the parent is gone, killed ones included."""
    while os.read(0, 1):  # not sys.stdin: its lock would abort the interpreter's shutdown
        pass
    os._exit(3)


def main(arguments: list[str]) -> int:
    """Run the job in ``arguments[0]``."""
    job = Job(Path(arguments[0]))
    os.nice(10)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    logging.basicConfig(filename=job.path / LOG, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        result = run(job, _print)
    except Exception as error:
        # Whatever it was, the river must be told: the log keeps the traceback.
        log.exception("failed")
        expected = isinstance(error, StreamAffectError | ValueError | ImportError)
        result = Result(status="failed", error=str(error) if expected else f"{type(error).__name__}: {error}")
    (job.path / RESULT).write_text(result.model_dump_json(indent=1) + "\n", "utf-8")
    return 0 if result.status == "done" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
