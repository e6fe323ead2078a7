"""Rulesets and frames aimed at their edges, for tests that hold the data plane against the model.

Everything comes from a `random.Random`: Hypothesis hands one out that it can replay and shrink.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network
from random import Random

from tests.packets import IPV4, IPV6
from xdpctl.rules.fields import FIELDS
from xdpctl.rules.model import Action, Addresses, Condition, Icmp, NamedSet, Numbers, Rule, Ruleset
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
    """Every combination of fields, also those that a file may not have for being impossible."""

    def rule(number: int) -> Rule:
        fields = random.sample(list(FIELDS), random.choice([0, 1, 1, 2, 2, 3, 5]))
        conditions = {name: made for name in fields if (made := condition(random, name))}
        return Rule(f"r{number}", random.choice(list(Action)), conditions)

    return Ruleset(
        "test",
        default=random.choice(list(Action)),
        malformed=random.choice(list(Action)),
        sets=tuple(named_set(random, name) for name in SETS),
        rules=tuple(rule(number) for number in range(rules)),
    )


def frame(random: Random, rules: Ruleset) -> bytes:
    """A frame with fields at the edges of what one rule asks for, now and then cut or damaged."""
    wanted = random.choice(rules.rules).conditions if rules.rules else {}

    def near(field: str, values: Sequence[int], most: int) -> int:
        asked = wanted.get(field)
        if isinstance(asked, Numbers) and asked.ranges and random.random() < 0.8:
            low, high = random.choice(asked.ranges)
            return min(max(random.choice([low, high, low - 1, high + 1]), 0), most)
        return random.choice(values)

    upper = _upper(random, wanted, near)
    version = random.choice([4, 6])
    packet = (_ipv4 if version == 4 else _ipv6)(random, rules, wanted, near, upper)
    ethertype = near("ethertype", [0x0800, 0x86DD, 0x0806], 65535)
    if random.random() < 0.8:
        ethertype = IPV4 if version == 4 else IPV6
    macs = random.choice(["020000000002020000000001", "ffffffffffffffffffffffff"])
    tags = b"".join(
        struct.pack("!HH", random.choice([0x8100, 0x88A8]), near("vlan", [0, 10, 4095], 4095))
        for _ in range(random.choice([0, 0, 0, 1, 2, 3]))
    )
    made = bytes.fromhex(macs) + tags + struct.pack("!H", ethertype) + packet
    length = near("length", [len(made)], 1500)
    if random.random() < 0.3:
        made = made[:length] + bytes(max(0, length - len(made)))
    if random.random() < 0.2:
        made = made[: random.randrange(14, max(len(made), 14) + 1)]
    return made if len(made) >= 14 else made + bytes(14 - len(made))


def _upper(random, wanted, near) -> tuple[int, bytes]:  # type: ignore[no-untyped-def]
    proto = near("proto", [6, 17, 1, 58, 132, 47], 255)
    ports = struct.pack(
        "!HH", near("sport", [40000, 0], 65535), near("dport", [53, 80, 65535], 65535)
    )
    if proto in (1, 58):
        asked = wanted.get("icmp")
        kind, code = random.choice([0, 8, 128, 3]), random.choice([0, 3, 4])
        if isinstance(asked, Icmp) and asked.messages:
            _, types, codes = random.choice(asked.messages)
            kind, code = random.choice(types), random.choice(codes)
        return proto, bytes([kind, code]) + bytes(18)
    flags = random.choice([0x02, 0x12, 0x04, 0x03, 0x00, 0xFF])
    return proto, ports + bytes(9) + bytes([flags]) + bytes(6)


def _address(
    random: Random, rules: Ruleset, wanted: dict[str, Condition], field: str, bits: int
) -> int:
    asked = wanted.get(field)
    ranges: list[tuple[int, int]] = []
    if isinstance(asked, Addresses):
        ranges += asked.ipv4 if bits == 32 else asked.ipv6
        for name in asked.sets:
            named = rules.set_named(name)
            if bits == 32:
                ranges += [(int(low), int(high)) for low, high in named.ipv4]
            else:
                ranges += [
                    (int(a[0]) << 64 | int(a[1]), int(b[0]) << 64 | int(b[1]))
                    for a, b in named.ipv6
                ]
    if ranges and random.random() < 0.9:
        low, high = random.choice(ranges)
        return min(max(random.choice([low, high, low - 1, high + 1]), 0), 2**bits - 1)
    pool = [int(ip_network(a).network_address) for a in ADDRESSES if (":" in a) == (bits == 128)]
    return random.choice(pool)


def _ipv4(random, rules, wanted, near, upper) -> bytes:  # type: ignore[no-untyped-def]
    proto, payload = upper
    options = random.choice([0, 0, 0, 1, 10])
    fragment = random.choice([0, 0, 0, 0x2000, 0x0001, 0x3FFF])
    return struct.pack(
        "!BBHHHBBHII", 0x45 + options, near("dscp", [0, 46], 63) << 2, 0, 1, fragment,
        near("ttl", [64], 255), proto, 0,
        _address(random, rules, wanted, "src", 32), _address(random, rules, wanted, "dst", 32),
    ) + bytes(4 * options) + payload  # fmt: skip


def _ipv6(random, rules, wanted, near, upper) -> bytes:  # type: ignore[no-untyped-def]
    proto, payload = upper
    for kind in random.choices([0, 43, 44, 60, 51], k=random.choice([0, 0, 1, 2, 8, 9])):
        field = random.choice([0, 1, 8, 0xFFF9]) if kind == 44 else 0
        # Eight bytes each: AH's length is in words of four less two, the others' in eight less one.
        payload = struct.pack("!BBHI", proto, 0, field, 0) + payload
        proto = kind
    source, destination = (
        _address(random, rules, wanted, name, 128).to_bytes(16) for name in ("src", "dst")
    )
    head = 6 << 28 | near("dscp", [0, 46], 63) << 22
    return (
        struct.pack("!IHBB", head, 0, proto, near("ttl", [64], 255))
        + source
        + destination
        + payload
    )
