"""What `xdpctl explain` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from xdpctl.cli.documents import Document, write_json
from xdpctl.cli.packet_text import fields_of
from xdpctl.cli.replay_writing import decider
from xdpctl.cli.rules_output import rule_text
from xdpctl.cli.text import printable, rfc3339_ns
from xdpctl.rules import writing
from xdpctl.rules.model import as_written
from xdpctl.rules.times import expiry_text

if TYPE_CHECKING:
    from xdpctl.replay.explaining import Explanation
    from xdpctl.rules.explanation import Asked
    from xdpctl.rules.model import Condition

RULES_SHOWN = 20
_VALUES_SHOWN = 8


def write(explained: Explanation) -> None:
    write_json(document(explained))


def document(explained: Explanation) -> Document:
    verdict, fields = explained.verdict, fields_of(explained.packet)
    return {
        "time": rfc3339_ns(verdict.time_ns),
        "fields": fields,
        "malformed": explained.packet.malformed,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "rule": verdict.rule,
        "ban": str(explained.bans[0]) if verdict.reason == "ban" and explained.bans else None,
        "default": str(explained.default),
        "rules": [_rule_document(each, fields) for each in explained.asked],
    }


def _rule_document(asked: Asked, fields: Mapping[str, Any]) -> Document:
    failed = asked.failed
    return {
        "name": asked.rule.name,
        "action": str(asked.rule.action),
        "matches": failed is None,
        "failed": None
        if failed is None
        else {
            "field": failed.field,
            "value": fields.get(failed.field),
            "wanted": as_written(failed.condition),
        },
        "passed_over": asked.passed_over,
    }


def show(explained: Explanation, what: str, *, shows_all: bool) -> None:
    click.echo(printable("\n".join(_lines(explained, what, shows_all=shows_all))))


def _lines(explained: Explanation, what: str, *, shows_all: bool) -> list[str]:
    fields = fields_of(explained.packet)
    lines = [f"{what}, {rfc3339_ns(explained.verdict.time_ns)}"]
    lines += [f"  {name:<10} {value}" for name, value in fields.items()]
    if explained.packet.malformed is not None:
        lines.append(f"  {'malformed':<10} {explained.packet.malformed}")
    return [*lines, "", *verdict_lines(explained), *_before(explained, fields, shows_all=shows_all)]


def verdict_lines(explained: Explanation) -> list[str]:
    """What became of it, and what decided."""
    verdict = explained.verdict
    text = f"{verdict.verdict}: {decider(verdict)}"
    if verdict.reason == "ban" and explained.bans:
        text += f" of {explained.bans[0]}"
    decisive = explained.asked[-1].rule if explained.asked else None
    if decisive is None or decisive.name != verdict.rule:
        return [text]
    said = {k: v for k, v in writing.fields_of(decisive).items() if k != "name"}
    return [text, f"  {rule_text(said)}"]


def _before(explained: Explanation, fields: Mapping[str, Any], *, shows_all: bool) -> list[str]:
    """Of the rules that did not decide, those that came closest to matching."""
    earlier = explained.asked[:-1] if explained.expected.rule is not None else explained.asked
    if not earlier:
        return []
    shown = earlier if shows_all else _closest(earlier)
    width = max(len(each.rule.name) for each in shown)
    heading = "rules before it:" if explained.expected.rule is not None else "rules:"
    lines = ["", heading]
    lines += [f"  {each.rule.name:<{width}}  {reason(each, fields)}" for each in shown]
    if len(shown) < len(earlier):
        lines.append(f"  and {len(earlier) - len(shown):,} more, further off; --all shows them")
    return lines


def _closest(earlier: Sequence[Asked]) -> Sequence[Asked]:
    """Those with the fewest fields that failed; of as many, those nearest to the decision."""
    places = sorted(range(len(earlier)), key=lambda place: (earlier[place].failures, -place))
    return [earlier[place] for place in sorted(places[:RULES_SHOWN])]


def reason(asked: Asked, fields: Mapping[str, Any]) -> str:
    """Why a rule did not decide."""
    rule = asked.rule
    if asked.failed is None and asked.passed_over == "expired":
        return f"matches, but expired at {expiry_text(rule.expires or 0)}: passed over"
    if asked.failed is None:
        rate = dict(rule.limit.spelling)["rate"] if rule.limit else "?"
        return f"matches, and was within its {rate}: passed over"
    field, condition = asked.failed
    wanted = _any_of(condition)
    value = fields.get(field)
    if value is None or (field == "vlan" and value == "none" and condition.negated):
        return f"no {field}, wanted {'any but ' if condition.negated else ''}{wanted}"
    return f"{field} is {value}, {'and must not be' if condition.negated else 'not'} {wanted}"


def _any_of(condition: Condition) -> str:
    """`23, 2323 or 6000-6063`."""
    values = list(condition.spelling[:_VALUES_SHOWN])
    if more := len(condition.spelling) - len(values):
        return f"{', '.join(values)} or {more:,} more"
    return " or ".join(filter(None, [", ".join(values[:-1]), values[-1]]))
