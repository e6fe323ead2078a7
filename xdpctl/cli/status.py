"""xdpctl status"""

from __future__ import annotations

import click

from xdpctl.cli.base import Command, interface_argument, session_of
from xdpctl.cli.documents import Document, counted_of, heading, write_json
from xdpctl.cli.text import rfc3339, si
from xdpctl.datapath.hook import Occupant, mode_name, occupants
from xdpctl.datapath.interfaces import Interface, all_interfaces, current_namespace, find_interface
from xdpctl.datapath.snapshot import not_attached
from xdpctl.errors import NoSuchInterface

Row = tuple[Interface, Occupant]


@click.command(
    cls=Command,
    name="status",
    short_help="Show which interfaces have a program, and whose.",
    examples=(
        "xdpctl status                       every interface that has an XDP program",
        "xdpctl status eth0 --json           one, for a script",
    ),
)
@interface_argument(required=False)
@click.pass_context
def command(context: click.Context, interface: str | None) -> None:
    """Show every interface of the network namespace that has an XDP program: ours or whose, since
    when, and what ours has counted. All of it is read from the kernel.
    """
    found = all_interfaces() if interface is None else [find_interface(interface)]
    rows = [row for each in found for row in _rows_of(each)]
    if session_of(context).json:
        netns = current_namespace()
        write_json([_document(row, netns) for row in rows])
    elif rows:
        _print(rows)
    elif interface is None:
        click.echo("no interface has an XDP program")
    if interface is not None and not any(occupant.ours for _, occupant in rows):
        raise not_attached(found[0].name)


def _rows_of(interface: Interface) -> list[Row]:
    try:
        return [(interface, each) for each in occupants(interface)]
    except NoSuchInterface:
        return []  # deleted since it was listed


def _document(row: Row, netns: str | None) -> Document:
    interface, occupant = row
    attached_at = occupant.attached_at_ns
    document = heading(interface, netns) | {
        "mode": mode_name(occupant.mode),
        "ours": occupant.ours,
        "program_id": occupant.program_id,
        "program_name": occupant.program_name,
        "attached_at": None if attached_at is None else rfc3339(attached_at),
    }
    return document | counted_of(occupant)


def _print(rows: list[Row]) -> None:
    from xdpctl.cli.tables import attached_for, print_status  # noqa: PLC0415 - rich, for people only

    print_status(
        (
            interface.name,
            mode_name(occupant.mode),
            f"{occupant.program_name} ({occupant.program_id})",
            "xdpctl" if occupant.ours else "foreign",
            attached_for(occupant.attached_at_ns),
            f"{occupant.counted.packets:,}" if occupant.counted else "-",
            si(occupant.counted.bytes, "B") if occupant.counted else "-",
        )
        for interface, occupant in rows
    )
