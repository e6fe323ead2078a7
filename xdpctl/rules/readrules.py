"""The rules of a file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from xdpctl.rules.canonical import with_names
from xdpctl.rules.checks import impossible
from xdpctl.rules.fields import FIELDS
from xdpctl.rules.limits import KEYS as LIMIT_KEYS
from xdpctl.rules.limits import BadKey, parse_limit
from xdpctl.rules.model import RULES_MAX, Action, Addresses, Condition, Limit, Rule
from xdpctl.rules.notes import Notes, kind_of, suggestion
from xdpctl.rules.times import expiry_text, parse_expiry
from xdpctl.rules.tree import Items, Node, Scalar, Table
from xdpctl.rules.values import BadValue, quoted

KEYS = ("name", "action", *LIMIT_KEYS, "expires", *FIELDS)
VALUES_MAX = 400_000  # in all rules; of IPv6 addresses, each takes almost a kilobyte meanwhile


def read_rules(notes: Notes, node: Node, sets: Collection[str], now: float) -> tuple[Rule, ...]:
    """All rules that are right, with names.

    Args:
        sets: the names of the sets that there are.
        now: Unix time that durations count from.
    """
    nodes = notes.items(node, "rules")
    if len(nodes) > RULES_MAX:
        notes.mistake(nodes[RULES_MAX], f"{len(nodes):,} rules: there can be {RULES_MAX:,}")
        nodes = nodes[:RULES_MAX]
    reader = _RuleReader(notes, sets, now)
    rules = []
    for each in nodes:
        rule = reader.read(each)
        if reader.values > VALUES_MAX:
            text = f"the rules have more than {VALUES_MAX:,} values: put addresses into sets"
            notes.mistake(each, text)
            break
        if rule is not None:
            rules.append(rule)
    return with_names(rules)


class _RuleReader:
    def __init__(self, notes: Notes, sets: Collection[str], now: float) -> None:
        self.notes = notes
        self.sets = sets
        self.now = now
        self.names: dict[str, int] = {}
        self.values = 0

    def read(self, node: Node) -> Rule | None:
        """None: it is wrong, which is noted.  The name is empty where none is given."""
        before = len(self.notes.mistakes)
        parts = self.notes.known(self.notes.table(node, "a rule"), KEYS)
        name = self._name(parts["name"]) if "name" in parts else ""
        action = None
        if "action" in parts:
            action = self.notes.action(parts["action"], "action", tuple(Action))
        elif isinstance(node, Table):
            self.notes.mistake(node, "a rule needs an action: drop, pass or limit")
        expires = self._expires(parts["expires"]) if "expires" in parts else None
        limit = None if action is None else self._limit(node, action, parts)
        conditions = self._conditions(parts)
        if len(self.notes.mistakes) > before or action is None or name is None:
            return None
        for field, text in impossible(conditions):
            self.notes.mistake(parts[field], f"{field}: {text}")
        return Rule(name, action, conditions, expires, limit)

    def _name(self, node: Node) -> str | None:
        name = self.notes.name(node, "name")
        if name in self.names:
            first = self.names[name]
            self.notes.mistake(node, f"a second rule {quoted(name)}, the first is in line {first}")
        elif name is not None:
            self.names[name] = node.line
        return name

    def _expires(self, node: Node) -> int | None:
        text = self.notes.text(node, "expires")
        if text is None:
            return None
        try:
            expires = parse_expiry(text, self.now)
        except BadValue as error:
            self.notes.mistake(node, f"expires: {error}")
            return None
        if expires <= self.now:
            self.notes.warning(node, f"the rule has expired, at {expiry_text(expires)}")
        return expires

    def _limit(self, node: Node, action: Action, parts: Mapping[str, Node]) -> Limit | None:
        given = {key: parts[key] for key in LIMIT_KEYS if key in parts}
        if action is not Action.LIMIT:
            for key, value in given.items():
                self.notes.mistake(value, f"{key}: only a rule with action: limit has it")
            return None
        if "rate" not in given:
            self.notes.mistake(node, "a limit needs a rate, such as 1000/s or 10Mbit/s")
            return None
        read = {key: self.notes.text(value, key) for key, value in given.items()}
        texts = {key: text for key, text in read.items() if text is not None}
        if len(texts) < len(given):
            return None
        try:
            return parse_limit(texts)
        except BadKey as error:
            self.notes.mistake(given[error.key], f"{error.key}: {error}")
            return None

    def _conditions(self, parts: Mapping[str, Node]) -> dict[str, Condition]:
        conditions = {}
        for field in FIELDS:
            if field in parts:
                condition = self._condition(field, parts[field])
                if condition is not None:
                    conditions[field] = condition
        return conditions

    def _condition(self, field: str, node: Node) -> Condition | None:
        negated, scalars = self._values(field, node)
        if scalars is None:
            return None
        texts = [scalar.text for scalar in scalars]
        try:
            condition = FIELDS[field].condition(texts, negated=negated)
        except BadValue as error:
            if not self._note_each(field, scalars):
                self.notes.mistake(node, f"{field}: {error}")
            return None
        if isinstance(condition, Addresses) and condition.sets:
            self._check_sets(field, scalars)
        return condition

    def _values(self, field: str, node: Node) -> tuple[bool, list[Scalar] | None]:
        """Whether they are negated, and the values; None where they are no such, which is noted."""
        negated = False
        if isinstance(node, Table):
            negated = True
            inner = self.notes.known(self.notes.table(node, field), ("not",))
            if "not" not in inner:
                if not node.pairs:
                    self.notes.mistake(node, f"{field}: the value is missing")
                return negated, None
            node = inner["not"]
        values = node.items if isinstance(node, Items) else [node]
        self.values += len(values)
        if self.values > VALUES_MAX:
            return negated, None
        scalars = [each for each in values if isinstance(each, Scalar) and each.text]
        for each in values:
            if not isinstance(each, Scalar):
                self.notes.mistake(each, f"{field}: expected a value, not {kind_of(each)}")
            elif not each.text:
                self.notes.mistake(each, f"{field}: the value is missing")
        return negated, scalars if len(scalars) == len(values) else None

    def _note_each(self, field: str, scalars: Sequence[Scalar]) -> bool:
        """Which of the values are wrong; False if it is none by itself."""
        found = False
        for scalar in scalars:
            try:
                FIELDS[field].condition([scalar.text])
            except BadValue as error:
                self.notes.mistake(scalar, f"{field}: {error}")
                found = True
        return found

    def _check_sets(self, field: str, scalars: Sequence[Scalar]) -> None:
        for scalar in scalars:
            name = scalar.text.removeprefix("@")
            if name != scalar.text and name not in self.sets:
                hint = suggestion(name, self.sets)
                self.notes.mistake(scalar, f"{field}: there is no set {quoted(name)}{hint}")
