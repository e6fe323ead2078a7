"""The options by which packets are chosen to be looked at."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import click

from xdpctl.cli.base import SECONDS
from xdpctl.cli.field_options import field_options, value_of
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.sampling import BYTES_MAX, ONE_IN_MAX, Wanted
from xdpctl.observe.packet_filter import PacketFilter

_VERDICTS = ("drop", "pass", "aborted")
_REASONS = ("rule", "default", "malformed", "limit", "ban")


_OPTIONS = (
    click.option(
        "--verdict",
        metavar="VERDICT",
        type=click.Choice(_VERDICTS),
        help=f"Packets of this verdict: {' or '.join(_VERDICTS)}.",
    ),
    click.option(
        "--reason",
        metavar="REASON",
        type=click.Choice(_REASONS),
        help=f"Packets that are dropped for it: {', '.join(_REASONS)}.",
    ),
    click.option("--rule", metavar="RULE", help="Packets that this rule decides on."),
    click.option(
        "--one-in",
        metavar="N",
        type=click.IntRange(min=1, max=ONE_IN_MAX),
        default=1,
        help="One packet in N, at random [default: each].",
    ),
    click.option("--limit", metavar="N", type=click.IntRange(min=1), help="End after N packets."),
    click.option(
        "--seconds",
        metavar="S",
        type=SECONDS,
        help="End after S seconds.",
    ),
)


class Choice(NamedTuple):
    """Which packets are wanted, as far as options say it.

    Attributes:
        limit: how many; None for no end.
        seconds: for how long; None for no end.
    """

    wanted: Wanted
    packet_filter: PacketFilter
    limit: int | None
    seconds: float | None


def packet_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The fields of a rule, and which packets besides; `choice_of` takes all of them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return cast(Callable[..., Any], field_options(function))


def choice_of(
    interface: Interface,
    *,
    verdict: str | None,
    reason: str | None,
    rule: str | None,
    one_in: int,
    limit: int | None,
    seconds: float | None,
    snaplen: int = BYTES_MAX,
    **fields: tuple[str, ...],
) -> Choice:
    """What the options of `packet_options` say.

    Raises WrongFile: a value is wrong; NotAttached, MissingPrivilege, KernelRefused where a named
    set is looked up.
    """
    wanted = Wanted(
        one_in=one_in,
        bytes=snaplen,
        verdicts=(verdict,) if verdict else (),
        reasons=(reason,) if reason else (),
        rule=rule,
    )
    chosen = {name: value_of(name, values) for name, values in fields.items() if values}
    return Choice(wanted, _filter_of(interface, chosen), limit, seconds)


def _filter_of(interface: Interface, fields: dict[str, Any]) -> PacketFilter:
    if not fields:
        return PacketFilter()
    from xdpctl.rules.reading import read_rule  # noqa: PLC0415 - for those who filter

    sets = {}
    if any("@" in str(each) for each in fields.values()):
        from xdpctl.datapath.rulesets import read_ruleset  # noqa: PLC0415

        ruleset = read_ruleset(interface)
        sets = {} if ruleset is None else {each.name: each for each in ruleset.sets}
    rule, _ = read_rule({"action": "pass", **fields}, set(sets), time.time())
    return PacketFilter(rule.conditions, sets)
