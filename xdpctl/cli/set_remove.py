"""xdpctl set remove"""

from __future__ import annotations

import click

from xdpctl.cli.base import Command, interface_argument, session_of
from xdpctl.cli.rules_output import force_option
from xdpctl.cli.set_change import change_set


@click.command(
    cls=Command,
    name="remove",
    short_help="Remove addresses from a set.",
    examples=(
        "xdpctl set remove eth0 office 192.0.2.0/24 2001:db8::/48",
        "xdpctl set remove eth0 office 192.0.2.5-192.0.2.9",
    ),
)
@interface_argument()
@click.argument("name", metavar="SET")
@click.argument("prefixes", metavar="PREFIX...", nargs=-1, required=True)
@force_option()
@click.pass_context
def command(
    context: click.Context, interface: str, name: str, prefixes: tuple[str, ...], force: bool
) -> None:
    """Remove addresses, prefixes or ranges from a named set, all in one step. Refused as `apply`
    is, without --force.
    """
    from xdpctl.rules.sets import minus  # noqa: PLC0415 - NumPy

    change_set(interface, name, prefixes, minus, force=force, json=session_of(context).json)
