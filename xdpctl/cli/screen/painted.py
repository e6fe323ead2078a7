"""Lines of text on the screen, of which only those are sent again that read otherwise than before:
that is what counts on a slow connection."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from rich.segment import Segment
from textual.events import Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

PaintedLine = tuple[Segment, ...]


class PaintedLines(Widget):
    """A widget that says how each of its lines reads."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._painted: list[PaintedLine] = []

    @abstractmethod
    def lines(self) -> list[PaintedLine]:
        """How they read now, from the uppermost on."""

    def paint(self) -> None:
        """Send the lines that read otherwise than before."""
        before, self._painted = self._painted, self.lines()
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
        return Strip(self._painted[y]).adjust_cell_length(self.size.width)

    def on_resize(self, _: Resize) -> None:
        self._painted = []
        self.paint()
