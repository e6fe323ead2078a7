"""xdpctl rule reset"""

from __future__ import annotations

import click

from xdpctl.cli.base import Command, interface_argument, session_of
from xdpctl.cli.documents import heading, write_json
from xdpctl.cli.text import counted, printable
from xdpctl.datapath.interfaces import current_namespace, find_interface


@click.command(
    cls=Command,
    name="reset",
    short_help="Let rules count from 0 again.",
    examples=(
        "xdpctl rule reset eth0              all, and the default",
        "xdpctl rule reset eth0 web          one",
    ),
)
@interface_argument()
@click.argument("rules", metavar="[RULE...]", nargs=-1)
@click.pass_context
def command(context: click.Context, interface: str, rules: tuple[str, ...]) -> None:
    """Let the counters of rules, or of all and the default, start at 0 again. No count is written
    to while packets arrive: what was counted so far is taken off from now on.
    """
    from xdpctl.datapath import rulesets  # noqa: PLC0415

    found = find_interface(interface)
    names = rulesets.reset(found, rules)
    if session_of(context).json:
        write_json(heading(found, current_namespace()) | {"reset": list(names)})
    else:
        what = ", ".join(names) if rules else f"{counted(len(names), 'rule')} and the default"
        click.echo(printable(f"{found.name}: counted from 0 again: {what}"))
