"""xdpctl set list"""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING

import click

from xdpctl.cli.base import Command, interface_argument, session_of
from xdpctl.cli.documents import Document, heading, write_json
from xdpctl.cli.rules_output import set_document
from xdpctl.cli.text import counted, printable
from xdpctl.datapath.interfaces import Interface, current_namespace, find_interface
from xdpctl.errors import WrongUsage

if TYPE_CHECKING:
    from xdpctl.rules.model import NamedSet

_LINES_AT_ONCE = 4096


@click.command(
    cls=Command,
    name="list",
    short_help="Show the sets, or what one holds.",
    examples=(
        "xdpctl set list eth0                the sets, and how large they are",
        "xdpctl set list eth0 office         its prefixes, one a line",
    ),
)
@interface_argument()
@click.argument("name", metavar="[SET]", required=False)
@click.pass_context
def command(context: click.Context, interface: str, name: str | None) -> None:
    """Show the sets of the ruleset on an interface, or the fewest prefixes that one holds."""
    found = find_interface(interface)
    document = heading(found, current_namespace()) if session_of(context).json else None
    if name is None:
        _show_sets(found, document)
    else:
        _show_prefixes(found, name, document)


def _show_sets(interface: Interface, document: Document | None) -> None:
    from xdpctl.datapath import rulesets  # noqa: PLC0415

    there = rulesets.read_counted(interface)
    sets = () if there is None else there.stored.sets
    if document is not None:
        write_json(document | {"sets": [set_document(each) for each in sets]})
        return
    width = max((len(each.name) for each in sets), default=0)
    for each in sets:
        source = f"  {each.source}" if each.source else ""
        prefixes = counted(each.prefixes, "prefix")
        click.echo(printable(f"{each.name:<{width}}  {prefixes:>18}{source}".rstrip()))
    if not sets:
        click.echo(printable(f"{interface.name}: no sets"))


def _show_prefixes(interface: Interface, name: str, document: Document | None) -> None:
    from xdpctl.rules.sets import prefixes_of  # noqa: PLC0415 - NumPy

    prefixes = prefixes_of(_set_named(interface, name))
    if document is not None:
        write_json(document | {"name": name, "prefixes": list(prefixes)})
        return
    while lines := list(islice(prefixes, _LINES_AT_ONCE)):
        sys.stdout.write("\n".join(lines) + "\n")


def _set_named(interface: Interface, name: str) -> NamedSet:
    """Raises WrongUsage."""
    from xdpctl.datapath import rulesets  # noqa: PLC0415

    ruleset = rulesets.read_ruleset(interface) or rulesets.bare_counter()
    try:
        return ruleset.set_named(name)
    except KeyError:
        known = ", ".join(each.name for each in ruleset.sets)
        hint = f"sets: {known}" if known else "sets come with a rules file"
        raise WrongUsage(f"{name}: no such set", hint=hint) from None
