"""HeLo's transport beside POT's in the same run, and what a window costs by the network's size.

    OMP_NUM_THREADS=1 python tools/bench/helo.py

On two shared cores, both busy (median of a second's calls; 20 iterations each, on one thread):

    128 plans of 24 x 24                          2.03 ms    POT batched   3.9x   one at a time  128.0x
    128 plans of 8 x 8                            0.35 ms    POT batched   4.4x   one at a time  694.4x
    1 plans of 24 x 24                            0.13 ms    POT batched   3.9x   one at a time   14.9x
    one window, WESAD's views, 26 emotions        0.26 ms    0.30 million parameters
    one window, DMER's views, 10 emotions         0.34 ms    1.42 million parameters
    the same, width 128 as in the paper           0.52 ms    3.11 million parameters
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import ot
import torch
from ot.batch import solve_batch

from streamaffect.methods import transport
from streamaffect.methods.helo_network import HeloNetwork
from streamaffect.methods.model import CoreModel
from streamaffect.methods.scaling import Scaling

EPS, ITERATIONS = 0.1, 20
SIZES = ((128, 24), (128, 8), (1, 24))  # problems, tokens
DMER = {"eeg.de": (90,), "gsr.stats": (28,), "ppg.stats": (27,), "video.lbp": (768,)}  # Table 6
WESAD = {"ecg.hrv": (73,), "eda.stats": (4,), "emg.stats": (14,), "acc.stats": (12,)}  # Table 7


def milliseconds(call: Callable[[], object], seconds: float = 1.0) -> float:
    """Median time of one call, after one to warm up."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return 1e3 * float(np.median(times))


def sinkhorn(problems: int, tokens: int) -> str:
    """All problems in one batch, beside POT's log-domain Sinkhorn, batched and one at a time: as many iterations each."""
    rng = torch.Generator().manual_seed(0)
    x, y = (torch.randn(problems, tokens, 64, generator=rng) for _ in range(2))
    cost = transport.cosine_cost(x, y)
    even = torch.full((problems, tokens), 1 / tokens)
    one = even[0].numpy().astype(np.float64)
    costs = cost.double().numpy()

    def ours() -> torch.Tensor:
        return transport.plan(cost, even, even, EPS, ITERATIONS, largest=2.0)

    def batched() -> torch.Tensor:
        return solve_batch(cost, EPS, even, even, ITERATIONS, tol=0, method="log_sinkhorn", grad="detach").plan

    def alone() -> list[np.ndarray]:
        options = {"method": "sinkhorn_log", "numItermax": ITERATIONS, "stopThr": 0.0, "warn": False}
        return [ot.sinkhorn(one, one, c, EPS, **options) for c in costs]

    difference = float(np.abs(ours().numpy() - np.stack(alone())).max()) * tokens
    mine, peer, loop = milliseconds(ours), milliseconds(batched), milliseconds(alone)
    peers = f"POT batched {peer / mine:>5.1f}x   one at a time {loop / mine:>6.1f}x   plans differ by {difference:.0e}"
    return f"{f'{problems} plans of {tokens} x {tokens}':<42}{mine:>8.2f} ms    {peers}"


def window(name: str, shapes: dict[str, tuple[int, ...]], query: str, behaviour: str, classes: int, **design: int) -> str:
    """Parameters of the network, and one window's time in ONNX Runtime on one thread."""
    core = HeloNetwork(shapes, classes, query, [behaviour], **design)
    data = {view: np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32) for view, shape in shapes.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        CoreModel("helo", shapes, core, Scaling.of(data), classes, {}).export_onnx(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options)
    one = {view: x[:1] for view, x in data.items()}
    spent = milliseconds(lambda: session.run(None, one))
    parameters = sum(p.numel() for p in core.parameters())
    return f"{name:<42}{spent:>8.2f} ms    {parameters / 1e6:.2f} million parameters"


def main() -> None:
    torch.set_num_threads(1)
    with torch.inference_mode():
        for problems, tokens in SIZES:
            print(sinkhorn(problems, tokens))
    print(window("one window, WESAD's views, 26 emotions", WESAD, "ecg.hrv", "acc.stats", 26))
    print(window("one window, DMER's views, 10 emotions", DMER, "eeg.de", "video.lbp", 10))
    print(window("the same, width 128 as in the paper", DMER, "eeg.de", "video.lbp", 10, width=128))


if __name__ == "__main__":
    main()
