"""What the papers print on the same data sets. Read beside our figures, never as if they were measured alike.

Most report plain accuracy. What is known to be wrong or chosen by target labels is said in ``caution``; where their protocol
is another than ours, :func:`differs` says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamaffect.evaluate.report.file import Evaluation

SDCNET = "Tang et al., SDC-Net: A Domain Adaptation Framework with Semantic-Dynamic Consistency for Cross-Subject EEG"
M3D = "Luo et al., M3D: Manifold-based Domain Adaptation with Dynamic Distribution for Non-Deep Transfer Learning"
DYNAMIC = "Anonymous, dynAmiC: Dynamic Domain Adaptation with Efficient Coreset Selection"
HELO = "Zheng et al., HeLo: Heterogeneous Multi-Modal Fusion with Label Correlation for Emotion Distribution Learning"

_BEST_EPOCH = "the authors' code reports the best of 200 epochs by target labels"
_BEST_OF = "the best of several start classifiers and ensembles, chosen by target labels"
_FEW_LABELS = "a quarter of the person's windows are used with labels; windows overlap"
_SAME_ROW = "suspect: this figure is printed for DREAMER too, digit for digit"
_SAME_AS_WESAD = "suspect: this figure is printed for WESAD too, digit for digit"
_BESIDE_SUSPECT = "suspect: its ablations beside it are printed for DREAMER too, digit for digit"
_NO_ADAPTATION = "trained on the other people, no adaptation; which PANAS items make up an emotion is not told"


@dataclass(frozen=True, slots=True)
class Published:
    """One figure of a paper: ``score`` (a key of the evaluation's scores) in 0..1, ``std`` over people where it is told,
    ``classes`` how many were told apart (of distributions: None)."""

    datasets: tuple[str, ...]
    method: str
    task: str
    classes: int | None
    score: str
    value: float
    std: float | None
    paper: str
    place: str
    caution: str

    @property
    def protocol(self) -> str:
        """In the words of ours."""
        if self.paper == DYNAMIC and self.method.startswith("dynAmiC"):
            return "split, with a few labels"
        return "without adaptation" if self.paper in (DYNAMIC, HELO) else "transductive"


_SEED = ("seed", "seed_de", "seed_de_lds")
_SEED_IV = ("seed_iv", "seed_iv_de", "seed_iv_de_lds")
_SEED_V = ("seed_v", "seed_v_de")
_FACED = ("faced", "faced_de")
_WESAD = ("wesad", "wesad_e4", "wesad_wrist")
_ONE, _ALL = "one session", "all sessions"


def _accuracy(
    sets: tuple[str, ...], method: str, task: str, classes: int, percent: tuple[float, float | None], paper: str, *about: str
) -> Published:
    value, std = percent
    place, caution = about
    return Published(
        sets, method, task, classes, "accuracy", value / 100, None if std is None else std / 100, paper, place, caution
    )


def _shares(sets: tuple[str, ...], values: tuple[float, ...]) -> tuple[Published, ...]:
    names = ("chebyshev", "clark", "canberra", "kl", "cosine", "intersection")
    task, place = "people never seen", "Table 2"
    return tuple(
        Published(sets, "HeLo", task, None, name, value, None, HELO, place, _NO_ADAPTATION)
        for name, value in zip(names, values, strict=True)
    )


FIGURES: tuple[Published, ...] = (
    _accuracy(_SEED, "SDC-Net", _ONE, 3, (91.85, 5.98), SDCNET, "Table II", _BEST_EPOCH),
    _accuracy(_SEED, "SDC-Net", _ALL, 3, (82.22, 4.68), SDCNET, "Table V", _BEST_EPOCH),
    _accuracy(_SEED, "M3D", _ONE, 3, (84.57, 9.49), M3D, "Table 2", f"{_BEST_OF}: its own last answer is 79.66"),
    _accuracy(_SEED, "M3D", _ALL, 3, (77.05, 7.61), M3D, "Table 6", _BEST_OF),
    _accuracy(_SEED_IV, "SDC-Net", _ONE, 4, (74.88, 10.47), SDCNET, "Table III", _BEST_EPOCH),
    _accuracy(_SEED_IV, "SDC-Net", _ALL, 4, (68.84, 8.05), SDCNET, "Table V", _BEST_EPOCH),
    _accuracy(_SEED_IV, "M3D", _ONE, 4, (60.94, 8.84), M3D, "Table 3", _BEST_OF),
    _accuracy(_SEED_IV, "M3D", _ALL, 4, (64.90, 10.23), M3D, "Table 7", _BEST_OF),
    _accuracy(_SEED_V, "M3D", _ONE, 5, (65.25, 7.87), M3D, "Table 4", _BEST_OF),
    _accuracy(_SEED_V, "M3D", _ALL, 5, (59.15, 9.30), M3D, "Table 8", _BEST_OF),
    _accuracy(_FACED, "SDC-Net", "two classes", 2, (75.20, 8.46), SDCNET, "Table IV", _BEST_EPOCH),
    _accuracy(_FACED, "SDC-Net", "nine classes", 9, (42.40, 6.55), SDCNET, "Table IV", f"{_BEST_EPOCH}; DANN there: 54.10"),
    _accuracy(_WESAD, "dynAmiC", "stress or not", 2, (89.12, 8.91), DYNAMIC, "Table 2", _FEW_LABELS),
    _accuracy(_WESAD, "dynAmiC, MMD alone", "stress or not", 2, (90.14, 5.67), DYNAMIC, "Table 2", _FEW_LABELS),
    _accuracy(_WESAD, "dynAmiC", "three states", 3, (73.77, 8.51), DYNAMIC, "Table 2", f"{_SAME_ROW}; {_FEW_LABELS}"),
    _accuracy(_WESAD, "dynAmiC", "four states", 4, (86.5, 7.9), DYNAMIC, "Table 2", _BESIDE_SUSPECT),
    _accuracy(_WESAD, "LDA, Schmidt et al.", "stress or not", 2, (85.44, None), DYNAMIC, "Table 2", "quoted there"),
    _accuracy(_WESAD, "LDA, Schmidt et al.", "three states", 3, (66.29, None), DYNAMIC, "Table 2", "quoted there"),
    _accuracy(("dreamer",), "dynAmiC", "valence", 2, (73.77, 8.51), DYNAMIC, "Table 3", f"{_SAME_AS_WESAD}; {_FEW_LABELS}"),
    _accuracy(("dreamer-arousal",), "dynAmiC", "arousal", 2, (73.60, 8.91), DYNAMIC, "Table 3", _FEW_LABELS),
    _accuracy(("dreamer-dominance",), "dynAmiC", "dominance", 2, (72.35, 6.35), DYNAMIC, "Table 3", _FEW_LABELS),
    *_shares(_WESAD, (0.0403, 0.3455, 0.9329, 0.0283, 0.9790, 0.9154)),
    *_shares(("dmer",), (0.0882, 0.6289, 1.7603, 0.1027, 0.9148, 0.8194)),
)


def beside(evaluation: Evaluation) -> list[Published]:
    """The figures on the data set that was tested on, of as many classes or of distributions."""
    tested, classes = evaluation.datasets[-1], len(evaluation.classes) if evaluation.exclusive else None
    there = [one for one in FIGURES if tested in one.datasets and (one.classes is None) == (classes is None)]
    return sorted(there, key=lambda one: one.classes != classes)


def differs(evaluation: Evaluation, one: Published) -> list[str]:
    """Why the two cannot be put side by side without a word; the way in which windows were made always differs."""
    why = []
    if evaluation.protocol != one.protocol:
        why.append(f"ours is {evaluation.protocol}, theirs {one.protocol}")
    if evaluation.kind != "loso":
        trained = "a model that was there before" if evaluation.kind == "bundle" else "another set"
        why.append(f"ours comes from {trained}, theirs leaves one person out")
    if one.classes is not None and one.classes != len(evaluation.classes):
        why.append(f"{len(evaluation.classes)} classes here, {one.classes} there")
    if one.classes is None:
        parts = "ten emotions there" if "dmer" in one.datasets else "theirs are not told"
        why.append(f"{len(evaluation.classes)} parts here, {parts}")
    if evaluation.datasets[-1] == "wesad_wrist":
        why.append("ours reads the wristband alone, theirs the chest")
    return why or ["same kind of protocol; windows and signals are not the same"]
