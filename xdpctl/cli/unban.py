"""xdpctl unban"""

from __future__ import annotations

import click

from xdpctl.cli.ban_input import BansCommand, batches, interfaces_of, whose_arguments
from xdpctl.cli.base import session_of
from xdpctl.cli.documents import heading, write_json
from xdpctl.cli.text import printable
from xdpctl.datapath.bans import unban
from xdpctl.datapath.interfaces import current_namespace
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
    if session_of(context).json:
        netns = current_namespace()
        pairs = zip(found, ended, strict=True)
        write_json([heading(each, netns) | {"unbanned": count} for each, count in pairs])
        return
    for each, count in zip(found, ended, strict=True):
        bans = "1 ban" if count == 1 else f"{count:,} bans"
        click.echo(printable(f"{each.name}: ended {bans if count else 'none: no such ban'}"))
