"""Fields whose values are small numbers: from the rules' conditions to classes of values.

Class 0 is of values that satisfy no condition, and of packets that lack the field: to the rules
they are the same, for a field that is absent satisfies no condition, negated or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xdpctl.rules.bitrows import U64, Bits, packed_members
from xdpctl.rules.classes import CLASSES_MAX, TooManyClasses, classify_ipv4
from xdpctl.rules.model import (
    Condition,
    Flags,
    Fragment,
    Fragments,
    Icmp,
    Macs,
    Numbers,
    Range,
    Rule,
)

U16 = NDArray[np.uint16]

VLAN_NONE = 4096
MAC_UNLISTED = 1
_ICMPV6 = 58
_ICMPV6_BIT = 1 << 16
_FRAGMENTS = (Fragment.NO, Fragment.FIRST, Fragment.LATER)

VALUES: Mapping[str, int] = {
    "proto": 256,
    "sport": 65536,
    "dport": 65536,
    "flags": 256,
    "icmp": 2 * _ICMPV6_BIT,
    "length": 65536,
    "ttl": 256,
    "dscp": 64,
    "vlan": VLAN_NONE + 1,
    "ethertype": 65536,
    "src_mac": 0,
    "dst_mac": 0,
    "fragment": len(_FRAGMENTS),
}
"""The fields as the data plane has them (enum field of bpf/config.h), in its order, and how many
values each has: MAC addresses have too many for a table."""


@dataclass(frozen=True, slots=True)
class FieldClasses:
    """A field's classes.

    Attributes:
        name: of the field.
        table: uint16[values]: the class of each value; of MAC addresses empty.
        macs: the class of each MAC address that a rule names; any other is MAC_UNLISTED.
        members: uint64[classes, words]: bit k % 64 of word k // 64 says whether the class
            satisfies condition k.
        conditions: how many there are.
        condition_of_rule: for each rule its condition's place; None where it has none.
    """

    name: str
    table: U16
    macs: Mapping[int, int]
    members: U64
    conditions: int
    condition_of_rule: tuple[int | None, ...]

    @property
    def count(self) -> int:
        return len(self.members)


def distinct(rules: Iterable[Rule], field: str) -> tuple[list[Any], tuple[int | None, ...]]:
    """The conditions on a field that differ, and for each rule the place of its own."""
    places: dict[Condition, int] = {}
    of_rule: list[int | None] = []
    for rule in rules:
        condition = rule.conditions.get(field)
        of_rule.append(None if condition is None else places.setdefault(condition, len(places)))
    return list(places), tuple(of_rule)


def field_classes(field: str, rules: Sequence[Rule]) -> FieldClasses | None:
    """The classes of a field that is no address; None where no rule asks for it.

    Raises TooManyClasses.
    """
    conditions, of_rule = distinct(rules, field)
    if not conditions:
        return None
    if not VALUES[field]:
        return _mac_classes(field, conditions, of_rule)
    lists = [_bounds(_ranges(field, each)) for each in conditions]
    found = classify_ipv4(lists, f"the values of {field}")
    table = np.zeros(VALUES[field], np.uint16)
    for start, end, number in zip(found.starts, found.ends, found.classes, strict=True):
        table[start : end + 1] = number
    return FieldClasses(field, table, {}, found.members, len(lists), of_rule)


def _bounds(ranges: Sequence[Range]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    ends = np.array(ranges, np.uint32).reshape(-1, 2)
    return ends[:, 0], ends[:, 1]


def _ranges(field: str, condition: Condition) -> Sequence[Range]:
    """The values that satisfy a condition, as sorted, disjoint ranges."""
    match condition:
        case Numbers():
            return _number_ranges(field, condition)
        case Flags():
            values = np.arange(VALUES["flags"])
            held = np.zeros(len(values), np.bool_)
            for value, mask in condition.pairs:
                held |= values & mask == value
        case Icmp():
            held = np.zeros(VALUES["icmp"], np.bool_)
            for protocol, types, codes in condition.messages:
                family = held.reshape(2, 256, 256)[int(protocol == _ICMPV6)]
                family[types[0] : types[1] + 1, codes[0] : codes[1] + 1] = True
        case Fragments():
            held = np.array([each in condition.kinds for each in _FRAGMENTS])
        case _:
            raise TypeError(f"{field}: {condition}")
    return _runs(held ^ condition.negated)


def _number_ranges(field: str, condition: Numbers) -> Sequence[Range]:
    # An untagged frame lacks the field, which `none` alone is satisfied by.
    most = (VLAN_NONE if field == "vlan" else VALUES[field]) - 1
    if condition.negated:
        return _complement(condition.ranges, most)
    untagged = [(VLAN_NONE, VLAN_NONE)] if condition.untagged else []
    return [*condition.ranges, *untagged]


def _complement(ranges: Sequence[Range], most: int) -> list[Range]:
    starts = [0, *(last + 1 for _, last in ranges)]
    ends = [*(first - 1 for first, _ in ranges), most]
    return [(a, b) for a, b in zip(starts, ends, strict=True) if a <= b]


def _runs(held: Bits) -> list[Range]:
    edges = np.flatnonzero(np.diff(held, prepend=False, append=False))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _mac_classes(
    field: str, conditions: Sequence[Macs], of_rule: tuple[int | None, ...]
) -> FieldClasses:
    holders: dict[int, list[int]] = {}
    for place, condition in enumerate(conditions):
        for mac in condition.addresses:
            holders.setdefault(mac, []).append(place)
    numbers: dict[tuple[int, ...], int] = {(): MAC_UNLISTED}
    macs = {
        mac: numbers.setdefault(tuple(places), len(numbers) + MAC_UNLISTED)
        for mac, places in holders.items()
    }
    if len(numbers) > CLASSES_MAX:
        raise TooManyClasses(f"the addresses of {field}", len(numbers))
    negated = packed_members(np.array([[each.negated for each in conditions]]))
    members = np.zeros((1 + len(numbers), negated.shape[1]), np.uint64)
    for held, number in numbers.items():
        for place in held:
            members[number, place // 64] |= np.uint64(1 << place % 64)
    members[MAC_UNLISTED:] ^= negated
    return FieldClasses(field, np.zeros(0, np.uint16), macs, members, len(conditions), of_rule)
