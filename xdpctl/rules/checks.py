"""Matches that no packet can ever meet: whoever wrote one meant something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from xdpctl.rules.model import Addresses, Condition, Fragment, Fragments, Icmp, Numbers
from xdpctl.rules.values import parse_icmp, quoted
from xdpctl.rules.words import ETHERTYPES, ICMP, ICMPV6

TCP = 6
WITH_PORTS = frozenset({TCP, 17, 33, 132, 136})  # and UDP, DCCP, SCTP, UDP-Lite
_ICMPS = frozenset({ICMP, ICMPV6})
_IPV4, _IPV6 = ETHERTYPES["ipv4"][0], ETHERTYPES["ipv6"][0]
_VLAN_TAGS = frozenset({0x8100, 0x88A8})

_TRANSPORT = {
    "sport": (WITH_PORTS, "only TCP, UDP, UDP-Lite, SCTP and DCCP have ports"),
    "dport": (WITH_PORTS, "only TCP, UDP, UDP-Lite, SCTP and DCCP have ports"),
    "flags": (frozenset({TCP}), "only TCP has flags"),
    "icmp": (_ICMPS, "only ICMP (icmp) and ICMPv6 (ipv6-icmp) have types"),
}
_IP = ("src", "dst", "proto", "sport", "dport", "flags", "icmp", "ttl", "dscp", "fragment")


class Impossible(NamedTuple):
    """The field to blame, and why it never matches."""

    field: str
    text: str


def impossible(conditions: Mapping[str, Condition]) -> Iterator[Impossible]:
    """Why a rule with these conditions could never match: at most one reason of each kind."""
    yield from _protocols(conditions)
    yield from _families(conditions)
    yield from _fragments(conditions)


def _protocols(conditions: Mapping[str, Condition]) -> Iterator[Impossible]:
    allowed = WITH_PORTS | _ICMPS
    before: list[str] = []
    for name in ("proto", *_TRANSPORT):
        condition = conditions.get(name)
        if condition is None:
            continue
        if isinstance(condition, Numbers) and name == "proto":
            allowed &= {number for number in allowed if _holds(condition, number)}
            before.append(name)
            continue
        needed, why = _TRANSPORT[name]
        if not allowed & needed:
            yield Impossible(name, f"never matches together with {' and '.join(before)}: {why}")
            return
        allowed &= needed
        if isinstance(condition, Icmp) and not condition.negated:
            yield from _icmp_types(condition, allowed)
        before.append(name)


def _icmp_types(condition: Icmp, allowed: frozenset[int]) -> Iterator[Impossible]:
    """Names that only the other protocol has."""
    for text in condition.spelling:
        protocols = {protocol for protocol, _types, _codes in parse_icmp(text)}
        if not protocols & allowed:
            one = "ICMPv6 (proto: ipv6-icmp)" if ICMPV6 in protocols else "ICMP (proto: icmp)"
            yield Impossible("icmp", f"{quoted(text)} is a type of {one} alone")
            return


def _holds(condition: Numbers, number: int) -> bool:
    return any(low <= number <= high for low, high in condition.ranges) != condition.negated


def _families(conditions: Mapping[str, Condition]) -> Iterator[Impossible]:
    """Ethertype, source and destination have to agree on IPv4 or IPv6."""
    allowed = frozenset({4, 6})
    before: list[str] = []
    ethertype = conditions.get("ethertype")
    if isinstance(ethertype, Numbers):
        if not ethertype.negated and all(
            low == high and low in _VLAN_TAGS for low, high in ethertype.ranges
        ):
            text = "never matches: it is the ethertype behind the VLAN tags; vlan is their field"
            yield Impossible("ethertype", text)
            return
        numbers = ((4, _IPV4), (6, _IPV6))
        allowed &= {version for version, number in numbers if _holds(ethertype, number)}
        before.append("ethertype")
    for name in _IP:
        condition = conditions.get(name)
        if condition is None:
            continue
        if not allowed:
            why = "only IPv4 and IPv6 packets have it"
            yield Impossible(name, f"never matches together with {before[0]}: {why}")
            return
        if isinstance(condition, Addresses):
            allowed &= _versions(condition)
            before.append(name)
            if not allowed:
                text = f"never matches together with {' and '.join(before[:-1])}"
                yield Impossible(name, f"{text}: one is IPv4, the other IPv6")
                return


def _versions(condition: Addresses) -> frozenset[int]:
    """A set may hold either: it can be changed while the rule runs."""
    if condition.negated or condition.sets:
        return frozenset({4, 6})
    return frozenset({4} if condition.ipv4 else ()) | frozenset({6} if condition.ipv6 else ())


def _fragments(conditions: Mapping[str, Condition]) -> Iterator[Impossible]:
    condition = conditions.get("fragment")
    if not isinstance(condition, Fragments):
        return
    kinds = set(Fragment) - condition.kinds if condition.negated else condition.kinds
    if kinds != {Fragment.LATER}:
        return
    for name in _TRANSPORT:
        if name in conditions:
            text = "never matches: a later fragment has no ports, flags or types"
            yield Impossible(name, text)
            return
