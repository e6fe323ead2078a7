"""Rules that have expired are passed over by the data plane itself, however many there are."""

from __future__ import annotations

import pytest

from tests.bpf.judging import judging
from tests.edges import NOW
from tests.packets import IPV4, eth, ipv4
from xdpctl.rules.model import Action, Rule, Ruleset

DROP, PASS = 1, 2
FRAME = eth(IPV4, ipv4(17, bytes(8)))


def rules(
    *expires: int | None, last: Action | None = None, default: Action = Action.PASS
) -> Ruleset:
    """Rules that match every frame, and drop it; at the end one more that never expires."""
    made = [Rule(f"r{i}", Action.DROP, expires=each) for i, each in enumerate(expires)]
    if last is not None:
        made.append(Rule("last", last))
    return Ruleset("test", default=default, malformed=Action.PASS, rules=tuple(made))


def expired_ones_are_passed_over(count: int) -> None:
    made = rules(*[NOW - 60] * count, last=Action.PASS, default=Action.DROP)
    with judging(made) as kernel:
        assert kernel.run(FRAME) == PASS
        assert kernel.packets_by_rule() == {"last": 1}


@pytest.mark.parametrize("expired", [1, 2, 63, 64, 65, 200, 568, 4095])
def test_rule_behind_expired_ones_that_match_decides(expired: int) -> None:
    expired_ones_are_passed_over(expired)


@pytest.mark.parametrize("count", [1, 64, 200])
def test_default_decides_where_all_rules_have_expired(count: int) -> None:
    with judging(rules(*[NOW - 60] * count)) as kernel:
        assert kernel.run(FRAME) == PASS
        assert kernel.packets_by_rule() == {"default": 1}


def test_first_rule_that_has_not_expired_decides() -> None:
    """Between expired ones, in the second word of 64 rules."""
    with judging(rules(*[NOW - 60] * 100, NOW + 3600, *[NOW - 60] * 20, None)) as kernel:
        assert kernel.run(FRAME) == DROP
        assert kernel.packets_by_rule() == {"r100": 1}
