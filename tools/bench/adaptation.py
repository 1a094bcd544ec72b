"""What the river's workshop waits for: the coreset, adapting a shipped model, one window through each method's graph.

python tools/bench/adaptation.py
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from streamaffect import methods
from streamaffect.bundle.bundle import WEIGHTS, Bundle, SourceMemory
from streamaffect.bundle.registry import find
from streamaffect.evaluate.comparison import generated, unlabelled


def seconds(call: Callable[[], object], times: int = 5) -> float:
    """Median time of a call, after one to warm up."""
    call()
    spent = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        spent.append(time.perf_counter() - begin)
    return float(np.median(spent))


def coreset() -> None:
    pool = np.random.default_rng(0).normal(size=(10_000, 64)).astype(np.float32)
    print(f"coreset of 64 from 10,000 x 64    {1e3 * seconds(lambda: methods.coreset.select(pool, 0.001, 64)):8.1f} ms")


def shipped(name: str) -> None:
    """Adapt a bundle on 64 coreset windows of its own source memory, as the river does."""
    bundle = Bundle.load(find(name))
    source = SourceMemory.load(bundle).known()
    model = methods.load(bundle.path / WEIGHTS)
    rows = methods.coreset.select(model.embed(source.x), 0.01, 64)
    target = methods.UnlabelledSet(source.take(rows).x)
    method = methods.get(bundle.manifest.method, **{"normalise": None, **bundle.manifest.params})
    spent = seconds(lambda: method.adapt(model, source, target, device="cpu"), times=1)
    print(f"{bundle.manifest.method} adapts {name} on 64 windows and {len(source)} of the source {spent:8.1f} s")


def graphs() -> None:
    """Each method's model at batch 1 on one core, through ONNX Runtime."""
    import onnxruntime as ort

    case = next(generated(1))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    target = unlabelled(case.strangers[0])
    for name in methods.names():
        method = methods.get(name)
        if getattr(method, "reads", "any") == "signals":
            continue
        model = method.adapt(method.fit_source(case.source, device="cpu"), case.source, target, device="cpu")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            model.export_onnx(path)
            session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            one = {view: x[:1] for view, x in target.x.items()}
            spent = seconds(lambda s=session, x=one: s.run(["probabilities"], x), times=500)  # type: ignore[misc]
            gap = np.abs(session.run(["probabilities"], dict(target.x))[0] - model.predict_proba(target.x)).max()
            print(
                f"{name:<20} one window {1e3 * spent:7.3f} ms    ONNX - torch {gap:.1e}   {path.stat().st_size / 1024:7.0f} KiB"
            )


def main() -> None:
    coreset()
    for name in ("ecg-load", "eeg-load"):
        shipped(name)
    graphs()


if __name__ == "__main__":
    main()
