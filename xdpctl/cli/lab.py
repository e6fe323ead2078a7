"""xdpctl lab: the group of its commands."""

from __future__ import annotations

import click

from xdpctl.cli.base import paragraph
from xdpctl.cli.group import CommandGroup, show_help

COMMANDS = ("up", "down", "list", "exec", "shell", "send", "capture")

_FOREIGN_VERBS = {
    "add": "up",
    "create": "up",
    "delete": "down",
    "destroy": "down",
    "dump": "capture",
    "flood": "send",
    "generate": "send",
    "ls": "list",
    "replay": "send",
    "rm": "down",
    "run": "exec",
    "show": "list",
    "start": "up",
    "status": "list",
    "stop": "down",
    "tcpdump": "capture",
}


@click.group(
    cls=CommandGroup,
    name="lab",
    members=COMMANDS,
    foreign_verbs=_FOREIGN_VERBS,
    short_help="Networks of namespaces to try things in.",
    epilog=paragraph(
        "Examples:",
        "xdpctl lab up                       two hosts, a and b, and a cable",
        "xdpctl lab shell a                  a shell on host a",
    ),
)
@click.pass_context
def command(context: click.Context) -> None:
    """Networks to try things in: hosts that are network namespaces of this machine, joined by
    cables of their own. Nothing of them touches the machine's network. They stay until
    they are taken down.

    Everywhere else an interface of a lab is HOST:IFACE, as in `xdpctl stats a:eth0`, and a host
    that several labs have is LAB/HOST.
    """
    show_help(context)
