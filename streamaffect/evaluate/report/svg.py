"""A figure of the report, drawn once: as SVG that takes its colours from the page, light or dark, and as PNG."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by colour-blind readers too. Name of the page's variable -> colour on white.
COLOURS = {
    "ink": "#1c2330",
    "soft": "#5f6b7d",
    "grid": "#d9dee6",
    "method": "#0072b2",
    "beside": "#e07b00",
    "plain": "#7f8fa6",
}
CLASSES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8b6fc0", "#b8a900", "#7f7f7f")
MARKERS = "osD^vPX*<"
WIDTH = 4.8  # inches: at this size text is 13 px on a wide page and 9 px on a phone
_DPI = 200
_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 10.5,
    "axes.labelsize": 10.5,
    "axes.edgecolor": COLOURS["soft"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 10.5,
    "axes.titlecolor": COLOURS["ink"],
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.8,
    "text.color": COLOURS["ink"],
    "text.parse_math": False,  # a person may be called $1
    "xtick.color": COLOURS["soft"],
    "ytick.color": COLOURS["soft"],
    "xtick.labelcolor": COLOURS["ink"],
    "ytick.labelcolor": COLOURS["ink"],
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 2,
    "svg.fonttype": "none",
    "figure.constrained_layout.use": True,
}


@dataclass(frozen=True, slots=True)
class Plot:
    """``name`` goes into file names, ``title`` above it, ``caption`` says all that the picture shows to who cannot see it."""

    name: str
    title: str
    caption: str
    svg: str
    png: bytes


def plot(name: str, title: str, caption: str, draw: Callable[[Figure], None], height: float, width: float = WIDTH) -> Plot:
    """What ``draw`` puts on a figure of ``width`` x ``height`` inches."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style: Any = _STYLE | {"svg.hashsalt": name}
    with rc_context(style):
        figure = Figure((width, height))
        draw(figure)
        as_svg, as_png = io.StringIO(), io.BytesIO()
        figure.savefig(as_svg, format="svg", transparent=True, metadata={"Date": None})
        figure.savefig(as_png, format="png", dpi=_DPI, facecolor="white")
    return Plot(name, title, caption, _inline(as_svg.getvalue(), name, caption), as_png.getvalue())


def _inline(svg: str, name: str, caption: str) -> str:
    """The SVG as part of a page: no header, no fixed size, no name that another figure has, colours by variables."""
    body = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="[^"]+"', body)
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="#|url\(#)(\w+)', body))
    body = re.sub(r' id="([^"]*)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", body)
    body = body.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    for variable, colour in COLOURS.items():
        body = body.replace(colour, f"var(--{variable})")
    body = body.replace("#000000", "var(--ink)")
    head = f'<svg {box[0] if box else ""} role="img" aria-label="{html.escape(caption)}">'
    return re.sub(r"<svg[^>]*>", lambda _: head, body, count=1)
