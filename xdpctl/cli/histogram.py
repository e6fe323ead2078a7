"""xdpctl histogram"""

from __future__ import annotations

import click

from xdpctl.cli.base import Command, interface_argument, session_of, watch_option
from xdpctl.cli.documents import sizes, sizes_interval, snapshot_heading, write_json
from xdpctl.cli.stats import take
from xdpctl.cli.watching import stop_signals, watch
from xdpctl.datapath.interfaces import find_interface
from xdpctl.datapath.snapshot import Snapshot
from xdpctl.observe.rates import Interval


@click.command(
    cls=Command,
    name="histogram",
    short_help="Show packet sizes as bars.",
    examples=(
        "xdpctl histogram eth0               since it was attached",
        "xdpctl histogram eth0 --watch 5     what came in, every 5 seconds",
    ),
)
@interface_argument()
@watch_option("Show the sizes of each interval.")
@click.pass_context
def command(context: click.Context, interface: str, watch_seconds: float | None) -> None:
    """Show how large the packets were: in steps of 64 bytes up to 1,024, then by powers of two. A
    packet's size is that of its whole frame, from the Ethernet header on.
    """
    found = find_interface(interface)
    json = session_of(context).json
    if watch_seconds is None:
        _show_once(take(found), json)
        return
    with stop_signals() as stop:
        watch([found], watch_seconds, stop, _write_intervals if json else _print_intervals)


def _show_once(snapshot: Snapshot, json: bool) -> None:
    if json:
        total = sizes(snapshot.total, snapshot.names)
        write_json(snapshot_heading(snapshot) | {"sizes": total})
        return
    from xdpctl.cli.tables import print_histogram  # noqa: PLC0415 - rich, for people only

    print_histogram(snapshot, snapshot.total)


def _write_intervals(intervals: list[Interval]) -> None:
    for each in intervals:
        write_json(sizes_interval(each))


def _print_intervals(intervals: list[Interval]) -> None:
    from xdpctl.cli.tables import next_frame, print_histogram  # noqa: PLC0415 - rich

    next_frame()
    for each in intervals:
        print_histogram(each.snapshot, each.counters)
