"""xdpctl rollback"""

from __future__ import annotations

import click

from xdpctl.cli.base import Command, interface_argument, session_of
from xdpctl.cli.documents import write_json
from xdpctl.cli.rules_output import applied_document, force_option, print_applied
from xdpctl.datapath.interfaces import find_interface


@click.command(
    cls=Command,
    name="rollback",
    short_help="Go back to the ruleset before.",
    examples=(
        "xdpctl rollback eth0                what was there before the last change",
        "xdpctl rollback eth0 --json         for a script",
    ),
)
@interface_argument()
@force_option()
@click.pass_context
def command(context: click.Context, interface: str, force: bool) -> None:
    """Put the ruleset back that the last change replaced, its sets as they were. Once more, and the
    change is there again. Refused as `apply` is, without --force.
    """
    from xdpctl.datapath import rulesets  # noqa: PLC0415

    found = find_interface(interface)
    applied = rulesets.roll_back(found, force=force)
    if session_of(context).json:
        write_json(applied_document(found, applied, ()))
        return
    print_applied(found, applied)
