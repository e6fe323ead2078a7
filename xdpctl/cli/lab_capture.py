"""xdpctl lab capture"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import BinaryIO

import click

from netns_lab.namespace import Namespace, require_privileges
from netns_lab.recorder import record
from xdpctl.cli.base import session_of
from xdpctl.cli.documents import write_json
from xdpctl.cli.lab_command import LabCommand
from xdpctl.cli.lab_names import HostName
from xdpctl.cli.text import printable
from xdpctl.cli.watching import stop_signals
from xdpctl.errors import XdpctlError
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
@click.option(
    "--seconds", metavar="S", type=click.FloatRange(min=0, min_open=True), help="End after S s."
)
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
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(stop_signals())
        namespace = stack.enter_context(contextlib.closing(Namespace(str(host), host.path)))

        def ready() -> None:
            if not json:
                click.echo(printable(f"recording {host}:{interface}; Ctrl-C ends it"), err=True)

        try:
            file = _open(path, stack)
            result = record(
                namespace, interface, file,
                stop=stop.is_set, ready=ready, count=count, seconds=seconds,
            )  # fmt: skip
        except BrokenPipeError:
            raise
        except OSError as error:
            raise XdpctlError(f"{path}: {error.strerror}") from error
    lost = f", {result.lost:,} came too fast" if result.lost else ""
    if json:
        document = {"host": str(host), "interface": interface, "file": path}
        write_json(document | {"written": result.written, "lost": result.lost})
    else:
        frames = "frame" if result.written == 1 else "frames"
        click.echo(printable(f"{path}: {result.written:,} {frames} written{lost}"), err=True)


def _open(path: str, stack: contextlib.ExitStack) -> BinaryIO:
    if path == "-":
        return sys.stdout.buffer
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    return stack.enter_context(os.fdopen(descriptor, "wb"))
