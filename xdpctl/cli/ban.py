"""xdpctl ban"""

from __future__ import annotations

import click

from xdpctl.cli.ban_input import (
    STDIN,
    BansCommand,
    batches,
    interfaces_of,
    tell_counts,
    whose_arguments,
)
from xdpctl.cli.base import session_of
from xdpctl.cli.text import counted, printable
from xdpctl.datapath.bans import Terms, ban, checked_tag
from xdpctl.errors import WrongUsage, XdpctlError
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
    they come, for as long as that stays open. A line there, or in a file, can end with a time of
    its own, as `192.0.2.1 3h59m`.
    """
    if not addresses and file is None:
        raise WrongUsage("name the addresses to ban", hint="xdpctl ban eth0 192.0.2.1")
    try:
        seconds = None if lifetime is None else parse_duration(lifetime)
    except BadValue as error:
        raise WrongUsage(f"--for: {error}") from None
    default = Terms(seconds, checked_tag(tag))
    found = interfaces_of(interface, everywhere=everywhere)
    banned = [0] * len(found)
    refused = _Refused()
    tell = refused.tell if STDIN in (*addresses, file) else None
    for lifetimes in batches(addresses, file):
        terms = {None: default} | {
            own: Terms(own, default.tag) for own in set(lifetimes.values()) if own is not None
        }
        wanted = {prefix: terms[own] for prefix, own in lifetimes.items()}
        for i, each in enumerate(found):
            banned[i] += ban(each, wanted, force=force, tell=tell)
    refused.raise_if_any()
    tell_counts(found, banned, "banned", _banned, json=session_of(context).json)


def _banned(count: int) -> str:
    return f"banned {counted(count, 'address')}"


class _Refused:
    """What a stream would have banned and must not: told as it comes, and no end of the stream."""

    def __init__(self) -> None:
        self._last: XdpctlError | None = None

    def tell(self, error: XdpctlError) -> None:
        self._last = error
        for line in error.message.splitlines():
            click.echo(printable(f"xdpctl: {line}"), err=True)

    def raise_if_any(self) -> None:
        if self._last is not None:
            told = "<stdin>: some addresses were refused; the others are banned"
            raise type(self._last)(told, hint=self._last.hint)
