"""xdpctl lab list"""

from __future__ import annotations

import click

from netns_lab import inventory, persistent
from xdpctl.cli.base import session_of
from xdpctl.cli.documents import write_json
from xdpctl.cli.lab_command import LabCommand, lab_document, port_lines, wrapped
from xdpctl.labnames import short_name


@click.command(
    cls=LabCommand,
    name="list",
    short_help="Show the labs that are up.",
    examples=(
        "xdpctl lab list                     hosts, interfaces, addresses",
        "xdpctl lab list --json              for a script",
    ),
)
@click.pass_context
def command(context: click.Context) -> None:
    """Show the labs that are up: their hosts, interfaces, addresses, where the cables lead,
    and the processes that run there. All of it is read from the kernel.
    """
    found = {lab: inventory.survey(lab) for lab in persistent.labs()}
    if session_of(context).json:
        write_json([lab_document(lab, states) for lab, states in found.items()])
        return
    if not found:
        click.echo("no lab is up")
    for lab, states in found.items():
        click.echo(f"lab {lab}")
        for state in states:
            name = short_name(state.host)
            if not state.alive:
                click.echo(f"  {name}: has no namespace; `xdpctl lab down` clears it away")
            elif not state.ports:
                click.echo(f"  {name}: no interfaces")
            for port in state.ports:
                bridge = [f"in {port.bridge}"] if port.bridge else []
                click.echo(port_lines(name, port, [*port.interface.addresses, *bridge]))
            for process in state.processes:
                click.echo(wrapped(f"{name:<18} process {process}"))
