"""What comes in front of the tables: help, the detail of a row, and a question before anything is
changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from xdpctl.cli.screen.blocks import graph
from xdpctl.cli.screen.cells import note_of, rate_in
from xdpctl.cli.screen.heads import VIEWS
from xdpctl.cli.text import Unit, count, local_time, printable, rate, time_left
from xdpctl.datapath.ban_entries import Ban
from xdpctl.observe.history import ROW_TICKS, Line

KEYS = (
    (f"1 to {len(VIEWS)}  tab", "another table; where all are there, the one with the keys"),
    ("8 again", "who sends most: sources, destinations, ports"),
    ("left  right", "another interface, or all together"),
    ("up  down", "move the cursor; also page up, page down, home, end"),
    ("enter", "all about the row; of an interface: look at that one"),
    ("s  t  n  o", "sort once: by rate, total, name, in their own order"),
    ("/", "list only rows with a text; escape lists all again"),
    ("space", "hold the picture still; counting goes on"),
    ("+  -", "a longer, a shorter interval"),
    ("u", "packets, bits or bytes"),
    ("i", "totals in full, or with k, M, G"),
    ("z", "totals from now on; the counters stay as they are"),
    ("a", "ban the source, drop the protocol or port, delete the rule, ...; asks first"),
    ("q", "leave"),
)

_KEYS_WIDTH = 13
_CSS = """
    align: center middle;
    background: transparent;
"""
_BOX_CSS = """
    border: solid ansi_default;
    background: ansi_default;
    width: auto;
    max-width: 100%;
    height: auto;
    max-height: 100%;
    padding: 0 1;
"""
_DETAIL_WIDTH = ROW_TICKS


class _Box(Vertical):
    DEFAULT_CSS = f"_Box {{ {_BOX_CSS} }} _Box Static {{ width: auto; max-width: 100%; }}"


class Help(ModalScreen[None]):
    """The keys."""

    DEFAULT_CSS = f"Help {{ {_CSS} }}"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,question_mark,space", "dismiss", show=False)
    ]

    def compose(self) -> ComposeResult:
        text = Text()
        for keys, what in KEYS:
            text.append(keys.ljust(_KEYS_WIDTH), "bold")
            text.append(f"{what}\n")
        text.rstrip()
        with _Box():
            yield Static(text)


class Detail(ModalScreen[None]):
    """Everything about one row, as it goes on."""

    DEFAULT_CSS = f"Detail {{ {_CSS} }}"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,space", "dismiss", show=False)]

    def __init__(self, line: Callable[[], Line | None]) -> None:
        """`line` says how the row stands."""
        super().__init__()
        self._line = line

    def compose(self) -> ComposeResult:
        with _Box():
            yield Static(self._text())

    def follow(self) -> None:
        """Show how the row stands now."""
        self.query_one(Static).update(self._text())

    def _text(self) -> Text:
        line = self._line()
        return Text() if line is None else Text("\n".join(detail(line)))


def detail(line: Line) -> list[str]:
    """A row in all units, as lines of text."""
    lines = [printable(line.key) + ("" if line.present else "  (has ended)")]
    lines += [printable(each) for each in _about(line)]
    units = (Unit.PACKETS,) if line.bytes is None else Unit
    for unit in units:
        now = None if line.rate is None else rate_in(unit)(line.rate)
        total = count(unit.of(line.packets, line.bytes))
        lines += ["", f"{unit.rate:10} {rate(now):>8}   {unit.value} in total {total}"]
        values = [None if each is None else rate_in(unit)(each) for each in line.rates]
        highest = max((value for value in values if value is not None), default=None)
        lines += graph(values, _DETAIL_WIDTH, 2)
        lines.append(f"highest in sight {rate(highest)}")
    if line.bytes is not None and line.packets:
        lines += ["", f"bytes in a packet, on average {line.bytes / line.packets:,.1f}"]
    return lines


def _about(line: Line) -> list[str]:
    if not isinstance(line.about, Ban):
        return [note_of(line)] if line.about is not None else []
    ban = line.about
    said = f"banned at {local_time(ban.added_ns)}"
    if line.present and ban.remaining_ns is None:
        said += ", for ever"
    elif line.present and ban.remaining_ns is not None:
        said += f", for {time_left(ban.remaining_ns)} more"
    return [said, *([f"tag: {ban.tag}"] if ban.tag else [])]


class Question(ModalScreen[bool]):
    """Whether to run a command, which is shown as it will be run."""

    DEFAULT_CSS = f"Question {{ {_CSS} }}"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", show=False),
        Binding("n,escape,q", "dismiss(False)", show=False),
    ]

    def __init__(self, text: str, command: str) -> None:
        super().__init__()
        self._text, self._command = text, command

    def compose(self) -> ComposeResult:
        text = Text(f"{self._text}\n\n  ")
        text.append(printable(self._command), "bold")
        text.append("\n\ny  run this command      n  leave everything as it is")
        with _Box():
            yield Static(text)
