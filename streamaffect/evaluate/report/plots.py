"""The figures that an evaluation's own values make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from streamaffect.evaluate.report.file import Evaluation
from streamaffect.evaluate.report.svg import COLOURS, Plot, plot
from streamaffect.evaluate.report.words import ROWS, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MANY = 60  # people from whom on the rows are closer


def of(evaluation: Evaluation, prefix: str) -> list[Plot]:
    """All figures that the evaluation's values make."""
    made = [_people(evaluation, prefix), _minutes(evaluation, prefix)]
    if any(map(any, evaluation.confusion)):
        made.append(_confusion(evaluation, prefix))
    if evaluation.reliability:
        made.append(_reliability(evaluation, prefix))
    if evaluation.selective:
        made.append(_selective(evaluation, prefix))
    if evaluation.distribution is not None:
        made.append(_distribution(evaluation, prefix))
    return [one for one in made if one is not None]


def _people(done: Evaluation, prefix: str) -> Plot | None:
    score = "balanced accuracy" if done.exclusive else "KL, smaller is better"
    rows = sorted(done.score.known.items(), key=lambda row: row[1], reverse=not done.exclusive)
    if not rows:
        return None
    name, other = done.baseline or ("", None)
    theirs = {} if other is None else other.per_subject

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        at = range(len(rows))
        axes.barh(at, [value for _, value in rows], height=0.62, color=COLOURS["method"], label=label(done))
        beside = [(i, value) for i, (who, _) in enumerate(rows) if (value := theirs.get(who)) is not None]
        if beside:
            values, at_rows = [value for _, value in beside], [i for i, _ in beside]
            style: dict[str, Any] = {"color": COLOURS["beside"], "marker": "D", "s": 34, "linewidths": 0}
            axes.scatter(values, at_rows, label=ROWS[name][0], zorder=3, clip_on=False, **style)
        if done.chance is not None:
            axes.axvline(done.chance, color=COLOURS["ink"], linestyle=(0, (4, 3)), linewidth=1.3, label="chance")
        axes.set_yticks(at, [who[:24] for who, _ in rows])
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.set_xlim(0, 1 if done.exclusive else None)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.set_xlabel(score)
        _legend(figure, axes)

    worst, best = rows[0], rows[-1]
    says = f"{score[0].upper()}{score[1:]}, of each of {len(rows)} people, best at the top: from {best[1]:.2f} ({best[0]})"
    says += f" to {worst[1]:.2f} ({worst[0]})."
    if (pairs := [(value, its) for who, value in rows if (its := theirs.get(who)) is not None]) and done.exclusive:
        ahead, level = (sum(is_so) for is_so in zip(*((mine > its, mine == its) for mine, its in pairs), strict=True))
        says += f" Above the {ROWS[name][0]} in {ahead} of {len(pairs)}, level with it in {level}."
    if unscored := len(done.score.per_subject) - len(rows):
        says += f" Without a score, for want of two classes: {unscored}."
    return plot(f"{prefix}-people", "Person by person", says, draw, 1.15 + (0.235 if len(rows) <= _MANY else 0.18) * len(rows))


def _minutes(done: Evaluation, prefix: str) -> Plot | None:
    known = [row for row in done.by_minute if row.adapted is not None or row.unadapted is not None]
    if len(known) < 2:
        return None
    alone = (COLOURS["plain"], "not adapted", "--") if done.adapts else (COLOURS["method"], label(done), "-")
    lines = [(*alone, [(row.minute + 1, row.unadapted) for row in known])]
    if done.adapts:
        lines.append((COLOURS["method"], label(done), "-", [(row.minute + 1, row.adapted) for row in known]))

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        axes = figure.add_subplot()
        for colour, name, style, points in lines:
            there = [(x, y) for x, y in points if y is not None]
            dots = "o" if len(there) < 40 else ""
            axes.plot(*zip(*there, strict=True), color=colour, linestyle=style, label=name, marker=dots, markersize=3.5)
        if done.chance is not None:
            _dashed(axes, done.chance)
        if done.protocol == "online" and done.after_s:
            axes.axvspan(known[0].minute + 0.5, done.after_s / 60 + 0.5, color=COLOURS["grid"], alpha=0.6, linewidth=0)
        axes.set_xlim(known[0].minute + 0.5, known[-1].minute + 1.5)
        axes.set_ylim(0, 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        axes.set_xlabel("minute of the recording")
        axes.set_ylabel("share of right windows" if done.exclusive else "share in common")
        _legend(figure, axes)

    what = "Share of right windows" if done.exclusive else "Share that prediction and report have in common"
    says = f"{what} by minute of the recording, all people, minutes {known[0].minute + 1} to {known[-1].minute + 1}."
    if done.protocol == "online" and done.after_s:
        says += f" The shaded first {done.after_s:g} s are not counted elsewhere on this page."
    return plot(f"{prefix}-minutes", "As the recording goes on", says, draw, 3.5)


def _dashed(axes: Axes, y: float) -> None:
    axes.axhline(y, color=COLOURS["ink"], linestyle=(0, (4, 3)), linewidth=1.3, label="chance")


def _confusion(done: Evaluation, prefix: str) -> Plot:
    n = len(done.classes)
    shares = [[count / sum(row) if sum(row) else 0.0 for count in row] for row in done.confusion]

    def draw(figure: Figure) -> None:
        from matplotlib.patches import Rectangle

        axes = figure.add_subplot()
        size = 12 if n <= 4 else 9 if n <= 6 else 7
        for i, row in enumerate(shares):
            for j, share in enumerate(row):
                # Never so dark that the ink of either scheme is hard to read on it.
                axes.add_patch(
                    Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, color=COLOURS["method"], alpha=0.05 + 0.5 * share, linewidth=0)
                )
                text = f"{share:.0%}\n{done.confusion[i][j]:,}"
                axes.text(j, i, text, ha="center", va="center", fontsize=size, linespacing=1.5)
        axes.set_xlim(-0.5, n - 0.5)
        axes.set_ylim(n - 0.5, -0.5)
        turn = 30 if n > 4 or max(map(len, done.classes)) > 10 else 0
        axes.set_xticks(range(n), done.classes, rotation=turn, ha="right" if turn else "center")
        axes.set_yticks(range(n), done.classes)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("taken for")
        axes.set_ylabel("was")

    kept = ", ".join(f"{name} {shares[i][i]:.0%}" for i, name in enumerate(done.classes))
    says = f"Each row is what windows of one class were taken for: share of the row, and windows. Right: {kept}."
    return plot(f"{prefix}-confusion", "What is taken for what", says, draw, 1.4 + min(3.2, 1.05 * n))


