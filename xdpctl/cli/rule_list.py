"""xdpctl rule list"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from xdpctl.cli.base import Command, interface_argument, session_of
from xdpctl.cli.documents import Document, heading, write_json
from xdpctl.cli.rules_output import rule_text, set_document
from xdpctl.cli.text import printable, rfc3339
from xdpctl.datapath.interfaces import Interface, command_line, current_namespace, find_interface

if TYPE_CHECKING:
    from xdpctl.datapath.rulesets import CountedRuleset


@click.command(
    cls=Command,
    name="list",
    short_help="Show the rules with packets and bytes.",
    examples=(
        "xdpctl rule list eth0               in their order",
        "xdpctl rule list eth0 --yaml        as a file that `xdpctl apply` takes",
    ),
)
@interface_argument()
@click.option("--yaml", "as_yaml", is_flag=True, help="Print the ruleset as a file.")
@click.pass_context
def command(context: click.Context, interface: str, as_yaml: bool) -> None:
    """Show the rules on an interface in their order, with the packets and bytes that each has
    decided on since it was applied or reset. It is all read from the kernel.
    """
    from xdpctl.datapath import rulesets  # noqa: PLC0415

    found = find_interface(interface)
    if as_yaml:
        from xdpctl.rules.writing import yaml_of  # noqa: PLC0415

        click.echo(yaml_of(rulesets.read_ruleset(found) or rulesets.bare_counter()), nl=False)
        return
    counted = rulesets.read_counted(found)
    if session_of(context).json:
        write_json(_document(found, counted))
    elif counted is None:
        click.echo(printable(f"{found.name}: no rules; it counts, and passes everything"))
        click.echo(f"hint: {command_line('rule', 'add', found.name, 'drop')} ...", err=True)
    else:
        _print(counted)


def _document(interface: Interface, counted: CountedRuleset | None) -> Document:
    document = heading(interface, current_namespace())
    if counted is None:
        nothing = {"ruleset": None, "digest": None, "applied_at": None, "malformed": "pass"}
        default = {"action": "pass", "packets": None, "bytes": None}
        return document | nothing | {"default": default, "rules": [], "sets": []}
    stored = counted.stored
    return document | {
        "ruleset": stored.name,
        "digest": stored.digest,
        "applied_at": rfc3339(stored.applied_at_ns),
        "malformed": stored.malformed,
        "default": {"action": stored.default} | counted.default._asdict(),
        "rules": [
            {"expires": None} | dict(each.fields) | each.counted._asdict() for each in counted.rules
        ],
        "sets": [set_document(each) for each in stored.sets],
    }


def _print(counted: CountedRuleset) -> None:
    from xdpctl.cli.tables import print_rules  # noqa: PLC0415 - rich, for people only

    stored = counted.stored
    rows = [
        (
            str(each.fields["name"]),
            f"{each.counted.packets:,}",
            f"{each.counted.bytes:,}",
            str(each.fields["action"]),
            rule_text({k: v for k, v in each.fields.items() if k not in ("name", "action")}),
        )
        for each in counted.rules
    ]
    default = counted.default
    rows.append(
        ("(default)", f"{default.packets:,}", f"{default.bytes:,}", stored.default, "all else")
    )
    print_rules(rows)
