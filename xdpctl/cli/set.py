"""xdpctl set: the group of its commands."""

from __future__ import annotations

import click

from xdpctl.cli.base import paragraph
from xdpctl.cli.group import CommandGroup, show_help

COMMANDS = ("list", "add", "remove")

_FOREIGN_VERBS = {
    "append": "add",
    "del": "remove",
    "delete": "remove",
    "ls": "list",
    "rm": "remove",
    "show": "list",
}


@click.group(
    cls=CommandGroup,
    name="set",
    members=COMMANDS,
    foreign_verbs=_FOREIGN_VERBS,
    short_help="Named sets of addresses: list, add, remove.",
    epilog=paragraph(
        "Examples:",
        "xdpctl set list eth0                the sets, and how large they are",
        "xdpctl set add eth0 office 192.0.2.0/24",
    ),
)
@click.pass_context
def command(context: click.Context) -> None:
    """The named sets of a ruleset, on an interface that xdpctl is attached to. What they hold is
    read from the kernel, and a change is a new ruleset like any other.
    """
    show_help(context)
