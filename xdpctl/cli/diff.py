"""xdpctl diff"""

from __future__ import annotations

import time

import click

from xdpctl.cli.base import Command, interface_argument, session_of
from xdpctl.cli.documents import write_json
from xdpctl.cli.rules_output import difference_document, file_argument, print_difference
from xdpctl.datapath.interfaces import find_interface

DIFFERENT = 1


@click.command(
    cls=Command,
    name="diff",
    short_help="Compare a rules file with what is running.",
    examples=(
        "xdpctl diff eth0 edge.yaml          what applying it would change",
        "xdpctl diff eth0 edge.yaml --json   for a script",
    ),
)
@interface_argument()
@file_argument()
@click.pass_context
def command(context: click.Context, interface: str, file: str) -> int:
    """Show what applying a file would change: rules added, removed, changed and moved, the sizes of
    sets, the default. Exits with 0 where nothing differs, and with 1 where something does.
    """
    from xdpctl.datapath import rulesets  # noqa: PLC0415
    from xdpctl.rules.diff import difference  # noqa: PLC0415
    from xdpctl.rules.reading import read_ruleset  # noqa: PLC0415 - YAML

    found = find_interface(interface)
    new = read_ruleset(file, time.time()).ruleset
    found_difference = difference(rulesets.read_ruleset(found) or rulesets.bare_counter(), new)
    if session_of(context).json:
        write_json(difference_document(found_difference))
    else:
        print_difference(found_difference)
    return DIFFERENT if found_difference else 0
