"""Draw examples/live.svg: the live view of a real demo, once its model has been adapted.

    python tools/picture.py [FILE]

Takes about two minutes: it runs the demo.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import sys
from pathlib import Path

from rich.console import Console

from streamaffect.cli import run
from streamaffect.cli.view import LiveView
from streamaffect.messages import Emotion, Event
from streamaffect.runtime.node import Node, plan

FILE = Path(__file__).parents[1] / "examples" / "live.svg"
AFTER = 6  # messages of the adapted model before the picture is taken
GIVE_UP_S = 400.0


class Sitter(LiveView):
    """A live view that says when it is worth a picture."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.ready = asyncio.Event()
        self._left = AFTER

    def saw(self, message: Emotion | Event) -> None:
        super().saw(message)
        if isinstance(message, Emotion) and message.model.version > 0:
            self._left -= 1
            if self._left == 0:
                self.ready.set()


async def draw(file: Path, args: argparse.Namespace) -> None:
    """Run the demo until its model is adapted, then write the view as SVG."""
    planned = plan(run.configuration(args))
    view = Sitter(planned)
    view.node = Node(planned, view.saw)
    async with asyncio.timeout(GIVE_UP_S), run.simulated_wearer(planned.wearers[0].device.name):
        running = asyncio.create_task(view.node.run())
        await view.ready.wait()
        console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
        console.print(view)
        console.save_svg(str(file), title="streamaffect run --demo")
        running.cancel()
        await asyncio.wait({running})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    run.arguments(parser)
    chosen = parser.parse_args(["--demo", "--device", "shimmer"])
    with run.demo_home():
        asyncio.run(draw(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE, chosen))
