"""Lifelines: their frames are what scapy takes them for, and what cuts them is named."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether

from xdpctl.rules.lifelines import (
    Connection,
    Cut,
    Lifeline,
    Surroundings,
    cut_by,
    drops_anything,
    judge_of,
    lifelines_of,
)
from xdpctl.rules.model import Ruleset
from xdpctl.rules.reading import read_text

OWN, CLIENT, GATEWAY = (bytes([192, 0, 2, last]) for last in (2, 7, 1))
OWN6 = bytes.fromhex("20010db8000000000000000000aabbcc")
GATEWAY6 = bytes.fromhex("fe800000000000000000000000000001")
OWN_LOCAL = bytes.fromhex("fe8000000000000000000000000000dd")
CLIENT6 = bytes.fromhex("20010db8000100000000000000000007")
AROUND = Surroundings(
    mac=bytes.fromhex("020000000002"),
    addresses=(OWN, OWN6, OWN_LOCAL),
    gateways=(GATEWAY, GATEWAY6),
    macs={GATEWAY: bytes.fromhex("020000000001"), CLIENT: bytes.fromhex("020000000007")},
    connections=(Connection(CLIENT, 51514, OWN, 22), Connection(CLIENT6, 40000, OWN6, 2222)),
)
LIFELINES = {each.name: each for each in lifelines_of(AROUND)}
SSH = "the SSH connection from 192.0.2.7:51514 that this command came through"
SSH6 = "the SSH connection from [2001:db8:1::7]:40000 that this command came through"
NEW, NEW6 = "new SSH connections from 192.0.2.7", "new SSH connections from 2001:db8:1::7"
FROM_GATEWAY, FROM_GATEWAY6 = (
    "packets from the default gateway 192.0.2.1",
    "packets from the default gateway fe80::1",
)


def ruleset(text: str) -> Ruleset:
    return read_text(text, "rules.yaml", 0).ruleset


def cuts(text: str, now: float = 0) -> dict[str, str]:
    judge = judge_of(ruleset(text), LIFELINES.values(), now)
    return {each.lifeline.name: each.culprit for each in cut_by(LIFELINES.values(), judge)}


def test_an_interface_has_these_lifelines() -> None:
    ssh = [SSH, NEW, SSH6, NEW6]
    assert [*LIFELINES] == [*ssh, FROM_GATEWAY, FROM_GATEWAY6, "ARP", "neighbour discovery"]


def test_ssh_frames_are_those_of_the_connection() -> None:
    for name, flags in ((SSH, ["A", "PA"]), (NEW, ["S"])):
        frames = [Ether(each) for each in LIFELINES[name].frames]
        assert [str(each[TCP].flags) for each in frames] == flags
        for each in frames:
            assert (each.src, each.dst) == ("02:00:00:00:00:07", "02:00:00:00:00:02")
            assert (each[IP].src, each[IP].dst) == ("192.0.2.7", "192.0.2.2")
            assert each[TCP].dport == 22
    assert {Ether(each)[TCP].sport for each in LIFELINES[SSH].frames} == {51514}
    for each in LIFELINES[SSH6].frames:
        packet = Ether(each)
        assert packet.src == "02:00:00:00:00:01"  # the only one that is known to forward
        assert (packet[IPv6].src, packet[IPv6].dst) == ("2001:db8:1::7", "2001:db8::aa:bbcc")
        assert (packet[TCP].sport, packet[TCP].dport) == (40000, 2222)


def test_gateway_frames_come_from_its_addresses() -> None:
    for name, layer, source, target in (
        (FROM_GATEWAY, IP, "192.0.2.1", "192.0.2.2"),
        (FROM_GATEWAY6, IPv6, "fe80::1", "2001:db8::aa:bbcc"),
    ):
        frames = [Ether(each) for each in LIFELINES[name].frames]
        assert {(each[layer].src, each[layer].dst) for each in frames} == {(source, target)}
        assert {each.src for each in frames} == {"02:00:00:00:00:01"}
        pings = ICMP if layer is IP else (ICMPv6EchoReply, ICMPv6EchoRequest)
        kinds = [TCP, UDP, *(pings if isinstance(pings, tuple) else [pings])]
        assert all(any(kind in each for each in frames) for kind in kinds)


def test_arp_frames_are_a_request_to_all_and_an_answer() -> None:
    request, answer = (Ether(each) for each in LIFELINES["ARP"].frames)
    assert (request.type, answer.type) == (0x0806, 0x0806)
    assert (request.dst, answer.dst) == ("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:02")
    assert (request[ARP].op, answer[ARP].op) == (1, 2)
    for each in (request[ARP], answer[ARP]):
        assert (each.hwsrc, each.psrc, each.pdst) == ("02:00:00:00:00:01", "192.0.2.1", "192.0.2.2")


def test_neighbour_discovery_frames_are_of_all_four_kinds() -> None:
    frames = [Ether(each) for each in LIFELINES["neighbour discovery"].frames]
    assert all(each[IPv6].hlim == 255 for each in frames)  # RFC 4861, 3.1
    for kind in (ICMPv6ND_NS, ICMPv6ND_NA, ICMPv6ND_RS, ICMPv6ND_RA):
        assert any(kind in each for each in frames)
    solicitations = [each for each in frames if ICMPv6ND_NS in each]
    assert {each[IPv6].src for each in solicitations} == {"fe80::1", "::"}
    # RFC 4291, 2.7.1: the solicited node of fe80::dd; RFC 2464, 7: its MAC address
    group = [each for each in solicitations if each[IPv6].dst == "ff02::1:ff00:dd"]
    assert {each.dst for each in group} == {"33:33:ff:00:00:dd"}
    assert {each[ICMPv6ND_NS].tgt for each in solicitations} == {"fe80::dd"}


def test_without_anything_known_arp_and_neighbour_discovery_are_there() -> None:
    bare = lifelines_of(Surroundings(bytes(6)))
    assert [each.name for each in bare] == ["ARP", "neighbour discovery"]
    assert all(Ether(frame) for each in bare for frame in each.frames)


EVERYTHING = [SSH, SSH6, FROM_GATEWAY, FROM_GATEWAY6, "ARP", "neighbour discovery"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("default: drop", dict.fromkeys(EVERYTHING, "the default policy")),
        ("rules: [{name: all, action: drop}]", dict.fromkeys(EVERYTHING, "rule all")),
        ("rules: [{name: x, action: drop, proto: tcp, dport: 22}]", {SSH: "rule x"}),
        ("rules: [{name: x, action: drop, src: 192.0.2.7}]", {SSH: "rule x"}),
        ("rules: [{name: x, action: drop, flags: syn/syn}]", {NEW: "rule x", NEW6: "rule x"}),
        ("rules: [{name: x, action: drop, dscp: af21}]", {SSH: "rule x", SSH6: "rule x"}),
        ("rules: [{name: x, action: drop, ethertype: arp}]", {"ARP": "rule x"}),
        ("rules: [{name: x, action: drop, src: 192.0.2.1}]", {FROM_GATEWAY: "rule x"}),
        ("rules: [{name: x, action: drop, src: 192.0.2.1, proto: udp}]", {}),
        ("rules: [{name: x, action: drop, src: 'fe80::/10'}]",
         {FROM_GATEWAY6: "rule x", "neighbour discovery": "rule x"}),
        ("rules: [{name: x, action: drop, src: '::'}]", {"neighbour discovery": "rule x"}),
        *((f"rules: [{{name: x, action: drop, proto: ipv6-icmp, icmp: {kind}}}]",
           {"neighbour discovery": "rule x"}) for kind in (133, 134, 135, 136)),
        ("rules: [{name: a, action: pass, src: 192.0.2.7}, {name: x, action: drop, dport: 22}]",
         {}),
        ("rules: [{name: x, action: drop, dport: 22, expires: '2001-09-09T01:46:40Z'}]", {}),
        ("sets: {s: [192.0.2.0/29]}\nrules: [{name: x, action: drop, src: '@s'}]",
         {SSH: "rule x", FROM_GATEWAY: "rule x"}),
    ],
)  # fmt: skip
def test_what_a_ruleset_cuts_is_said_with_the_rule(text: str, expected: dict[str, str]) -> None:
    assert cuts(text, now=1_000_000_000) == expected  # 2001-09-09T01:46:40Z


def test_a_rule_counts_until_it_expires() -> None:
    text = "rules: [{name: x, action: drop, dport: 22, expires: '2001-09-09T01:46:40Z'}]"
    assert cuts(text, now=999_999_999) == {SSH: "rule x"}


def test_among_thousands_of_rules_the_first_one_that_matches_is_named() -> None:
    others = [f"{{action: drop, src: 10.{n >> 8}.{n & 255}.0/24}}" for n in range(2000)]
    ssh = "{name: x, action: drop, dport: 22}, {name: y, action: drop, dport: 22}"
    assert cuts(f"rules: [{', '.join([*others, ssh, *others[:9]])}]") == {SSH: "rule x"}


def test_sound_packets_are_dropped_by_rules_and_by_default_alone() -> None:
    assert not drops_anything(ruleset("malformed: drop\nrules: [{action: pass, dport: 22}]"))
    assert drops_anything(ruleset("default: drop"))
    assert drops_anything(ruleset("rules: [{action: drop, dport: 22}]"))


ANY, ALL = Lifeline("any", (b"a", b"b")), Lifeline("all", (b"a", b"b"), by_all=True)


@pytest.mark.parametrize(
    ("dropped", "before", "expected"),
    [
        (b"", b"", []),
        (b"a", b"", [ANY]),
        (b"ab", b"", [ANY, ALL]),
        (b"ab", b"ab", []),
        (b"ab", b"a", [ANY, ALL]),
        (b"a", b"a", []),
        (b"b", b"a", [ANY]),
    ],
)
def test_only_what_was_not_cut_before_is_cut(
    dropped: bytes, before: bytes, expected: list[Lifeline]
) -> None:
    found = cut_by(
        (ANY, ALL),
        lambda frame: "ban" if frame in dropped else None,
        lambda frame: "other" if frame in before else None,
    )
    assert found == tuple(Cut(each, "ban") for each in expected)
