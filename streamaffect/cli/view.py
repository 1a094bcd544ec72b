"""What ``run`` shows: a live view on a terminal, log lines otherwise, JSON lines on request."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.logging import RichHandler
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streamaffect.messages import Emotion, Event

if TYPE_CHECKING:
    from streamaffect.runtime.node import Node, Plan
    from streamaffect.runtime.workshop import Status

_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
_BAR = 40


class View:
    """Logs what happens; the base of the others. ``node`` is set once it is made."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.node: Node | None = None

    def saw(self, message: Emotion | Event) -> None:
        """Called by the sessions with all that they publish."""
        print(f"{_clock(message.t_publish)} {message.subject} {_line(message)}", flush=True)


class JsonView(View):
    """Each message as it goes out, one a line."""

    def saw(self, message: Emotion | Event) -> None:
        sys.stdout.write(message.to_json().decode() + "\n")
        sys.stdout.flush()


class LiveView(View):
    """Rich: per subject the distribution, quality, rates, the model and how adaptation comes along; below, events."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._last: dict[str, Emotion] = {}
        self._events: deque[str] = deque(maxlen=8)

    def saw(self, message: Emotion | Event) -> None:
        if isinstance(message, Emotion):
            self._last[message.subject] = message
        else:
            self._events.append(f"{_clock(message.t_publish)} {message.subject} {_line(message)}")

    def __rich__(self) -> RenderableType:
        subjects = [self._subject(wearer.config.id) for wearer in self.plan.wearers]
        events = Text("\n".join(self._events) or "nothing yet", style="dim", overflow="fold")
        return Group(*subjects, Panel(events, title="events", title_align="left", border_style="dim"), self._footer())

    def _subject(self, subject: str) -> RenderableType:
        emotion, session = self._last.get(subject), self.node.sessions.get(subject) if self.node else None
        if session is None:
            return Panel("looking for the device's streams ...", title=subject, title_align="left")
        rows: list[RenderableType] = [self._distribution(emotion) if emotion else Text("filling the first window ...")]
        signal = Table.grid(padding=(0, 2))
        for name, stream in session.signal().streams.items():
            rate = f"{stream.rate_measured:.1f}" if stream.rate_measured else "-"
            quality = "-" if stream.quality is None else f"{stream.quality:.2f}"
            lost = f"gaps {stream.gaps}, lost {stream.drops}"
            signal.add_row(name, stream.state, f"{rate} of {stream.rate_nominal:g} Hz", f"quality {quality}", lost)
        rows += [Text(), signal, Text(), self._adaptation(subject)]
        model = session.river.engine.bundle
        title = f"{subject}: {model.name} version {model.version} ({model.manifest.method})"
        return Panel(Group(*rows), title=title, title_align="left", border_style="cyan")

    @staticmethod
    def _distribution(emotion: Emotion) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        style = "dim" if emotion.abstained else ""
        for colour, (name, p) in zip(_COLOURS * 9, emotion.probabilities.items(), strict=False):
            bar = ProgressBar(total=1.0, completed=p, width=_BAR, complete_style=colour if not emotion.abstained else "dim")
            table.add_row(Text(name, style=style), bar, Text(f"{p:.2f}", style=style))
        said = f"abstains: {emotion.reason}" if emotion.abstained else f"{emotion.label}, confidence {emotion.confidence:.2f}"
        return Group(table, Text(f"seq {emotion.seq}: {said}, coverage {emotion.coverage:.2f}", style=style or "bold"))

    def _adaptation(self, subject: str) -> RenderableType:
        session = self.node.sessions[subject] if self.node else None
        if session is None or session.workshop is None:
            return Text("no adaptation (--method source)", style="dim")
        status = session.workshop.status
        table = Table.grid(padding=(0, 1))
        if status.progress is not None:
            table.add_row("adapting", ProgressBar(total=1.0, completed=status.progress, width=_BAR), f"{status.progress:.0%}")
        else:
            share = min(1.0, status.remembered / status.wanted)
            table.add_row("coreset", ProgressBar(total=1.0, completed=share, width=_BAR), _count(status))
        return Group(table, Text(status.last, style="dim")) if status.last else table

    def _footer(self) -> RenderableType:
        broker, publisher = (self.node.broker, self.node.publisher) if self.node else (None, None)
        url = f"mqtt://127.0.0.1:{broker.port}" if broker else str(self.plan.broker)
        statistics = publisher.statistics() if publisher else None
        if statistics and not statistics.connected and statistics.outbox.waiting:
            return Text(f"{url} does not answer: {statistics.outbox.waiting} messages wait   Ctrl-C ends", style="red")
        subject = self.plan.wearers[0].config.id if len(self.plan.wearers) == 1 else "+"
        return Text(f"{url}  topic streamaffect/v1/{self.plan.config.node}/{subject}/emotion   Ctrl-C ends", style="dim")


def _count(status: Status) -> str:
    of = f" of {status.wanted}" if status.remembered < status.wanted else ""
    return f"{status.remembered}{of} windows"


def _clock(utc: float) -> str:
    return datetime.fromtimestamp(utc).astimezone().strftime("%H:%M:%S")


def _line(message: Emotion | Event) -> str:
    if isinstance(message, Event):
        detail = {key: value for key, value in message.detail.items() if key != "figures" and value not in (None, False)}
        return f"{message.type} " + " ".join(f"{key}={value}" for key, value in detail.items())
    p = " ".join(f"{name}={value:.2f}" for name, value in message.probabilities.items())
    said = f"abstains ({message.reason})" if message.abstained else str(message.label)
    return f"seq={message.seq} {said} {p} coverage={message.coverage:.2f} model={message.model.name}/{message.model.version}"


@contextlib.contextmanager
def show(plan: Plan, *, as_json: bool, live: bool) -> Iterator[View]:
    """The view that fits; the terminal is left as it was."""
    if as_json:
        yield JsonView(plan)
    elif live:
        view, console = LiveView(plan), Console()
        root = logging.getLogger()
        # What happens in the normal course of things the view shows itself.
        handlers, root.handlers = root.handlers, [RichHandler(logging.WARNING, console, show_path=False)]
        try:
            with Live(view, console=console, refresh_per_second=4):
                yield view
        finally:
            root.handlers = handlers
    else:
        yield View(plan)
