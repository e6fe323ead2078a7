"""Tables for people, made with rich: at most 80 columns where the output is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from xdpctl.cli.text import Unit, age, count, local_time, printable, rate
from xdpctl.datapath.counters import Counters, RowNames, Tally
from xdpctl.datapath.snapshot import Snapshot
from xdpctl.observe.rates import Interval
from xdpctl.observe.reading import size_key

_NAME_WIDTH, _PACKETS_WIDTH, _BYTES_WIDTH, _RATE_WIDTH = 20, 17, 20, 9
_BAR_CELLS = 34
_WORDS = ("interface", "address", "tag")
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_RATES = (Unit.PACKETS, Unit.BITS)

Row = tuple[str, Tally, Tally]
"""A name, what was counted in total, and what of it in the interval."""


def console() -> Console:
    """NO_COLOR and FORCE_COLOR are rich's own; nothing in a name is markup."""
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def next_frame(*, redraw: bool = True) -> None:
    """Go to the top of a terminal's screen; elsewhere an empty line parts the frames."""
    sys.stdout.write("\x1b[H\x1b[J" if redraw and sys.stdout.isatty() else "\n")


def print_stats(
    snapshot: Snapshot, interval: Interval | None = None, *, per_cpu: bool = False
) -> None:
    """The tables of one interface, with rates where there is an interval."""
    out = console()
    out.print(_heading(snapshot), style="bold")
    print_counters(out, snapshot.names, snapshot.total, interval)
    if per_cpu:
        for cpu, counters in enumerate(snapshot.per_cpu):
            out.print()
            names = snapshot.names.protocols
            rows = [*zip(names, counters.protocols, counters.protocols, strict=True)]
            rows.append(("all", counters.total, counters.total))
            out.print(_tally_table(f"cpu {cpu}", rows))


def print_counters(
    out: Console, names: RowNames, total: Counters, interval: Interval | None = None
) -> None:
    """Protocols, verdicts, and why packets were dropped and malformed."""
    recent = interval.counters if interval else total
    out.print()
    rows = [*zip(names.protocols, total.protocols, recent.protocols, strict=True)]
    out.print(_tally_table("protocol", [*rows, ("all", total.total, recent.total)], interval))
    out.print()
    rows = [*zip(names.verdicts, total.verdicts, recent.verdicts, strict=True)]
    out.print(_tally_table("verdict", rows[::-1], interval))
    rows = [*zip(names.drop_reasons, total.drop_reasons, recent.drop_reasons, strict=True)]
    if any(tally.packets for _, tally, _ in rows):
        out.print()
        out.print(_tally_table("dropped by", rows, interval))
    if any(total.malformed):
        reasons = zip(names.malformed, total.malformed, strict=True)
        out.print()
        out.print(packets_table("malformed because", reasons))


def _heading(snapshot: Snapshot) -> str:
    place = f" in {snapshot.netns}" if snapshot.netns else ""
    return printable(
        f"{snapshot.interface.name}{place}: {snapshot.mode_name} mode, "
        f"program {snapshot.program_id}, attached {local_time(snapshot.attached_at_ns)}"
    )


def _tally_table(title: str, rows: Sequence[Row], interval: Interval | None = None) -> Table:
    """The rows that are not zero, and the sum whatever it is."""
    table = _table((title, _NAME_WIDTH), ("packets", _PACKETS_WIDTH), ("bytes", _BYTES_WIDTH))
    if interval:
        for unit in _RATES:
            table.add_column(unit.rate, justify="right", width=_RATE_WIDTH)
    for name, tally, recent in rows:
        is_sum = name == "all"
        if not tally.packets and not is_sum:
            continue
        cells = [name, count(tally.packets), count(tally.bytes)]
        if interval:
            cells += (rate(unit.of(*interval.rate(recent))) for unit in _RATES)
        table.add_row(*cells, style="bold" if is_sum else None)
    return table


def packets_table(title: str, rows: Iterable[tuple[str, int]]) -> Table:
    """The rows that are not zero."""
    table = _table((title, _NAME_WIDTH), ("packets", _PACKETS_WIDTH))
    for name, packets in rows:
        if packets:
            table.add_row(name, count(packets))
    return table


def print_histogram(snapshot: Snapshot, counters: Counters) -> None:
    """Packet sizes as bars, from the smallest that came to the largest."""
    out = console()
    out.print(_heading(snapshot), style="bold")
    out.print()
    print_sizes(out, snapshot.names, counters)


def print_sizes(out: Console, names: RowNames, counters: Counters) -> None:
    """The bars."""
    counted = [row for row, packets in enumerate(counters.sizes) if packets]
    if not counted:
        out.print("no packets")
        return
    largest, total = max(counters.sizes), sum(counters.sizes)
    table = _table(("bytes", 15), ("packets", 15), ("share", 7))
    table.add_column(width=_BAR_CELLS)
    for row in range(counted[0], counted[-1] + 1):
        packets = counters.sizes[row]
        share = f"{packets / total:.1%}"
        span = size_key(names.sizes[row])
        table.add_row(span, count(packets), share, bar(packets / largest))
    out.print(table)


def bar(fraction: float, cells: int = _BAR_CELLS) -> str:
    """A horizontal bar in eighths of a cell; what is not nothing shows at least one."""
    eighths = round(fraction * cells * 8)
    if fraction > 0:
        eighths = max(1, eighths)
    full, part = divmod(eighths, 8)
    return _EIGHTHS[8] * full + (_EIGHTHS[part] if part else "")


def print_status(rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("interface", "mode", "program", "owner", "attached"):
        table.add_column(column, overflow="fold")
    for column in ("packets", "bytes"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*map(printable, row))
    console().print(table)


def print_bans(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """At least one row; names to the left and numbers to the right."""
    table = [tuple(map(printable, row)) for row in rows]
    # Not with rich, which takes half a millisecond a row: there are lists of 100,000.
    widths = [max(map(len, column)) for column in zip(titles, *table, strict=True)]
    for row in (titles, *table):
        cells = [
            cell.ljust(width) if title in _WORDS else cell.rjust(width)
            for title, cell, width in zip(titles, row, widths, strict=True)
        ]
        print("  ".join(cells).rstrip())


def print_talkers(title: str, rows: Iterable[Sequence[str]]) -> None:
    """Who they are, the share, the rate and its error, and the rate in bits."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(title, overflow="fold")
    for column in ("share", Unit.PACKETS.rate, "error", Unit.BITS.rate):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(printable, row))
    console().print(table)


def print_sent(rows: Sequence[tuple[str, int, int]]) -> None:
    """Name, packets and bytes by row, the sum in the last, in the columns of `print_stats`."""
    tallies = [(name, Tally(packets, length)) for name, packets, length in rows]
    console().print(_tally_table("protocol", [(name, each, each) for name, each in tallies]))


def attached_for(nanoseconds: int | None) -> str:
    return "-" if nanoseconds is None else age(nanoseconds)


def _table(*columns: tuple[str, int]) -> Table:
    """A first column of names and further ones of numbers, with the widths given."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, (title, width) in enumerate(columns):
        table.add_column(title, justify="right" if i else "left", width=width, overflow="fold")
    return table
