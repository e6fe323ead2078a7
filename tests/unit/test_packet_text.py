"""Packets as people read them: the words of a rule, and a line."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import edges
from tests.packets import (
    ARP,
    CTAG,
    IPV4,
    IPV6,
    TCP,
    UDP,
    ah,
    eth,
    extension,
    fragment,
    ipv4,
    ipv6,
    tag,
)
from xdpctl.cli.packet_text import fields_of, flags_text, line_of, why
from xdpctl.datapath.sampling import Sample
from xdpctl.rules.fields import FIELDS
from xdpctl.rules.frame import parse
from xdpctl.rules.model import Ruleset
from xdpctl.rules.reading import read_rule
from xdpctl.rules.reference import holds, matches

MACS = {"src_mac": "02:00:00:00:00:01", "dst_mac": "02:00:00:00:00:02"}
ENDS = {"src": "192.0.2.1", "dst": "192.0.2.2", "ttl": 64, "dscp": 0}


@pytest.mark.parametrize(
    ("frame", "line"),
    [
        (eth(IPV4, ipv4(6, TCP)), "192.0.2.1:40000 > 192.0.2.2:80 tcp syn"),
        (eth(IPV4, ipv4(17, UDP)), "192.0.2.1:40000 > 192.0.2.2:53 udp"),
        (eth(IPV6, ipv6(17, UDP)), "[2001:db8::1]:40000 > [2001:db8::2]:53 udp"),
        (eth(IPV6, ipv6(51, ah(6, TCP))), "[2001:db8::1]:40000 > [2001:db8::2]:80 tcp syn"),
        (eth(IPV4, ipv4(1, bytes([8, 0, 0, 0]))), "192.0.2.1 > 192.0.2.2 icmp echo-request"),
        (
            eth(IPV4, ipv4(1, bytes([3, 4, 0, 0]))),
            "192.0.2.1 > 192.0.2.2 icmp destination-unreachable/4",
        ),
        (eth(IPV4, ipv4(1, bytes([44, 0, 0, 0]))), "192.0.2.1 > 192.0.2.2 icmp 44"),
        (
            eth(IPV6, ipv6(58, bytes([128, 0, 0, 0]))),
            "2001:db8::1 > 2001:db8::2 ipv6-icmp echo-request",
        ),
        (eth(IPV4, ipv4(47, bytes(4))), "192.0.2.1 > 192.0.2.2 gre"),
        (eth(IPV4, ipv4(200)), "192.0.2.1 > 192.0.2.2 200"),
        (
            eth(IPV4, ipv4(17, UDP, frag=0x2000)),
            "192.0.2.1:40000 > 192.0.2.2:53 udp first fragment",
        ),
        (
            eth(IPV6, ipv6(44, fragment(17, bytes(8), offset=9))),
            "2001:db8::1 > 2001:db8::2 udp later fragment",
        ),
        (
            eth(CTAG, tag(IPV4, ipv4(17, UDP))),
            "vlan 10 192.0.2.1:40000 > 192.0.2.2:53 udp",
        ),
        (eth(ARP, bytes(28)), "02:00:00:00:00:01 > 02:00:00:00:00:02 arp"),
        (eth(0x88B5), "02:00:00:00:00:01 > 02:00:00:00:00:02 0x88b5"),
        (eth(IPV4, ipv4(6)[:-1]), "02:00:00:00:00:01 > 02:00:00:00:00:02 ipv4"),
        (eth(IPV6, ipv6(60, extension(6)[:-1])), "2001:db8::1 > 2001:db8::2 ipv6"),
        (bytes(6), "? > ?"),
    ],
)
def test_line_says_who_sends_what_to_whom(frame: bytes, line: str) -> None:
    assert line_of(parse(frame)) == line


def test_fields_are_those_of_a_rule() -> None:
    frame = eth(CTAG, tag(IPV4, ipv4(6, TCP)))
    assert fields_of(parse(frame)) == {
        **MACS, **ENDS, "vlan": 10, "ethertype": "ipv4", "proto": "tcp", "fragment": "no",
        "sport": 40000, "dport": 80, "flags": "syn", "length": 14 + 4 + 20 + 20,
    }  # fmt: skip
    assert fields_of(parse(eth(ARP, bytes(28)))) == {
        **MACS, "vlan": "none", "ethertype": "arp", "length": 42
    }  # fmt: skip
    assert fields_of(parse(bytes(13))) == {"length": 13}


@given(seed=st.integers(0, 2**32))
def test_rule_of_a_packets_fields_matches_it(seed: int) -> None:
    """Each field by itself, and all of them as a rule where that is one."""
    random = Random(seed)
    packet = parse(edges.frame(random, Ruleset("test")))
    fields = fields_of(packet)
    if "flags" in fields:  # of a rule, which has to say that others are not set
        fields["flags"] += "/0xff"
    for name, value in fields.items():
        condition = FIELDS[name].condition([str(value)])
        assert holds(name, condition, packet, {}), (name, value)
    if packet.malformed is None:
        rule, _ = read_rule({"action": "drop", **fields}, (), 0)
        assert matches(rule, packet, {}, 0)


def test_flags_are_in_the_order_of_their_bits() -> None:
    """RFC 9293, 3.1: FIN is the lowest."""
    assert flags_text(0) == "0"
    assert flags_text(0x12) == "syn,ack"
    assert flags_text(0xFF) == "fin,syn,rst,psh,ack,urg,ece,cwr"


@pytest.mark.parametrize(
    ("reason", "rule", "malformed", "text"),
    [
        (None, None, None, ""),
        (None, "web", None, "rule web"),
        ("rule", "no-dns", None, "rule no-dns"),
        ("limit", "few", None, "limit few"),
        ("default", None, None, "default"),
        ("ban", None, None, "ban"),
        ("malformed", None, "short-ipv4", "malformed short-ipv4"),
        (None, "web", "short-transport", "rule web"),
    ],
)
def test_why_is_what_decided(
    reason: str | None, rule: str | None, malformed: str | None, text: str
) -> None:
    verdict = "drop" if reason else "pass"
    assert why(Sample(0, 0, b"", 0, 0, "udp", verdict, reason, rule, malformed)) == text
