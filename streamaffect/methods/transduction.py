"""How ``m3d`` fits, adapts and refines: rows, maps, first labels, the iterations, consensus, one machine. torch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from . import manifold
from .adistance import Distances, svm
from .contract import Float32, Float64, Int64
from .jobs import Adaptation, Fit
from .kernel_machine import KernelMachine, compress
from .laplacian import consecutive, laplacian
from .linkclue import consensus
from .manifold import Maps
from .ridge import calibrate, label_weight, penalty, regress, sample, similarity, stacked
from .srm import Aligned, Problem, System, kernel
from .training import balanced, predict

if TYPE_CHECKING:
    from .cores import Core
    from .m3d import M3D

_PROBE = 512  # rows of the factor that tells how fast this machine is
_BELIEF = 0.5  # weight of the target's labels together, believed or given, against the source's
_FEW = 20.0  # of one given label, at most
_FOLD = 1.5  # iterations that the last solve and the machine are allowed for


def fit(job: Fit, method: M3D) -> KernelMachine:
    """Kernel ridge regression on the source alone, on its principal components."""
    x, y, rows = stacked(job.x), job.y, sample(job, method.max_rows)
    settings = manifold.Settings("none" if method.reduction == "none" else "pca", manifold="none", d=method.d)
    maps = manifold.learn(x[rows], x[rows], settings)
    z = maps(x[rows])
    job.tell(0.3)
    weight = label_weight(y[rows], method)
    beta = regress(z, y[rows], weight, method, job.device)
    job.tell(0.8)
    sharpness = calibrate(job, method, maps, method.max_rows)[0]
    return machine(job, method, maps, z, beta, np.ones(len(z)), sharpness, adapted=False)


def adapt(job: Adaptation, method: M3D) -> KernelMachine:
    """M3D's algorithm 1, and its result folded into one machine for windows to come."""
    limit = affordable(job, method)
    source, target = sample(job, limit), Target.of(job)
    answers = posteriors(job)
    y = job.y[source]
    marginal = y @ job.ratio(answers)
    x = stacked(job.x)[source]
    maps = manifold.learn(x, target.x, _settings(method), marginal)
    job.tell(0.1)
    run = Run(job, method, maps(x), y, marginal, maps(target.x), target)
    labels = run.iterate(run.first(answers))
    beta, f = run.fold(labels)
    sharpness, ridge_scores = calibrate(job, method, maps, limit)
    # the alignment shrinks the scores: as far apart as those that the sharpness was fitted to
    sharpness *= _spread(ridge_scores(run.zt[: target.m])) / max(_spread(f[len(y) : len(y) + target.m]), 1e-9)
    return machine(job, method, maps, np.concatenate([run.zs, run.zt]), beta, run.is_target, sharpness, adapted=True)


