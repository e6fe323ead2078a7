"""What a ruleset means for a packet, in the simplest Python: the data plane is held against this.

In this order: a malformed packet is dropped where the ruleset says so; the first rule whose
conditions all hold decides; else the default does.  A rule is passed over from the second on in
which it expires.

A field that a packet lacks never matches, negated or not: `dport: {not: 22}` says nothing about
ICMP, and `vlan: {not: 10}` nothing about untagged frames.  `src: {not: 192.0.2.0/24}` does match
every IPv6 packet, which has a source address, and another one.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from xdpctl.rules.frame import Address, Packet, parse
from xdpctl.rules.model import (
    Action,
    Addresses,
    Condition,
    Flags,
    Fragments,
    Icmp,
    Macs,
    NamedSet,
    Numbers,
    Range,
    Rule,
    Ruleset,
)


class Verdict(NamedTuple):
    """What becomes of a packet, and why.

    Attributes:
        reason: "malformed", "rule" or "default".
        rule: the name of the rule, if it was one.
    """

    action: Action
    reason: str
    rule: str | None = None


def judge(ruleset: Ruleset, frame: bytes, now: float) -> Verdict:
    """What becomes of an Ethernet frame.

    Args:
        frame: without its check sequence.
        now: Unix time in seconds.
    """
    return judge_packet(ruleset, parse(frame), now)


def judge_packet(ruleset: Ruleset, packet: Packet, now: float) -> Verdict:
    """The same, of a frame that has been parsed."""
    if packet.malformed is not None and ruleset.malformed is Action.DROP:
        return Verdict(Action.DROP, "malformed")
    sets = {each.name: each for each in ruleset.sets}
    for rule in ruleset.rules:
        if matches(rule, packet, sets, now):
            return Verdict(rule.action, "rule", rule.name)
    return Verdict(ruleset.default, "default")


def matches(rule: Rule, packet: Packet, sets: dict[str, NamedSet], now: float) -> bool:
    """Whether the rule is in force and all its conditions hold."""
    if rule.expires is not None and rule.expires <= now:
        return False
    for field, condition in rule.conditions.items():
        if not holds(field, condition, packet, sets):
            return False
    return True


def holds(field: str, condition: Condition, packet: Packet, sets: dict[str, NamedSet]) -> bool:
    """Whether a packet's field is what a condition says."""
    if field == "vlan" and packet.untagged:
        return isinstance(condition, Numbers) and condition.untagged and not condition.negated
    value = getattr(packet, field)
    if value is None:
        return False
    return _is_one_of(condition, value, packet, sets) != condition.negated


def _is_one_of(
    condition: Condition, value: object, packet: Packet, sets: dict[str, NamedSet]
) -> bool:
    match condition, value:
        case Numbers(), int():
            return _in_ranges(condition.ranges, value)
        case Addresses(), Address():
            return _is_address_of(condition, value, sets)
        case Flags(), int():
            return any(value & mask == wanted for wanted, mask in condition.pairs)
        case Icmp(), (int(kind), int(code)):
            return any(
                packet.proto == protocol
                and types[0] <= kind <= types[1]
                and codes[0] <= code <= codes[1]
                for protocol, types, codes in condition.messages
            )
        case Macs(), int():
            return value in condition.addresses
        case Fragments(), str():
            return value in condition.kinds
    raise TypeError(f"no packet has {value!r} for a {type(condition).__name__}")


def _is_address_of(condition: Addresses, address: Address, sets: dict[str, NamedSet]) -> bool:
    ranges = condition.ipv4 if address.version == 4 else condition.ipv6  # noqa: PLR2004
    if _in_ranges(ranges, address.number):
        return True
    return any(_in_set(sets[name], address) for name in condition.sets)


def _in_ranges(ranges: tuple[Range, ...], number: int) -> bool:
    return any(low <= number <= high for low, high in ranges)


def _in_set(named: NamedSet, address: Address) -> bool:
    """Sets can be large, and are sorted: only the last range that begins in time can have it."""
    if address.version == 4:  # noqa: PLR2004
        count, bound = len(named.ipv4), _ipv4_bound
    else:
        count, bound = len(named.ipv6), _ipv6_bound
    after = bisect_right(range(count), address.number, key=lambda index: bound(named, index, 0))
    return after > 0 and address.number <= bound(named, after - 1, 1)


def _ipv4_bound(named: NamedSet, index: int, which: int) -> int:
    return int(named.ipv4[index, which])


def _ipv6_bound(named: NamedSet, index: int, which: int) -> int:
    high, low = named.ipv6[index, which].tolist()
    return int(high) << 64 | int(low)
