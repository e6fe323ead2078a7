"""xdpctl export"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from xdpctl.cli.base import Command, interface_argument, session_of, watch_option
from xdpctl.cli.stats import ours
from xdpctl.cli.text import printable
from xdpctl.cli.watching import stop_signals
from xdpctl.datapath.interfaces import find_interface
from xdpctl.datapath.kernel import require_privileges
from xdpctl.errors import KernelRefused, WrongUsage

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_READABLE = 0o644  # node_exporter runs as somebody else
_PORT_MAX = 65535


@click.command(
    cls=Command,
    name="export",
    short_help="Metrics for Prometheus.",
    examples=(
        "xdpctl export --listen 127.0.0.1:9417",
        "xdpctl export eth0 --textfile /var/lib/node_exporter/xdpctl.prom",
    ),
)
@interface_argument(several=True, required=False)
@click.option("--listen", metavar="ADDRESS:PORT", help="Answer scrapes of /metrics, until stopped.")
@click.option("--textfile", metavar="PATH", help="Write a file for node_exporter.")
@watch_option("Write the file again and again.")
@click.option(
    "--rules",
    "rules_max",
    metavar="N",
    type=click.IntRange(min=0),
    default=100,
    help="Rules with series of their own; the rest is `_other` [default: 100].",
)
@click.pass_context
def command(
    context: click.Context,
    interfaces: tuple[str, ...],
    listen: str | None,
    textfile: str | None,
    watch_seconds: float | None,
    rules_max: int,
) -> None:
    """Tell Prometheus what is counted: packets and bytes by verdict, protocol, drop reason and
    rule, and packet sizes as a histogram. Of the interfaces named, or of all that have our program
    whenever it is asked. Without --listen and --textfile the metrics are printed.
    """
    if session_of(context).json:
        raise WrongUsage("metrics have a format of their own", hint="for JSON: xdpctl stats --json")
    if listen is not None and textfile is not None:
        raise WrongUsage("--listen or --textfile, not both")
    if watch_seconds is not None and textfile is None:
        raise WrongUsage("--watch is for --textfile")
    address = None if listen is None else _address(listen)
    require_privileges()
    names = [find_interface(name).name for name in dict.fromkeys(interfaces)]
    if not names and address is None:
        ours()

    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - 35 ms

    from xdpctl.observe.live import LiveInterfaces  # noqa: PLC0415
    from xdpctl.observe.metrics import Collector  # noqa: PLC0415

    with LiveInterfaces(names) as live:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(Collector(live, rules_max))
        if address is not None:
            _serve(registry, *address)
        elif textfile is not None:
            _write(registry, textfile, watch_seconds)
        else:
            click.echo(generate_latest(registry), nl=False)


def _address(text: str) -> tuple[str, int]:
    """`127.0.0.1:9417`, `[::1]:9417`, or `:9417` for all addresses."""
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.%\w]*)\]|([^:\[\]]*)):([0-9]{1,5})", text)
    if found is None or not 0 < int(found[3]) <= _PORT_MAX:
        raise WrongUsage(f"{text}: no ADDRESS:PORT", hint="as in 127.0.0.1:9417 or [::1]:9417")
    return found[1] or found[2] or ("::" if found[1] is not None else "0.0.0.0"), int(found[3])


def _serve(registry: CollectorRegistry, host: str, port: int) -> None:
    from prometheus_client import start_http_server  # noqa: PLC0415

    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    with stop_signals() as stop:
        try:
            server, thread = start_http_server(port, host, registry)
        except OSError as error:
            raise KernelRefused(f"{shown}: {error.strerror or error}") from None
        try:
            print(f"listening on http://{shown}/metrics", file=sys.stderr, flush=True)
            stop.wait()
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _write(registry: CollectorRegistry, path: str, seconds: float | None) -> None:
    with stop_signals() as stop:
        _replace(registry, path)
        while seconds is not None and not stop.wait(seconds):
            _replace(registry, path)


def _replace(registry: CollectorRegistry, path: str) -> None:
    """The file is the old one or the new one at any time, and nobody can guess what it is made
    in."""
    from prometheus_client import generate_latest  # noqa: PLC0415

    content = generate_latest(registry)
    directory, name = os.path.split(os.path.abspath(path))
    try:
        fd, made = tempfile.mkstemp(prefix=f".{name}.", dir=directory)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(content)
                os.fchmod(file.fileno(), _READABLE)
            os.replace(made, os.path.join(directory, name))
        except BaseException:
            with suppress(OSError):
                os.unlink(made)
            raise
    except OSError as error:
        raise KernelRefused(f"{printable(path)}: {error.strerror or error}") from None
