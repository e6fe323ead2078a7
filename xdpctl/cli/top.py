"""xdpctl top"""

from __future__ import annotations

import sys
from functools import partial

import click

from xdpctl.cli.base import Command, interface_argument, interval_option, session_of
from xdpctl.cli.documents import Document, snapshot_heading, write_json
from xdpctl.cli.talkers import document_of, print_top
from xdpctl.cli.watching import print_gone, stop_signals
from xdpctl.datapath.interfaces import find_interface
from xdpctl.datapath.sampling import ONE_IN_MAX
from xdpctl.errors import NoSuchInterface, NotAttached
from xdpctl.observe.talkers import By
from xdpctl.observe.top import TopInterval, top

_ROWS = 20


@click.command(
    cls=Command,
    name="top",
    short_help="Show who sends most.",
    examples=(
        "xdpctl top eth0                     sources, again and again",
        "xdpctl top eth0 --by port --once",
    ),
)
@interface_argument()
@click.option(
    "--by",
    type=click.Choice([each.value for each in By]),
    default=By.SRC.value,
    metavar="WHAT",
    help="src, dst, flow, port (the destination's) or rule [default: src].",
)
@click.option("--once", is_flag=True, help="Show one interval, and end.")
@interval_option(2.0, "How often to show them")
@click.option(
    "--rows",
    metavar="N",
    type=click.IntRange(min=1, max=10_000),
    default=_ROWS,
    help=f"How many [default: {_ROWS}].",
)
@click.option(
    "--one-in",
    metavar="N",
    type=click.IntRange(min=1, max=ONE_IN_MAX),
    help="Take one packet in N [default: what gives 2,000 a second].",
)
@click.pass_context
def command(
    context: click.Context,
    interface: str,
    by: str,
    once: bool,
    seconds: float,
    rows: int,
    one_in: int | None,
) -> None:
    """Show who sends most, of the last five intervals. The rates are estimated from a random sample
    of the packets: the error is what they are off, to either side, in 19 of 20 cases at most.
    """
    found = find_interface(interface)
    key = By(by)
    show = partial(_write, by=key) if session_of(context).json else partial(print_top, by=key)
    begun = False
    with stop_signals() as stop:
        try:
            for each in top(
                found,
                key,
                seconds,
                lambda left: not stop.wait(left),
                rows=rows,
                one_in=one_in,
                count=1 if once else None,
            ):
                show(each, redraw=not once)
                sys.stdout.flush()
                begun = True
        except (NoSuchInterface, NotAttached) as error:
            if not begun:
                raise
            print_gone(error)


def _write(interval: TopInterval, *, by: By, redraw: bool) -> None:
    heading = snapshot_heading(interval.snapshot)
    ranking = interval.ranking
    document: Document = {
        key: heading[key] for key in ("interface", "ifindex", "netns", "timestamp")
    }
    document |= {"by": by.value, "seconds": ranking.seconds} | ranking.total._asdict()
    document |= {"sampled": ranking.sampled, "one_in": interval.one_in, "lost": interval.lost}
    write_json(document | {"talkers": [document_of(each, by) for each in ranking.talkers]})
