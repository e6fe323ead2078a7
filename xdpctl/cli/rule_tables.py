"""The rules of an interface as a table for people, made with rich."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.table import Table

from xdpctl.cli.rules_output import rule_text
from xdpctl.cli.tables import console
from xdpctl.cli.text import duration, local_time, printable, si
from xdpctl.datapath.counters import Tally
from xdpctl.datapath.interfaces import Interface

if TYPE_CHECKING:
    from xdpctl.datapath.rulesets import CountedRuleset
    from xdpctl.observe.rule_rates import RulesInterval

_WIDE_COLUMNS = 120  # of a terminal that has room for rates and conditions side by side


_VALUES_SHOWN = 8
_SAID_APART = ("name", "action", "expires")


class _Row(NamedTuple):
    name: str
    action: str
    conditions: str
    counted: Tally
    dropped: Tally | None


def print_rules(interface: Interface, counted: CountedRuleset) -> None:
    """Rules in their order with what they have counted, what they say, and the default."""
    out = console()
    out.print(_heading(interface, counted), style="bold")
    out.print()
    out.print(rules_table(counted, int(time.time())))


def rules_table(counted: CountedRuleset, now: int) -> Table:
    """Without a heading, and as it is at a Unix time."""
    limits = _has_limits(counted)
    table = _table(limits=limits)
    table.add_column("action, and of which packets", overflow="fold")
    for row in _rows(counted, now):
        table.add_row(*_totals(row, limits=limits), printable(f"{row.action} {row.conditions}"))
    return table


def print_rules_interval(interval: RulesInterval) -> None:
    """The same with rates, a line for each rule; what rules say only where there is room."""
    out = console()
    interface, counted = interval.snapshot.interface, interval.snapshot.counted
    if counted is None or interval.default is None:
        out.print(printable(no_rules(interface)))
        return
    wide = out.width >= _WIDE_COLUMNS
    out.print(_heading(interface, counted), style="bold")
    out.print()
    limits = _has_limits(counted)
    table = _table(limits=limits)
    table.add_column("packets/s", justify="right")
    table.add_column("bits/s", justify="right")
    table.add_column("action, and of which packets" if wide else "action", no_wrap=True)
    for row, recent in zip(
        _rows(counted, int(time.time())), [*interval.rules, interval.default], strict=True
    ):
        rates = (interval.per_second(recent.packets), interval.per_second(recent.bytes * 8))
        says = f"{row.action} {row.conditions}" if wide else row.action
        table.add_row(*_totals(row, limits=limits), *map(si, rates), printable(says))
    out.print(table)


def no_rules(interface: Interface) -> str:
    return f"{interface.name}: no rules; it counts, and passes everything"


def _has_limits(counted: CountedRuleset) -> bool:
    return any(each.dropped is not None for each in counted.rules)


def _some(value: Any) -> Any:
    """The first few values of a long list."""
    if isinstance(value, dict):
        return {key: _some(each) for key, each in value.items()}
    if not isinstance(value, list) or len(value) <= _VALUES_SHOWN:
        return value
    return [*value[:_VALUES_SHOWN], f"and {len(value) - _VALUES_SHOWN:,} more"]


def _table(*, limits: bool) -> Table:
    """With a column for the packets that limits have dropped of those that they matched."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rule", overflow="fold", max_width=24)
    for column in ("packets", "bytes", *(["dropped"] if limits else [])):
        table.add_column(column, justify="right")
    return table


def _totals(row: _Row, *, limits: bool) -> tuple[str, ...]:
    dropped = "" if row.dropped is None else f"{row.dropped.packets:,}"
    totals = printable(row.name), f"{row.counted.packets:,}", f"{row.counted.bytes:,}"
    return (*totals, dropped) if limits else totals


def _heading(interface: Interface, counted: CountedRuleset) -> str:
    stored = counted.stored
    applied = local_time(stored.applied_at_ns)
    return printable(
        f"{interface.name}: ruleset {stored.name}, malformed {stored.malformed}, applied {applied}"
    )


def _rows(counted: CountedRuleset, now: int) -> Iterable[_Row]:
    for each in counted.rules:
        said = {k: _some(v) for k, v in each.fields.items() if k not in _SAID_APART}
        text = rule_text(said) or "everything"
        if each.expires is not None:
            left = each.expires - now
            text += (
                f", for {duration(left)} more" if left > 0 else f", expired {duration(-left)} ago"
            )
        name, action = str(each.fields["name"]), str(each.fields["action"])
        yield _Row(name, action, text, each.counted, each.dropped)
    yield _Row("(default)", counted.stored.default, "all else", counted.default, None)
