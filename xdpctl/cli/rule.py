"""xdpctl rule: the group of its commands."""

from __future__ import annotations

import click

from xdpctl.cli.base import paragraph
from xdpctl.cli.group import CommandGroup, show_help

COMMANDS = ("list", "add", "delete", "reset")

_FOREIGN_VERBS = {
    "append": "add",
    "block": "add",
    "del": "delete",
    "drop": "add",
    "insert": "add",
    "ls": "list",
    "remove": "delete",
    "rm": "delete",
    "show": "list",
    "zero": "reset",
}


@click.group(
    cls=CommandGroup,
    name="rule",
    members=COMMANDS,
    foreign_verbs=_FOREIGN_VERBS,
    short_help="Rules one by one: list, add, delete, reset.",
    epilog=paragraph(
        "Examples:",
        "xdpctl rule list eth0               in their order, with packets and bytes",
        "xdpctl rule reset eth0              all of them count from 0",
    ),
)
@click.pass_context
def command(context: click.Context) -> None:
    """Rules one by one, on an interface that xdpctl is attached to. The first rule that matches a
    packet decides; what none matches is passed or dropped as the ruleset's default says.
    """
    show_help(context)
