"""xdpctl apply"""

from __future__ import annotations

import time

import click

from xdpctl.cli.base import Command, interface_argument, session_of
from xdpctl.cli.documents import write_json
from xdpctl.cli.rules_output import (
    applied_document,
    file_argument,
    force_option,
    print_applied,
    print_warnings,
)
from xdpctl.datapath.interfaces import find_interface


@click.command(
    cls=Command,
    name="apply",
    short_help="Put a rules file on an interface.",
    examples=(
        "xdpctl apply eth0 edge.yaml         in the place of what is there, at once",
        "xdpctl apply eth0 - < edge.yaml     from standard input",
    ),
)
@interface_argument()
@file_argument()
@force_option()
@click.pass_context
def command(context: click.Context, interface: str, file: str, force: bool) -> None:
    """Put the rules of a file on an interface that xdpctl is attached to, in the place of those
    that are there. No packet meets a part of them or a mixture, and none is lost; rules of the
    same name go on counting.

    Refused without --force is what would drop the SSH connection that the command came through,
    the default gateway's packets, ARP or neighbour discovery.
    """
    from xdpctl.datapath import rulesets  # noqa: PLC0415
    from xdpctl.rules.reading import read_ruleset  # noqa: PLC0415 - YAML

    found = find_interface(interface)
    reading = read_ruleset(file, time.time(), rulesets.known_lists(found))
    applied = rulesets.apply(found, lambda _: reading.ruleset, force=force)
    if session_of(context).json:
        write_json(applied_document(found, applied, reading.warnings))
        return
    print_warnings(reading.warnings)
    print_applied(found, applied)
