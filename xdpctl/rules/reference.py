"""What a ruleset means for a packet, in the simplest Python: the data plane is held against this.

In this order: a malformed packet is dropped where the ruleset says so; so is what comes from a
banned address; the first rule whose conditions all hold decides; else the default does.  A rule is
passed over from the second on in which it expires, and so is one that limits where the packet is
within its rate.

A field that a packet lacks never matches, negated or not: `dport: {not: 22}` says nothing about
ICMP, and `vlan: {not: 10}` nothing about untagged frames.  `src: {not: 192.0.2.0/24}` does match
every IPv6 packet, which has a source address, and another one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

from xdpctl.rules.frame import Address, Packet, parse
from xdpctl.rules.model import (
    Action,
    Addresses,
    Condition,
    Flags,
    Fragments,
    Icmp,
    Limit,
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
        action: DROP or PASS.
        reason: "malformed", "ban", "rule", "limit" or "default".
        rule: the name of the rule, if it was one.
    """

    action: Action
    reason: str
    rule: str | None = None


class Banned(NamedTuple):
    """Source addresses from the first to the last, banned until a Unix time; None is for ever."""

    version: int
    first: int
    last: int
    expires: float | Fraction | None = None


Network = tuple[int, int]
"""The version and the number of a network's first address; (0, 0) where there is no address."""


class Buckets:
    """The state of limits: what became of one packet matters to the next."""

    def __init__(
        self,
        cell_of: Callable[[str, Network], Hashable] | None = None,
        due: Mapping[tuple[str, Hashable], int] | None = None,
    ) -> None:
        """
        Args:
            cell_of: from a rule's name and a network to what it shares with others; without one
                each network has a bucket of its own, as if there were endless cells.
            due: what packets before have left: Unix time in sixteenths of a nanosecond at which
                the next packet would be due, by rule and what `cell_of` says.
        """
        self._cell_of = cell_of or (lambda _name, network: network)
        self._due: dict[tuple[str, Hashable], int] = dict(due or {})

    def take(self, name: str, limit: Limit, packet: Packet, now: float | Fraction) -> bool:
        """Whether the packet is within the limit, from whose bucket it is then taken: the generic
        cell rate algorithm (ITU-T I.371, A.1.1.1), in sixteenths of a nanosecond."""
        second = 16 * 10**9
        cost = second * limit.seconds // limit.rate
        burst = second * limit.seconds * limit.burst // limit.rate
        if limit.bits:
            cost = second * 8 * packet.length // limit.rate
            burst = second * 8 * limit.burst // limit.rate
        cell = (name, self._cell_of(name, network_of(limit, packet)))
        moment = int(now * second)
        due = max(self._due.get(cell, 0), moment)
        if due > moment and due + cost - moment > burst:
            return False
        self._due[cell] = due + cost
        return True


def network_of(limit: Limit, packet: Packet) -> Network:
    """Whose bucket of a limit a packet is taken from."""
    address = getattr(packet, limit.per) if limit.per else None
    if address is None:
        return 0, 0
    is_ipv4 = address.version == 4  # noqa: PLR2004
    host_bits = 32 - limit.ipv4_length if is_ipv4 else 128 - limit.ipv6_length
    return address.version, address.number >> host_bits << host_bits


def _is_banned(packet: Packet, ban: Banned, now: float | Fraction) -> bool:
    if packet.src is None or packet.src.version != ban.version:
        return False
    ended = ban.expires is not None and ban.expires <= now
    return ban.first <= packet.src.number <= ban.last and not ended


def judge(
    ruleset: Ruleset,
    frame: bytes,
    now: float | Fraction,
    buckets: Buckets | None = None,
    bans: Iterable[Banned] = (),
) -> Verdict:
    """What becomes of an Ethernet frame.

    Args:
        frame: without its check sequence.
        now: Unix time in seconds.
        buckets: what limits have seen before; without them everything is within its rate.
        bans: all that there are, expired ones too.
    """
    return judge_packet(ruleset, parse(frame), now, buckets, bans)


def judge_packet(
    ruleset: Ruleset,
    packet: Packet,
    now: float | Fraction,
    buckets: Buckets | None = None,
    bans: Iterable[Banned] = (),
) -> Verdict:
    """The same, of a frame that has been parsed."""
    if packet.malformed is not None and ruleset.malformed is Action.DROP:
        return Verdict(Action.DROP, "malformed")
    if any(_is_banned(packet, each, now) for each in bans):
        return Verdict(Action.DROP, "ban")
    sets = {each.name: each for each in ruleset.sets}
    for rule in ruleset.rules:
        if not matches(rule, packet, sets, now):
            continue
        if rule.limit is not None:
            if buckets is not None and not buckets.take(rule.name, rule.limit, packet, now):
                return Verdict(Action.DROP, "limit", rule.name)
        else:
            return Verdict(rule.action, "rule", rule.name)
    return Verdict(ruleset.default, "default")


def matches(rule: Rule, packet: Packet, sets: dict[str, NamedSet], now: float | Fraction) -> bool:
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
