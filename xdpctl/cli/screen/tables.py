"""All tables of one interface, or of all together; one of them has the keys."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Container

from xdpctl.cli.screen.cells import Shown
from xdpctl.cli.screen.heads import VIEWS, View, lines_of, notes_of, title_of
from xdpctl.cli.screen.table import RowTable
from xdpctl.observe.monitor import Monitor


class Tables(Container):
    """
    Attributes:
        chosen: the number of the view that has the keys, from 0 on.
    """

    def __init__(self, monitor: Monitor) -> None:
        super().__init__()
        self._monitor = monitor
        self._views = [*VIEWS]
        self.chosen = 0

    def compose(self) -> ComposeResult:
        for view in self._views:
            yield RowTable(in_order=view.in_order, id=view.name)

    @property
    def view(self) -> View:
        """That which has the keys."""
        return self._views[self.chosen]

    @property
    def table(self) -> RowTable:
        """Its table."""
        return self.query_one(f"#{self.view.name}", RowTable)

    def choose(self, number: int) -> None:
        """Give another one the keys; the next of those that take turns where it has them."""
        if number == self.chosen:
            self._views[number] = self.view.following
        self.table.remove_class("-active")
        self.chosen = number
        self.table.add_class("-active")
        self.table.focus()

    def show(self, scope: str, shown: Shown, span: Callable[[int], str]) -> None:
        """Let those that are in sight have new counts; `span` as of `RowTable.show`."""
        one_in = self._monitor.one_in(scope)
        for key, (view, table) in enumerate(zip(self._views, self.query(RowTable), strict=True), 1):
            if table.display:
                lines = lines_of(view, self._monitor, scope)
                title = f"{key} {title_of(view, lines, one_in)}"
                in_all = view.table and self._monitor.in_all(scope, view.table)
                table.show(lines, shown, notes_of(view, self._monitor), title, span, in_all)
