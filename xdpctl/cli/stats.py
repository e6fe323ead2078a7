"""xdpctl stats"""

from __future__ import annotations

import click

from xdpctl.cli.base import (
    WATCH_SECONDS_DEFAULT,
    Command,
    count_option,
    interface_argument,
    session_of,
    watch_option,
)
from xdpctl.cli.documents import interval, one_or_all, stats, write_json
from xdpctl.cli.watching import stop_signals, watch
from xdpctl.datapath.hook import occupants
from xdpctl.datapath.interfaces import Interface, all_interfaces, find_interface
from xdpctl.datapath.snapshot import Reader, Snapshot
from xdpctl.errors import NotAttached, WrongUsage
from xdpctl.observe.rates import Interval


@click.command(
    cls=Command,
    name="stats",
    short_help="Show packets and bytes by protocol and verdict.",
    examples=(
        "xdpctl stats eth0 --watch 1         with rates, every second",
        "xdpctl stats --all --json           every interface, for a script",
    ),
)
@interface_argument(several=True, required=False)
@click.option("--all", "everywhere", is_flag=True, help="Every interface that has our program.")
@watch_option("Show rates again and again.")
@count_option()
@click.option("--per-cpu", is_flag=True, help="Also what each CPU has counted.")
@click.pass_context
def command(
    context: click.Context,
    interfaces: tuple[str, ...],
    everywhere: bool,
    watch_seconds: float | None,
    count: int | None,
    per_cpu: bool,
) -> None:
    """Show what our program has counted: packets and bytes by protocol and by verdict, and why
    packets were malformed. Once, or with --watch again and again with rates.
    """
    if bool(interfaces) is everywhere:
        raise WrongUsage("name interfaces, or say --all", hint="xdpctl stats --help")
    found = ours() if everywhere else [find_interface(name) for name in dict.fromkeys(interfaces)]
    json, single = session_of(context).json, len(found) == 1 and not everywhere
    if watch_seconds is None and count is None:
        _show_once([take(each) for each in found], json, single, per_cpu)
        return
    with stop_signals() as stop:
        watch(
            found,
            watch_seconds or WATCH_SECONDS_DEFAULT,
            stop,
            lambda each: show_intervals(each, json=json, single=single, per_cpu=per_cpu),
            count,
        )


def ours() -> list[Interface]:
    """The interfaces that our program is on. Raises NotAttached when there is none."""
    found = [each for each in all_interfaces() if any(o.ours for o in occupants(each))]
    if not found:
        raise NotAttached(
            "xdpctl is not attached to any interface", hint="run: xdpctl attach IFACE"
        )
    return found


def take(interface: Interface) -> Snapshot:
    with Reader(interface) as reader:
        return reader.snapshot()


def _show_once(snapshots: list[Snapshot], json: bool, single: bool, per_cpu: bool) -> None:
    if json:
        write_json(one_or_all([stats(each, per_cpu=per_cpu) for each in snapshots], single=single))
        return
    from xdpctl.cli.tables import print_stats  # noqa: PLC0415 - rich, for people only

    for each in snapshots:
        print_stats(each, per_cpu=per_cpu)


def show_intervals(
    intervals: list[Interval],
    *,
    json: bool,
    single: bool,
    per_cpu: bool = False,
    redraw: bool = True,
) -> None:
    if json:
        documents = [interval(each, per_cpu=per_cpu) for each in intervals]
        write_json(one_or_all(documents, single=single))
        return
    from xdpctl.cli.tables import next_frame, print_stats  # noqa: PLC0415 - rich

    next_frame(redraw=redraw)
    for each in intervals:
        print_stats(each.snapshot, each, per_cpu=per_cpu)
