"""xdpctl capture"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import click

from xdpctl.captures.writing import CaptureWriter
from xdpctl.cli.base import Command, interface_argument, session_of
from xdpctl.cli.documents import write_json
from xdpctl.cli.outputs import output_file, refuse_taken
from xdpctl.cli.packet_options import Choice, choice_of, packet_options
from xdpctl.cli.packet_text import why
from xdpctl.cli.text import counted, printable
from xdpctl.cli.watching import packets_of
from xdpctl.datapath.interfaces import Interface, find_interface
from xdpctl.datapath.sampling import BYTES_MAX, XDP_ACTIONS

if TYPE_CHECKING:
    from xdpctl.datapath.sampling import Sample

_RING_BYTES = 16 << 20


class _Result(NamedTuple):
    written: int
    lost: int


@click.command(
    cls=Command,
    name="capture",
    short_help="Write packets with their verdicts to a file.",
    examples=(
        "xdpctl capture eth0 -w dropped.pcapng --verdict drop --seconds 10",
        "xdpctl capture eth0 -w dns.pcapng --proto udp --dport 53 --limit 1000",
    ),
)
@interface_argument()
@click.option(
    "-w", "--write", "path", metavar="FILE", required=True, help="The file; - is standard output."
)
@click.option(
    "--snaplen",
    metavar="BYTES",
    type=click.IntRange(min=1, max=BYTES_MAX),
    default=BYTES_MAX,
    help=f"So much of each packet at most [default: {BYTES_MAX:,}].",
)
@packet_options
@click.pass_context
def command(
    context: click.Context, /, interface: str, path: str, snaplen: int, **options: Any
) -> None:
    """Write packets to a pcapng file as they come, those that are dropped, too, until Ctrl-C. Each
    has its verdict and, as a comment, the rule or reason that decided; Wireshark and tshark filter
    on them by frame.verdict.ebpf_xdp (1 is drop, 2 is pass) and frame.comment. All options together
    have to match.
    """
    json = session_of(context).json
    refuse_taken(path, json=json)
    found = find_interface(interface)
    choice = choice_of(found, snaplen=snaplen, **options)
    result = _capture(found, choice, path, quiet=json)
    if json:
        write_json({"interface": found.name, "file": path} | result._asdict())
        return
    text = f"{path}: {counted(result.written, 'packet')} written, {result.lost:,} came too fast"
    click.echo(printable(text), err=True)


def _capture(interface: Interface, choice: Choice, path: str, *, quiet: bool) -> _Result:
    written = 0
    start_ns = time.time_ns()
    with (
        packets_of(interface, choice, ring_bytes=_RING_BYTES) as (packets, source),
        output_file(path) as file,
    ):
        if not quiet:
            click.echo(printable(f"capturing from {interface.name}; Ctrl-C ends it"), err=True)
        writer = CaptureWriter(file)
        number = writer.add_interface(interface.name, snaplen=choice.wanted.bytes)
        file.flush()
        for batch in packets:
            _write(batch, writer, number, file)
            written += len(batch)
        result = _Result(written, source.lost)
        writer.statistics(
            number, start_ns=start_ns, end_ns=time.time_ns(), dropped=result.lost, delivered=written
        )
        file.flush()
    return result


def _write(batch: list[Sample], writer: CaptureWriter, interface: int, file: BinaryIO) -> None:
    for each in batch:
        writer.write(
            interface,
            each.time_ns,
            each.data,
            each.length,
            verdict=XDP_ACTIONS[each.verdict],
            comment=why(each) or None,
            queue=each.queue,
        )
    if batch:
        file.flush()
