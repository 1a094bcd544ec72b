"""M3D beside a dense, straightforward implementation in the same process, on the same rows, with the same labels.

    python tools/bench/m3d.py [--sizes 3000 5000 10000] [--parts adapt tca cts machine]

The reference is written as the papers are: an N x N centring and MMD matrix for TCA, a new M from outer products and a new
N x N system in each of ten iterations, A-distances by scikit-learn's LinearSVC, a general eigensolver for rbf TCA, loops
over every pair of rows for CTS. It leaves out what ours does besides: the ensemble, calibration, the model's rows. The
labels of every iteration are asserted to be the same; ours stops where they stay. Both use the threads they are given.

With OMP_NUM_THREADS=1, seconds of CPU on one of two cores that others used, too (ours, dense; peak of our process):

    adapt, N = 3000      0.53     16.9      32x     0.44 GB
    adapt, N = 5000      1.56     70.4      45x     0.72 GB
    adapt, N = 10000     7.45    513        69x     1.93 GB     (--iterations 2)
    rbf TCA, N = 2000    0.55     34.4      63x
    CTS, m = 1000        0.007     4.2     600x

The limit is the factor of N rows in float32: its N^3 / 3 operations outgrow the N^2 of all else.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamaffect import methods
from streamaffect.methods import linkclue, transduction
from streamaffect.methods.geodesic import geodesic_kernel
from streamaffect.methods.tca import pca, rbf, tca_rbf, unit

Array = npt.NDArray[Any]

CLASSES, WIDTH, ITERATIONS, D = 3, 310, 10, 128
ETA, RHO, LAMBDA, NEIGHBOURS = 0.1, 1.0, 0.4, 10


def people(n: int, m: int, seed: int = 0) -> tuple[methods.LabelledSet, methods.UnlabelledSet]:
    """SEED-like: 310 features, three classes that overlap, four source people, a target that is shifted and stretched."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, n + m)
    x = rng.normal(size=(n + m, WIDTH)) + 0.08 * rng.normal(size=(CLASSES, WIDTH))[y]
    x[n:] = (x[n:] + 0.3 * rng.normal(size=WIDTH)) * (1 + 0.2 * rng.normal(size=WIDTH))
    x = x.astype(np.float32)
    return methods.LabelledSet({"eeg.de": x[:n]}, y[:n], np.arange(n) % 4), methods.UnlabelledSet({"eeg.de": x[n:]})


