"""The tables of ``streamaffect evaluate``: each person, the mean, and what is trivial beside it."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

_PROTOCOLS = {
    "online": "online: causal, the real engine from the recording's start, windows after {after:g} s",
    "transductive": "transductive: normalised by, adapted on and scored on all unlabelled windows",
    "split": "split: normalised by and adapted on one half without labels, scored on the other",
}
_COLUMNS = (
    ("without_adaptation", "not adapted"),
    ("rotated", "rotated"),
    ("rotated_without_adaptation", "rotated, not adapted"),
    ("zscore", "z-scored LR"),
    ("source_only", "source LR"),
    ("mean_report", "mean report"),
    ("knn", "kNN"),
)
_ROWS = 15  # of the table by minute; the JSON has every minute
_WIDTH = 128  # of what is written to a file
_SCORES = ("balanced_accuracy", "accuracy", "macro_f1", "auroc", "ece", "brier")
_MEASURES = ("kl", "chebyshev", "clark", "canberra", "cosine", "intersection")


def show(result: dict[str, Any]) -> None:
    """All tables on standard output."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    exclusive = "balanced_accuracy" in result
    console.print(_people(result, "balanced_accuracy" if exclusive else "kl"))
    for line in _beneath(result, exclusive):
        console.print(line, highlight=False)
    console.print(_minutes(result))
    if result["tests"]:
        console.print(_tests(result))
    console.print(_controls(result))


def _title(result: dict[str, Any], score: str) -> str:
    what = " -> ".join(result["datasets"])
    model = f"{result['model']['name']} on " if result["model"] else ""
    protocol = _PROTOCOLS[result["protocol"]].format(after=result.get("after_s", 0))
    name = score.replace("_", " ") if score != "kl" else f"KL of {result['target']}"
    return f"{model}{what} ({result['kind']}), method {result['method']}: {name}\nprotocol {protocol}"


def _people(result: dict[str, Any], score: str) -> Table:
    table = Table(title=_title(result, score), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("person")
    columns = [(score, result["method"] if result["method"] != "none" else "model")]
    skip = "without_adaptation" if not result["adapts"] else ""
    columns += [(key, name) for key, name in _COLUMNS if key in result and key != skip]
    for _, name in columns:
        table.add_column(name, justify="right")
    for person in result[score]["per_subject"]:
        table.add_row(person, *(_number(result[key]["per_subject"].get(person)) for key, _ in columns))
    table.add_section()
    table.add_row("mean", *(f"{_number(result[key]['mean'])} +- {_number(result[key]['std'])}" for key, _ in columns))
    return table


def _beneath(result: dict[str, Any], exclusive: bool) -> list[str]:
    names = _SCORES if exclusive else _MEASURES
    lines = [", ".join(f"{name.replace('_', ' ')} {_number(result[name]['mean'])}" for name in names)]
    if exclusive:
        risks = ", ".join(f"{entry['coverage']:.0%} {entry['risk']:.3f}" for entry in result["selective"])
        lines.append(
            f"chance {result['chance']:.3f}, majority (accuracy) {_number(result['majority'])}; wrong among the surest {risks}"
        )
    did = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in result["adaptation"].items())
    people, windows = result["n_subjects"], result["n_windows"]
    lines.append(
        f"{people} people, {windows} windows, spoken on {_number(result['coverage']['mean'])} of those labelled; {did}"
    )
    if len(result["seeds"]) > 1:
        score = result["balanced_accuracy" if exclusive else "kl"]
        lines.append(f"{len(result['seeds'])} seeds, standard deviation over them {_number(score['std_over_seeds'])}")
    lines += [f"left out: {why}" for why in result["left_out"].values()]
    seen = (result["model"] or {}).get("seen_in_training", [])
    if seen:
        lines.append(
            f"[bold]{len(seen)} of these people were in the model's training: the figures say nothing of strangers[/bold]"
        )
    return lines


def _minutes(result: dict[str, Any]) -> Table:
    table = Table(title="right by minute of the recording, all people", box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("minute", "windows", "adapted", "not adapted"):
        table.add_column(name, justify="right")
    step = -(-len(result["by_minute"]) // _ROWS)
    for first in range(0, len(result["by_minute"]), step or 1):
        rows = result["by_minute"][first : first + step]
        minutes = str(rows[0]["minute"] + 1) + (f"-{rows[-1]['minute'] + 1}" if len(rows) > 1 else "")
        table.add_row(minutes, str(sum(row["n"] for row in rows)), _mean(rows, "with"), _mean(rows, "without"))
    return table


def _mean(rows: list[dict[str, Any]], key: str) -> str:
    known = [row for row in rows if row[key] is not None]
    total = sum(row["n"] for row in known)
    return _number(sum(row[key] * row["n"] for row in known) / total if total else None)


def _tests(result: dict[str, Any]) -> Table:
    title = "paired Wilcoxon tests over people; q: corrected (Benjamini-Hochberg) over the tests of this call"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("comparison")
    for name in ("people", "difference", "p", "q"):
        table.add_column(name, justify="right")
    for test in result["tests"]:
        pair = f"{test['a']} - {test['b']}".replace("_", " ")
        table.add_row(pair, str(test["n"]), f"{test['difference']:+.3f}", f"{test['p']:.4f}", f"{test['q']:.4f}")
    return table


def _controls(result: dict[str, Any]) -> Table | str:
    controls = {name: value for name, value in result["controls"].items() if isinstance(value, dict)}
    if not result["controls"]["run"]:
        return "controls: not run, figures are provisional (--controls)"
    table = Table(title="controls: what would pass for a result", box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("control", "balanced accuracy", "people", "what"):
        table.add_column(name, justify="left" if name in ("control", "what") else "right")
    for name, value in controls.items():
        figure = f"{_number(value['mean'])} +- {_number(value['std'])}" if value.get("mean") is not None else "-"
        people = sum(one is not None for one in value.get("per_subject", {}).values())
        table.add_row(name.replace("_", " "), figure, str(people or "-"), value["what"])
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
