"""One epoch of SDC-Net, and one LMMD, beside a literal writing of their papers, in the same process.

    OMP_NUM_THREADS=1 python tools/bench/sdcnet.py

The literal epoch is what the paper's algorithm says, line by line: SS-Mix of every trial of source and target, MMD and
CMMD each with its own kernel matrices, one exponential a bandwidth, from broadcast differences, Eq. 20 with its inverses,
pairs picked by masks. The literal LMMD is DSAN's, class weights by numpy. Before anything is timed, values and gradients
of both writings are compared. Times are CPU time of one thread, which other work on the machine disturbs less.

On one of two busy cores (``--epochs 5``):

    largest relative difference of loss and gradient, batch 32  1.1e-12
    largest relative difference of loss and gradient, batch 128 3.9e-13
    LMMD, 32 + 32 rows   DSAN's     0.57 ms   ours   0.26 ms     2.2x
    LMMD, 128 + 128 rows   DSAN's    16.93 ms   ours   0.66 ms    25.8x
    epoch of 600 windows beside 8400, batch 32   literal     89.2 ms   ours   24.3 ms     3.7x
    epoch of 600 windows beside 8400, batch 128  literal    168.2 ms   ours   12.6 ms    13.4x

What bounds a step of 32 windows is not arithmetic but the number of tensor operations, microseconds each.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from streamaffect import methods
from streamaffect.methods.cores import Core
from streamaffect.methods.jobs import Adaptation
from streamaffect.methods.kernels import BANDWIDTHS, gram, lmmd
from streamaffect.methods.sdc_objective import SDCObjective, Weights
from streamaffect.methods.sdcnet import SDCNet
from streamaffect.methods.similarity import thresholds
from streamaffect.methods.training import Rows, cross_entropy


def kernels(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """Eq. 12 between the rows of ``a`` and ``b``: five exponentials of broadcast differences."""
    d2 = (a[:, None, :] - b[None, :, :]).square().sum(2)
    return torch.stack([torch.exp(-d2 / (h * 2.0**e)) for e in range(-2, 3)]).sum(0)


def bandwidth(source: Tensor, target: Tensor) -> Tensor:
    rows = torch.cat([source, target]).detach()
    return (rows[:, None, :] - rows[None, :, :]).square().sum() / (len(rows) ** 2 - len(rows))


def literal_mmd(source: Tensor, target: Tensor) -> Tensor:
    """Eq. 11."""
    h = bandwidth(source, target)
    n, m = len(source), len(target)
    within = kernels(source, source, h).sum() / n**2 + kernels(target, target, h).sum() / m**2
    return within - 2 * kernels(source, target, h).sum() / (n * m)


def literal_cmmd(source: Tensor, target: Tensor, y: Tensor, pseudo: Tensor, ridge: float) -> Tensor:
    """Eq. 20, over the classes that both sides have; ``y`` (n, C) and ``pseudo`` (m, C) one-hot or zero rows."""
    both = ((y.sum(0) > 0) & (pseudo.sum(0) > 0)).to(y)
    xi_s, xi_t = (y * both).T, (pseudo * both).T
    labels_s, labels_t, labels_ts = xi_s.T @ xi_s, xi_t.T @ xi_t, xi_t.T @ xi_s
    inverse_s = torch.linalg.inv(labels_s + ridge * torch.eye(len(y)).to(y))
    inverse_t = torch.linalg.inv(labels_t + ridge * torch.eye(len(pseudo)).to(y))
    h = bandwidth(source, target)
    total = torch.trace(labels_s @ inverse_s @ kernels(source, source, h) @ inverse_s)
    total = total + torch.trace(labels_t @ inverse_t @ kernels(target, target, h) @ inverse_t)
    total = total - 2 * torch.trace(labels_ts @ inverse_s @ kernels(source, target, h) @ inverse_t)
    return total / both.sum().clamp_min(1)


def literal_pairs(probabilities: Tensor, alike: Tensor, chosen: Tensor) -> Tensor:
    """Eq. 24 and 26 on the cosine of the softmax outputs, pairs of a window with itself left out."""
    norm = probabilities.norm(dim=1)
    S = 1e-5 + (1 - 2e-5) * probabilities @ probabilities.T / (norm[:, None] * norm[None, :])
    losses = -(alike * torch.log(S) + (1 - alike) * torch.log(1 - S))
    chosen = chosen & ~torch.eye(len(S), dtype=torch.bool)
    return losses[chosen].mean() if chosen.any() else S.sum() * 0


def literal_loss(core: Core, source: Rows, target: Rows, p: float, params: SDCNet, weights: Weights) -> Tensor:
    """Eq. 27 term by term."""
    n = len(source)
    views = [torch.cat(pair) for pair in zip(source.views, target.views, strict=True)]
    embedding, logits = core(views, views[0].new_ones(len(views[0]), len(views)))
    a, b, probabilities = embedding[:n], embedding[n:], torch.softmax(logits, 1)
    confidence, labels = probabilities[n:].detach().max(1)
    tau = params.tau_start + (params.tau_end - params.tau_start) * p
    pseudo = torch.nn.functional.one_hot(labels, logits.shape[1]).to(logits) * (confidence >= tau).to(logits)[:, None]
    unit = torch.nn.functional.normalize(probabilities[n:].detach())
    upper, lower = thresholds(p, params.upper, params.lower)
    verdict = unit @ unit.T
    loss = cross_entropy(logits[:n], source.y, source.weight) + weights.alpha * literal_mmd(a, b)
    loss = loss + weights.beta * literal_cmmd(a, b, source.y, pseudo, params.ridge)
    agree = source.y @ source.y.T
    loss = loss + weights.beta * literal_pairs(probabilities[:n], agree, torch.ones_like(agree, dtype=torch.bool))
    picked = (verdict >= upper) | (verdict < lower)
    return loss + weights.target_pairs * literal_pairs(probabilities[n:], (verdict >= upper).to(logits), picked)


def literal_mix(x: np.ndarray, groups: list[np.ndarray], alpha: float, rng: np.random.Generator) -> np.ndarray:
    """SS-Mix trial by trial; half of the windows, as ours."""
    mixed = x.copy()
    for rows in groups:
        for i in rows:
            if rng.random() < 0.5:
                omega = np.float32(rng.beta(alpha, alpha))
                mixed[i] = omega * x[i] + (1 - omega) * x[rng.choice(rows)]
    return mixed


@dataclass(frozen=True, kw_only=True)
class Literal(SDCNet):
    """SDC-Net as its pages are written."""

    def _adapt(self, job: Adaptation) -> Core:
        objective = SDCObjective(self, job)
        core = copy.deepcopy(job.core)
        optimiser = torch.optim.Adam(core.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        rng = np.random.default_rng(job.seed)
        (view,) = job.x
        keys = np.stack([job.source.subject, job.source.trial], 1)
        of_source = [np.flatnonzero((keys == key).all(1)) for key in np.unique(keys, axis=0)]
        of_target = [np.flatnonzero(job.trial == trial) for trial in np.unique(job.trial)]
        epochs = self.adapt_epochs or 1
        for epoch in range(epochs):
            source, target = copy.copy(objective.source), copy.copy(objective.target)
            source.views = [torch.from_numpy(literal_mix(job.x[view], of_source, self.mix_alpha, rng))]
            target.views = [torch.from_numpy(literal_mix(job.target[view], of_target, self.mix_alpha, rng))]
            order = rng.permutation(len(target))
            for k, rows in enumerate(np.array_split(order, math.ceil(len(order) / self.batch_size))):
                p = (epoch + k * self.batch_size / len(order)) / epochs
                core.train()
                few = rng.choice(len(source), self.batch_size, replace=False)
                weights = Weights(2 / (1 + math.exp(10 * p)), 1.0, 2 * p)
                loss = literal_loss(core, source.take(few), target.take(rows), p, self, weights)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        return core.eval()


def recordings(subjects: int, seed: int = 0) -> tuple[methods.LabelledSet, methods.UnlabelledSet]:
    """15 trials of 40 windows of 310 features and three classes a subject, in the size and shape of SEED's sessions."""
    rng = np.random.default_rng(seed)
    means, trial = 0.1 * rng.normal(size=(3, 310)), np.repeat(np.arange(15), 40)
    y = trial % 3
    people = [means[y] + 0.2 * rng.normal(size=310) + rng.normal(size=(len(y), 310)) for _ in range(subjects + 1)]
    subject = np.repeat(np.arange(subjects), len(y))
    source = methods.LabelledSet(
        {"eeg.de": np.concatenate(people[:-1])}, np.tile(y, subjects), subject, np.tile(trial, subjects)
    )
    return source, methods.UnlabelledSet({"eeg.de": people[-1]}, trial)


