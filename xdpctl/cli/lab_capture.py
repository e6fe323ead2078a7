"""xdpctl lab capture"""

from __future__ import annotations

import contextlib

import click

from netns_lab.namespace import Namespace, require_privileges
from netns_lab.recorder import listen, record
from xdpctl.cli.base import SECONDS, session_of
from xdpctl.cli.documents import write_json
from xdpctl.cli.lab_command import LabCommand
from xdpctl.cli.lab_names import HostName
from xdpctl.cli.outputs import output_file, refuse_taken
from xdpctl.cli.text import printable
from xdpctl.cli.watching import stop_signals
from xdpctl.labnames import LabHost


@click.command(
    cls=LabCommand,
    name="capture",
    short_help="Record frames in a pcap file.",
    examples=(
        "xdpctl lab capture a eth0 -w a.pcap --count 10",
        "xdpctl lab capture b eth0 -w b.pcap --seconds 5",
    ),
)
@click.argument("host", metavar="HOST", type=HostName())
@click.argument("interface", metavar="IFACE")
@click.option(
    "-w", "--write", "path", metavar="FILE", required=True, help="The file; - is standard output."
)
@click.option("--count", metavar="N", type=click.IntRange(min=1), help="End after N frames.")
@click.option("--seconds", metavar="S", type=SECONDS, help="End after S s.")
@click.pass_context
def command(
    context: click.Context,
    host: LabHost,
    interface: str,
    path: str,
    count: int | None,
    seconds: float | None,
) -> None:
    """Record the frames that arrive on an interface of a host and those that leave it, as
    tcpdump does, until Ctrl-C. What XDP drops on arrival is not seen.
    """
    require_privileges()
    json = session_of(context).json
    refuse_taken(path, json=json)
    with (
        contextlib.closing(Namespace(str(host), host.path)) as namespace,
        listen(namespace, interface) as sock,
        output_file(path) as file,
        stop_signals() as stop,
    ):
        if not json:
            click.echo(printable(f"recording {host}:{interface}; Ctrl-C ends it"), err=True)
        result = record(sock, file, stop=stop.is_set, count=count, seconds=seconds)
    end = f", {result.lost:,} came too fast" if result.lost else ""
    end += "; the interface is gone" if result.gone else ""
    if json:
        document = {"host": str(host), "interface": interface, "file": path}
        write_json(document | {"written": result.written, "lost": result.lost})
    else:
        frames = "frame" if result.written == 1 else "frames"
        click.echo(printable(f"{path}: {result.written:,} {frames} written{end}"), err=True)
