"""What rules and rulesets come to, whatever their spelling: digests, and made-up names."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from itertools import count
from typing import Any

from xdpctl.rules.model import NAME_MAX, Condition, Fragments, Limit, Rule, Ruleset

_DIGITS_MIN = 4


def meaning(rule: Rule) -> dict[str, Any]:
    """All of a rule but its name, as JSON has it: equal where the rules mean the same."""
    conditions = {name: _condition(each) for name, each in rule.conditions.items()}
    found = {"action": str(rule.action), "expires": rule.expires, "if": conditions}
    return found if rule.limit is None else {**found, "limit": _compared(rule.limit)}


def _condition(condition: Condition) -> dict[str, Any]:
    if isinstance(condition, Fragments):  # a set has no order
        return {"negated": condition.negated, "kinds": sorted(map(str, condition.kinds))}
    return _compared(condition)


def _compared(value: Condition | Limit) -> dict[str, Any]:
    return {each.name: getattr(value, each.name) for each in fields(value) if each.compare}


def digest_of(ruleset: Ruleset) -> str:
    """SHA-256, in hexadecimal, of a ruleset's canonical content: names, policies, what the sets
    hold, and the rules in their order; not spellings, nor where a set's file lies."""
    return _sha256(
        {
            "name": ruleset.name,
            "default": str(ruleset.default),
            "malformed": str(ruleset.malformed),
            "sets": sorted((each.name, each.digest) for each in ruleset.sets),
            "rules": [{"name": rule.name, **meaning(rule)} for rule in ruleset.rules],
        }
    )


def _sha256(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def made_up_name(rule: Rule, taken: Collection[str], occurrence: int = 0) -> str:
    """Such as `drop-3f9a`: the same for the same rule in whatever file, whenever it expires.

    Args:
        taken: names that it must not be; it gets more digits then.
        occurrence: how many rules that mean the same have been named before it.
    """
    content = {**meaning(rule), "expires": None}
    for attempt in count(occurrence):
        digits = _sha256([content, attempt])
        for length in range(_DIGITS_MIN, NAME_MAX - len(rule.action)):
            name = f"{rule.action}-{digits[:length]}"
            if name not in taken:
                return name
    raise AssertionError("names never run out")


def with_names(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules, with a made-up name for each whose name is empty."""
    taken = {rule.name for rule in rules}
    seen: Counter[str] = Counter()
    named = []
    for rule in rules:
        if rule.name:
            named.append(rule)
            continue
        same = _sha256({**meaning(rule), "expires": None})
        name = made_up_name(rule, taken, seen[same])
        seen[same] += 1
        taken.add(name)
        named.append(replace(rule, name=name))
    return tuple(named)
