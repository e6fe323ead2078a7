"""What `xdpctl set add` and `set remove` share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from xdpctl.cli.documents import heading, write_json
from xdpctl.cli.rules_output import (
    print_notes,
    print_warnings,
    ssh_document,
    warning_documents,
)
from xdpctl.cli.text import counted, printable
from xdpctl.datapath.interfaces import current_namespace, find_interface
from xdpctl.errors import WrongUsage

if TYPE_CHECKING:
    from xdpctl.rules.mistakes import Mistake
    from xdpctl.rules.model import NamedSet, Ruleset
    from xdpctl.rules.values import AddressRange


def change_set(
    interface: str,
    name: str,
    prefixes: tuple[str, ...],
    operation: Callable[[NamedSet, Iterable[AddressRange]], NamedSet],
    *,
    force: bool,
    json: bool,
) -> None:
    """Put what `operation` makes of a set in its place, and say how large it is."""
    from xdpctl.datapath import rulesets  # noqa: PLC0415
    from xdpctl.rules.values import BadValue, parse_address  # noqa: PLC0415

    found = find_interface(interface)
    try:
        ranges = [parse_address(each) for each in prefixes]
    except BadValue as error:
        raise WrongUsage(str(error)) from None

    notes: list[Mistake] = []
    before: list[str] = []

    def change(running: Ruleset | None) -> Ruleset:
        ruleset = running or rulesets.bare_counter()
        known = [each.name for each in ruleset.sets]
        if name not in known:
            hint = f"sets: {', '.join(known)}" if known else "sets come with a rules file"
            raise WrongUsage(f"{name}: no such set", hint=hint)
        sets = tuple(
            operation(each, ranges) if each.name == name else each for each in ruleset.sets
        )
        changed = replace(ruleset, sets=sets)
        before.append(ruleset.set_named(name).digest)
        notes.extend(_of_special_space(name, ruleset, changed))
        return changed

    applied = rulesets.apply(found, change, force=force)
    made = applied.ruleset.set_named(name)
    if json:
        document = heading(found, current_namespace())
        document |= {"name": name, "prefixes": made.prefixes}
        document |= {"warnings": warning_documents([*notes, *applied.warnings])}
        write_json(document | ssh_document(applied.connections))
        return
    print_warnings(notes)
    print_notes(applied)
    same = ", as before" if before == [made.digest] else ""
    click.echo(printable(f"{found.name}: set {name} has {counted(made.prefixes, 'prefix')}{same}"))


def _of_special_space(name: str, old: Ruleset, new: Ruleset) -> list[Mistake]:
    """A warning for each special network that a set of a drop rule has a part of, and had not."""
    from xdpctl.rules.mistakes import Mistake  # noqa: PLC0415
    from xdpctl.rules.sets import special_space  # noqa: PLC0415
    from xdpctl.rules.suspicious import dropped_sets  # noqa: PLC0415

    if name not in dropped_sets(new.rules):
        return []
    before = special_space(old.set_named(name))
    return [
        Mistake("", 0, 0, f"set {name} of a drop rule has a part of: {each}")
        for each in special_space(new.set_named(name))
        if each not in before
    ]
