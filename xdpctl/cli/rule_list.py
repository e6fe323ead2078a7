"""xdpctl rule list"""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import click

from xdpctl.cli.base import (
    WATCH_SECONDS_DEFAULT,
    Command,
    count_option,
    interface_argument,
    session_of,
    watch_option,
)
from xdpctl.cli.documents import Document, heading, with_rates, write_json
from xdpctl.cli.rules_output import set_document
from xdpctl.cli.text import printable, rfc3339
from xdpctl.cli.watching import stop_signals
from xdpctl.datapath.counters import Tally
from xdpctl.datapath.interfaces import Interface, command_line, current_namespace, find_interface
from xdpctl.errors import WrongUsage

if TYPE_CHECKING:
    from xdpctl.datapath.rulesets import CountedRule, CountedRuleset
    from xdpctl.observe.rule_rates import RulesInterval


@click.command(
    cls=Command,
    name="list",
    short_help="Show the rules with packets and bytes.",
    examples=(
        "xdpctl rule list eth0 --watch 1     with rates, every second",
        "xdpctl rule list eth0 --yaml        as a file that `xdpctl apply` takes",
    ),
)
@interface_argument()
@click.option("--yaml", "as_yaml", is_flag=True, help="Print the ruleset as a file.")
@watch_option("Show rates again and again.")
@count_option()
@click.pass_context
def command(
    context: click.Context,
    interface: str,
    as_yaml: bool,
    watch_seconds: float | None,
    count: int | None,
) -> None:
    """Show the rules on an interface in their order, with the packets and bytes that each has
    matched since it was applied or reset, and for a limit what of it was dropped; with --watch
    again and again, and with rates. It is all read from the kernel.
    """
    from xdpctl.datapath import rulesets  # noqa: PLC0415

    found = find_interface(interface)
    watching = watch_seconds is not None or count is not None
    if as_yaml and watching:
        raise WrongUsage("--yaml prints a ruleset, which --watch cannot show")
    if watching:
        _watch(found, watch_seconds or WATCH_SECONDS_DEFAULT, count, json=session_of(context).json)
        return
    if as_yaml:
        from xdpctl.rules.writing import yaml_of  # noqa: PLC0415

        click.echo(yaml_of(rulesets.read_ruleset(found) or rulesets.bare_counter()), nl=False)
        return
    counted = rulesets.read_counted(found)
    if session_of(context).json:
        write_json(_document(found, counted))
        return
    from xdpctl.cli.rule_tables import no_rules, print_rules  # noqa: PLC0415 - rich

    if counted is None:
        click.echo(printable(no_rules(found)))
        click.echo(f"hint: {command_line('rule', 'add', found.name, 'drop')} ...", err=True)
    else:
        print_rules(found, counted)


def _rule_document(rule: CountedRule) -> Document:
    expired = rule.expires is not None and rule.expires <= time.time()
    document = {"expires": None} | dict(rule.fields) | {"expired": expired}
    return document | rule.counted._asdict() | _dropped_document(rule.dropped)


def _watch(interface: Interface, seconds: float, count: int | None, *, json: bool) -> None:
    """Until stopped. Raises NoSuchInterface, NotAttached when the interface or our program goes."""
    from xdpctl.observe.rule_rates import rules_intervals  # noqa: PLC0415

    show = _write_interval if json else _print_interval
    with stop_signals() as stop:
        for each in rules_intervals(interface, lambda: not stop.wait(seconds), count):
            show(each)
            sys.stdout.flush()


def _print_interval(interval: RulesInterval) -> None:
    from xdpctl.cli.rule_tables import print_rules_interval  # noqa: PLC0415 - rich
    from xdpctl.cli.tables import next_frame  # noqa: PLC0415

    next_frame()
    print_rules_interval(interval)


def _write_interval(interval: RulesInterval) -> None:
    """What `rule list` writes, and under `interval` what came in since the line before."""

    rates = partial(with_rates, per_second=interval.per_second)
    snapshot = interval.snapshot
    names = [each.fields["name"] for each in snapshot.counted.rules] if snapshot.counted else []
    recent = {
        "seconds": interval.seconds,
        "default": None if interval.default is None else rates(interval.default),
        "rules": [
            {"name": name} | rates(tally) for name, tally in zip(names, interval.rules, strict=True)
        ],
    }
    document = _document(snapshot.interface, snapshot.counted)
    document |= {"timestamp": rfc3339(snapshot.timestamp_ns)}
    write_json(document | {"interval": recent})


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
        "rules": [_rule_document(each) for each in counted.rules],
        "sets": [set_document(each) for each in stored.sets],
    }


def _dropped_document(dropped: Tally | None) -> Document:
    """Of a limit."""
    if dropped is None:
        return {}
    return {"dropped_packets": dropped.packets, "dropped_bytes": dropped.bytes}
