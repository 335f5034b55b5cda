"""The chart of README.md: CPU per issuance, target by target."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from benchmarks import report
from benchmarks.run import Figure

# Read on white and on near-black alike: a transparent ground, and greys and hues of middling lightness.
_TEXT = "#7d8590"
_SERVER, _DATABASE = {64: "#3f8fd2", 512: "#8a63d2"}, "#e0823d"
_SHOWN = ("drf", "fastapi", "fastify", "service", "bare")


def draw(figures: Sequence[Figure], path: Path) -> None:
    """Write an SVG of the figures with recurring customers."""
    known = {(figure.target, figure.connections): figure for figure in figures if figure.mix == "repeated"}
    bars = [figure for name in _SHOWN for connections in (64, 512) if (figure := known.get((name, connections)))]
    # The same input gives the same file: no date, no random ids; text stays text.
    style: dict[Any, str] = {
        "svg.hashsalt": "benchmarks",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "text.color": _TEXT,
    }
    with mpl.rc_context(style):
        canvas = Canvas(figsize=(8, 0.38 * len(bars) + 1.1), layout="constrained")
        axes = canvas.add_subplot()
        for place, figure in enumerate(bars):
            axes.barh(place, figure.server, color=_SERVER[figure.connections], height=0.72)
            axes.barh(place, figure.database, left=figure.server, color=_DATABASE, height=0.72)
            axes.annotate(f"{figure.cpu:,.0f}", (figure.cpu, place), (4, 0), textcoords="offset points", va="center")
        axes.set_yticks(range(len(bars)), [f"{report.TITLES[f.target]}, {f.connections}" for f in bars])
        axes.invert_yaxis()
        axes.tick_params(colors=_TEXT, length=0)
        axes.spines[:].set_visible(False)
        axes.set_xticks([])
        axes.set_title("CPU µs per issuance, by target and connections", loc="left", color=_TEXT)
        axes.margins(x=0.12)
        keys = {"server, 64 connections": _SERVER[64], "server, 512 connections": _SERVER[512], "PostgreSQL": _DATABASE}
        patches = [mpl.patches.Patch(color=color, label=label) for label, color in keys.items()]
        axes.legend(handles=patches, loc="lower right", frameon=False, labelcolor=_TEXT)
        canvas.savefig(path, format="svg", transparent=True, metadata={"Date": None})
