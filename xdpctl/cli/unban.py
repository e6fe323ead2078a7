"""xdpctl unban"""

from __future__ import annotations

import click

from xdpctl.cli.ban_input import (
    BansCommand,
    batches,
    interfaces_of,
    tell_counts,
    whose_arguments,
)
from xdpctl.cli.base import session_of
from xdpctl.cli.text import counted
from xdpctl.datapath.bans import unban
from xdpctl.errors import WrongUsage


@click.command(
    cls=BansCommand,
    name="unban",
    short_help="End bans, by address or by tag.",
    examples=(
        "xdpctl unban eth0 192.0.2.1",
        "xdpctl unban --all --tag scan",
    ),
)
@whose_arguments
@click.option("--tag", metavar="TEXT", help="Those of this tag.")
@click.pass_context
def command(
    context: click.Context,
    interface: str | None,
    addresses: tuple[str, ...],
    everywhere: bool,
    file: str | None,
    tag: str | None,
) -> None:
    """End the bans of these addresses and prefixes, or all of a tag, or of these those that have
    the tag. What was not banned is none the worse for it. `-` reads addresses from standard input,
    as they come.
    """
    named = bool(addresses) or file is not None
    if not named and tag is None:
        raise WrongUsage("name addresses, or a --tag", hint="xdpctl unban eth0 192.0.2.1")
    found = interfaces_of(interface, everywhere=everywhere)
    ended = [0] * len(found)
    for prefixes in batches(addresses, file) if named else [None]:
        for i, each in enumerate(found):
            ended[i] += len(unban(each, prefixes, tag))
    tell_counts(found, ended, "unbanned", _ended, json=session_of(context).json)


def _ended(count: int) -> str:
    return f"ended {counted(count, 'ban') if count else 'none: no such ban'}"
