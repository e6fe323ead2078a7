"""A table of rows with rates, one of which the cursor is on.

Of our own rather than Textual's DataTable: that repaints every cell in sight when one changes, and
loses the cursor when rows are filled in anew. Here the cursor is on a key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.message import Message

from xdpctl.cli.screen.cells import (
    CURSOR,
    ENDED,
    Columns,
    Shown,
    fitted,
    head_cells,
    note_of,
    row_cells,
)
from xdpctl.cli.screen.painted import PaintedLine, PaintedLines
from xdpctl.cli.text import printable
from xdpctl.observe.history import Line

_HEAD = Style(bold=True)
_FOCUSED_HEAD = Style(bold=True, reverse=True)
_BAR = Style(color="green")
_DIM = Style(dim=True)
_HEAD_LINES = 1


class Order(Enum):
    """What rows can be sorted by; the value says so."""

    OWN = "in their own order"
    RATE = "by rate"
    TOTAL = "by total"
    NAME = "by name"


class RowTable(PaintedLines, can_focus=True):
    """The rows keep their places until they are sorted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home,g", "move(-1000000)", show=False),
        Binding("end,G", "move(1000000)", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Chosen(Message):
        """Enter was pressed on the row that the cursor is on."""

        def __init__(self, table: RowTable) -> None:
            super().__init__()
            self.table = table

    class Resized(Message):
        """There is another number of rows to be shown, or rows are to be shown at all."""

    def __init__(self, *, in_order: bool, **settings: Any) -> None:
        """`in_order`: new rows come where they belong among the others, until those are sorted;
        otherwise at the end."""
        super().__init__(**settings)
        self._in_order = in_order
        self._title = ""
        self._span: Callable[[int], str] = str
        self._shown = Shown()
        self._lines: dict[str, Line] = {}
        self._note_of: Callable[[Line], str] = note_of
        self._places: list[str] = []
        self._filter = ""
        self._listed: list[str] = []
        self._cursor: str | None = None
        self._at = 0
        self._top = 0
        self._in_all: int | None = None

    # what is shown

    def show(
        self,
        lines: Sequence[Line],
        shown: Shown,
        notes: Callable[[Line], str],
        title: str,
        span: Callable[[int], str],
        in_all: int | None,
    ) -> None:
        """Take new counts.

        Args:
            notes: what stands behind the name of a row.
            title: at the head of the names.
            span: how long the last so many intervals were.
            in_all: how many rows there are if these are not all.
        """
        self._in_all = in_all
        self._lines = {line.key: line for line in lines}
        self._note_of, self._shown, self._title, self._span = notes, shown, title, span
        known = set(self._places)
        self._places = [key for key in self._places if key in self._lines]
        new = [line.key for line in lines if line.key not in known]
        self._places += new
        if new and self._in_order:
            self._places.sort(key=lambda key: _own_place(self._lines[key]))
        self._list()

    def filter(self, text: str) -> None:
        """List only rows with the text in their names or notes, in upper or lower case."""
        self._filter = text
        self._list()

    @property
    def filtered_by(self) -> str:
        return self._filter

    def sort(self, order: Order) -> None:
        """Give the rows new places, this once: the largest, or the first by name, on top."""
        unit = self._shown.unit

        def of(number: float | None) -> float:
            return -(number or 0.0)

        keys: dict[Order, Callable[[Line], Any]] = {
            Order.OWN: _own_place,
            Order.NAME: lambda line: line.key,
            Order.TOTAL: lambda line: of(unit.of(line.packets, line.bytes or line.packets)),
            Order.RATE: lambda line: of(
                line.rate and unit.of(line.rate.packets, line.rate.bytes or line.rate.packets)
            ),
        }
        self._places.sort(key=lambda key: keys[order](self._lines[key]))
        self._in_order = False
        self._list()

    @property
    def chosen(self) -> Line | None:
        """The row that the cursor is on."""
        return self._lines.get(self._cursor) if self._cursor is not None else None

    def _list(self) -> None:
        wanted = self._filter.casefold()
        self._listed = [
            key
            for key in self._places
            if not wanted or wanted in f"{key} {self._note_of(self._lines[key])}".casefold()
        ]
        if self._cursor not in self._lines:
            last = len(self._listed) - 1
            self._cursor = self._listed[min(self._at, last)] if self._listed else None
        self._follow()

    # the cursor

    def action_move(self, rows: int) -> None:
        if not self._listed:
            return
        at = self._listed.index(self._cursor) if self._cursor in self._listed else 0
        self._cursor = self._listed[min(len(self._listed) - 1, max(0, at + rows))]
        self._follow()

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self._rows_in_sight))

    def action_choose(self) -> None:
        if self.chosen is not None:
            self.post_message(self.Chosen(self))

    def _follow(self) -> None:
        """Keep the cursor in sight, and paint."""
        rows = max(1, self._rows_in_sight)
        at = self._listed.index(self._cursor) if self._cursor in self._listed else 0
        self._top = min(max(self._top, at - rows + 1), at)
        self._top = max(0, min(self._top, len(self._listed) - rows))
        self._at = at
        self.paint()

    @property
    def _rows_in_sight(self) -> int:
        return self.size.height - _HEAD_LINES

    # painting

    def lines(self) -> list[PaintedLine]:
        return [*map(self._line, range(self.size.height))]

    def _line(self, y: int) -> PaintedLine:
        columns = Columns.of(self.size.width)
        if y < _HEAD_LINES:
            span = f"last {self._span(columns.spark)}"
            cells = head_cells(self._head(), self._shown.unit, columns, span)
            style = _FOCUSED_HEAD if self.has_focus else _HEAD
            return Segment(f"  {cells.numbers}", style), Segment(cells.spark, style)
        at = self._top + y - _HEAD_LINES
        if at >= len(self._listed):
            return (Segment(fitted("", self.size.width)),)
        key = self._listed[at]
        line = self._lines[key]
        under_cursor = key == self._cursor and self.has_focus
        style = Style(reverse=True) if under_cursor else Style.null() if line.present else _DIM
        marks = (CURSOR if under_cursor else " ") + (" " if line.present else ENDED)
        cells = row_cells(line, self._note_of(line), self._shown, columns)
        return Segment(f"{marks}{cells.numbers}", style), Segment(cells.spark, style or _BAR)

    def _head(self) -> str:
        """The title, the filter, and which rows are in sight where not all are."""
        rows, listed = self._rows_in_sight, len(self._listed)
        known = listed if self._in_all is None or self._filter else self._in_all
        head = self._title
        if self._filter:
            head += f" /{printable(self._filter)}"
        if known > rows:
            head += f" {self._top + 1}-{min(listed, self._top + rows)} of {known:,}"
        return head

    def on_resize(self, _: Resize) -> None:
        self._follow()
        self.post_message(self.Resized())

    def on_focus(self) -> None:
        self.paint()

    def on_blur(self) -> None:
        self.paint()


def _own_place(line: Line) -> tuple[bool, int]:
    """What has ended goes behind the others."""
    return not line.present, line.place
