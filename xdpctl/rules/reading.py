"""A ruleset from a file: everything that is wrong with it is found, and told with its place."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, NamedTuple

from xdpctl.rules.inputs import STDIN, read_all
from xdpctl.rules.mistakes import BadRuleset, Mistake
from xdpctl.rules.model import POLICIES, Action, Addresses, NamedSet, Rule, Ruleset
from xdpctl.rules.notes import Notes
from xdpctl.rules.readrules import read_rules
from xdpctl.rules.readsets import Known, read_sets
from xdpctl.rules.sets import special_space
from xdpctl.rules.suspicious import dropped_sets
from xdpctl.rules.tree import Items, Node, Scalar, from_data, parse
from xdpctl.rules.values import NAME, quoted
from xdpctl.rules.words import NEVER_BAN

LIMIT_BYTES = 64 << 20
KEYS = ("name", "default", "malformed", "sets", "rules")
_NAME = "ruleset"
_NOTHING: Known = MappingProxyType({})


class Reading(NamedTuple):
    """A ruleset, and what is odd about its file without being wrong."""

    ruleset: Ruleset
    warnings: tuple[Mistake, ...]


class RulesText(NamedTuple):
    """The text of a rules file.

    Attributes:
        path: what mistakes are said to be in.
        directory: what relative paths of lists are relative to.
        name: the ruleset's name where the text has none; of no use if it is no name.
    """

    text: str
    path: str
    directory: str
    name: str

    def reading(self, now: float, known: Known = _NOTHING) -> Reading:
        """What it says, as `read_ruleset`. Raises BadRuleset."""
        return read_text(
            self.text, self.path, now, directory=self.directory, name=self.name, known=known
        )


def read_ruleset(path: str, now: float, known: Known = _NOTHING) -> Reading:
    """Read a rules file; `-` is standard input.

    Args:
        now: Unix time in seconds that `expires: 10m` counts from.
        known: sets by the paths of their lists, which are not read again if they are the same.

    Raises:
        BadRuleset: it has mistakes; all of them.
        WrongUsage: it cannot be read.
    """
    return read_file(path).reading(now, known)


def read_file(path: str) -> RulesText:
    """The text of a rules file; `-` is standard input. Raises BadRuleset: it is not UTF-8;
    WrongUsage: it cannot be read."""
    content = read_all(path, LIMIT_BYTES)
    shown = "<stdin>" if path == STDIN else path
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise BadRuleset([Mistake(shown, line, column, "not UTF-8")]) from error
    directory = "" if path == STDIN else os.path.dirname(path)
    stem = "" if path == STDIN else PurePath(path).stem
    return RulesText(text, shown, directory, stem)


def read_text(
    text: str,
    path: str,
    now: float,
    *,
    directory: str = "",
    name: str = "",
    known: Known = _NOTHING,
) -> Reading:
    """Read the text of a rules file.

    Args:
        path: what mistakes are said to be in.
        directory: what relative paths of lists are relative to.
        name: the ruleset's name where the text has none; of no use if it is no name.

    Raises BadRuleset: it has mistakes; all of them.
    """
    notes = Notes(path)
    ruleset = _ruleset(notes, parse(text, path), now, directory, name, known)
    if notes.mistakes:
        raise BadRuleset(notes.mistakes)
    return Reading(ruleset, tuple(notes.warnings))


def read_rule(
    rule: Mapping[str, Any], sets: Collection[str], now: float
) -> tuple[Rule, tuple[Mistake, ...]]:
    """A single rule as a command line or JSON gives it, and warnings; mistakes have no place.

    Args:
        rule: the keys and values of a rule in the file: texts, numbers, lists, {"not": ...}.
        sets: the names of the sets that there are.

    Raises BadRuleset: it has mistakes; all of them.
    """
    notes = Notes("")
    rules = _rules_of_data(notes, [rule], sets, now)
    return rules[0], tuple(notes.warnings)


def read_rules_from(
    rules: Sequence[Mapping[str, Any]], sets: Collection[str], now: float
) -> tuple[Rule, ...]:
    """Rules as `read_rule` takes them, in their order. Raises BadRuleset."""
    return _rules_of_data(Notes(""), rules, sets, now)


def _rules_of_data(
    notes: Notes, rules: Sequence[Mapping[str, Any]], sets: Collection[str], now: float
) -> tuple[Rule, ...]:
    made = read_rules(notes, Items(0, 0, [from_data(each) for each in rules]), sets, now)
    if notes.mistakes:
        raise BadRuleset(notes.mistakes)
    return made


def _ruleset(
    notes: Notes, root: Node, now: float, directory: str, name: str, known: Known
) -> Ruleset:
    parts = notes.known(notes.table(root, "a ruleset"), KEYS)
    sets = read_sets(notes, parts["sets"], directory, known) if _has_any(parts, "sets") else {}
    rules = read_rules(notes, parts["rules"], sets, now) if _has_any(parts, "rules") else ()
    name = name if NAME.fullmatch(name) else _NAME
    if "name" in parts:
        name = notes.name(parts["name"], "name") or name
    default, malformed = (
        notes.action(parts[key], key, POLICIES) if key in parts else None
        for key in ("default", "malformed")
    )
    _warn_of_sets(notes, sets, rules)
    return Ruleset(
        name,
        default or Action.PASS,
        malformed or Action.DROP,
        tuple(made for _node, made in sets.values() if made is not None),
        rules,
    )


def _has_any(parts: Mapping[str, Node], key: str) -> bool:
    """A key may have nothing behind it, as when all its items are commented out."""
    node = parts.get(key)
    return node is not None and not (isinstance(node, Scalar) and not node.text)


def _warn_of_sets(
    notes: Notes, sets: Mapping[str, tuple[Node, NamedSet | None]], rules: Collection[Rule]
) -> None:
    """Of sets that no rule names, and of special addresses in those whose packets are dropped."""
    used = {
        name
        for rule in rules
        for condition in rule.conditions.values()
        if isinstance(condition, Addresses)
        for name in condition.sets
    }
    dropped = dropped_sets(rules)
    for name, (node, made) in sets.items():
        if name not in used and name != NEVER_BAN:
            notes.warning(node, f"no rule names set {quoted(name)}")
        for space in special_space(made) if made and name in dropped else ():
            notes.warning(node, f"set {quoted(name)} of a drop rule has a part of: {space}")
