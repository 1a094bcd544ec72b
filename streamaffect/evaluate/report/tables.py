"""The tables of a report, as HTML. Everything that comes from a file is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from streamaffect.evaluate.report import words
from streamaffect.evaluate.report.file import Evaluation, Spread
from streamaffect.evaluate.report.published import Published, beside, differs

_EVENTS = {"swaps": "swapped in", "refusals": "refused by the guard", "failures": "failed", "rolled_back": "rolled back"}
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class Cell:
    """``html`` as it is; ``kind``: n (number, right), says (a sentence, a line of its own on a phone)."""

    html: str
    kind: str = ""


def number(value: float | None, *, signed: bool = False, digits: int = 3) -> str:
    if value is None:
        return "\N{EN DASH}"
    return format(value, f"{'+' if signed else ''}.{digits}f").replace("-", words.MINUS)


def with_spread(value: Spread | None) -> str:
    if value is None or value.mean is None:
        return number(None)
    return number(value.mean) if value.std is None else f"{number(value.mean)} {PLUS_MINUS} {number(value.std)}"


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]], *, first: int = -1, stack: bool = True) -> str:
    """``rows`` under ``header``; row ``first`` stands out. The first cell of a row is its header."""
    lines = []
    kinds: Sequence[str] = [""] * len(header)
    for i, row in enumerate(rows):
        kinds = [cell.kind for cell in row]
        cells = [f'<th scope="row">{row[0].html}</th>']
        for cell, name in zip(row[1:], header[1:], strict=True):
            of = f' data-of="{escape(name)}"' if stack and cell.kind == "n" and len(header) > 3 else ""
            cells.append(f'<td class="{cell.kind}{" whole" if cell.kind == "says" else ""}"{of}>{cell.html}</td>')
        lines.append(f"<tr{' class=first' if i == first else ''}>{''.join(cells)}</tr>")
    heads = "".join(
        f'<th scope="col"{" class=n" if kind == "n" else ""}>{escape(name)}</th>'
        for name, kind in zip(header, kinds, strict=True)
    )
    body = f"<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="wide"><table{" class=stack" if stack else ""}>{body}</table></div>'


def summary(done: Evaluation) -> str:
    """The method and what is trivial beside it."""
    known = [row.mean for row in (done.score, *_rows(done).values()) if row.mean is not None]
    scale = 1.0 if done.exclusive else max([1e-9, *known])
    bar = _bar(done.score.mean, scale, done.chance)
    rows = [[Cell(escape(words.label(done))), bar, _n(with_spread(done.score)), _says(_own(done))]]
    for key, row in _rows(done).items():
        name, says = words.ROWS[key]
        rows.append([Cell(name), _bar(row.mean, scale, done.chance), _n(with_spread(row)), _says(says)])
    if done.chance is not None:
        says = f"guessing among {len(done.classes)} classes"
        rows.append([Cell("chance"), _bar(done.chance, 1.0, done.chance), _n(number(done.chance)), _says(says)])
    if done.majority is not None:
        says = "always the commonest class; plain accuracy, to be read beside the model's "
        says += with_spread(done.accuracy)
        rows.append([Cell("majority"), _bar(done.majority, 1.0, done.chance), _n(number(done.majority)), _says(says)])
    score = "balanced accuracy" if done.exclusive else "KL (smaller is better)"
    return table(["", "", score, "what it is"], rows, first=0)


def _rows(done: Evaluation) -> dict[str, Spread]:
    skip = () if done.adapts else ("without_adaptation", "rotated_without_adaptation")
    found = {key: getattr(done, key) for key in words.ROWS if key not in skip}
    return {key: value for key, value in found.items() if isinstance(value, Spread)}


def _own(done: Evaluation) -> str:
    people = f"{done.n_subjects} people, {done.n_windows:,} windows"
    seeds = f", {len(done.seeds)} seeds ({PLUS_MINUS} {number(done.score.std_over_seeds)})" if len(done.seeds) > 1 else ""
    return f"{people}{seeds}: mean {PLUS_MINUS} standard deviation over people"


def _n(html: str) -> Cell:
    return Cell(html, "n")


def _says(text: str) -> Cell:
    return Cell(escape(text), "says")


def _bar(value: float | None, scale: float, chance: float | None) -> Cell:
    """A picture of the number beside it: nothing for a screen reader."""
    if value is None:
        return Cell("")
    mark = "" if chance is None else f'<b style="left:{100 * chance:.1f}%"></b>'
    width = 100 * min(1.0, max(0.0, value / scale))
    return Cell(f'<span class="bar" aria-hidden="true"><i style="width:{width:.1f}%"></i>{mark}</span>', "whole")


def controls(done: Evaluation) -> str:
    """Each control with its sentence; that they were not run is a finding too."""
    if not done.controlled:
        return f"<p><strong>{words.PROVISIONAL[0].upper()}{words.PROVISIONAL[1:]}.</strong></p>"
    rows = []
    for name, found in done.found.items():
        people = sum(value is not None for value in found.per_subject.values())
        figure = f"{number(found.mean)} {PLUS_MINUS} {number(found.std)}" if found.mean is not None else number(None)
        means = words.CONTROLS.get(name, "")
        says = escape(found.what)
        if found.mean is not None:
            says = f'{escape(means)} <span class="soft">{says}.</span>'
        rows.append([Cell(escape(name.replace("_", " "))), _n(figure), _n(str(people or number(None))), Cell(says, "says")])
    return table(["control", "balanced accuracy", "people", "what it says"], rows)


def tests(done: Evaluation) -> str:
    def name(key: str) -> str:
        return words.label(done) if key == "method" else words.ROWS[key][0] if key in words.ROWS else key

    rows = []
    for one in done.tests:
        told = "yes" if one.q < words.ALPHA else "no"
        cells = [number(one.difference, signed=True), str(one.n), number(one.p, digits=4), number(one.q, digits=4)]
        rows.append([Cell(escape(f"{name(one.a)} against {name(one.b)}")), *map(_n, cells), _n(told)])
    return table(["pair", "difference", "people", "p", "q", "told apart"], rows)


def scores(done: Evaluation) -> str:
    """All scores of the model, as tiles."""
    found = {key: getattr(done, key) for key in words.SCORES}
    smaller = dict.fromkeys(words.SMALLER, " (smaller is better)")
    return _tiles(
        (f"{words.SCORES[key]}{smaller.get(key, '')}", number(value.mean))
        for key, value in found.items()
        if isinstance(value, Spread)
    )


def happened(done: Evaluation) -> str:
    """What adaptation did, counted; only where the real engine runs are models swapped and refused."""
    tiles = []
    if done.protocol == "online" and done.adapts:
        tiles = [(_EVENTS.get(key, key), f"{count:,}") for key, count in done.adaptation.items()]
    elif done.adapts:
        tiles = [("people adapted to, once each and without the guard", f"{done.n_subjects:,}")]
    share = number(None) if done.coverage.mean is None else f"{done.coverage.mean:.1%}"
    tiles.append(("of labelled windows answered", share))
    return _tiles(tiles)


def _tiles(tiles: Iterable[tuple[str, str]]) -> str:
    return f'<dl class="tiles">{"".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in tiles)}</dl>'


def people(done: Evaluation) -> str:
    """Every person's figures, for who cannot see the bars."""
    columns = {words.label(done): done.score.per_subject}
    columns |= {words.ROWS[key][0]: row.per_subject for key, row in _rows(done).items()}
    columns["answered"] = done.coverage.per_subject
    rows = [
        [Cell(escape(name)), *(_n(number(column.get(name))) for column in columns.values())] for name in done.score.per_subject
    ]
    return table(["person", *columns], rows, stack=False)


