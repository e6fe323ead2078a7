"""xdpctl set list"""

from __future__ import annotations

import click

from xdpctl.cli.base import Command, interface_argument, session_of
from xdpctl.cli.documents import heading, write_json
from xdpctl.cli.rules_output import set_document
from xdpctl.cli.text import printable
from xdpctl.datapath.interfaces import current_namespace, find_interface
from xdpctl.errors import WrongUsage


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
    from xdpctl.datapath import rulesets  # noqa: PLC0415

    found = find_interface(interface)
    ruleset = rulesets.read_ruleset(found) or rulesets.bare_counter()
    document = heading(found, current_namespace())
    if name is None:
        rows = [set_document(each) for each in ruleset.sets]
        if session_of(context).json:
            write_json(document | {"sets": rows})
            return
        for row in rows:
            source = f"  {row['source']}" if row["source"] else ""
            click.echo(printable(f"{row['name']:<24}{row['prefixes']:>12,} prefixes{source}"))
        if not rows:
            click.echo(printable(f"{found.name}: no sets"))
        return
    from xdpctl.rules.sets import prefixes_of  # noqa: PLC0415 - NumPy

    try:
        named = ruleset.set_named(name)
    except KeyError:
        known = ", ".join(each.name for each in ruleset.sets)
        raise WrongUsage(f"{name}: no such set", hint=f"sets: {known}" if known else "") from None
    if session_of(context).json:
        write_json(document | {"name": name, "prefixes": list(prefixes_of(named))})
        return
    for prefix in prefixes_of(named):
        click.echo(prefix)
