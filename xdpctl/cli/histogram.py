"""xdpctl histogram"""

from __future__ import annotations

import click

from xdpctl.cli.base import Command, interface_argument, session_of, watch_option
from xdpctl.cli.documents import sizes, snapshot_heading, write_json
from xdpctl.cli.stats import take
from xdpctl.cli.watching import stop_signals, watch
from xdpctl.datapath.counters import Counters
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
        snapshot = take(found)
        _show(snapshot, snapshot.total, json)
        return

    def show(intervals: list[Interval]) -> None:
        if not json:
            from xdpctl.cli.tables import next_frame  # noqa: PLC0415 - rich, for people only

            next_frame()
        for each in intervals:
            _show(each.snapshot, each.counters, json)

    with stop_signals() as stop:
        watch([found], watch_seconds, stop, show)


def _show(snapshot: Snapshot, counters: Counters, json: bool) -> None:
    if json:
        write_json(snapshot_heading(snapshot) | {"sizes": sizes(counters, snapshot.names)})
        return
    from xdpctl.cli.tables import print_histogram  # noqa: PLC0415 - rich, for people only

    print_histogram(snapshot, counters)