def _reliability(done: Evaluation, prefix: str) -> Plot:
    bins = done.reliability
    lowest = min([1 / len(done.classes), *(one.low for one in bins)])
    most = max(one.n for one in bins)

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        upper.plot([lowest, 1], [lowest, 1], color=COLOURS["ink"], linestyle=(0, (4, 3)), linewidth=1.3, label="honest")
        for one in bins:
            upper.plot([one.confidence] * 2, [one.confidence, one.accuracy], color=COLOURS["beside"], linewidth=2.5)
        x, y = [one.confidence for one in bins], [one.accuracy for one in bins]
        upper.plot(x, y, "o-", color=COLOURS["method"], markersize=5, label="the model")
        upper.plot([], [], color=COLOURS["beside"], linewidth=2.5, label="gap")
        upper.set_ylim(0, 1.03)
        upper.set_ylabel("share right")
        upper.grid(axis="y")
        widths = [0.9 * (one.high - one.low) for one in bins]
        lower.bar([(one.low + one.high) / 2 for one in bins], [one.n for one in bins], widths, color=COLOURS["plain"])
        lower.set_yticks([most], [f"{most:,}"])
        lower.set_ylabel("windows")
        lower.set_xlim(lowest, 1)
        lower.set_xlabel("confidence")
        _legend(figure, upper)

    gap = sum(one.n * (one.accuracy - one.confidence) for one in bins) / sum(one.n for one in bins)
    side = "surer than it is right" if gap < 0 else "more often right than it is sure"
    error = sum(one.n * abs(one.accuracy - one.confidence) for one in bins) / sum(one.n for one in bins)
    says = "Confidence against the share of right windows; on the dashed line a model means what it says. Expected "
    says += f"calibration error {error:.3f} over all windows together; on the whole the model is {side}, by {abs(gap):.3f}."
    return plot(f"{prefix}-reliability", "Does it mean what it says?", says, draw, 3.9)


def _selective(done: Evaluation, prefix: str) -> Plot:
    points = [(100 * one.coverage, one.risk) for one in done.selective]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot(*zip(*points, strict=True), "o-", color=COLOURS["method"], markersize=6)
        for x, y in points:
            axes.annotate(f"{y:.1%}", (x, y), (0, 9), textcoords="offset points", ha="center", fontsize=9.5)
        axes.set_ylim(0, max(0.05, 1.3 * max(y for _, y in points)))
        axes.set_xlim(103, min(x for x, _ in points) - 3)
        axes.set_xticks([x for x, _ in points], [f"{x:.0f} %" for x, _ in points])
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.grid(axis="y")
        axes.set_xlabel("windows answered, the surest first")
        axes.set_ylabel("wrong among them")

    first, last = points[0], points[-1]
    says = f"If the model kept silent when it is least sure: {first[1]:.1%} wrong when all are answered, {last[1]:.1%} when "
    says += f"the surest {last[0]:.0f} % are."
    return plot(f"{prefix}-selective", "What silence would buy", says, draw, 3.3)


def _distribution(done: Evaluation, prefix: str) -> Plot | None:
    if done.distribution is None:
        return None
    told, said = done.distribution.reported, done.distribution.predicted
    names: Sequence[str] = sorted(told, key=lambda name: told[name])

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        at = range(len(names))
        axes.barh([i + 0.2 for i in at], [told[name] for name in names], height=0.36, color=COLOURS["plain"], label="reported")
        predicted = [said.get(name, 0.0) for name in names]
        axes.barh([i - 0.2 for i in at], predicted, height=0.36, color=COLOURS["method"], label="predicted")
        axes.set_yticks(at, names)
        axes.set_ylim(-0.7, len(names) - 0.3)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.set_xlabel("mean share")
        _legend(figure, axes)

    widest = max(names, key=lambda name: abs(told[name] - said.get(name, 0.0)))
    says = f"Mean share of each part of {done.target}, as reported and as predicted, each person counting the same. They "
    says += f"differ most in {widest}: {told[widest]:.3f} reported, {said.get(widest, 0.0):.3f} predicted."
    return plot(f"{prefix}-distribution", "Reported and predicted", says, draw, 1.1 + 0.42 * len(names))


def _legend(figure: Figure, axes: Axes) -> None:
    """Above the picture, where it hides nothing."""
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper left", ncols=3, columnspacing=1.2, handlelength=1.8)
