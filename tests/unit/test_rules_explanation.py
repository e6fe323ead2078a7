"""Which field of a rule failed, by the reference model of each condition alone."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.edges import NOW, frame
from tests.rulesets import documents
from xdpctl.rules.explanation import asked
from xdpctl.rules.frame import parse
from xdpctl.rules.model import Action, Rule
from xdpctl.rules.reading import read_text
from xdpctl.rules.reference import judge_packet, matches


@settings(max_examples=40, deadline=None)
@given(document=documents(), random=st.randoms(use_true_random=False))
def test_failed_field_is_the_first_whose_condition_alone_does_not_match(
    document: dict[str, Any], random: Random
) -> None:
    rules = read_text(json.dumps(document | {"malformed": "pass"}), "test", NOW).ruleset
    packet = parse(frame(random, rules))
    sets = {each.name: each for each in rules.sets}
    decider = judge_packet(rules, packet, NOW).rule
    found = list(asked(rules, packet, NOW, decider))
    assert [each.rule for each in found] == [*rules.rules[: len(found)]]
    assert decider is None or found[-1].rule.name == decider
    for each in found:
        failing = [
            field
            for field, condition in each.rule.conditions.items()
            if not matches(Rule("alone", Action.DROP, {field: condition}), packet, sets, NOW)
        ]
        assert each.failures == len(failing)
        assert (each.failed and each.failed.field) == (failing[0] if failing else None)
        if each.failed is not None:
            assert each.failed.condition is each.rule.conditions[each.failed.field]
        is_over = each.rule.expires is not None and each.rule.expires <= NOW
        passed = each.rule.name != decider and not failing
        assert each.passed_over == ("expired" if passed else None)
        assert is_over or not passed
