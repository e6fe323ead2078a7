"""What the commands of rules share: the file they read, and rulesets as text and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from xdpctl.cli.documents import Document, heading
from xdpctl.cli.text import counted, printable
from xdpctl.datapath.interfaces import Interface, current_namespace

if TYPE_CHECKING:
    from xdpctl.datapath.rulesets import Applied
    from xdpctl.rules.diff import Difference, PolicyChange, SetChange
    from xdpctl.rules.lifelines import Connection
    from xdpctl.rules.mistakes import Mistake
    from xdpctl.rules.model import NamedSet, Rule, Ruleset
    from xdpctl.rules.stored import StoredSet


def file_argument() -> Callable[..., Any]:
    return click.argument("file", metavar="FILE", type=click.Path(allow_dash=True))


def force_option() -> Callable[..., Any]:
    return click.option("--force", is_flag=True, help="Also if it locks you out.")


def print_ssh_note(connections: Iterable[Connection] | None) -> None:
    """That there is no SSH connection that could have been kept, where one was looked for."""
    if connections is not None and not list(connections):
        click.echo("note: found no SSH connection that this command came through", err=True)


def print_notes(applied: Applied) -> None:
    """What there is to be said of a ruleset that was put in place."""
    print_warnings(applied.warnings)
    print_ssh_note(applied.connections)


def ssh_document(connections: Iterable[Connection] | None) -> Document:
    """None where they were not looked for."""
    found = None if connections is None else [str(each) for each in connections]
    return {"ssh_connections": found}


def print_warnings(warnings: Iterable[Mistake]) -> None:
    for warning in warnings:
        click.echo(printable(f"warning: {warning}"), err=True)


def print_applied(interface: Interface, applied: Applied) -> None:
    print_notes(applied)
    click.echo(printable(f"{interface.name}: {summary(applied.ruleset)}"))


def summary(ruleset: Ruleset) -> str:
    """On one line."""
    rules = counted(len(ruleset.rules), "rule")
    sets = f", {counted(len(ruleset.sets), 'set')}"
    policies = f"default {ruleset.default}, malformed {ruleset.malformed}"
    return f"{ruleset.name}: {rules}{sets if ruleset.sets else ''}, {policies}"


def ruleset_document(ruleset: Ruleset) -> Document:
    from xdpctl.rules.canonical import digest_of  # noqa: PLC0415

    return {
        "ruleset": ruleset.name,
        "digest": digest_of(ruleset),
        "rules": len(ruleset.rules),
        "default": str(ruleset.default),
        "malformed": str(ruleset.malformed),
        "sets": [set_document(each) for each in ruleset.sets],
    }


def set_document(named: NamedSet | StoredSet) -> Document:
    return {"name": named.name, "prefixes": named.prefixes, "source": named.source}


def applied_document(
    interface: Interface, applied: Applied, warnings: Iterable[Mistake]
) -> Document:
    document = heading(interface, current_namespace()) | ruleset_document(applied.ruleset)
    document |= {"warnings": warning_documents([*warnings, *applied.warnings])}
    return document | ssh_document(applied.connections)


def warning_documents(warnings: Iterable[Mistake]) -> list[Document]:
    return [
        {"file": each.path, "line": each.line, "column": each.column, "text": each.text}
        for each in warnings
    ]


def difference_document(found: Difference) -> Document:
    from xdpctl.rules.writing import fields_of  # noqa: PLC0415

    return {
        "added": [fields_of(each) for each in found.added],
        "removed": [fields_of(each) for each in found.removed],
        "changed": [
            {"from": fields_of(each.old), "to": fields_of(each.new)} for each in found.changed
        ],
        "moved": [each.name for each in found.moved],
        "sets": [each._asdict() for each in found.sets],
        "default": _policy_document(found.default),
        "malformed": _policy_document(found.malformed),
        "name": None if found.name is None else {"from": found.name[0], "to": found.name[1]},
    }


def _policy_document(change: PolicyChange | None) -> Document | None:
    return None if change is None else {"from": str(change.old), "to": str(change.new)}


def print_difference(found: Difference) -> None:
    lines = []
    if found.name is not None:
        lines.append(f"~ name: {found.name[0]} -> {found.name[1]}")
    for key, change in (("default", found.default), ("malformed", found.malformed)):
        if change is not None:
            lines.append(f"~ {key}: {change.old} -> {change.new}")
    lines += [_set_line(each) for each in found.sets]
    lines += [f"+ {_rule_text(each)}" for each in found.added]
    lines += [f"- {_rule_text(each)}" for each in found.removed]
    for change_ in found.changed:
        lines += [f"~ {_rule_text(change_.old)}", f"  {_rule_text(change_.new)}"]
    lines += [f"> {each.name} has moved" for each in found.moved]
    click.echo(printable("\n".join(lines) or "no difference"))


def _set_line(change: SetChange) -> str:
    sign = {"added": "+", "removed": "-", "changed": "~"}[change.kind]
    return f"{sign} set {change.name}: +{change.added:,} -{change.removed:,} prefixes"


def _rule_text(rule: Rule) -> str:
    from xdpctl.rules.writing import fields_of  # noqa: PLC0415

    return rule_text(fields_of(rule))


def rule_text(fields: Any) -> str:
    """A rule's fields as they stand in a file, on one line."""
    return ", ".join(f"{name}: {_value_text(value)}" for name, value in fields.items())


def _value_text(value: Any) -> str:
    if isinstance(value, dict):
        return f"not {_value_text(value.get('not'))}"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
