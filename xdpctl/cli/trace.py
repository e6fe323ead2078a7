"""xdpctl trace"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from xdpctl.cli.base import Command, interface_argument, session_of
from xdpctl.cli.documents import Document, write_json
from xdpctl.cli.packet_options import choice_of, packet_options
from xdpctl.cli.packet_text import fields_of, line_of, why
from xdpctl.cli.text import printable, rfc3339
from xdpctl.cli.watching import packets_of
from xdpctl.datapath.interfaces import find_interface
from xdpctl.rules.frame import parse

if TYPE_CHECKING:
    from xdpctl.datapath.sampling import Sample

SNAPLEN = 256
_VERDICT_WIDTH, _WHY_WIDTH = 4, 16


@click.command(
    cls=Command,
    name="trace",
    short_help="Show packet after packet with its verdict.",
    examples=(
        "xdpctl trace eth0 --verdict drop",
        "xdpctl trace eth0 --proto udp --dport 53 --limit 10",
    ),
)
@interface_argument()
@packet_options
@click.pass_context
def command(context: click.Context, /, interface: str, **options: Any) -> None:
    """Show a line for each packet as it comes, until Ctrl-C: when, what became of it and why, and
    what it is. Packets that are dropped are there, too, which tcpdump never sees. All options
    together have to match.
    """
    found = find_interface(interface)
    choice = choice_of(found, snaplen=SNAPLEN, **options)
    show = _write if session_of(context).json else _print
    with packets_of(found, choice) as (packets, source):
        shown = 0
        for batch in packets:
            for each in batch:
                show(each)
            sys.stdout.flush()
            shown += len(batch)
        lost = source.lost
    if not session_of(context).json or lost:
        noun = "packet" if shown == 1 else "packets"
        click.echo(f"{shown:,} {noun} shown, {lost:,} came too fast to be shown", err=True)


def _print(sample: Sample) -> None:
    moment = datetime.fromtimestamp(sample.time_ns // 10**9).strftime("%H:%M:%S")
    packet = parse(sample.data)
    packet.length = sample.length
    became = f"{sample.verdict:{_VERDICT_WIDTH}} {why(sample) or '-':{_WHY_WIDTH}}"
    what = f"{line_of(packet)}, {sample.length} bytes"
    print(printable(f"{moment}.{sample.time_ns // 1000 % 10**6:06} {became} {what}"))


def document_of(sample: Sample) -> Document:
    """A packet's verdict, and what is known of it."""
    packet = parse(sample.data)
    packet.length = sample.length
    return {
        "timestamp": rfc3339(sample.time_ns),
        "verdict": sample.verdict,
        "reason": sample.reason,
        "rule": sample.rule,
        "malformed": sample.malformed,
        "protocol": sample.protocol,
        "queue": sample.queue,
        "cpu": sample.cpu,
        "length": sample.length,
        "fields": fields_of(packet),
    }


def _write(sample: Sample) -> None:
    write_json(document_of(sample))
