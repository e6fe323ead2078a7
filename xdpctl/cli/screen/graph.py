"""The rate of all packets over the last minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from xdpctl.cli.screen.blocks import graph
from xdpctl.cli.screen.cells import fitted
from xdpctl.cli.text import rate

_NOW_WIDTH = 18
_TITLE, _BARS = Style(bold=True), Style(color="green")


class Graph(Widget):
    """A line with the rate now and the highest one in sight, and below it bars."""

    def __init__(self, unit: str, **settings: Any) -> None:
        super().__init__(**settings)
        self._unit = unit
        self._values: Sequence[float | None] = ()
        self._span = ""
        self._painted: list[str] = []

    def show(self, values: Sequence[float | None], span: str) -> None:
        """Take new rates, one for each interval; `span` says how long ago the first of those is
        that fit in."""
        self._values, self._span = values, span
        self.paint()

    @property
    def intervals(self) -> int:
        """How many fit in."""
        return self.size.width

    def paint(self) -> None:
        shown = self._values[-self.intervals :] if self.intervals else ()
        now = rate(shown[-1] if shown else None)
        highest = max((value for value in shown if value is not None), default=None)
        title = f"{self._unit} {now}".ljust(_NOW_WIDTH)
        title += f"max {rate(highest)} in {self._span}"
        height = max(0, self.size.height - 1)
        before = self._painted
        self._painted = [
            fitted(title, self.size.width),
            *graph(shown, self.size.width, height),
        ]
        changed = [
            Region(0, y, self.size.width, 1)
            for y, line in enumerate(self._painted)
            if y >= len(before) or before[y] != line
        ]
        if changed:
            self.refresh(*changed)

    def render_line(self, y: int) -> Strip:
        if y >= len(self._painted):
            return Strip.blank(self.size.width)
        strip = Strip([Segment(self._painted[y], _BARS if y else _TITLE)])
        return strip.adjust_cell_length(self.size.width)

    def on_resize(self, _: Resize) -> None:
        self._painted = []
        self.paint()
