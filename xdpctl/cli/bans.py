"""xdpctl bans"""

from __future__ import annotations

import sys

import click

from xdpctl.cli.ban_input import interfaces_of
from xdpctl.cli.base import Command, interface_argument, session_of, watch_option
from xdpctl.cli.documents import Document, write_json
from xdpctl.cli.text import duration, rfc3339
from xdpctl.cli.watching import stop_signals
from xdpctl.datapath.bans import Ban, read_bans
from xdpctl.datapath.interfaces import Interface

Found = list[tuple[Interface, Ban]]


@click.command(
    cls=Command,
    name="bans",
    short_help="Show who is banned, and for how long.",
    examples=(
        "xdpctl bans eth0",
        "xdpctl bans --tag scan --watch      on all interfaces, again and again",
    ),
)
@interface_argument(required=False)
@click.option("--tag", metavar="TEXT", help="Those of this tag.")
@watch_option("Show them again and again, until Ctrl-C.")
@click.pass_context
def command(
    context: click.Context, interface: str | None, tag: str | None, watch_seconds: float | None
) -> None:
    """Show the bans in force, with what is left of their time and the packets that they have
    dropped. Without an interface it is those of all.
    """
    interfaces = interfaces_of(interface, everywhere=interface is None)

    def show() -> None:
        found = [(each, ban) for each in interfaces for ban in read_bans(each, tag)]
        if session_of(context).json:
            write_json([_document(*each) for each in found])
        else:
            _print(found, single=interface is not None)

    show()
    if watch_seconds is None:
        return
    with stop_signals() as stop:
        while not stop.wait(watch_seconds):
            if not session_of(context).json:
                from xdpctl.cli.tables import next_frame  # noqa: PLC0415 - rich

                next_frame()
            show()
            sys.stdout.flush()


def _document(interface: Interface, ban: Ban) -> Document:
    prefix = ban.prefix
    remaining = ban.remaining_ns
    return {
        "interface": interface.name,
        "address": str(prefix).partition("/")[0],
        "family": f"ipv{prefix.version}",
        "prefix_length": prefix.length,
        "tag": ban.tag,
        "expires": None if ban.expires_ns is None else rfc3339(ban.expires_ns),
        "remaining": None if remaining is None else round(remaining / 1e9, 3),
        "packets": ban.hits.packets,
        "bytes": ban.hits.bytes,
        "added": rfc3339(ban.added_ns),
    }


def _print(found: Found, *, single: bool) -> None:
    from xdpctl.cli.tables import print_bans  # noqa: PLC0415 - rich, for people only

    if not found:
        click.echo("nobody is banned")
        return
    print_bans(
        (
            *(() if single else (interface.name,)),
            str(ban.prefix),
            "for ever" if ban.remaining_ns is None else duration(ban.remaining_ns),
            f"{ban.hits.packets:,}",
            f"{ban.hits.bytes:,}",
            ban.tag,
        )
        for interface, ban in found
    )