def refine(job: Adaptation, method: M3D, core: Core, labels: Float32, weight: Float32) -> KernelMachine:
    """The same problem with ``labels`` (m, C) of the target weighed by ``weight`` (m,), in the maps of ``core``.

    The believed windows count half as much as the source, together, as in the other closed forms; sharpness stays.
    """
    machine_before = cast("KernelMachine", core)
    maps = _maps(machine_before)
    source, target = sample(job, affordable(job, method)), Target.of(job)
    y = job.y[source]
    run = Run(job, method, maps(stacked(job.x)[source]), y, y @ job.ratio(labels), maps(target.x), target, labels, weight)
    said = target.known.copy()
    said[: target.m] = labels.argmax(axis=1)
    beta, _ = run.fold(said)
    z = np.concatenate([run.zs, run.zt])
    return machine(job, method, maps, z, beta, run.is_target, float(machine_before.sharpness), adapted=True)


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Rows (m + few, D) of the person: ``m`` unlabelled, then the few labelled ones; ``known`` class or -1; ``y`` (k, C)."""

    x: Float32
    m: int
    known: Int64
    y: Float32

    @classmethod
    def of(cls, job: Adaptation) -> Target:
        x = stacked(job.target)
        if job.few is None:
            return cls(x, len(x), np.full(len(x), -1), np.empty((0, job.classes), np.float32))
        views, y = job.few
        known = np.concatenate([np.full(len(x), -1), y.argmax(axis=1)])
        return cls(np.concatenate([x, stacked(views)]), len(x), known, y)


class Run:
    """One transductive problem: rows of both domains in ``z`` space, solved for any labels of the target."""

    def __init__(
        self, job: Adaptation, method: M3D, zs: Float64, y: Float32, marginal: Float64, zt: Float64, target: Target,
        labels: Float32 | None = None, believed: Float32 | None = None,
    ) -> None:  # fmt: skip
        self.job, self.method, self.zs, self.zt, self.target = job, method, zs, zt, target
        self.n, self.classes = len(zs), y.argmax(axis=1)
        self.is_target = np.repeat([0.0, 1.0], [len(zs), len(zt)])
        given = np.zeros((len(zt), job.classes))
        weight = np.zeros(len(zt))
        if labels is not None and believed is not None and believed.any():
            given[: target.m] = labels
            weight[: target.m] = believed * (labels @ balanced(labels[believed > 0]))
            weight *= _BELIEF * self.n / weight.sum()
        given[target.m :] = target.y
        if few := len(target.y):
            weight[target.m :] = min(_FEW, _BELIEF * self.n / few) * label_weight(target.y, method)
        rows = torch.from_numpy(np.concatenate([zs, zt]))
        cosine = similarity(rows, job.device)
        self._nearest = cosine[self.n :, : self.n].argmax(1).cpu().numpy()
        edges = (consecutive(job.trial, self.n), method.temporal) if method.temporal > 0 else None
        L = laplacian(cosine, method.neighbours, edges) if method.rho > 0 or edges else None
        problem = Problem(
            weight=np.concatenate([label_weight(y, method), weight]),
            y=np.concatenate([y, given]),
            classes=self.classes,
            marginal=marginal / marginal.sum(),
            strength=method.strength,
            boost=float(job.classes) if method.mu == "meda" else 1.0,
        )
        system = System(kernel(cosine, method.gamma), penalty(problem.weight, L, method.rho), method.eta)
        self.aligned = Aligned(system, problem)
        self._distances: Distances | None = None

    def first(self, answers: Float64) -> Int64:
        """The labels (m,) that the iterations begin with; what is known stays."""
        start = self.method.start
        if start == "auto":
            start = "incumbent" if getattr(self.job.core, "adapted", False) else "nearest"
        if start == "incumbent":
            labels = self.target.known.copy()
            labels[: self.target.m] = answers.argmax(axis=1)
        elif start == "nearest":
            labels = self.classes[self._nearest]
        elif start == "linear":
            labels = _one_against_all(self.zs, self.classes, self.job.classes, self.zt)
        else:
            from sklearn.tree import DecisionTreeClassifier

            labels = DecisionTreeClassifier(random_state=self.job.seed).fit(self.zs, self.classes).predict(self.zt)
        return self._keep_known(labels)

    def iterate(self, labels: Int64) -> Int64:
        """The consensus of the iterations' labels. At a fixed point those that are left would repeat the last."""
        total, took = self.method.iterations, 0.0
        said: list[Int64] = []
        for i in range(total):
            before = time.perf_counter()
            if said and before + _FOLD * took > self.job.deadline:
                break
            mu = self.mu(labels)
            following = self._keep_known(self.aligned.scores(labels, mu)[self.n :].argmax(axis=1))
            changed = float((following != labels).mean())
            said.append(following)
            took = max(took, time.perf_counter() - before)
            self.job.tell(0.2 + 0.7 * (i + 1) / total, mu=mu, changed=changed, iteration=i + 1)
            if changed == 0:
                said += [following] * (total - len(said))
                break
            labels = following
        return self._keep_known(consensus(np.stack(said, axis=1), self.job.classes, self.method.ensemble))

    def fold(self, labels: Int64) -> tuple[Float64, Float64]:
        """beta (N, C) and scores (N, C) of a last solve with these labels."""
        f = self.aligned.scores(labels, self.mu(labels))
        return self.aligned.beta(), f

    def mu(self, labels: Int64) -> float:
        if not isinstance(self.method.mu, str):
            return float(self.method.mu)
        if self._distances is None:
            seed, error = self.job.seed, self.method.error
            self._distances = Distances(self.zs, self.zt, self.classes, self.job.classes, error, seed)
        return self._distances.mu(labels, self.method.mu)

    def _keep_known(self, labels: Int64) -> Int64:
        return np.where(self.target.known >= 0, self.target.known, labels)


