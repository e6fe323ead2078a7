"""The reference model on packets made by hand; what is expected was worked out from the RFCs."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import NAMED_ETHERTYPES
from tests.oracle import parse as oracle
from tests.packets import (
    ARP,
    CTAG,
    IPV4,
    IPV6,
    PACKETS,
    STAG,
    TCP,
    UDP,
    Packet,
    ah,
    eth,
    extension,
    fragment,
    ipv4,
    ipv6,
    tag,
)
from tests.rulesets import documents
from xdpctl.protocols import protocol_name
from xdpctl.rules import frame as frame_module
from xdpctl.rules import reference
from xdpctl.rules.frame import parse
from xdpctl.rules.model import Action, Ruleset
from xdpctl.rules.reading import read_text
from xdpctl.rules.reference import Verdict, judge

NOW = 1_795_262_400.0  # 2026-11-21T12:00:00Z
SETS = """
sets:
  near: [192.0.2.0/30, "2001:db8::/126"]
  far: [203.0.113.0/24, 198.51.100.7, 192.0.2.1-192.0.2.1]
  empty: []
"""


def ruleset(*rules: str, more: str = "") -> Ruleset:
    listed = "".join(f"- {{name: r{place}, {rule}}}\n" for place, rule in enumerate(rules))
    return read_text(f"{more}{SETS}rules:\n{listed}", "f", NOW).ruleset


def matches(condition: str, frame: bytes) -> bool:
    """Whether a rule with a condition matches, malformed frames passed to the rules."""
    verdict = judge(ruleset(f"action: drop, {condition}", more="malformed: pass"), frame, NOW)
    return verdict == Verdict(Action.DROP, "rule", "r0")


TCP4 = eth(IPV4, ipv4(6, TCP))  # 192.0.2.1 port 40000 to 192.0.2.2 port 80, SYN, TTL 64
UDP6 = eth(IPV6, ipv6(17, UDP))  # 2001:db8::1 port 40000 to 2001:db8::2 port 53
PING4 = eth(IPV4, ipv4(1, bytes([8, 0, 0, 0])))
PING6 = eth(IPV6, ipv6(58, bytes([128, 0, 0, 0])))
UNREACHABLE4 = eth(IPV4, ipv4(1, bytes([3, 4, 0, 0])))
SOLICIT6 = eth(IPV6, ipv6(58, bytes([135, 0, 0, 0])))
ARPED = eth(ARP, bytes(28))
TAGGED = eth(CTAG, tag(IPV4, ipv4(6, TCP)))  # VLAN 10
DOUBLE = eth(STAG, tag(CTAG, tag(IPV4, ipv4(6, TCP), vid=20), vid=0xE000 | 30))  # 30, then 20
PRIORITY = eth(CTAG, tag(ARP, bytes(28), vid=0))
LATER4 = eth(IPV4, ipv4(6, TCP, frag=1))
FIRST4 = eth(IPV4, ipv4(6, TCP, frag=0x2000))
DONT4 = eth(IPV4, ipv4(6, TCP, frag=0x4000))  # do not fragment: RFC 791, the flag's second bit
LATER6 = eth(IPV6, ipv6(44, fragment(6, TCP, offset=1)))
LAST6 = eth(IPV6, ipv6(44, fragment(6, TCP, offset=1, more=0)))
FIRST6 = eth(IPV6, ipv6(44, fragment(6, TCP)))
ATOMIC6 = eth(IPV6, ipv6(44, fragment(6, TCP, more=0)))
OPTIONS6 = eth(IPV6, ipv6(0, extension(60, extension(51, ah(6, TCP)))))


def tcp(flags: int) -> bytes:
    return eth(IPV4, ipv4(6, struct.pack("!HHIIBBHHH", 1, 2, 0, 0, 5 << 4, flags, 0, 0, 0)))


def dscp4(code_point: int) -> bytes:
    frame = bytearray(TCP4)
    frame[15] = code_point << 2 | 1
    return bytes(frame)


def dscp6(code_point: int) -> bytes:
    frame = bytearray(UDP6)
    frame[14:18] = struct.pack("!I", 6 << 28 | (code_point << 2 | 2) << 20 | 0xFFFFF)
    return bytes(frame)


@pytest.mark.parametrize(
    ("condition", "frame", "expected"),
    [
        # No condition: every packet.
        ("", TCP4, True), ("", ARPED, True), ("", b"\0" * 5, True),
        # Addresses.
        ("src: 192.0.2.1", TCP4, True), ("src: 192.0.2.2", TCP4, False),
        ("dst: 192.0.2.2", TCP4, True), ("src: 192.0.2.0/24", TCP4, True),
        ("src: 192.0.2.2-192.0.2.9", TCP4, False), ("src: 0.0.0.0/0", TCP4, True),
        ("src: 0.0.0.0/0", UDP6, False), ("src: '::/0'", UDP6, True), ("src: '::/0'", TCP4, False),
        ("src: '2001:db8::1'", UDP6, True), ("dst: ['::1', '2001:db8::2']", UDP6, True),
        ("src: '::ffff:192.0.2.1'", TCP4, False), ("src: '::192.0.2.1'", TCP4, False),
        ("src: 192.0.2.1", ARPED, False), ("src: {not: 192.0.2.1}", ARPED, False),
        ("src: {not: 192.0.2.0/24}", TCP4, False), ("src: {not: 192.0.2.2}", TCP4, True),
        ("src: {not: 192.0.2.0/24}", UDP6, True), ("src: {not: 0.0.0.0/0}", UDP6, True),
        ("src: {not: '::/0'}", TCP4, True), ("src: {not: '::/0'}", UDP6, False),
        ("src: '@near'", TCP4, True), ("src: '@near'", UDP6, True), ("dst: '@far'", TCP4, False),
        ("src: '@far'", TCP4, True), ("src: {not: '@far'}", TCP4, False),
        ("src: {not: '@far'}", UDP6, True), ("src: '@empty'", TCP4, False),
        ("src: {not: '@empty'}", TCP4, True), ("src: {not: '@empty'}", ARPED, False),
        ("dst: ['@far', 192.0.2.2]", TCP4, True), ("dst: {not: ['@far', '@near']}", TCP4, False),
        # Protocols: the upper-layer one, behind IPv6's extension headers.
        ("proto: tcp", TCP4, True), ("proto: {not: tcp}", TCP4, False),
        ("proto: tcp", OPTIONS6, True),
        ("proto: hopopt", OPTIONS6, False), ("proto: tcp", ARPED, False),
        ("proto: {not: tcp}", ARPED, False), ("proto: 6-17", UDP6, True),
        ("proto: tcp", LATER6, True),
        ("proto: ipv6", UDP6, False), ("proto: tcp", LATER4, True),
        # Ports.
        ("sport: 40000", TCP4, True), ("dport: 80", TCP4, True), ("dport: 40000", TCP4, False),
        ("dport: [53, 80]", UDP6, True), ("dport: 52-54", UDP6, True),
        ("dport: {not: 53}", UDP6, False),
        ("dport: {not: 22}", UDP6, True), ("dport: {not: 22}", PING4, False),
        ("dport: 0-65535", PING4, False), ("dport: 0-65535", LATER4, False),
        ("dport: {not: 22}", LATER4, False), ("dport: 80", FIRST4, True),
        ("dport: 80", ATOMIC6, True),
        ("dport: 80", OPTIONS6, True), ("dport: 0-65535", eth(IPV4, ipv4(50, bytes(20))), False),
        ("dport: 0", eth(IPV4, ipv4(132, bytes(12))), True),
        ("dport: 0", eth(IPV4, ipv4(33, bytes(12))), True),
        ("dport: 53", eth(IPV4, ipv4(136, UDP)), True),
        ("dport: 80", eth(IPV4, ipv4(6, TCP, ihl=9)), True),
        # Flags.
        ("flags: syn", tcp(0x02), True), ("flags: syn", tcp(0x12), True),
        ("flags: syn", tcp(0x10), False),
        ('flags: "syn/syn,ack"', tcp(0x02), True), ('flags: "syn/syn,ack"', tcp(0x12), False),
        ('flags: "syn/syn,ack"', tcp(0xEA), True), ('flags: "0/syn,ack"', tcp(0xED), True),
        ('flags: "0/syn,ack"', tcp(0x10), False), ('flags: "0/255"', tcp(0), True),
        ("flags: [rst, fin]", tcp(0x01), True), ("flags: {not: syn}", tcp(0x10), True),
        ("flags: {not: syn}", tcp(0x02), False), ("flags: {not: syn}", UDP6, False),
        ("flags: {not: syn}", LATER4, False), ("flags: cwr", tcp(0x80), True),
        # ICMP.
        ("icmp: echo-request", PING4, True), ("icmp: echo-request", PING6, True),
        ("proto: icmp, icmp: echo-request", PING4, True),
        ("proto: icmp, icmp: echo-request", PING6, False), ("icmp: 8", PING4, True),
        ("icmp: 8", PING6, False), ("icmp: 128", PING6, True), ("icmp: '3/4'", UNREACHABLE4, True),
        ("icmp: '3/3'", UNREACHABLE4, False), ("icmp: '*/4'", UNREACHABLE4, True),
        ("icmp: destination-unreachable", UNREACHABLE4, True), ("icmp: 1-5", UNREACHABLE4, True),
        ("icmp: neighbor-solicitation", SOLICIT6, True), ("icmp: {not: 135}", SOLICIT6, False),
        ("icmp: {not: echo-request}", SOLICIT6, True), ("icmp: {not: echo-request}", TCP4, False),
        ("icmp: neighbor-solicitation", eth(IPV4, ipv4(1, bytes([135, 0, 0, 0]))), False),
        ("icmp: '*'", TCP4, False), ("icmp: '*'", eth(IPV4, ipv4(1, bytes(8), frag=1)), False),
        # It is the protocol that says which of the two, not the version of IP.
        ("icmp: 128", eth(IPV4, ipv4(58, bytes([128, 0, 0, 0]))), True),
        ("icmp: neighbor-solicitation", eth(IPV6, ipv6(1, bytes([135, 0, 0, 0]))), False),
        # Length of the frame: Ethernet 14, IPv4 20, TCP 20.
        ("length: 54", TCP4, True), ("length: 40", TCP4, False), ("length: 58", TAGGED, True),
        ("length: {not: 54}", TCP4, False), ("length: 5", b"\0" * 5, True),
        ("length: 65535", TCP4 + bytes(70000), True), ("length: 0", b"", True),
        # TTL and hop limit, DSCP (46 is EF; the two bits beside it are ECN's).
        ("ttl: 64", TCP4, True), ("ttl: 64", UDP6, True), ("ttl: {not: 64}", ARPED, False),
        ("dscp: ef", dscp4(46), True), ("dscp: ef", dscp6(46), True), ("dscp: ef", TCP4, False),
        ("dscp: {not: cs0}", dscp6(1), True), ("dscp: 63", dscp4(63), True),
        ("dscp: 0-63", ARPED, False),
        # VLAN: the outer tag's twelve bits.
        ("vlan: 10", TAGGED, True), ("vlan: 30", DOUBLE, True), ("vlan: 20", DOUBLE, False),
        ("vlan: none", TCP4, True), ("vlan: none", TAGGED, False), ("vlan: {not: 10}", TCP4, False),
        ("vlan: {not: 10}", DOUBLE, True), ("vlan: {not: none}", TAGGED, True),
        ("vlan: {not: none}", TCP4, False), ("vlan: {not: [none, 10]}", TAGGED, False),
        ("vlan: {not: [none, 10]}", TCP4, False), ("vlan: [none, 10]", TCP4, True),
        ("vlan: [none, 10]", TAGGED, True), ("vlan: 0", PRIORITY, True), ("vlan: 0", ARPED, False),
        ("vlan: 0-4095", TCP4, False), ("vlan: none", eth(0x9100, bytes(20)), True),
        # Ethertype: behind the tags.
        ("ethertype: arp", ARPED, True), ("ethertype: arp", PRIORITY, True),
        ("ethertype: ipv4", DOUBLE, True), ("ethertype: {not: [ipv4, ipv6]}", ARPED, True),
        ("ethertype: {not: ipv4}", TAGGED, False), ("ethertype: 46", eth(46, bytes(46)), True),
        ("ethertype: mpls", eth(0x8848, bytes(46)), True),
        # MAC addresses: those of tests.packets, destination first on the wire.
        ("dst_mac: 02:00:00:00:00:02", TCP4, True), ("src_mac: 02:00:00:00:00:01", ARPED, True),
        ("src_mac: 02:00:00:00:00:02", TCP4, False),
        ("dst_mac: {not: ff:ff:ff:ff:ff:ff}", TCP4, True),
        ("dst_mac: {not: ff:ff:ff:ff:ff:ff}", b"\0" * 13, False),
        # Fragments.
        ("fragment: no", TCP4, True), ("fragment: no", DONT4, True),
        ("fragment: first", FIRST4, True),
        ("fragment: later", LATER4, True), ("fragment: later", LATER6, True),
        ("fragment: later", LAST6, True), ("fragment: first", FIRST6, True),
        ("fragment: no", ATOMIC6, True), ("fragment: no", UDP6, True),
        ("fragment: {not: no}", LATER4, True), ("fragment: {not: later}", ARPED, False),
        ("fragment: [first, later]", UDP6, False),
    ],
)  # fmt: skip
def test_condition_holds_or_not(condition: str, frame: bytes, expected: bool) -> None:
    assert matches(condition, frame) is expected


@pytest.mark.parametrize(
    ("condition", "frame", "expected"),
    [
        # Half a header has no fields; the headers before it have theirs.
        ("dst_mac: 00:00:00:00:00:00", b"\0" * 13, False),
        ("length: 13", b"\0" * 13, True),
        ("ethertype: ipv4", eth(IPV4, ipv4(6)[:19]), True),
        ("ttl: 0-255", eth(IPV4, ipv4(6)[:19]), False),
        ("src: 192.0.2.1", eth(IPV4, ipv4(6, ihl=7)[:27]), False),
        ("src: {not: 192.0.2.7}", eth(IPV4, ipv4(6, TCP, version=5)), False),
        ("src: 192.0.2.1", eth(IPV4, ipv4(6, TCP, ihl=4)), False),
        ("src: '::/0'", eth(IPV6, ipv6(6)[:39]), False),
        # An extension header cut short: the fixed header is whole.
        ("src: '2001:db8::1'", eth(IPV6, ipv6(0, extension(6)[:7])), True),
        ("ttl: 64", eth(IPV6, ipv6(0, extension(6)[:7])), True),
        ("proto: 0-255", eth(IPV6, ipv6(0, extension(6)[:7])), False),
        ("fragment: {not: later}", eth(IPV6, ipv6(0, extension(6)[:7])), False),
        ("fragment: first", eth(IPV6, ipv6(44, fragment(60, extension(6)[:7]))), False),
        ("proto: 0-255", eth(IPV6, ipv6(60, b"".join([extension(60)] * 9))), False),
        ("dst: '2001:db8::2'", eth(IPV6, ipv6(60, b"".join([extension(60)] * 9))), True),
        # VLAN tags.
        ("vlan: none", eth(CTAG, b"\0\x0a\x08"), False),
        ("vlan: 0-4095", eth(CTAG, b"\0\x0a\x08"), False),
        ("vlan: 10", eth(STAG, tag(CTAG)), True),
        ("ethertype: 0-65535", eth(STAG, tag(CTAG)), False),
        ("vlan: 10", eth(STAG, tag(CTAG, tag(CTAG, tag(IPV4)))), True),
        ("ethertype: 0-65535", eth(STAG, tag(CTAG, tag(CTAG, tag(IPV4)))), False),
        # Transport headers: what is there is there.
        ("dport: 80", eth(IPV4, ipv4(6, TCP[:4])), True),
        ("dport: 0-65535", eth(IPV4, ipv4(6, TCP[:3])), False),
        ("sport: 0-65535", eth(IPV4, ipv4(6, TCP[:3])), False),
        ("flags: syn", eth(IPV4, ipv4(6, TCP[:14])), True),
        ("flags: '0/255'", eth(IPV4, ipv4(6, TCP[:13])), False),
        ("flags: {not: rst}", eth(IPV4, ipv4(6, TCP[:13])), False),
        ("proto: tcp", eth(IPV4, ipv4(6)), True),
        ("icmp: '8/0'", eth(IPV4, ipv4(1, bytes([8, 0]))), True),
        ("icmp: '*'", eth(IPV4, ipv4(1, bytes([8]))), False),
    ],
)
def test_malformed_packet_has_the_fields_that_are_there(
    condition: str, frame: bytes, expected: bool
) -> None:
    assert matches(condition, frame) is expected
    strict = ruleset(f"action: pass, {condition}")
    assert judge(strict, frame, NOW) == Verdict(Action.DROP, "malformed")


@pytest.mark.parametrize(
    ("protocol", "header_bytes"), [(6, 20), (17, 8), (136, 8), (132, 12), (33, 12), (1, 4), (58, 4)]
)
def test_frame_that_ends_inside_its_transport_header_is_malformed(
    protocol: int, header_bytes: int
) -> None:
    for length in range(header_bytes):
        for frame in (
            eth(IPV4, ipv4(protocol, bytes(length))),
            eth(IPV6, ipv6(protocol, bytes(length))),
        ):
            assert parse(frame).malformed == "short-transport"
        first = eth(IPV4, ipv4(protocol, bytes(length), frag=0x2000))
        assert parse(first).malformed == "short-transport"
        later = eth(IPV4, ipv4(protocol, bytes(length), frag=1))
        assert parse(later).malformed is None
    assert parse(eth(IPV4, ipv4(protocol, bytes(header_bytes)))).malformed is None


def test_protocols_without_ports_are_never_short() -> None:
    for protocol in set(range(256)) - {1, 6, 17, 33, 58, 132, 136}:
        assert parse(eth(IPV4, ipv4(protocol))).malformed is None


def test_first_matching_rule_decides_then_the_default() -> None:
    rules = ruleset("action: pass, dport: 80", "action: drop, proto: tcp", more="default: drop")
    assert judge(rules, TCP4, NOW) == Verdict(Action.PASS, "rule", "r0")
    assert judge(rules, tcp(2), NOW) == Verdict(Action.DROP, "rule", "r1")
    assert judge(rules, UDP6, NOW) == Verdict(Action.DROP, "default")
    assert judge(ruleset(), UDP6, NOW) == Verdict(Action.PASS, "default")


def test_all_conditions_of_a_rule_have_to_hold() -> None:
    rule = "action: drop, src: 192.0.2.1, dst: '@near', proto: tcp, dport: 80, fragment: no, "
    assert judge(ruleset(rule + "ttl: 64"), TCP4, NOW).rule == "r0"
    assert judge(ruleset(rule + "ttl: 63"), TCP4, NOW).rule is None


def test_rule_is_passed_over_from_the_second_in_which_it_expires() -> None:
    rules = ruleset("action: drop, expires: 10s", "action: drop")
    assert judge(rules, TCP4, NOW + 9.9).rule == "r0"
    assert judge(rules, TCP4, NOW + 10).rule == "r1"


def test_malformed_policy_comes_before_the_rules() -> None:
    short = eth(IPV4)
    assert judge(ruleset("action: pass"), short, NOW) == Verdict(Action.DROP, "malformed")
    lax = ruleset("action: drop, length: 14", more="malformed: pass")
    assert judge(lax, short, NOW) == Verdict(Action.DROP, "rule", "r0")
    assert judge(lax, eth(IPV4) + b"x", NOW) == Verdict(Action.PASS, "default")


def counted_as(frame: bytes) -> tuple[str, str | None]:
    """How the statistics would name what the reference's parser found."""
    packet = parse(frame)
    if packet.malformed not in (None, "short-transport"):
        return "malformed", packet.malformed
    if packet.proto is not None:
        return str(packet.proto), None
    assert packet.ethertype is not None
    return NAMED_ETHERTYPES.get(packet.ethertype, "other"), None


