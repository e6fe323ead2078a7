"""xdpctl ban"""

from __future__ import annotations

import click

from xdpctl.cli.ban_input import BansCommand, batches, interfaces_of, whose_arguments
from xdpctl.cli.base import session_of
from xdpctl.cli.documents import heading, write_json
from xdpctl.cli.text import printable
from xdpctl.datapath.bans import Terms, ban, checked_tag
from xdpctl.datapath.interfaces import current_namespace
from xdpctl.errors import WrongUsage
from xdpctl.rules.times import parse_duration
from xdpctl.rules.values import BadValue


@click.command(
    cls=BansCommand,
    name="ban",
    short_help="Drop what comes from an address, for a while.",
    examples=(
        "xdpctl ban eth0 192.0.2.1 --for 10m",
        "xdpctl ban --all 2001:db8::/32 --tag scan    everywhere, and for ever",
    ),
)
@whose_arguments
@click.option("--for", "lifetime", metavar="TIME", help="As 10m or 1h30m [default: for ever].")
@click.option("--tag", metavar="TEXT", default="", help="A word to list and end them by.")
@click.option("--force", is_flag=True, help="Also what locks you out, or is in never_ban.")
@click.pass_context
def command(
    context: click.Context,
    interface: str | None,
    addresses: tuple[str, ...],
    everywhere: bool,
    file: str | None,
    lifetime: str | None,
    tag: str,
    force: bool,
) -> None:
    """Drop every packet that comes from these addresses, ahead of all rules. The kernel ends a ban
    on time by itself; banning again sets its new end. `-` reads addresses from standard input, as
    they come, for as long as that stays open.
    """
    session = session_of(context)
    if not addresses and file is None:
        raise WrongUsage("name the addresses to ban", hint="xdpctl ban eth0 192.0.2.1")
    try:
        seconds = None if lifetime is None else parse_duration(lifetime)
    except BadValue as error:
        raise WrongUsage(f"--for: {error}") from None
    terms = Terms(seconds, checked_tag(tag))
    found = interfaces_of(interface, everywhere=everywhere)
    count = 0
    for prefixes in batches(addresses, file):
        count += len(prefixes)
        for each in found:
            ban(each, prefixes, terms, force=force)
    until = f" for {lifetime}" if lifetime else ""
    if session.json:
        netns = current_namespace()
        write_json([heading(each, netns) | {"banned": count} for each in found])
        return
    for each in found:
        what = f"{count:,} address{'' if count == 1 else 'es'}"
        click.echo(printable(f"{each.name}: banned {what}{until}"))