def affordable(job: Adaptation, method: M3D) -> int:
    """``max_rows`` of the source, fewer where their problem would not fit into the time that is left.

    N rows cost about ``3 a N^2 (N + 4000)``, a the seconds of a Cholesky factor over its rows cubed, as measured here.
    """
    if job.budget_s is None:
        return method.max_rows
    probe = torch.eye(_PROBE, device=job.device) + 0.5
    took = []
    for _ in range(3):
        before = time.perf_counter()
        int(torch.linalg.cholesky_ex(probe)[1])
        took.append(time.perf_counter() - before)
    left = max(0.0, 0.6 * (job.deadline - time.perf_counter())) * _PROBE**3 / (3 * float(np.median(took)))
    rows = np.arange(1, method.max_rows + 1) + len(next(iter(job.target.values())))
    fits = int((rows**2 * (rows + 4000.0) <= left).sum())
    return int(min(method.max_rows, max(fits, 16 * job.classes)))


def machine(
    job: Fit, method: M3D, maps: Maps, z: Float64, beta: Float64, first: Float64, sharpness: float, *, adapted: bool
) -> KernelMachine:
    """The core of these maps and coefficients, with at most ``method.support`` rows."""
    support, coefficients = compress(z, beta, first, method.gamma, method.support or len(z), job.seed)
    anchors = maps.anchors if maps.anchors is not None else np.empty((0, maps.project.shape[0]))
    core = KernelMachine(
        anchors.shape[1], maps.project.shape[1], len(support), beta.shape[1], method.gamma,
        len(anchors), maps.gamma, adapted=adapted,
    )  # fmt: skip
    values = {"anchors": anchors, "project": maps.project, "support": support, "beta": coefficients, "sharpness": sharpness}
    core.load_state_dict(
        {name: torch.tensor(np.ascontiguousarray(value), dtype=torch.float32) for name, value in values.items()}
    )
    return core


def posteriors(job: Adaptation) -> Float64:
    """(m, C) of the incumbent on the target."""
    logits = predict(job.core, [torch.as_tensor(view, device=job.device) for view in job.target.values()])
    return np.asarray(torch.softmax(logits.double() / job.temperature, 1).cpu())


def _maps(core: KernelMachine) -> Maps:
    anchors = core.anchors.cpu().double().numpy()
    return Maps(core.project.cpu().double().numpy(), anchors if len(anchors) else None, core.map_gamma)


def _settings(method: M3D) -> manifold.Settings:
    return manifold.Settings(
        method.reduction, method.tca_kernel, method.manifold, method.d, method.dim, method.tca_gamma, method.tca_ridge
    )


def _one_against_all(z: Float64, classes: Int64, count: int, rows: Float64) -> Int64:
    w = np.stack([svm(z, np.where(classes == c, 1.0, -1.0)) for c in range(count)])
    answers: Int64 = (rows @ w[:, :-1].T + w[:, -1]).argmax(axis=1)
    return answers


def _spread(scores: Float64) -> float:
    """How far the classes' scores lie apart, root mean square."""
    return float((scores - scores.mean(axis=1, keepdims=True)).std())