def same_losses(batch: int, epochs: int = 8) -> float:
    """The largest relative difference of value and gradient over a run's progress, on one batch without dropout."""
    captured: list[Adaptation] = []

    class Spy(SDCNet):
        def _adapt(self, job: Adaptation) -> Core:
            captured.append(job)
            return job.core

    source, target = recordings(2)
    params = {"epochs": epochs, "rho_0": 9.0, "rho_1": 9.0, "batch_size": batch}
    model = Spy(**params).fit_source(source, device="cpu")
    Spy(**params).adapt(model, source, target, device="cpu")
    (job,), worst = captured, 0.0
    objective, core, rng = SDCObjective(SDCNet(**params), job), job.core.double(), np.random.default_rng(0)
    for rows in (objective.source, objective.target):  # differences are then of the writing, not of rounding
        rows.views, rows.y, rows.weight = [view.double() for view in rows.views], rows.y.double(), rows.weight.double()
    objective._ratio = objective._ratio.double()
    for p in (0.05, 0.3, 0.6, 0.95):
        a = objective.source.take(rng.choice(len(objective.source), batch, replace=False))
        b = objective.target.take(rng.choice(len(objective.target), batch, replace=False))
        ours, terms = objective.loss(core, a, b, p)
        weights = Weights(*(float(terms[name]) for name in Weights._fields))
        theirs = literal_loss(core, a, b, p, objective.params, weights)
        weights_of = list(core.parameters())
        grads = [torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights_of)]) for loss in (ours, theirs)]
        gap = float((ours - theirs).abs().detach() / theirs.abs().detach())
        worst = max(worst, gap, float((grads[0] - grads[1]).norm() / grads[1].norm()))
    return worst


