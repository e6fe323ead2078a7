"""Why a packet met the rule that decided, and none before it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from xdpctl.rules.frame import Packet
from xdpctl.rules.model import Condition, Rule, Ruleset
from xdpctl.rules.reference import holds


class Failed(NamedTuple):
    """A condition that does not hold."""

    field: str
    condition: Condition


class Asked(NamedTuple):
    """A rule that a packet was held against.

    Attributes:
        failed: the first of its conditions, in the order of `fields.FIELDS`, that does not hold;
            None where the rule matches.
        failures: how many do not.
        passed_over: why a rule that matches did not decide: "expired", or "limit" for one that
            limits where the packet was within its rate.
    """

    rule: Rule
    failed: Failed | None
    failures: int
    passed_over: str | None


def asked(
    ruleset: Ruleset, packet: Packet, now: float | Fraction, decider: str | None
) -> Iterator[Asked]:
    """The rules that a packet was held against, in their order, the one that decided the last.

    Args:
        now: Unix time in seconds.
        decider: the name of that rule; None where the default decided.
    """
    sets = {each.name: each for each in ruleset.sets}
    for rule in ruleset.rules:
        failed = [
            Failed(field, condition)
            for field, condition in rule.conditions.items()
            if not holds(field, condition, packet, sets)
        ]
        passed_over = None
        if not failed and rule.name != decider:
            expired = rule.expires is not None and rule.expires <= now
            passed_over = "expired" if expired else "limit"
        yield Asked(rule, failed[0] if failed else None, len(failed), passed_over)
        if rule.name == decider:
            return
