"""Rulesets and frames aimed at their edges, for tests that hold the data plane against the model.

Everything comes from a `random.Random`: Hypothesis hands one out that it can replay and shrink.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network
from random import Random
from typing import NamedTuple

from tests.packets import IPV4, IPV6
from xdpctl.rules.fields import FIELDS
from xdpctl.rules.limits import parse_limit
from xdpctl.rules.model import (
    LIMITS_MAX,
    POLICIES,
    Action,
    Addresses,
    Condition,
    Icmp,
    Limit,
    NamedSet,
    Numbers,
    Range,
    Rule,
    Ruleset,
)
from xdpctl.rules.sets import set_of
from xdpctl.rules.values import BadValue, parse_address

ADDRESSES = ["192.0.2.1", "192.0.2.128", "0.0.0.0", "255.255.255.255", "10.1.2.3",
             "2001:db8::1", "2001:db8:0:1::", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
             "::ffff:192.0.2.1"]  # fmt: skip
WORDS = {
    "proto": ["tcp", "udp", "icmp", "ipv6-icmp", "sctp", "gre", "0", "255", "6-17"],
    "sport": ["0", "65535", "53", "1024-65535", "40000"],
    "dport": ["0", "65535", "53", "80", "0-1023", "6000-6063"],
    "flags": ["syn/syn,ack", "0/syn,ack", "rst", "syn,fin/syn,fin"],
    "icmp": ["echo-request", "3/4", "*/3", "0", "128", "255/255"],
    "length": ["60", "0-100", "65535", "101-1500"],
    "ttl": ["0", "1", "64", "255", "2-63"],
    "dscp": ["0", "ef", "cs1", "1-63"],
    "vlan": ["none", "0", "10", "4095", "1-9"],
    "ethertype": ["ipv4", "ipv6", "arp", "0x88cc", "0", "65535"],
    "src_mac": ["02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff"],
    "dst_mac": ["02:00:00:00:00:02", "ff:ff:ff:ff:ff:ff"],
    "fragment": ["no", "first", "later"],
}
SETS = ("first", "second")
LIMITS = {
    "rate": ["1/s", "7/s", "1000/s", "30/m", "3600/h", "100000000/s", "8kbit/s", "10Mbit/s"],
    "burst": ["1", "2", "10"],
    "per": ["all", "src", "dst", "src/24", "dst/56", "src/1,128", "dst/32,1"],
    "cells": ["1", "2", "64", "4096"],
}
NOW = 1_800_000_000
"""When rules have expired or not, in Unix time."""

_POOL = {
    bits: [int(ip_network(text).network_address) for text in ADDRESSES if (":" in text) == ipv6]
    for bits, ipv6 in ((32, False), (128, True))
}


def address(random: Random) -> str:
    """An address, a prefix around one, nested in others of the same pool, or a range."""
    text = random.choice(ADDRESSES)
    number = int(ip_network(text).network_address)
    bits = 128 if ":" in text else 32
    kind = random.randrange(4)
    if kind == 0:
        return text
    if kind == 1:
        last = min(number + random.randrange(300), 2**bits - 1)
        return f"{text}-{(IPv6Address if bits == 128 else IPv4Address)(last)}"
    length = random.choice([0, 1, bits // 2, bits - 1, bits, random.randrange(bits + 1)])
    return str(ip_network((number, length), strict=False))


def named_set(random: Random, name: str) -> NamedSet:
    return set_of(name, [parse_address(address(random)) for _ in range(random.randrange(1, 6))])


def condition(random: Random, field: str) -> Condition | None:
    """None where the dice made one that never matches."""
    values = [
        (
            random.choice([f"@{name}" for name in SETS])
            if random.random() < 0.25
            else address(random)
        )
        if field in ("src", "dst")
        else random.choice(WORDS[field])
        for _ in range(random.choice([1, 1, 1, 2, 3]))
    ]
    try:
        return FIELDS[field].condition(values, negated=random.random() < 0.3)
    except BadValue:
        return None


def ruleset(random: Random, rules: int) -> Ruleset:
    """Every combination of fields, also those that a file may not have for being impossible. Of
    many rules an early one matches nearly everything: see `deep_ruleset`."""

    limited = limited_rules(random, rules)

    def rule(number: int) -> Rule:
        fields = random.sample(list(FIELDS), random.choice([0, 1, 1, 2, 2, 3, 5]))
        conditions = {name: made for name in fields if (made := condition(random, name))}
        return _rule(random, number, conditions, limits=number in limited)

    return _ruleset(random, [rule(number) for number in range(rules)])


def deep_ruleset(random: Random, rules: int) -> Ruleset:
    """So narrow rules that a frame meant for one of them seldom finds another before it, wherever
    it stands: prefixes of a few hosts, and few ports, with now and then one more field."""
    more = ["sport", "flags", "ttl", "dscp", "vlan", "fragment", "length"]
    limited = limited_rules(random, rules)

    def rule(number: int) -> Rule:
        bits = random.choice([32, 128])
        fields = {"proto": random.choice(["tcp", "udp"]), "dport": narrow_ports(random)}
        fields["src"] = narrow_prefix(random, bits)
        if random.random() < 0.5:
            fields["dst"] = narrow_prefix(random, bits)
        conditions = {name: FIELDS[name].condition([text]) for name, text in fields.items()}
        if random.random() < 0.2 and (made := condition(random, name := random.choice(more))):
            conditions[name] = made
        ordered = {name: conditions[name] for name in FIELDS if name in conditions}
        return _rule(random, number, ordered, limits=number in limited)

    return _ruleset(random, [rule(number) for number in range(rules)])


def limited_rules(random: Random, rules: int) -> set[int]:
    """Which of the rules limit: none in half of all rulesets, up to as many as there can be."""
    most = min(rules, LIMITS_MAX)
    return set(random.sample(range(rules), random.choice([0, 0, most // 4, most])))


def limit(random: Random) -> Limit:
    texts = {key: random.choice(values) for key, values in LIMITS.items()}
    if texts["rate"].endswith("bit/s"):
        texts["burst"] = random.choice(["1B", "200B", "15kB"])
    if texts["per"] == "all":
        del texts["cells"]
    if random.random() < 0.2:
        del texts["burst"]
    return parse_limit(texts)


def _rule(
    random: Random, number: int, conditions: Mapping[str, Condition], *, limits: bool
) -> Rule:
    what = (Action.LIMIT, limit(random)) if limits else (random.choice(POLICIES), None)
    return Rule(f"r{number}", what[0], conditions, expiry(random), what[1])


def moments(random: Random, count: int) -> list[int]:
    """Times in nanoseconds from NOW: some together, some so far apart that buckets fill."""
    times = [0]
    while len(times) < count:
        gap = random.choice([0, 0, 1, 10**3, 10**6, 10**8, 10**9])
        times.append(times[-1] + random.randrange(gap + 1))
    return times


def expiry(random: Random) -> int | None:
    """One rule in ten has expired, and as many will."""
    return random.choice([None] * 8 + [NOW - 3600, NOW + 3600])


def narrow_prefix(random: Random, bits: int) -> str:
    """One to eight addresses, out of some thousands that overlap now and then."""
    network = int(ip_network("198.18.0.0" if bits == 32 else "2001:db8:7::").network_address)
    length = bits - random.randrange(4)
    return str(ip_network((network + random.randrange(4096), length), strict=False))


def narrow_ports(random: Random) -> str:
    first = random.choice([0, 53, 65532, random.randrange(65532)])
    return f"{first}-{first + random.randrange(4)}"


def _ruleset(random: Random, rules: Sequence[Rule]) -> Ruleset:
    return Ruleset(
        "test",
        default=random.choice(POLICIES),
        malformed=random.choice(POLICIES),
        sets=tuple(named_set(random, name) for name in SETS),
        rules=tuple(rules),
    )


def frame(random: Random, rules: Ruleset) -> bytes:
    """A frame with fields at the edges of what one rule asks for: half of them all inside, if that
    can be; the others also beside them, and now and then cut or damaged."""
    conditions = random.choice(rules.rules).conditions if rules.rules else {}
    wanted = _Wanted(random, rules, conditions, inside=random.random() < 0.5)
    upper = _upper(wanted)
    version = wanted.version()
    packet = (_ipv4 if version == 4 else _ipv6)(wanted, upper)
    ethertype = wanted.near("ethertype", [0x0800, 0x86DD, 0x0806], 65535)
    if wanted.inside or random.random() < 0.8:
        ethertype = IPV4 if version == 4 else IPV6
    macs = random.choice(["020000000002020000000001", "ffffffffffffffffffffffff"])
    tags = b"".join(
        struct.pack(
            "!HH", random.choice([0x8100, 0x88A8]), wanted.near("vlan", [0, 10, 4095], 4095)
        )
        for _ in range(random.choice(wanted.often([0, 0, 0, 1, 2, 3], "vlan")))
    )
    made = bytes.fromhex(macs) + tags + struct.pack("!H", ethertype) + packet
    if random.random() < (0.8 if "length" in conditions else 0.15):
        length = wanted.near("length", [len(made)], 1500)
        made = made[:length] + bytes(max(0, length - len(made)))
    if not wanted.inside and random.random() < 0.2:
        made = made[: random.randrange(14, max(len(made), 14) + 1)]
    return made if len(made) >= 14 else made + bytes(14 - len(made))


class _Wanted(NamedTuple):
    """What one rule asks for.

    Attributes:
        inside: nothing but that, as far as there is a choice.
    """

    random: Random
    rules: Ruleset
    conditions: Mapping[str, Condition]
    inside: bool

    def near(self, field: str, values: Sequence[int], most: int) -> int:
        asked = self.conditions.get(field)
        if isinstance(asked, Numbers) and asked.ranges and self._is_heeded():
            return self._edge(asked.ranges, most)
        return self.random.choice(values)

    def often(self, choices: Sequence[int], field: str) -> Sequence[int]:
        """The choices; where nothing damaging is wanted and no rule asks, the first alone."""
        return choices if not self.inside or field in self.conditions else choices[:1]

    def version(self) -> int:
        asked = [self.conditions.get(name) for name in ("src", "dst")]
        if self.inside:
            for each in asked:
                if isinstance(each, Addresses) and bool(each.ipv4) != bool(each.ipv6):
                    return 4 if each.ipv4 else 6
        return self.random.choice([4, 6])

    def address(self, field: str, bits: int) -> int:
        asked = self.conditions.get(field)
        ranges: list[Range] = []
        if isinstance(asked, Addresses):
            ranges += asked.ipv4 if bits == 32 else asked.ipv6
            for name in asked.sets:
                ranges += _ranges(self.rules.set_named(name), bits)
        if ranges and self._is_heeded():
            return self._edge(ranges, 2**bits - 1)
        return self.random.choice(_POOL[bits])

    def _is_heeded(self) -> bool:
        return self.inside or self.random.random() < 0.85

    def _edge(self, ranges: Sequence[Range], most: int) -> int:
        low, high = self.random.choice(ranges)
        if self.inside:
            return self.random.choice([low, high])
        return min(max(self.random.choice([low, high, low - 1, high + 1]), 0), most)


def _ranges(named: NamedSet, bits: int) -> list[Range]:
    if bits == 32:
        return [(low, high) for low, high in named.ipv4.tolist()]
    return [(a[0] << 64 | a[1], b[0] << 64 | b[1]) for a, b in named.ipv6.tolist()]


def _upper(wanted: _Wanted) -> tuple[int, bytes]:
    random = wanted.random
    proto = wanted.near("proto", [6, 17, 1, 58, 132, 47], 255)
    ports = struct.pack(
        "!HH",
        wanted.near("sport", [40000, 0], 65535),
        wanted.near("dport", [53, 80, 65535], 65535),
    )
    if proto in (1, 58):
        asked = wanted.conditions.get("icmp")
        kind, code = random.choice([0, 8, 128, 3]), random.choice([0, 3, 4])
        if isinstance(asked, Icmp) and asked.messages:
            _, types, codes = random.choice(asked.messages)
            kind, code = random.choice(types), random.choice(codes)
        return proto, bytes([kind, code]) + bytes(18)
    flags = random.choice([0x02, 0x12, 0x04, 0x03, 0x00, 0xFF])
    return proto, ports + bytes(9) + bytes([flags]) + bytes(6)


def _ipv4(wanted: _Wanted, upper: tuple[int, bytes]) -> bytes:
    proto, payload = upper
    options = wanted.random.choice([0, 0, 0, 1, 10])
    fragment = wanted.random.choice(wanted.often([0, 0, 0, 0x2000, 0x0001, 0x3FFF], "fragment"))
    return struct.pack(
        "!BBHHHBBHII", 0x45 + options, wanted.near("dscp", [0, 46], 63) << 2, 0, 1, fragment,
        wanted.near("ttl", [64], 255), proto, 0,
        wanted.address("src", 32), wanted.address("dst", 32),
    ) + bytes(4 * options) + payload  # fmt: skip


def _ipv6(wanted: _Wanted, upper: tuple[int, bytes]) -> bytes:
    proto, payload = upper
    random = wanted.random
    count = random.choice([0, 0, 1, 2] if wanted.inside else [0, 0, 1, 2, 8, 9])
    for kind in random.choices([0, 43, 44, 60, 51], k=count):
        field = random.choice(wanted.often([0, 1, 8, 0xFFF9], "fragment")) if kind == 44 else 0
        # Eight bytes each: AH's length is in words of four less two, the others' in eight less one.
        payload = struct.pack("!BBHI", proto, 0, field, 0) + payload
        proto = kind
    source, destination = (wanted.address(name, 128).to_bytes(16) for name in ("src", "dst"))
    head = 6 << 28 | wanted.near("dscp", [0, 46], 63) << 22
    return (
        struct.pack("!IHBB", head, 0, proto, wanted.near("ttl", [64], 255))
        + source
        + destination
        + payload
    )