def published(done: Evaluation) -> str:
    """The papers' figures on this data set; empty where there are none."""
    found = beside(done)
    rows = []
    for one in found:
        ours = getattr(done, one.score)
        cells = [_n(_theirs(one)), _n(with_spread(ours)), Cell(_why(done, one), "says")]
        rows.append([Cell(f"{escape(one.method)}, {escape(one.task)}"), Cell(words.SCORES[one.score]), *cells])
    if not rows:
        return ""
    papers = dict.fromkeys(f"{one.paper}, {one.place}" for one in found)
    cited = "".join(f"<li>{escape(paper)}</li>" for paper in papers)
    return table(["paper's method", "score", "theirs", "ours", "read with care"], rows) + f'<ul class="note">{cited}</ul>'


def _theirs(one: Published) -> str:
    return number(one.value) if one.std is None else f"{number(one.value)} {PLUS_MINUS} {number(one.std)}"


def _why(done: Evaluation, one: Published) -> str:
    flags = ", ".join(f'<span class="flag">{escape(why)}</span>' for why in differs(done, one))
    return f"{flags}; {escape(one.caution)}"


def overview(all_of_them: Sequence[Evaluation]) -> str:
    """A row an evaluation, where the page holds several."""
    rows = []
    for i, done in enumerate(all_of_them, 1):
        name = f'<a href="#e{i}">{escape(words.what(done))}</a>'
        about = f"{done.kind}, {done.protocol}, {done.method}"
        baseline = f"{number(done.baseline[1].mean)} ({words.ROWS[done.baseline[0]][0]})" if done.baseline else number(None)
        sure = "run" if done.controlled else "not run: provisional"
        score = "balanced accuracy" if done.exclusive else "KL"
        figure = f"{with_spread(done.score)}"
        rows.append([Cell(name), Cell(escape(about)), Cell(score), _n(figure), _n(baseline), _n(sure)])
    return table(["data", "evaluation", "score", "model", "baseline", "controls"], rows)
