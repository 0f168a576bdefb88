"""Pictures: SVG by pygal, made on the server, in the colours of the page."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from app.audit.statistics.counts import BOUNDS, Figures

_STYLE = """
  {{ id }} { font-family: system-ui, sans-serif; }
  {{ id }} .background { fill: transparent !important; }
  {{ id }} text { fill: #475467 !important; }
  {{ id }} .color-0 .rect, {{ id }} .rect.reactive { fill: #3b6fd4 !important; fill-opacity: 1 !important; stroke: none !important; }
  {{ id }} .axis .line { stroke: #98a2b3 !important; } {{ id }} .guides .line, {{ id }} .guide.line { stroke: #d0d5dd !important; stroke-dasharray: 3,4 !important; }
  {{ id }} .text-overlay text { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    {{ id }} text { fill: #c3cbd8 !important; }
    {{ id }} .color-0 .rect, {{ id }} .rect.reactive { fill: #6f9bf0 !important; }
    {{ id }} .axis .line { stroke: #667085 !important; } {{ id }} .guides .line, {{ id }} .guide.line { stroke: #344054 !important; }
  }
"""  # noqa: E501 - a style sheet


_SCRIPT: Final = re.compile(r"<script.*?</script>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Bar:
    """One column of a histogram in words, for the table beside the picture."""

    label: str
    count: int


def bars_of(figures: Figures) -> list[Bar]:
    """Return the histogram of times to agent."""
    labels = [f"≤ {bound:g} s" for bound in BOUNDS] + [f"> {BOUNDS[-1]:g} s"]
    return [Bar(label, count) for label, count in zip(labels, figures.histogram(), strict=True)]


def histogram(figures: Figures, *, small: bool = False) -> str:
    """Return the histogram of times to agent as an SVG document, which loads nothing and runs nothing."""
    pygal, style_class = _load_pygal()
    bars = bars_of(figures)
    style = style_class(
        background="transparent",
        plot_background="transparent",
        font_family="system-ui, sans-serif",
        label_font_size=15,
        major_label_font_size=15,
        value_font_size=15,
        colors=("#3b6fd4",),
    )
    chart = pygal.Bar(
        width=440 if small else 900,
        height=240 if small else 300,
        style=style,
        show_legend=False,
        js=(),
        print_values=not small,
        print_values_position="top",
        truncate_label=-1,
        x_title="seconds at most" if small else None,
        print_zeroes=False,
        show_y_guides=True,
        margin=8,
        spacing=6,
        rounded_bars=3,
        disable_xml_declaration=True,
        css=("file://style.css", "file://graph.css", f"inline:{_STYLE}"),
        min_scale=2,
        value_formatter=lambda value: f"{value:.0f}",
    )
    chart.x_labels = [f"{bound:g}" for bound in BOUNDS] + ["more"] if small else [bar.label for bar in bars]
    chart.y_labels = _round_steps(max((bar.count for bar in bars), default=0))
    chart.add("calls", [bar.count for bar in bars])
    # pygal writes its settings into a script, which an image never runs.
    return _SCRIPT.sub("", chart.render())


def _round_steps(highest: int) -> list[int]:
    """Return three to seven round numbers from 0 to at least `highest`."""
    step = next(size * 10**power for power in range(12) for size in (1, 2, 5) if highest <= 5 * size * 10**power)
    return list(range(0, max(highest, 2 * step) + step, step))


@cache
def _load_pygal() -> tuple[Any, Any]:
    """Import pygal when the first picture is asked for: 10 MB that other processes need not hold."""
    import pygal  # noqa: PLC0415 - as the docstring says
    from pygal.style import Style  # noqa: PLC0415 - likewise

    # It leaves an import hook of Python 2's kind behind, for maps that we do not have; Python 3.11 warns of it at
    # every later import.
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]
    return pygal, Style
