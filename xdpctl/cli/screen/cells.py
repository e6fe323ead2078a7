"""A row as text: what stands in which column, and how wide that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from xdpctl.cli.rules_output import rule_text
from xdpctl.cli.screen.blocks import graph
from xdpctl.cli.text import Unit, count, duration, printable, rate, si
from xdpctl.datapath.ban_entries import Ban
from xdpctl.observe.history import ROW_TICKS, Line
from xdpctl.observe.rates import Rate
from xdpctl.observe.talker_counts import Estimate

CURSOR, ENDED = ">", "x"

_MARKS_WIDTH, _RATE_WIDTH, _TOTAL_WIDTH, _GAP = 2, 9, 17, 1
_SPARK_WIDTH_MIN = 6


class Shown(NamedTuple):
    """How numbers are shown.

    Attributes:
        short: totals with three digits and a prefix, as rates are.
    """

    unit: Unit = Unit.PACKETS
    short: bool = False


class Columns(NamedTuple):
    """How many cells the name and the sparkline have."""

    name: int
    spark: int

    @classmethod
    def of(cls, width: int) -> Columns:
        """Of a table so many cells wide: the sparkline gets nearly half of what numbers leave."""
        rest = max(0, width - _MARKS_WIDTH - _RATE_WIDTH - _TOTAL_WIDTH - 3 * _GAP)
        spark = min(ROW_TICKS, rest * 12 // 25)
        spark = spark if spark >= _SPARK_WIDTH_MIN else 0
        return cls(rest - spark, spark)


class Cells(NamedTuple):
    """The texts of a row, each as wide as its column."""

    name: str
    rate: str
    total: str
    spark: str

    @property
    def numbers(self) -> str:
        return f"{self.name} {self.rate} {self.total} "


def head_cells(title: str, unit: Unit, columns: Columns, span: str = "") -> Cells:
    return Cells(
        fitted(title, columns.name),
        unit.rate.rjust(_RATE_WIDTH),
        unit.value.rjust(_TOTAL_WIDTH),
        fitted(span, columns.spark),
    )


def row_cells(line: Line, note: str, shown: Shown, columns: Columns) -> Cells:
    """Of a row whose bytes are not counted always packets."""
    unit = Unit.PACKETS if line.bytes is None else shown.unit
    name = f"{line.key}  {note}" if note else line.key
    in_unit = rate_in(unit)
    return Cells(
        fitted(printable(name), columns.name),
        rate(None if line.rate is None else in_unit(line.rate)).rjust(_RATE_WIDTH),
        total_text(unit.of(line.packets, line.bytes), shown).rjust(_TOTAL_WIDTH),
        spark(line, unit, columns.spark),
    )


def rate_in(unit: Unit) -> Callable[[Rate], float]:
    """From rates to numbers of a unit."""
    return lambda each: unit.of(each.packets, each.bytes) or 0.0


def spark(line: Line, unit: Unit, width: int) -> str:
    in_unit = rate_in(unit)
    values = [None if each is None else in_unit(each) for each in line.rates[-width:]]
    return graph(values, width)[0] if width else ""


def total_text(number: float | None, shown: Shown) -> str:
    text = count(number)
    if number is not None and (shown.short or len(text) > _TOTAL_WIDTH):
        return si(number)
    return text


def note_of(line: Line) -> str:
    """What a rule does with which packets; how long a ban has to go, where it is not for ever, and
    its tag; by how many packets/s an estimate may be off; of other rows nothing."""
    if line.about is None:
        return ""
    if isinstance(line.about, Ban):
        left = line.about.remaining_ns if line.present else None
        # Roughly: a line that reads otherwise each second is sent each second.
        time_left = "" if left is None else duration(left // 10**9)
        return ", ".join(filter(None, (time_left, line.about.tag)))
    if isinstance(line.about, Estimate):
        return f"± {rate(line.about.error)}" if line.about.error else ""
    said = {key: value for key, value in line.about.items() if key not in ("name", "action")}
    return f"{line.about['action']} {rule_text(said)}".rstrip()


def fitted(text: str, width: int) -> str:
    """Exactly so many cells of a terminal; what does not fit ends with an ellipsis."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return f"{set_cell_size(text, width - 1)}…" if width else ""
