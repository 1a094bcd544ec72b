"""One page of evaluations: self-contained HTML that needs no network and no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from streamaffect import __version__
from streamaffect.evaluate.report import plots, tables, words
from streamaffect.evaluate.report.file import Evaluation
from streamaffect.evaluate.report.svg import Plot

_DISCLAIMER = "Outputs are estimates from physiology, not readings of experience. Not a medical device."


@dataclass(frozen=True, slots=True)
class Report:
    """``page`` is the HTML, ``plots`` every figure on it."""

    page: str
    plots: tuple[Plot, ...]


def report(evaluations: Mapping[str, Evaluation], data: Sequence[Plot] = ()) -> Report:
    """The page of ``evaluations`` by the name of their file, in order; ``data``: pictures computed from recordings."""
    everything = list(evaluations.values())
    drawn = [plots.of(done, f"e{i}") for i, done in enumerate(everything, 1)]
    parts = [_article(i, name, done, drawn[i - 1]) for i, (name, done) in enumerate(evaluations.items(), 1)]
    if data:
        parts.append(f"<article><h2>From the recordings</h2>{_figures(data)}</article>")
    if len(everything) > 1:
        parts.insert(0, f'<section class="card">{tables.overview(everything)}</section>')
    title = ", ".join(dict.fromkeys(map(words.what, everything)))
    return Report(_page(title, parts), tuple(one for some in (*drawn, data) for one in some))


def _page(title: str, parts: Sequence[str]) -> str:
    css = files("streamaffect.evaluate.report").joinpath("page.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>streamaffect: {escape(title)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n"
        f'<header><p class="soft">streamaffect report</p><h1>{escape(title)}</h1></header>\n<main>\n'
        + "\n".join(parts)
        + f'\n</main>\n<footer class="note"><p>{_DISCLAIMER}</p><p>streamaffect {escape(__version__)}</p></footer>\n'
        + "</body>\n</html>\n"
    )


def _article(i: int, name: str, done: Evaluation, drawn: Sequence[Plot]) -> str:
    model = f"{done.model.name}, version {done.model.version}, on " if done.model is not None else ""
    warnings = "".join(f'<p class="warn" role="note">{escape(text)}</p>' for text in words.cautions(done))
    sections = [
        f"<h2>{escape(model + words.what(done))}: {escape(words.label(done))}</h2>",
        f'<p class="soft">{escape(words.KINDS[done.kind])}. {escape(words.protocol(done))}.</p>',
        warnings,
        _hero(done),
        _card("Beside what is trivial", tables.summary(done)),
        _card("What would pass for a result", tables.controls(done)) if done.exclusive else "",
        _figures(drawn),
        _card("All scores", tables.scores(done)),
        _card("What adaptation did" if done.adapts else "What was answered", tables.happened(done)),
        _tests(done),
        _published(done),
        _details("Every person's figures", tables.people(done)),
        _details("How it was made", _made(name, done)),
    ]
    return f'<article id="e{i}">{"".join(sections)}</article>'


def _hero(done: Evaluation) -> str:
    score = "balanced accuracy" if done.exclusive else f"KL of {done.target}, smaller is better"
    says = "".join(f"<li>{escape(text)}</li>" for text in words.reading(done))
    figure = tables.number(done.score.mean)
    note = f"{score}, {done.n_subjects} people, {done.n_windows:,} windows"
    if done.chance is not None:
        note += f"; chance is {tables.number(done.chance)}"
    number = f'<div><div class="score">{figure}</div><p class="note">{escape(note)}</p></div>'
    return f'<section class="card hero">{number}<ul>{says}</ul></section>'


def _card(title: str, body: str, note: str = "") -> str:
    below = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<section class="card"><h3>{escape(title)}</h3>{body}{below}</section>'


def _figures(drawn: Sequence[Plot]) -> str:
    return f'<div class="figures">{"".join(map(_figure, drawn))}</div>'


def _figure(one: Plot) -> str:
    head = f'<figure class="card" id="{escape(one.name)}"><h3>{escape(one.title)}</h3>'
    return f"{head}{one.svg}<figcaption>{escape(one.caption)}</figcaption></figure>"


def _tests(done: Evaluation) -> str:
    if not done.tests:
        return ""
    note = "Wilcoxon's signed-rank test over people, two-sided; q: corrected over these tests (Benjamini and Hochberg)."
    return _card("Paired tests", tables.tests(done), note)


def _published(done: Evaluation) -> str:
    found = tables.published(done)
    note = "Never measured alike: windows, signals and what was chosen by target labels differ. Not a ranking."
    return _card("What papers print on this data set", found, note) if found else ""


def _details(title: str, body: str) -> str:
    return f'<details class="card"><summary>{escape(title)}</summary>{body}</details>'


def _made(name: str, done: Evaluation) -> str:
    lines = {
        "file": name,
        "command": done.command,
        "classes": ", ".join(_class(done, one) for one in done.classes),
        "views": ", ".join(done.views),
        "parameters": ", ".join(f"{key} = {value}" for key, value in done.params.items()) or "as the method has them",
        "seeds": ", ".join(map(str, done.seeds)),
    }
    if done.model is not None:
        lines["model"] = f"{done.model.name}, version {done.model.version}, sha256 {done.model.sha256[:12]}"
    if done.protocol == "online":
        lines["online"] = f"counted after {done.after_s:g} s; {done.delay_s:g} s from trigger to swap"
    rows = "".join(f'<tr><th scope="row">{key}</th><td>{escape(text)}</td></tr>' for key, text in lines.items())
    left_out = "".join(f"<li>{escape(why)}</li>" for why in done.left_out.values())
    gone = f"<p>Left out:</p><ul>{left_out}</ul>" if left_out else "<p>Nobody was left out.</p>"
    return f"<table>{rows}</table>{gone}"


def _class(done: Evaluation, name: str) -> str:
    """The class, and the labels that were taken for it where they are called otherwise."""
    labels = (done.class_labels or {}).get(name, [name])
    return name if labels == [name] else f"{name} ({', '.join(labels)})"
