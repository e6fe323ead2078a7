"""One frame of the dashboard as plain text, for scripts and for watch(1)."""

from __future__ import annotations

from collections.abc import Iterator

from xdpctl.cli.screen.cells import Columns, Shown, fitted, head_cells, rate_in, row_cells
from xdpctl.cli.screen.heads import VIEWS, View, heading, lines_of, notes_of, title_of
from xdpctl.cli.text import Unit, rate
from xdpctl.observe.monitor import SUM, Monitor


def frame(monitor: Monitor, width: int) -> Iterator[str]:
    """The lines: for all interfaces, and for each where there are several; only rows that are not
    zero."""
    for scope in monitor.scopes:
        total = monitor.total(scope)
        yield fitted(heading(monitor, scope, ()), width).rstrip()
        now = [
            f"{rate(total.rate and rate_in(unit)(total.rate))} {unit.rate}"
            for unit in (Unit.PACKETS, Unit.BITS)
        ]
        yield "   ".join(now)
        for view in VIEWS:
            for table in (view.table, *view.others):
                if table is not None:
                    yield from _table(view._replace(table=table), monitor, scope, width)
        yield ""
    if len(monitor.scopes) > 1:
        yield from _table(next(view for view in VIEWS if view.table is None), monitor, SUM, width)
        yield ""


def _table(view: View, monitor: Monitor, scope: str, width: int) -> Iterator[str]:
    lines = lines_of(view, monitor, scope)
    rows = [line for line in lines if line.packets or line.about]
    if not rows:
        return
    # A sparkline of one interval says nothing: its room goes to the names.
    columns = Columns(sum(Columns.of(width)), 0)
    note_of = notes_of(view, monitor)
    title = title_of(view, lines, monitor.one_in(scope))
    in_all = view.table and monitor.in_all(scope, view.table)
    title += "" if in_all is None else f", {len(lines):,} of {in_all:,}"
    yield ""
    yield head_cells(title, Unit.PACKETS, columns).numbers.rstrip()
    for line in rows:
        yield row_cells(line, note_of(line), Shown(), columns).numbers.rstrip()