def dense_features(source: Array, target: Array) -> Array:
    """Primal TCA with N x N matrices, the geodesic flow kernel's root by sqrtm; unit rows (N, 128)."""
    from scipy.linalg import eig, sqrtm

    X = unit(np.concatenate([source, target]).astype(np.float64))
    n, N = len(source), len(X)
    e = np.concatenate([np.full(n, 1 / n), np.full(N - n, -1 / (N - n))])[:, None]
    M = e @ e.T
    M /= np.linalg.norm(M)
    H = np.eye(N) - 1 / N
    values, vectors = eig(X.T @ M @ X + np.eye(WIDTH), X.T @ H @ X)
    W = vectors[:, np.argsort(values.real)[:D]].real
    T = X @ (W / np.linalg.norm(W, axis=0))
    G = geodesic_kernel(pca(T[:n], D // 2), pca(T[n:], D // 2))
    return unit(T @ sqrtm(G).real)


def dense_laplacian(Z: Array) -> Array:
    similarity = Z @ Z.T
    near = np.zeros(similarity.shape, dtype=bool)
    for i, row in enumerate(similarity):
        near[i, np.argsort(-row)[:NEIGHBOURS]] = True
    W = np.where(near | near.T, np.maximum(similarity, 0), 0)
    root = np.diag(1 / np.sqrt(W.sum(axis=1)))
    return np.eye(len(Z)) - root @ W @ root


def a_distance(a: Array, b: Array) -> float:
    from sklearn.svm import LinearSVC

    if min(len(a), len(b)) < 2:
        return 0.0
    rows, sign = np.concatenate([a, b]), np.repeat([1, -1], [len(a), len(b)])
    wrong = (LinearSVC(dual=False, tol=1e-9, max_iter=10_000).fit(rows, sign).predict(rows) != sign).mean()
    return float(np.clip(2 * (1 - 2 * wrong), 0, 2))


def dense_m3d(source: Array, target: Array, y: Array, iterations: int) -> tuple[list[Array], Array]:
    """Labels (m,) of each iteration, eq. 27 solved anew each time; seconds (wall, CPU) of one iteration."""
    from sklearn.neighbors import KNeighborsClassifier

    Z = dense_features(source, target)
    n, N = len(source), len(Z)
    labels = KNeighborsClassifier(1).fit(Z[:n], y).predict(Z[n:])
    K, L = np.exp(Z @ Z.T - 1), dense_laplacian(Z)
    # the class weights of the labelled rows, as m3d has them by default
    weight = np.concatenate([1 / (CLASSES * np.bincount(y, minlength=CLASSES)[y] / n), np.zeros(N - n)])
    A, Y = np.diag(weight), np.zeros((N, CLASSES))
    Y[np.arange(n), y] = 1
    out = []
    clock = Clock()
    for _ in range(iterations):
        d_c = [a_distance(Z[:n][y == c], Z[n:][labels == c]) for c in range(CLASSES)]
        total = a_distance(Z[:n], Z[n:]) + sum(d_c)
        mu = sum(d_c) / total if total else 0.5
        e = np.concatenate([np.full(n, 1 / n), np.full(N - n, -1 / (N - n))])[:, None]
        M = (1 - mu) * (e @ e.T)
        for c in range(CLASSES):
            e = np.zeros((N, 1))
            for i in range(N):
                if (y[i] if i < n else labels[i - n]) == c:
                    e[i] = 1 / (y == c).sum() if i < n else -1 / (labels == c).sum()
            M += mu * (e @ e.T)
        M /= np.linalg.norm(M)
        beta = np.linalg.solve((A + LAMBDA * M + RHO * L) @ K + ETA * np.eye(N), A @ Y)
        labels = (K @ beta)[n:].argmax(axis=1)
        out.append(labels)
    return out, clock() / iterations


class Clock:
    """Seconds since it was made, on the wall and of the CPU: on a machine that others use, only the latter compare."""

    def __init__(self) -> None:
        self._start = self._now()

    def __call__(self) -> Array:
        return self._now() - self._start

    def _now(self) -> Array:
        return np.array([time.perf_counter(), time.process_time()])


def our_m3d(N: int) -> tuple[Array, Array, tuple[Array, Array, Array]]:
    """Seconds (wall, CPU) of ``adapt``, the labels (m, 10) of its iterations, and the rows it had: for the reference."""
    source, target = people(N // 2, N - N // 2)
    method = methods.get("m3d", normalise=None, max_rows=N, start="nearest")
    small = source.take(np.arange(0, len(source), max(1, len(source) // 200)))
    model = methods.get("m3d", normalise=None).fit_source(small, device="cpu")
    kept: list[Array] = []

    def spy(partitions: Array, classes: int, how: str) -> Array:
        kept.append(partitions)
        return linkclue.consensus(partitions, classes, how)

    transduction.consensus, original = spy, transduction.consensus
    try:
        clock = Clock()
        method.adapt(model, source, target, device="cpu")
        took = clock()
    finally:
        transduction.consensus = original
    scaled = [model.scaling.apply(s.x)["eeg.de"] for s in (source, target)]
    return took, kept[0], (scaled[0], scaled[1], source.hard())


def adaptation(N: int, iterations: int) -> None:
    peak = subprocess.run([sys.executable, __file__, "--peak", str(N)], check=True, capture_output=True, text=True).stdout
    our_m3d(600)  # warm
    ours, labels, rows = our_m3d(N)
    print(f"adapt   N = {N:>6}  ours {_both(ours)}, {float(peak):.2f} GB at the peak of its process", flush=True)
    clock = Clock()
    reference, an_iteration = dense_m3d(*rows, iterations)
    dense = clock() + (ITERATIONS - iterations) * an_iteration
    for i, expected in enumerate(reference):
        differ = int((expected != labels[:, i]).sum())
        if differ:
            raise SystemExit(f"iteration {i + 1}: {differ} of {len(expected)} labels differ from the reference's")
    flips = [int((a != b).sum()) for a, b in zip(reference[1:], reference, strict=False)]
    run = "" if iterations == ITERATIONS else f" ({iterations} of {ITERATIONS} iterations run, the others priced alike)"
    print(f"        {'':12} dense {_both(dense)}{run}: {_ratios(dense, ours)}; same labels, changed {flips}", flush=True)


def _both(seconds: Array) -> str:
    return f"{seconds[0]:8.2f} s ({seconds[1]:.2f} s of CPU)"


def _ratios(dense: Array, ours: Array) -> str:
    return f"{dense[0] / ours[0]:.1f}x ({dense[1] / ours[1]:.1f}x of CPU)"


def transfer_components(N: int = 2000) -> None:
    from scipy.linalg import eig

    source, target = people(N // 2, N // 2)
    a, b = (unit(s.x["eeg.de"].astype(np.float64)) for s in (source, target))
    tca_rbf(a[:300], b[:300], D)
    clock = Clock()
    found = tca_rbf(a, b, D).coefficients
    ours = clock()
    print(f"rbf TCA N = {N:>6}  ours {_both(ours)}", flush=True)
    clock = Clock()
    rows = np.concatenate([a, b])
    K, e = rbf(rows, rows, 0.5), np.repeat([1.0, -1.0], N // 2)[:, None] / (N // 2)
    M, H = e @ e.T / float((e * e).sum()), np.eye(N) - 1 / N
    values, vectors = eig(K @ H @ K, K @ M @ K + np.eye(N))
    expected = vectors[:, np.argsort(-values.real)[:D]].real
    dense = clock()
    expected /= np.linalg.norm(expected, axis=0)
    worst = float(1 - np.abs((found * expected).sum(axis=0)).min())
    print(f"        {'':12} dense {_both(dense)}: {_ratios(dense, ours)}; components differ by {worst:.0e} at most", flush=True)


def loop_cts(partitions: Array) -> Array:
    """LinkCluE's CTS over every pair of rows (M columns of labels), decay 0.8."""
    m, T = partitions.shape
    E = partitions + CLASSES * np.arange(T)
    inside = np.stack([(c == E).any(axis=1) for c in range(CLASSES * T)], axis=1)
    w = np.zeros((CLASSES * T, CLASSES * T))
    for i in range(CLASSES * T):
        for j in range(CLASSES * T):
            if i != j:
                w[i, j] = (inside[:, i] & inside[:, j]).sum() / max(1, (inside[:, i] | inside[:, j]).sum())
    triple = np.zeros_like(w)
    for t in range(T):
        for i in range(CLASSES * t, CLASSES * (t + 1)):
            for j in range(CLASSES * t, CLASSES * (t + 1)):
                if i != j:
                    triple[i, j] = np.minimum(w[i], w[j]).sum()
    triple /= triple.max()
    S = np.eye(m)
    for a in range(m):
        for b in range(a + 1, m):
            for t in range(T):
                S[a, b] += 1 if E[a, t] == E[b, t] else 0.8 * triple[E[a, t], E[b, t]]
            S[a, b] /= T
            S[b, a] = S[a, b]
    return S


def consensus(m: int = 1000) -> None:
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    rng = np.random.default_rng(0)
    first = rng.integers(0, CLASSES, m)
    flips = [np.where(rng.random(m) < 0.2 / (t + 1), rng.integers(0, CLASSES, m), first) for t in range(ITERATIONS)]
    partitions = np.stack(flips, axis=1)
    begin = time.perf_counter()
    ours = linkclue.consensus(partitions, CLASSES, "cts-average")
    took = time.perf_counter() - begin
    begin = time.perf_counter()
    distance = squareform(1 - loop_cts(partitions), checks=False)
    clusters = fcluster(linkage(distance, "average"), CLASSES, "maxclust")
    loops = time.perf_counter() - begin
    voted = linkclue.consensus(partitions, CLASSES, "vote")
    expected = np.array([np.bincount(voted[clusters == k], minlength=CLASSES).argmax() for k in clusters])
    print(f"CTS, average linkage, m = {m}: ours {1e3 * took:.1f} ms, loops {loops:.1f} s: {loops / took:.0f}x; "
          f"{(ours == expected).sum()} of {m} labels the same", flush=True)  # fmt: skip


def machine(N: int = 5000) -> None:
    """Batch 1 of the exported graph on one thread, and what fewer rows cost."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    source, target = people(N // 2, N // 2)
    x = target.x["eeg.de"]
    exact: Array | None = None
    for support in (None, 4096, 2048, 1024, 512):
        method = methods.get("m3d", normalise=None, max_rows=N, support=support)
        model = method.adapt(method.fit_source(source.take(np.arange(300)), device="cpu"), source, target, device="cpu")
        p = model.predict_proba({"eeg.de": x})
        exact = p if exact is None else exact
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            model.export_onnx(path)
            session = onnxruntime.InferenceSession(path, options)
            size = path.stat().st_size / 1e6
        times = []
        for i in range(300):
            begin = time.perf_counter()
            session.run(None, {"eeg.de": x[i : i + 1]})
            times.append(time.perf_counter() - begin)
        agree = 100 * float((p.argmax(axis=1) == exact.argmax(axis=1)).mean())
        print(f"machine of {support or N:>6} rows: batch 1 {1e3 * np.median(times):.3f} ms, {size:.1f} MB, "
              f"{agree:.1f} % of all rows' labels, probabilities {np.abs(p - exact).mean():.4f} apart", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[3000, 5000], help="rows N of source and target together")
    parser.add_argument(
        "--parts", nargs="+", default=["adapt", "tca", "cts", "machine"], choices=["adapt", "tca", "cts", "machine"]
    )
    parser.add_argument("--iterations", type=int, default=ITERATIONS, help="of the reference; those left are priced alike")
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak:
        our_m3d(args.peak)
        # the peak of this program: getrusage would count what the parent held when it forked
        status = Path("/proc/self/status").read_text()
        print(int(status.split("VmHWM:")[1].split()[0]) / 1e6)
        return
    if "cts" in args.parts:
        consensus()
    if "machine" in args.parts:
        machine()
    for N in args.sizes if "adapt" in args.parts else []:
        adaptation(N, min(ITERATIONS, args.iterations))
    if "tca" in args.parts:
        transfer_components()


if __name__ == "__main__":
    main()
