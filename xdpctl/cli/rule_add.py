"""xdpctl rule add"""

from __future__ import annotations

import time
from typing import Any

import click

from xdpctl.cli.base import Command, interface_argument, session_of
from xdpctl.cli.documents import heading, write_json
from xdpctl.cli.field_options import field_options, value_of
from xdpctl.cli.rules_output import (
    force_option,
    print_notes,
    print_warnings,
    rule_text,
    ssh_document,
    warning_documents,
)
from xdpctl.cli.text import printable
from xdpctl.datapath.interfaces import current_namespace, find_interface
from xdpctl.errors import WrongUsage
from xdpctl.rules.limits import KEYS as LIMIT_KEYS


def _limit_options(function: Any) -> Any:
    """An option for each key of a limit, named as in the file."""
    for name, key in reversed([*LIMIT_KEYS.items()]):
        function = click.option(
            f"--{name}",
            metavar=key.metavar,
            help=f"{key.help[0].upper()}{key.help[1:]}; as {' or '.join(key.examples[:4])}.",
        )(function)
    return function


@click.command(
    cls=Command,
    name="add",
    short_help="Add a rule.",
    examples=(
        "xdpctl rule add eth0 drop --src @office --dport 23 --before ssh --for 10m",
        "xdpctl rule add eth0 limit --proto udp --dport 53 --rate 1000/s --per src",
    ),
)
@interface_argument()
@click.argument("action", metavar="drop|pass|limit", type=click.Choice(["drop", "pass", "limit"]))
@field_options
@_limit_options
@click.option("--name", metavar="NAME", help="Its name [default: made up, the same for the same].")
@click.option("--before", metavar="RULE", help="Ahead of this one [default: behind the last].")
@click.option("--for", "lifetime", metavar="TIME", help="How long it is in force, as 10m or 1h30m.")
@force_option()
@click.pass_context
def command(
    context: click.Context,
    /,
    interface: str,
    action: str,
    name: str | None,
    before: str | None,
    lifetime: str | None,
    force: bool,
    rate: str | None,
    burst: str | None,
    per: str | None,
    cells: str | None,
    **fields: tuple[str, ...],
) -> None:
    """Add a rule behind the last one, or ahead of another. A value may be a list with commas, or
    the option given several times: any of them matches. With ! before the first, none of them
    does. All options together have to match. A limit drops what is over its rate; what is within
    goes on to the next rule. Refused as `apply` is, without --force.
    """
    from dataclasses import replace  # noqa: PLC0415

    from xdpctl.datapath import rulesets  # noqa: PLC0415
    from xdpctl.rules.canonical import with_names  # noqa: PLC0415
    from xdpctl.rules.model import Rule, Ruleset  # noqa: PLC0415
    from xdpctl.rules.reading import read_rule  # noqa: PLC0415
    from xdpctl.rules.writing import fields_of  # noqa: PLC0415

    found = find_interface(interface)
    wanted: dict[str, Any] = {"action": action}
    wanted |= {"name": name} if name else {}
    wanted |= {"expires": lifetime} if lifetime else {}
    limit = {"rate": rate, "burst": burst, "per": per, "cells": cells}
    wanted |= {key: value for key, value in limit.items() if value is not None}
    wanted |= {key: value_of(key, values) for key, values in fields.items() if values}
    added: list[Rule] = []
    notes: list[Any] = []

    def add(running: Ruleset | None) -> Ruleset:
        ruleset = running or rulesets.bare_counter()
        names = [rule.name for rule in ruleset.rules]
        rule, warnings = read_rule(wanted, {each.name for each in ruleset.sets}, time.time())
        if name and name in names:
            raise WrongUsage(f"{name}: a rule of that name is there", hint="another --name")
        place = len(names)
        if before is not None:
            if before not in names:
                raise WrongUsage(f"{before}: no such rule", hint=f"rules: {', '.join(names[:20])}")
            place = names.index(before)
        unnamed = rule if name else replace(rule, name="")
        rules = with_names([*ruleset.rules[:place], unnamed, *ruleset.rules[place:]])
        added.append(rules[place])
        notes.extend(warnings)
        return replace(ruleset, rules=rules)

    applied = rulesets.apply(found, add, force=force)
    if session_of(context).json:
        document = heading(found, current_namespace()) | {"rule": fields_of(added[0])}
        document |= {"warnings": warning_documents([*notes, *applied.warnings])}
        write_json(document | ssh_document(applied.connections))
        return
    print_warnings(notes)
    print_notes(applied)
    fields_ = fields_of(added[0])
    what = rule_text({key: fields_[key] for key in fields_ if key not in ("name", "action")})
    click.echo(printable(f"{found.name}: rule {added[0].name}: {action} {what or 'everything'}"))
