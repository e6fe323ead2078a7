"""The addresses of a ruleset: classes of those in named sets, classes of those written in rules.

There are two tables for each IP version, both for sources and destinations. Those of the sets
depend on the sets alone, so that another rule does not build them anew. A rule that asks for sets
and for addresses of its own is matched by either, and so the two rows of an address are ORed. A
negated one cannot be: its sets and addresses are taken together as a set that has no name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from xdpctl.errors import WrongUsage
from xdpctl.rules.addresses import FORMAT, Root, Table, compile_ipv4, compile_ipv6
from xdpctl.rules.bitrows import U64, Bits, rows_of
from xdpctl.rules.classes import Bounds, Classes, classify_ipv4, classify_ipv6
from xdpctl.rules.intervals import merge_ipv4, merge_ipv6
from xdpctl.rules.model import Addresses, Rule, Ruleset
from xdpctl.rules.numbers import distinct
from xdpctl.rules.sets import WEIGHT_MAX, weight_of

_LOW_64 = 2**64 - 1


@dataclass(frozen=True, slots=True)
class AddressRows:
    """The rows of a packet's source or destination: of IPv4 and of IPv6 classes, and of a packet
    that has none. None where no rule asks for sets, or for addresses of its own."""

    sets: tuple[U64, U64] | None
    own: tuple[U64, U64] | None
    absent: U64


class SetTables(NamedTuple):
    """What a program says of the tables of its sets, for the next one to take them over.

    Attributes:
        key: equal keys are of equal lists in the same order.
        members: which lists hold each class (uint64[classes, words]), of IPv4 and of IPv6.
        roots: by the names of the tables' maps.
    """

    key: str
    members: tuple[U64, U64]
    roots: Mapping[str, Root]


@dataclass(frozen=True, slots=True)
class _Lists:
    """Lists of addresses, and by IP version which of them hold each class. Their classes are None
    where the tables are there already."""

    places: dict[object, int]
    members: tuple[U64, U64]
    classes: tuple[Classes, Classes] | None

    def tables(self, kind: str) -> dict[str, Table]:
        """Those to be made, by the names of their maps."""
        if self.classes is None or not self.places:
            return {}
        ipv4, ipv6 = self.classes
        return {
            f"{kind}_ipv4": compile_ipv4(ipv4.starts, ipv4.ends, ipv4.classes),
            f"{kind}_ipv6": compile_ipv6(ipv6.starts, ipv6.ends, ipv6.classes),
        }


class TooManyRanges(WrongUsage):
    def __init__(self, weight: int) -> None:
        super().__init__(
            f"rules that negate sets together with addresses need {weight:,} ranges more: "
            f"there can be {WEIGHT_MAX:,} of IPv4, or a fourth of IPv6",
            hint="put the addresses of `not: [@set, address]` into a set, too",
        )


@dataclass(frozen=True, slots=True)
class AddressClasses:
    """Attributes:
    sets: the classes of what named sets hold.
    own: those of what is written in rules.
    sets_key: as in SetTables.
    kept: the tables of the sets, where they are there already.
    """

    sets: _Lists
    own: _Lists
    sets_key: str
    kept: SetTables | None

    def tables(self) -> dict[str, Table]:
        """The address tables to be made, by the names of their maps."""
        return self.sets.tables("sets") | self.own.tables("own")

    def set_tables(self, made: Mapping[str, Table]) -> SetTables | None:
        """For the program after this one; None without sets.

        Args:
            made: what `tables` returned.
        """
        if self.kept is not None or not self.sets.places:
            return self.kept
        roots = {name: made[name].root() for name in ("sets_ipv4", "sets_ipv6")}
        return SetTables(self.sets_key, self.sets.members, roots)

    def rows_of(self, name: str, ruleset: Ruleset, words: int) -> AddressRows | None:
        """The rows of `src` or `dst`; None where no rule asks for it."""
        conditions, of_rule = distinct(ruleset.rules, name)
        if not conditions:
            return None
        never = np.zeros((1, -(-len(conditions) // 64)), np.uint64)
        sets = own = None
        if any(each.sets for each in conditions):
            columns = [_set_lists(each) for each in conditions]
            sets = _rows(self.sets, columns, conditions, of_rule, words)
        if any(not each.sets or _has_both(each) for each in conditions):
            columns = [_own_lists(each) for each in conditions]
            own = _rows(self.own, columns, conditions, of_rule, words)
        return AddressRows(sets, own, rows_of(never, len(conditions), of_rule, words))


def address_classes(ruleset: Ruleset, kept: SetTables | None = None) -> AddressClasses:
    """Raises TooManyClasses, TooManyRanges."""
    used = [condition for rule in ruleset.rules for condition in _addresses(rule)]
    named = dict.fromkeys(name for each in used for name in each.sets)
    united = dict.fromkeys(each for each in used if _is_united(each))
    own = dict.fromkeys(each for each in used if not each.sets or _has_both(each))
    set_lists: list[object] = [*named, *united]
    key = _key_of(ruleset, named, united)
    if kept is None or kept.key != key:
        _check_weight(ruleset, named, united)
        set_bounds = [_of_sets(ruleset, [name], None) for name in named]
        set_bounds += [_of_sets(ruleset, each.sets, each) for each in united]
        sets, kept = _lists(set_lists, set_bounds), None
    else:
        sets = _Lists(_places(set_lists), kept.members, None)
    return AddressClasses(sets, _lists([*own], [_written(each) for each in own]), key, kept)


def _check_weight(ruleset: Ruleset, named: Iterable[str], united: Iterable[Addresses]) -> None:
    """Raises TooManyRanges: each united condition is a list of its own that has whole sets in it,
    and a few bytes of a file can say so of a million addresses."""
    weights = {each.name: weight_of(each) for each in ruleset.sets}
    weight = sum(weights[name] for each in united for name in each.sets)
    if weight > 0 and weight + sum(weights[name] for name in named) > WEIGHT_MAX:
        raise TooManyRanges(weight)


def _key_of(ruleset: Ruleset, named: Iterable[str], united: Iterable[Addresses]) -> str:
    lists = [[ruleset.set_named(name).digest] for name in named]
    for each in united:
        digests = [ruleset.set_named(name).digest for name in each.sets]
        lists.append([*digests, repr((each.ipv4, each.ipv6))])
    return hashlib.sha256(FORMAT + repr(lists).encode()).hexdigest()


def _addresses(rule: Rule) -> Iterable[Addresses]:
    for name in ("src", "dst"):
        condition = rule.conditions.get(name)
        if isinstance(condition, Addresses):
            yield condition


def _is_united(condition: Addresses) -> bool:
    """Whether it is negated, and of sets and addresses."""
    return condition.negated and bool(condition.sets) and _writes(condition)


def _has_both(condition: Addresses) -> bool:
    """Whether it is matched by sets or by addresses."""
    return not condition.negated and bool(condition.sets) and _writes(condition)


def _writes(condition: Addresses) -> bool:
    return bool(condition.ipv4 or condition.ipv6)


def _set_lists(condition: Addresses) -> list[object]:
    return [condition] if _is_united(condition) else list(condition.sets)


def _own_lists(condition: Addresses) -> list[object]:
    return [condition] if not condition.sets or _has_both(condition) else []


def _rows(
    lists: _Lists,
    columns: Sequence[Sequence[object]],
    conditions: Sequence[Addresses],
    of_rule: Sequence[int | None],
    words: int,
) -> tuple[U64, U64]:
    """Rows by class of which conditions are satisfied by these lists: by any of a condition's, or
    if it is negated by none of them. A condition without lists here is satisfied elsewhere."""
    # One list for each, as is usual, is taken at once; of several, the others are added.
    nothing = len(lists.places)
    first = [lists.places[column[0]] if column else nothing for column in columns]
    others = [(i, lists.places[each]) for i, column in enumerate(columns) for each in column[1:]]
    negated = np.array([c.negated and bool(o) for c, o in zip(conditions, columns, strict=True)])

    def conditions_of(bits: Bits) -> Bits:
        satisfied = np.take(np.pad(bits, ((0, 0), (0, 1))), first, axis=1)
        for i, place in others:
            satisfied[:, i] |= bits[:, place]
        satisfied ^= negated
        return satisfied

    ipv4, ipv6 = (
        rows_of(each, len(lists.places), of_rule, words, conditions_of) for each in lists.members
    )
    return ipv4, ipv6


def _lists(keys: Sequence[object], bounds: Sequence[tuple[Bounds, Bounds]]) -> _Lists:
    ipv4 = classify_ipv4([each[0] for each in bounds])
    ipv6 = classify_ipv6([each[1] for each in bounds])
    return _Lists(_places(keys), (ipv4.members, ipv6.members), (ipv4, ipv6))


def _places(keys: Sequence[object]) -> dict[object, int]:
    return {key: place for place, key in enumerate(keys)}


def _written(condition: Addresses) -> tuple[Bounds, Bounds]:
    ipv4 = np.array(condition.ipv4, np.uint32).reshape(-1, 2)
    ipv6 = np.array(
        [
            [(first >> 64, first & _LOW_64), (last >> 64, last & _LOW_64)]
            for first, last in condition.ipv6
        ],
        np.uint64,
    ).reshape(-1, 2, 2)
    return (ipv4[:, 0], ipv4[:, 1]), (ipv6[:, 0], ipv6[:, 1])


def _of_sets(
    ruleset: Ruleset, names: Iterable[str], more: Addresses | None
) -> tuple[Bounds, Bounds]:
    """What sets hold together, and what a condition writes besides."""
    sets = [ruleset.set_named(name) for name in names]
    ipv4, ipv6 = [each.ipv4 for each in sets], [each.ipv6 for each in sets]
    if more is not None:
        (first4, last4), (first6, last6) = _written(more)
        ipv4.append(np.stack((first4, last4), axis=1))
        ipv6.append(np.stack((first6, last6), axis=1))
    joined4 = ipv4[0] if len(ipv4) == 1 else merge_ipv4(np.concatenate(ipv4))
    joined6 = ipv6[0] if len(ipv6) == 1 else merge_ipv6(np.concatenate(ipv6))
    return (joined4[:, 0], joined4[:, 1]), (joined6[:, 0], joined6[:, 1])
