"""xdpctl dashboard"""

from __future__ import annotations

import os
import shutil
import sys

import click

from xdpctl.cli.base import Command, interface_argument, interval_option, session_of
from xdpctl.cli.documents import interval, one_or_all, write_json
from xdpctl.cli.stats import ours
from xdpctl.cli.watching import stop_signals, watch
from xdpctl.datapath.interfaces import Interface, find_interface
from xdpctl.errors import WrongUsage


@click.command(
    cls=Command,
    name="dashboard",
    short_help="Rates on a screen of tables and graphs.",
    examples=(
        "xdpctl dashboard                    every interface that has our program",
        "xdpctl dashboard eth0 --once        one frame as plain text",
    ),
)
@interface_argument(several=True, required=False)
@interval_option(1.0, "How often to read the counters")
@click.option("--once", is_flag=True, help="Print one frame after one interval, and end.")
@click.pass_context
def command(
    context: click.Context, interfaces: tuple[str, ...], seconds: float, once: bool
) -> None:
    """Show what comes in while it comes in: rates with a graph of the last minutes; protocols,
    verdicts, rules, sizes and CPUs as tables, each row with its rate, its total and a sparkline.
    ? lists the keys. An interface that goes away is waited for.
    """
    json = session_of(context).json
    found = [find_interface(name) for name in dict.fromkeys(interfaces)] or ours()
    if json and not once:
        raise WrongUsage("--json is for --once", hint="or: xdpctl stats --watch --json")
    if json:
        _write_once(found, seconds, single=len(interfaces) == 1)
        return
    if once:
        _print_once(found, seconds)
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        raise WrongUsage("a dashboard needs a terminal", hint="--once prints one frame as text")
    _show(found, seconds, named=bool(interfaces))


def _write_once(interfaces: list[Interface], seconds: float, *, single: bool) -> None:
    with stop_signals() as stop:
        watch(
            interfaces,
            seconds,
            stop,
            lambda each: write_json(one_or_all([*map(interval, each)], single=single)),
            count=1,
        )


def _print_once(interfaces: list[Interface], seconds: float) -> None:
    from xdpctl.cli.screen.plain import frame  # noqa: PLC0415 - rich, for people only
    from xdpctl.observe.live import LiveInterfaces  # noqa: PLC0415
    from xdpctl.observe.monitor import Monitor  # noqa: PLC0415

    with LiveInterfaces([each.name for each in interfaces]) as live, stop_signals() as stop:
        live.check()
        monitor = Monitor(live)
        monitor.tick()
        if stop.wait(seconds):
            return
        monitor.tick()
        for line in frame(monitor, shutil.get_terminal_size().columns):
            click.echo(line)


def _show(interfaces: list[Interface], seconds: float, *, named: bool) -> None:
    from xdpctl.cli.screen.app import Dashboard  # noqa: PLC0415 - Textual takes a quarter second
    from xdpctl.observe.live import LiveInterfaces  # noqa: PLC0415
    from xdpctl.observe.monitor import Monitor  # noqa: PLC0415

    for name in ("COLUMNS", "LINES"):  # exported by a shell they outlast a change of size
        os.environ.pop(name, None)
    with LiveInterfaces([each.name for each in interfaces] if named else []) as live:
        live.check()
        screen = Dashboard(Monitor(live), seconds)
        # Without the mouse: a terminal whose dashboard was killed would go on telling of it, and
        # one could not select text.
        screen.run(mouse=False)
    if screen.failure is not None:
        raise screen.failure
