"""What each figure of a report means, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator

from streamaffect.evaluate.report.file import Evaluation, Paired

PROTOCOLS = {
    "online": "Online: causal, the real engine from the recording's start on; windows after {after:g} s are counted",
    "transductive": "Transductive: normalised by, adapted on and scored on all of a person's unlabelled windows",
    "split": "Split: normalised by and adapted on one half of a person's windows without labels, scored on the other",
}
KINDS = {
    "bundle": "One model, on the recordings of these people",
    "loso": "Leave-one-subject-out: each person a stranger to a model trained on the others",
    "transfer": "Trained on one group of people, tested on another",
}
# Rows of the summary: key of the evaluation -> name, and what it says.
ROWS = {
    "without_adaptation": ("not adapted", "the same model, normalised per person, that never adapts"),
    "rotated": ("rotated start", "the recording begun in another state: far below the first row, the model learnt the order"),
    "rotated_without_adaptation": ("rotated start, not adapted", "the same without adaptation"),
    "zscore": ("z-scored regression", "each person standardised, then logistic regression: what a method has to beat"),
    "source_only": ("source-only regression", "logistic regression that knows nothing of the person"),
    "mean_report": ("mean report", "what other people report on average, whatever the signals"),
    "knn": ("nearest neighbours", "what other people reported in the most similar windows, each person standardised"),
}
CONTROLS = {
    "time": "The clock alone, no signal at all. What the model has beyond this is not the order of the session.",
    "reference": "Regression on the very features, each person z-scored; the controls below are read against it.",
    "null": "Two stretches of one and the same class told apart. Well above chance: drift or order is told, not the state.",
    "composition": "A person's statistics from one class only, as in a wearer's first minutes: what an early guess costs.",
    "levels_removed": "Without the levels of signals that drift by the hour. A large drop: the level was the answer.",
    "no_acc": "Without acceleration. A large drop: movement was told apart, not feeling.",
}
SCORES = {
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
    "ece": "calibration error",
    "brier": "Brier score",
    "kl": "KL",
    "chebyshev": "Chebyshev",
    "clark": "Clark",
    "canberra": "Canberra",
    "cosine": "cosine",
    "intersection": "intersection",
}
SMALLER = frozenset({"ece", "brier", "kl", "chebyshev", "clark", "canberra"})
ALPHA = 0.05
MINUS = "\N{MINUS SIGN}"
PROVISIONAL = "controls not run: figures are provisional"


def what(done: Evaluation) -> str:
    """The data set, or the way from one to another."""
    return " to ".join(done.datasets)


def label(done: Evaluation) -> str:
    """What the model is called in legends and tables."""
    if done.adapts:
        return f"{done.method}, adapted"
    return "model, not adapted" if done.method == "none" else f"{done.method}, no adaptation"


def protocol(done: Evaluation) -> str:
    return PROTOCOLS[done.protocol].format(after=done.after_s)


def reading(done: Evaluation) -> Iterator[str]:
    """What a careful reader takes from the figures, a sentence each."""
    tests = {(test.a, test.b): test for test in done.tests}
    for key in ("zscore", "mean_report", "knn"):
        if test := tests.get(("method", key)):
            yield _against(test, f"the {ROWS[key][0]}", done)
    if (test := tests.get(("method", "without_adaptation"))) and done.adapts:
        yield _against(test, "the same model without adaptation", done)
    yield from _order(done)
    if done.majority is not None and done.accuracy is not None and done.accuracy.mean is not None:
        more = done.accuracy.mean - done.majority
        if more <= 0:
            yield f"Always saying the commonest class would be right in {done.majority:.3f} of the windows; the model is not."


def _against(test: Paired, other: str, done: Evaluation) -> str:
    """``difference`` is method less other: of KL, smaller is better."""
    gain = test.difference if done.exclusive else -test.difference
    how = "Not told apart from" if test.q >= ALPHA else "Better than" if gain > 0 else "Worse than"
    difference = f"{test.difference:+.3f}".replace("-", MINUS)
    return f"{how} {other}: {difference} over {test.n} people, q = {test.q:.2g}."


def _order(done: Evaluation) -> Iterator[str]:
    """Whether the order of the session would do."""
    clock, mean = done.found.get("time"), done.score.mean
    if clock is not None and clock.mean is not None and mean is not None:
        if clock.mean >= mean:
            yield f"The clock alone reaches {clock.mean:.3f}, no less than the model, whose figure may be the session's order."
        else:
            yield f"The clock alone reaches {clock.mean:.3f}, the model {mean:.3f}."
    turned = done.rotated.mean if done.rotated is not None else None
    if done.exclusive and turned is not None and mean is not None and mean - turned > 0.1:
        yield f"Begun in another state it falls to {turned:.3f}: part of the figure is the order of the recording."


def cautions(done: Evaluation) -> Iterator[str]:
    """What stands above everything else."""
    if done.exclusive and not done.controlled:
        yield f"{PROVISIONAL[0].upper()}{PROVISIONAL[1:]}. Run 'streamaffect evaluate' again with --controls."
    seen = done.model.seen_in_training if done.model is not None else []
    if seen:
        whom = f"{len(seen)} of these people were" if len(seen) > 1 else f"{seen[0]} was"
        yield f"{whom} in the model's training: the figures say nothing of strangers."
    if not done.n_windows:
        yield "No window was counted: there is nothing to read here."