@pytest.mark.parametrize("packet", PACKETS, ids=lambda packet: packet.name)
def test_described_packets_are_parsed_as_they_are_described(packet: Packet) -> None:
    protocol, reason = counted_as(packet.frame)
    name = protocol_name(int(protocol)) if protocol.isdigit() else protocol
    assert (name, reason) == (packet.protocol, packet.reason)


mutated = st.builds(
    lambda frame, changes, length: bytes(
        changes.get(place, byte) for place, byte in enumerate(frame)
    )[:length],
    st.sampled_from([packet.frame for packet in PACKETS]),
    st.dictionaries(st.integers(0, 80), st.integers(0, 255), max_size=4),
    st.integers(0, 120),
)


@given(st.one_of(mutated, st.binary(max_size=120)))
def test_any_frame_is_parsed_as_the_oracle_does(frame: bytes) -> None:
    expected = oracle(frame)
    assert counted_as(frame) == (expected.protocol, expected.reason)


@given(documents(), st.one_of(mutated, st.binary(max_size=120)))
def test_any_ruleset_judges_any_frame(document: dict[str, Any], frame: bytes) -> None:
    """The rule that decides matches alone, too, and none before it does."""
    rules = read_text(str(document).replace("'", '"'), "f", NOW).ruleset
    verdict = judge(rules, frame, NOW)
    if verdict.reason != "rule":
        assert verdict.rule is None
        return
    names = [rule.name for rule in rules.rules]
    place = names.index(verdict.rule)
    assert verdict.action is rules.rules[place].action
    for alone in range(place + 1):
        one = Ruleset("x", Action.PASS, Action.PASS, rules.sets, (rules.rules[alone],))
        assert (judge(one, frame, NOW).reason == "rule") is (alone == place)


def test_reference_imports_nothing_of_what_it_judges() -> None:
    for module in (frame_module, reference):
        assert module.__file__ is not None
        text = Path(module.__file__).read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line.startswith(("from xdpctl", "import"))]
        assert {line.split()[1] for line in lines} <= {"xdpctl.rules.frame", "xdpctl.rules.model"}