def dsan_lmmd(source: Tensor, target: Tensor, y: Tensor, probabilities: Tensor) -> Tensor:
    """The LMMD of DSAN's public code."""
    rows = torch.cat([source, target])
    size, n, classes = len(rows), len(source), probabilities.shape[1]
    d2 = ((rows[None, :, :].expand(size, size, -1) - rows[:, None, :].expand(size, size, -1)) ** 2).sum(2)
    h = d2.data.sum() / (size**2 - size) / 2.0**2
    K = torch.stack([torch.exp(-d2 / (h * 2.0**i)) for i in range(5)]).sum(0)
    onehot, soft = np.eye(classes)[y.numpy()], probabilities.numpy()
    onehot, soft = onehot / np.maximum(onehot.sum(0), 1), soft / soft.sum(0)
    ss, tt, st, count = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n)), 0
    for c in set(y.numpy()) & set(probabilities.numpy().argmax(1)):
        s, t = onehot[:, c, None], soft[:, c, None]
        ss, tt, st, count = ss + s @ s.T, tt + t @ t.T, st + s @ t.T, count + 1
    w_ss, w_tt, w_st = (torch.from_numpy(w / count).float() for w in (ss, tt, st))
    return (w_ss * K[:n, :n] + w_tt * K[n:, n:] - 2 * w_st * K[:n, n:]).sum()


def median_ms(call: Callable[[], object], times: int) -> float:
    call()
    took = []
    for _ in range(times):
        begin = time.process_time()
        call()
        took.append(time.process_time() - begin)
    return 1e3 * float(np.median(took))


def local_mmd(batch: int, times: int) -> tuple[float, float]:
    """Milliseconds of forward and backward: DSAN's way, ours. AssertionError where values or gradients differ."""
    torch.manual_seed(0)
    a, b = torch.randn(batch, 64, requires_grad=True), torch.randn(batch, 64) + 0.5
    b.requires_grad_()
    y, probabilities = torch.randint(3, (batch,)), torch.softmax(3 * torch.randn(batch, 3), 1)
    labels = torch.eye(3)[y]

    def ours() -> tuple[Tensor, ...]:
        return torch.autograd.grad(BANDWIDTHS * lmmd(gram(torch.cat([a, b]), "multi"), labels, probabilities, 0.0), (a, b))

    def theirs() -> tuple[Tensor, ...]:
        return torch.autograd.grad(dsan_lmmd(a, b, y, probabilities), (a, b))

    for one, other in zip(ours(), theirs(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)
    return median_ms(theirs, times), median_ms(ours, times)


def epoch_ms(
    kind: type[SDCNet],
    epochs: int,
    params: dict[str, float],
    model: methods.Model,
    source: methods.LabelledSet,
    target: methods.UnlabelledSet,
) -> float:
    """Of ``epochs`` + 1 less one, so that what is done once (standardisation, hold-out) is not counted."""
    took = []
    for n in (1, epochs + 1):
        begin = time.process_time()
        kind(adapt_epochs=n, **params).adapt(model, source, target, device="cpu")
        took.append(time.process_time() - begin)
    return 1e3 * (took[1] - took[0]) / epochs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=14)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--times", type=int, default=30)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for batch in (32, 128):
        print(f"largest relative difference of loss and gradient, batch {batch:<4}{same_losses(batch):.1e}")
    for batch in (32, 128):
        theirs, ours = local_mmd(batch, args.times)
        print(f"LMMD, {batch} + {batch} rows   DSAN's {theirs:8.2f} ms   ours {ours:6.2f} ms   {theirs / ours:5.1f}x")
    source, target = recordings(args.subjects)
    for batch in (32, 128):
        params = {"epochs": 3, "batch_size": batch, "rho_0": 9.0, "rho_1": 9.0}
        model = SDCNet(**params).fit_source(source, device="cpu")
        theirs, ours = (epoch_ms(kind, args.epochs, params, model, source, target) for kind in (Literal, SDCNet))
        print(
            f"epoch of {len(target)} windows beside {len(source)}, batch {batch:<4} literal {theirs:8.1f} ms"
            f"   ours {ours:6.1f} ms   {theirs / ours:5.1f}x"
        )


if __name__ == "__main__":
    main()
