"""The dashboard: one reading an interval, several tables of it, and keys."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Input, Static

from xdpctl.cli.screen.actions import propose, run
from xdpctl.cli.screen.cells import Shown, fitted
from xdpctl.cli.screen.dialogs import Detail, Help, Question
from xdpctl.cli.screen.graph import Graph
from xdpctl.cli.screen.heads import VIEWS, heading, keys_line, tabs_line
from xdpctl.cli.screen.layout import CSS, HEIGHTS, WIDTHS
from xdpctl.cli.screen.table import Order, RowTable
from xdpctl.cli.screen.tables import Tables
from xdpctl.cli.text import Unit
from xdpctl.errors import XdpctlError
from xdpctl.observe.history import Line
from xdpctl.observe.monitor import Monitor

INTERVALS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)

_ORDERS = {"s": Order.RATE, "t": Order.TOTAL, "n": Order.NAME, "o": Order.OWN}
_LEAVE_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Dashboard(App[None]):
    """The screen over a monitor. In a large terminal all tables are there at once."""

    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    CSS = CSS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c,ctrl+q", "leave", show=False, priority=False),
        Binding("question_mark,f1", "help", show=False),
        Binding("tab", "next_view(1)", show=False, priority=True),
        Binding("shift+tab", "next_view(-1)", show=False, priority=True),
        Binding("left", "scope(-1)", show=False),
        Binding("right", "scope(1)", show=False),
        Binding("slash", "filter", show=False),
        Binding("escape", "all_rows", show=False),
        Binding("space,p", "pause", show=False),
        Binding("plus,equals_sign", "interval(1)", show=False),
        Binding("minus", "interval(-1)", show=False),
        Binding("u", "unit", show=False),
        Binding("i", "short", show=False),
        Binding("z", "zero", show=False),
        Binding("a", "act", show=False),
        *(Binding(key, f"sort('{key}')", show=False) for key in _ORDERS),
        *(Binding(str(n), f"view({n})", show=False) for n in range(1, len(VIEWS) + 1)),
    ]

    def __init__(
        self, monitor: Monitor, interval_s: float, now: Callable[[], datetime] = datetime.now
    ) -> None:
        """`now` says what time it is, for people."""
        if not os.environ.get("NO_COLOR"):
            os.environ.pop("NO_COLOR", None)  # empty is as if it were not set (no-color.org)
        # The terminal's own colours: they are right on dark and on light ones.
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.animation_level = "none"
        self.failure: XdpctlError | None = None
        self._monitor, self._interval_s, self._now = monitor, interval_s, now
        self._timer: Timer | None = None
        self._scope = ""
        self._shown = Shown()
        self._read_at = self._zero_at = self._paused_at = ""
        self._message = ""

    def compose(self) -> ComposeResult:
        yield Static(id="heading")
        with Horizontal(id="graphs"):
            yield Graph(Unit.PACKETS.rate, id="packets")
            yield Graph(Unit.BITS.rate, id="bits")
        yield Static(id="tabs")
        yield Tables(self._monitor)
        yield Static(id="keys")
        yield Input(id="filter", placeholder="list only rows with this text", compact=True)

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _LEAVE_ON:
            loop.add_signal_handler(number, self.exit)
        self.action_view(1)
        self.sample()
        self._timer = self.set_interval(self._interval_s, self.sample)

    def on_unmount(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _LEAVE_ON:
            loop.remove_signal_handler(number)

    # what is shown

    def sample(self) -> None:
        """Take a reading, and show it unless the picture is held still."""
        try:
            self._monitor.tick()
        except XdpctlError as error:
            self.failure = error
            self.exit()
            return
        if not self._monitor.paused:
            self._read_at = self._clock()
        self.render_all()

    def render_all(self) -> None:
        """Show how things stand; lines that read as before are not sent again."""
        scopes = self._monitor.scopes
        if not scopes:
            return
        if self._scope not in scopes:
            self._scope = scopes[0]
        total = self._monitor.total(self._scope)
        with self.batch_update():
            head = heading(self._monitor, self._scope, self._status())
            self._update("heading", Text(fitted(head, self.size.width)))
            self._update("tabs", tabs_line(self._tables.chosen))
            self._update("keys", Text(self._message or keys_line()))
            self._draw_graphs(total)
            self._tables.show(self._scope, self._shown, self._span)
        if isinstance(self.screen, Detail):
            self.screen.follow()

    def _status(self) -> list[str]:
        """What the settings are, for the heading."""
        return [
            f"every {self._interval_s:g} s",
            f"from zero at {self._zero_at}" if self._zero_at else "",
            f"PAUSED at {self._paused_at}" if self._monitor.paused else self._read_at,
        ]

    def _update(self, name: str, text: Text) -> None:
        widget = self.query_one(f"#{name}", Static)
        if widget.content != text:
            widget.update(text)

    def _draw_graphs(self, total: Line) -> None:
        for graph in self.query(Graph):
            unit = Unit.PACKETS if graph.id == "packets" else Unit.BITS
            values = [each and unit.of(each.packets, each.bytes) for each in total.rates]
            graph.show(values, self._span(graph.intervals))

    def _span(self, intervals: int) -> str:
        return f"{self._monitor.seconds_back(intervals):.0f} s"

    @property
    def _tables(self) -> Tables:
        return self.query_one(Tables)

    def _clock(self) -> str:
        return f"{self._now():%H:%M:%S}"

    def _say(self, message: str) -> None:
        self._message = message
        self.render_all()

    def on_key(self) -> None:
        self._message = ""

    def on_row_table_resized(self) -> None:
        self.call_after_refresh(self.render_all)

    # keys

    def action_leave(self) -> None:
        self.exit()

    def action_help(self) -> None:
        self.push_screen(Help())

    def action_view(self, number: int) -> None:
        self._tables.choose(number - 1)
        self.render_all()

    def action_next_view(self, step: int) -> None:
        self.action_view((self._tables.chosen + step) % len(VIEWS) + 1)

    def action_scope(self, step: int) -> None:
        scopes = self._monitor.scopes
        at = (scopes.index(self._scope) + step) % len(scopes)
        self._scope = scopes[at]
        self.render_all()

    def action_pause(self) -> None:
        if self._monitor.paused:
            self._monitor.resume()
            self._read_at = self._clock()
        else:
            self._monitor.pause()
            self._paused_at = self._read_at
        self.render_all()

    def action_interval(self, step: int) -> None:
        longer = [each for each in INTERVALS_S if each > self._interval_s]
        shorter = [each for each in INTERVALS_S if each < self._interval_s]
        chosen = longer[:1] if step > 0 else shorter[-1:]
        if chosen and self._timer is not None:
            self._interval_s = chosen[0]
            self._timer.stop()
            self._timer = self.set_interval(self._interval_s, self.sample)
        self.render_all()

    def action_unit(self) -> None:
        units = [*Unit]
        unit = units[(units.index(self._shown.unit) + 1) % len(units)]
        self._shown = self._shown._replace(unit=unit)
        self.render_all()

    def action_short(self) -> None:
        self._shown = self._shown._replace(short=not self._shown.short)
        self.render_all()

    def action_zero(self) -> None:
        self._monitor.zero()
        self._zero_at = self._clock()
        self.render_all()

    def action_sort(self, key: str) -> None:
        order = _ORDERS[key]
        self._tables.table.sort(order)
        self._say(f"sorted {order.value}")

    def on_row_table_chosen(self, message: RowTable.Chosen) -> None:
        line = message.table.chosen
        if line is None:
            return
        if self._tables.view.table is None:
            self._scope = line.key
            self.render_all()
            return
        self.push_screen(Detail(lambda: message.table.chosen))

    # filter

    def action_filter(self) -> None:
        self.screen.add_class("-filtering")
        field = self.query_one(Input)
        field.value = self._tables.table.filtered_by
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if self.screen.has_class("-filtering"):
            self._tables.table.filter(event.value)

    def on_input_submitted(self) -> None:
        self._end_filtering()

    def action_all_rows(self) -> None:
        self._tables.table.filter("")
        self._end_filtering()

    def _end_filtering(self) -> None:
        self.screen.remove_class("-filtering")
        self._tables.table.focus()

    # acting

    def action_act(self) -> None:
        board = self._monitor.board(self._scope)
        interface = board.interface if board is not None else None
        proposal = propose(self._tables.view.table, self._tables.table.chosen, interface)
        if not proposal.command:
            self._say(proposal.text)
            return

        def decided(yes: bool | None) -> None:
            if yes:
                self.run_worker(self._run(proposal.command), exit_on_error=False)

        self.push_screen(Question(proposal.text, proposal.command), decided)

    async def _run(self, command: str) -> None:
        self._say(f"running: {command}")
        self._say(await run(command))
