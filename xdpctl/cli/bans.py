"""xdpctl bans"""

from __future__ import annotations

import sys
from functools import partial
from shutil import get_terminal_size

import click

from xdpctl.cli.ban_input import interfaces_of
from xdpctl.cli.base import (
    WATCH_SECONDS_DEFAULT,
    Command,
    count_option,
    interface_argument,
    session_of,
    watch_option,
)
from xdpctl.cli.documents import Document, with_rates, write_json
from xdpctl.cli.text import rfc3339, si, time_left
from xdpctl.cli.watching import stop_signals
from xdpctl.datapath.ban_entries import Ban
from xdpctl.datapath.interfaces import Interface
from xdpctl.observe.ban_rates import BansInterval, bans_intervals, take_bans

_TITLES = ("interface", "address", "time left", "packets", "bytes", "tag")
_RATES = ("packets/s", "bits/s")
_NOBODY = "nobody is banned"
_HEAD_LINES = 5


@click.command(
    cls=Command,
    name="bans",
    short_help="Show who is banned, and for how long.",
    examples=(
        "xdpctl bans eth0",
        "xdpctl bans --tag scan --watch      on all interfaces, again and again",
    ),
)
@interface_argument(required=False)
@click.option("--tag", metavar="TEXT", help="Those of this tag.")
@watch_option("Show them with rates again and again.")
@count_option()
@click.pass_context
def command(
    context: click.Context,
    interface: str | None,
    tag: str | None,
    watch_seconds: float | None,
    count: int | None,
) -> None:
    """Show the bans in force, with what is left of their time and the packets that they have
    dropped; with --watch again and again, those that drop most first. Without an interface it is
    the bans of all.
    """
    interfaces = interfaces_of(interface, everywhere=interface is None)
    single, json = interface is not None, session_of(context).json
    if watch_seconds is not None or count is not None:
        seconds = watch_seconds or WATCH_SECONDS_DEFAULT
        show = _write_interval if json else partial(_print_interval, single=single)
        with stop_signals() as stop:
            for each in bans_intervals(interfaces, tag, lambda: not stop.wait(seconds), count):
                show(each)
                sys.stdout.flush()
        return
    found = take_bans(interfaces, tag).bans
    if json:
        write_json([_document(*each) for each in found])
    elif found:
        from xdpctl.cli.tables import print_bans  # noqa: PLC0415 - rich, for people only

        print_bans(_TITLES[single:], (_row(*each)[single:] for each in found))
    else:
        click.echo(_NOBODY)


def _write_interval(interval: BansInterval) -> None:
    """On one line: bans and totals, and under `interval` what came in since the line before."""

    rates = partial(with_rates, per_second=interval.per_second)
    snapshot = interval.snapshot
    document: Document = {"timestamp": rfc3339(snapshot.timestamp_ns)}
    document |= snapshot.total._asdict()
    document["bans"] = [_document(*each) for each in snapshot.bans]
    recent = [
        _identity(*each) | rates(tally)
        for each, tally in zip(snapshot.bans, interval.recent, strict=True)
        if tally.packets
    ]
    heading: Document = {"seconds": interval.seconds}
    write_json(document | {"interval": heading | rates(interval.total) | {"bans": recent}})


def _print_interval(interval: BansInterval, *, single: bool) -> None:
    from xdpctl.cli.tables import next_frame, print_bans  # noqa: PLC0415 - rich

    next_frame()
    rows = sorted(
        zip(interval.snapshot.bans, interval.recent, strict=True),
        key=lambda row: row[1].packets,
        reverse=True,
    )
    total, recent = interval.snapshot.total, interval.total
    rates = [(si(interval.per_second(t.packets)), si(interval.per_second(t.bytes * 8)))
             for t in (recent, *(tally for _, tally in rows))]  # fmt: skip
    bans = "1 ban" if len(rows) == 1 else f"{len(rows):,} bans"
    packets, bits = rates[0]
    click.echo(f"{bans}, {total.packets:,} packets dropped: {packets} packets/s, {bits} bits/s\n")
    if not rows:
        return
    room = max(1, get_terminal_size().lines - _HEAD_LINES) if sys.stdout.isatty() else len(rows)
    shown = (_row(*each) + rate for (each, _), rate in zip(rows[:room], rates[1:], strict=False))
    print_bans((*_TITLES, *_RATES)[single:], (row[single:] for row in shown))
    if len(rows) > room:
        click.echo(f"and {len(rows) - room:,} more")


def _identity(interface: Interface, ban: Ban) -> Document:
    prefix = ban.prefix
    return {
        "interface": interface.name,
        "address": str(prefix).partition("/")[0],
        "family": f"ipv{prefix.version}",
        "prefix_length": prefix.length,
    }


def _document(interface: Interface, ban: Ban) -> Document:
    remaining = ban.remaining_ns
    return _identity(interface, ban) | {
        "tag": ban.tag,
        "expires": None if ban.expires_ns is None else rfc3339(ban.expires_ns),
        "remaining": None if remaining is None else round(remaining / 1e9, 3),
        "packets": ban.hits.packets,
        "bytes": ban.hits.bytes,
        "added": rfc3339(ban.added_ns),
    }


def _row(interface: Interface, ban: Ban) -> tuple[str, ...]:
    return (
        interface.name,
        str(ban.prefix),
        "for ever" if ban.remaining_ns is None else time_left(ban.remaining_ns),
        f"{ban.hits.packets:,}",
        f"{ban.hits.bytes:,}",
        ban.tag,
    )
