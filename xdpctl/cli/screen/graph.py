"""The rate of all packets over the last minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.segment import Segment
from rich.style import Style

from xdpctl.cli.screen.blocks import graph
from xdpctl.cli.screen.cells import fitted
from xdpctl.cli.screen.painted import PaintedLine, PaintedLines
from xdpctl.cli.text import rate

_NOW_WIDTH = 18
_TITLE, _BARS = Style(bold=True), Style(color="green")


class Graph(PaintedLines):
    """A line with the rate now and the highest one in sight, and below it bars."""

    def __init__(self, unit: str, **settings: Any) -> None:
        super().__init__(**settings)
        self._unit = unit
        self._values: Sequence[float | None] = ()
        self._span = ""

    def show(self, values: Sequence[float | None], span: str) -> None:
        """Take new rates, one for each interval; `span` says how long ago the first of those is
        that fit in."""
        self._values, self._span = values, span
        self.paint()

    @property
    def intervals(self) -> int:
        """How many fit in."""
        return self.size.width

    def lines(self) -> list[PaintedLine]:
        shown = self._values[-self.intervals :] if self.intervals else ()
        now = rate(shown[-1] if shown else None)
        highest = max((value for value in shown if value is not None), default=None)
        title = f"{self._unit} {now}".ljust(_NOW_WIDTH)
        title += f"max {rate(highest)} in {self._span}"
        bars = graph(shown, self.size.width, max(0, self.size.height - 1))
        return [
            (Segment(fitted(title, self.size.width), _TITLE),),
            *((Segment(bar, _BARS),) for bar in bars),
        ]
