"""xdpctl detach"""

from __future__ import annotations

import click

from xdpctl.cli.base import Command, interface_argument, session_of
from xdpctl.cli.documents import Document, counted_of, heading, write_json
from xdpctl.cli.text import printable
from xdpctl.datapath.bans import count_bans
from xdpctl.datapath.hook import detach, mode_name, occupants
from xdpctl.datapath.interfaces import Interface, all_interfaces, current_namespace, find_interface
from xdpctl.errors import NotAttached, WrongUsage


@click.command(
    cls=Command,
    name="detach",
    short_help="Take the program away again.",
    examples=(
        "xdpctl detach eth0",
        "xdpctl detach --all -n lab1         from every interface of lab1",
    ),
)
@interface_argument(several=True, required=False)
@click.option("--all", "everywhere", is_flag=True, help="From every interface that has it.")
@click.option("--force", is_flag=True, help="Also a program that is not ours.")
@click.pass_context
def command(
    context: click.Context, interfaces: tuple[str, ...], everywhere: bool, force: bool
) -> None:
    """Take our program away from interfaces, and with it all that it has counted, its rules and its
    bans. Somebody else's stays, unless --force is given.
    """
    if bool(interfaces) is everywhere:
        raise WrongUsage("name interfaces, or say --all", hint="xdpctl detach --help")
    found = [find_interface(name) for name in dict.fromkeys(interfaces)]
    if everywhere:
        found = [each for each in all_interfaces() if _is_ours(each)]
        if not found:
            raise NotAttached("nothing of ours is attached to any interface")
    netns = current_namespace()
    documents: list[Document] = []
    for interface in found:
        bans = _bans_on(interface)
        for gone in detach(interface, force=force):
            documents.append(
                heading(interface, netns)
                | {"mode": mode_name(gone.mode), "program_id": gone.program_id, "ours": gone.ours}
                | counted_of(gone)
                | {"bans": bans if gone.ours else None}
            )
            if not session_of(context).json:
                after = f" after {gone.counted.packets:,} packets" if gone.counted else ""
                ended = f", and with it {_count(bans)}" if gone.ours and bans else ""
                click.echo(printable(f"{interface.name}: detached {gone}{after}{ended}"))
    if session_of(context).json:
        write_json(documents)


def _bans_on(interface: Interface) -> int:
    """How many there are; none where ours is not attached, which `detach` tells."""
    try:
        return count_bans(interface)
    except NotAttached:
        return 0


def _count(bans: int) -> str:
    return "1 ban" if bans == 1 else f"{bans:,} bans"


def _is_ours(interface: Interface) -> bool:
    return any(each.ours for each in occupants(interface))
