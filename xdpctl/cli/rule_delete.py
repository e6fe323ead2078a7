"""xdpctl rule delete"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from xdpctl.cli.base import Command, interface_argument, session_of
from xdpctl.cli.documents import heading, write_json
from xdpctl.cli.rules_output import force_option, print_notes, ssh_document
from xdpctl.cli.text import printable
from xdpctl.datapath.interfaces import current_namespace, find_interface
from xdpctl.errors import WrongUsage

if TYPE_CHECKING:
    from xdpctl.rules.model import Ruleset


@click.command(
    cls=Command,
    name="delete",
    short_help="Delete rules.",
    examples=(
        "xdpctl rule delete eth0 drop-3f9a   one",
        "xdpctl rule delete eth0 web ssh     several, in one step",
    ),
)
@interface_argument()
@click.argument("rules", metavar="RULE...", nargs=-1, required=True)
@force_option()
@click.pass_context
def command(context: click.Context, interface: str, rules: tuple[str, ...], force: bool) -> None:
    """Delete rules by name, all in one step. Refused as `apply` is, without --force."""
    from xdpctl.datapath import rulesets  # noqa: PLC0415

    found = find_interface(interface)

    def delete(running: Ruleset | None) -> Ruleset:
        ruleset = running or rulesets.bare_counter()
        names = [rule.name for rule in ruleset.rules]
        missing = [name for name in rules if name not in names]
        if missing:
            known = f"rules: {', '.join(names[:20])}" if names else "there are no rules"
            raise WrongUsage(f"{', '.join(missing)}: no such rule", hint=known)
        return replace(
            ruleset, rules=tuple(rule for rule in ruleset.rules if rule.name not in rules)
        )

    applied = rulesets.apply(found, delete, force=force)
    if session_of(context).json:
        document = heading(found, current_namespace()) | {"deleted": list(dict.fromkeys(rules))}
        write_json(document | ssh_document(applied.connections))
    else:
        print_notes(applied)
        click.echo(printable(f"{found.name}: deleted {', '.join(dict.fromkeys(rules))}"))
