"""xdpctl lab shell"""

from __future__ import annotations

import os
import shutil
import sys

import click

from xdpctl.cli.lab_command import LabCommand
from xdpctl.cli.lab_exec import become
from xdpctl.cli.lab_names import HostName
from xdpctl.labnames import LabHost


@click.command(
    cls=LabCommand,
    name="shell",
    short_help="Open a shell on a host.",
    examples=(
        "xdpctl lab shell a",
        "xdpctl lab shell bridge/a           where two labs have an a",
    ),
)
@click.argument("host", metavar="HOST", type=HostName())
def command(host: LabHost) -> None:
    """Open a shell on a host of a lab: yours, from $SHELL. Leave it with `exit`."""
    shell = os.environ.get("SHELL", "")
    if shutil.which(shell) is None:
        shell = "/bin/sh"
    if sys.stderr.isatty():
        click.echo(f"host {host.host} of lab {host.lab}; leave with: exit", err=True)
    # sh reads PS1; bash, whose startup files set it, evaluates PROMPT_COMMAND before each prompt.
    mark = f"({host}) "
    environment = dict(os.environ) | {
        "PS1": f"{mark}# ",
        "PROMPT_COMMAND": f'PS1="{mark}${{PS1#"{mark}"}}"',
    }
    become(host, (shell,), environment)
