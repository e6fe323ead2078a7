"""What rules counted between two snapshots."""

from __future__ import annotations

from xdpctl.datapath.counters import Tally
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.rulesets import CountedRule, CountedRuleset
from xdpctl.observe.rule_rates import RulesInterval, RulesSnapshot
from xdpctl.rules.stored import StoredRuleset

STORED = StoredRuleset("edge", "", 0, "pass", "drop", (), (), (), (), None)


def snapshot(seconds: int, attached_at_ns: int, rule: int, default: int) -> RulesSnapshot:
    from_zero = (1, Tally(0, 0))
    rules = (CountedRule({"name": "a"}, Tally(rule, 60 * rule), from_zero, None, None),)
    counted = CountedRuleset(
        STORED, rules, Tally(default, 60 * default), (0, Tally(0, 0)), attached_at_ns
    )
    return RulesSnapshot(Interface("eth0", 2), counted, 0, seconds * 10**9)


def test_of_one_attachment_the_difference_is_what_came() -> None:
    interval = RulesInterval.between(snapshot(1, 7, 10, 4), snapshot(3, 7, 16, 5))
    assert (interval.seconds, interval.rules, interval.default) == (2, ((6, 360),), (1, 60))


def test_of_another_attachment_it_is_all_that_was_counted_since() -> None:
    interval = RulesInterval.between(snapshot(1, 7, 10, 4), snapshot(3, 8, 16, 5))
    assert (interval.rules, interval.default) == (((16, 960),), (5, 300))
