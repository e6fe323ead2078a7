"""The lines around the tables, and what stands behind names in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.text import Text

from xdpctl.cli.screen.cells import note_of
from xdpctl.cli.text import printable
from xdpctl.observe.history import Line
from xdpctl.observe.monitor import SUM, Monitor, busiest_to_mean
from xdpctl.observe.reading import Table


class View(NamedTuple):
    """A table on the screen.

    Attributes:
        table: None for the interfaces themselves.
        in_order: its rows have an order of their own, which new ones enter into; otherwise they
            come at the end, where they move no others.
        others: tables that take turns with this one.
    """

    name: str
    table: Table | None
    in_order: bool = False
    others: tuple[Table, ...] = ()

    @property
    def title(self) -> str:
        return "interface" if self.table is None else self.table.value

    @property
    def following(self) -> View:
        """With the next one of those that take turns."""
        if self.table is None or not self.others:
            return self
        return self._replace(table=self.others[0], others=(*self.others[1:], self.table))


VIEWS = (
    View("protocols", Table.PROTOCOLS),
    View("verdicts", Table.VERDICTS),
    View("rules", Table.RULES, in_order=True),
    View("bans", Table.BANS),
    View("sizes", Table.SIZES, in_order=True),
    View("cpus", Table.CPUS, in_order=True),
    View("interfaces", None),
    View("top", Table.SOURCES, others=(Table.DESTINATIONS, Table.PORTS)),
)


def heading(monitor: Monitor, scope: str, status: Sequence[str]) -> str:
    """What is looked at, and how."""
    board = monitor.board(scope)
    if board is None:
        interfaces = len(monitor.scopes) - 1
        what = [f"xdpctl  {SUM} {interfaces} interfaces"]
    else:
        what = [f"xdpctl  {printable(board.interface)}", printable(board.state)]
    return " · ".join(filter(None, [*what, *status]))


def tabs_line(chosen: int) -> Text:
    """The tables by the keys that choose them; the one that is there stands in brackets."""
    text = Text()
    for number, view in enumerate(VIEWS):
        before, behind = "[]" if number == chosen else "  "
        text.append(f"{before}{number + 1} {view.name}{behind}", "bold" * (number == chosen))
    return text


def keys_line() -> str:
    return "? help  / filter  s sort  space pause  u unit  z zero  enter detail  a act  q"


def lines_of(view: View, monitor: Monitor, scope: str) -> list[Line]:
    """The rows of a table."""
    return monitor.interfaces() if view.table is None else monitor.lines(scope, view.table)


def title_of(view: View, lines: Sequence[Line], one_in: int | None) -> str:
    """What the names of a table are, and of how many packets one was looked at if not all were."""
    title = view.title
    if view.table is Table.CPUS:
        ratio = busiest_to_mean(lines)
        title += "" if ratio is None else f", busiest/mean {ratio:.2f}"
    if view.table in (Table.RULES, Table.BANS) and not lines:
        title += "  (none)"
    if view.name == "top" and one_in is not None and one_in > 1:
        title += f", 1 in {one_in:,}"
    return title


def notes_of(view: View, monitor: Monitor) -> Callable[[Line], str]:
    """What stands behind the names of a table."""

    def state(line: Line) -> str:
        board = monitor.board(line.key)
        return "" if board is None else board.state

    return state if view.table is None else note_of
