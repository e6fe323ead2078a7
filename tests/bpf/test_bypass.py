"""docs/bypass.md: what could slip past a rule. Frames carry TCP to port 23, which is dropped."""

from __future__ import annotations

import pytest

from tests.bpf.judging import judging
from tests.packets import (
    CTAG,
    IPV4,
    IPV6,
    STAG,
    ah,
    eth,
    extension,
    fragment,
    ipv4,
    ipv6,
    tag,
)
from xdpctl.pylibbpf import xdp_context
from xdpctl.rules.reading import read_text

DROP, PASS = 1, 2
TELNET = bytes.fromhex("9c40 0017 00000001 00000000 5002 2000 0000 0000")
WEB = bytes.fromhex("9c40 0050 00000001 00000000 5002 2000 0000 0000")
NO_TELNET = "rules: [{name: no-telnet, action: drop, proto: tcp, dport: 23}]"
MORE = 0x2000


def options(count: int) -> bytes:
    """Extension headers of all kinds that may be repeated, and TCP."""
    chain = TELNET
    following = 6
    for _ in range(count):
        chain, following = extension(following, chain), 60
    return ipv6(following, chain)


SLIPS = {
    "plain": eth(IPV4, ipv4(6, TELNET)),
    "IPv6": eth(IPV6, ipv6(6, TELNET)),
    "tiny first fragment": eth(IPV4, ipv4(6, TELNET[:8], frag=MORE)),
    "first fragment": eth(IPV4, ipv4(6, TELNET, frag=MORE)),
    "atomic fragment": eth(IPV6, ipv6(44, fragment(6, TELNET, more=0))),
    "first fragment of IPv6": eth(IPV6, ipv6(44, fragment(6, TELNET))),
    "VLAN tag": eth(CTAG, tag(IPV4, ipv4(6, TELNET))),
    "two VLAN tags": eth(STAG, tag(CTAG, tag(IPV4, ipv4(6, TELNET)))),
    "two VLAN tags the other way": eth(CTAG, tag(STAG, tag(IPV6, ipv6(6, TELNET)))),
    "three VLAN tags": eth(CTAG, tag(CTAG, tag(CTAG, tag(IPV4, ipv4(6, TELNET))))),
    "IPv4 options": eth(IPV4, ipv4(6, TELNET, ihl=15)),
    "IPv4 header length 4": eth(IPV4, ipv4(6, TELNET, ihl=4)),
    "wrong version": eth(IPV4, ipv4(6, TELNET, version=6)),
    "hop-by-hop, routing, AH, fragment, destination": eth(
        IPV6,
        ipv6(0, extension(43, extension(51, ah(44, fragment(60, extension(6, TELNET), more=0))))),
    ),
    **{f"{n} extension headers": eth(IPV6, options(n)) for n in range(1, 10)},
}


@pytest.mark.parametrize("linear", [None, 14, 15, 34], ids=lambda each: f"linear {each}")
def test_nothing_slips_past_a_port_rule(linear: int | None) -> None:
    with judging(read_text(NO_TELNET, "", 0).ruleset) as kernel:
        for name, frame in SLIPS.items():
            context = None if linear is None else xdp_context(0, min(linear, len(frame)))
            assert kernel.run(frame, context=context) == DROP, name
        assert kernel.run(eth(IPV4, ipv4(6, WEB))) == PASS


@pytest.mark.parametrize("name", ["plain", "IPv6", "two VLAN tags", "IPv4 options"])
def test_a_frame_cut_off_at_any_byte_is_dropped(name: str) -> None:
    whole = SLIPS[name]
    with judging(read_text(NO_TELNET, "", 0).ruleset) as kernel:
        for length in range(14, len(whole) + 1):
            assert kernel.run(whole[:length]) == DROP, length


@pytest.mark.parametrize(
    "later",
    [
        eth(IPV4, ipv4(6, TELNET, frag=185)),
        eth(IPV4, ipv4(6, TELNET[8:], frag=1)),
        eth(IPV6, ipv6(44, fragment(6, TELNET, offset=185, more=0))),
    ],
    ids=["of IPv4", "at offset 1", "of IPv6"],
)
def test_later_fragments_meet_rules_that_ask_for_them(later: bytes) -> None:
    ports = read_text(NO_TELNET, "", 0).ruleset
    fragments = read_text("rules: [{action: drop, fragment: later}]", "", 0).ruleset
    protocol = read_text("rules: [{action: drop, proto: tcp}]", "", 0).ruleset
    for ruleset, verdict in ((ports, PASS), (fragments, DROP), (protocol, DROP)):
        with judging(ruleset) as kernel:
            assert kernel.run(later) == verdict


def test_address_rules_hold_whatever_is_carried() -> None:
    rules = 'rules: [{action: drop, src: "192.0.2.1"}, {action: drop, src: "2001:db8::1"}]'
    with judging(read_text(rules, "", 0).ruleset) as kernel:
        for protocol in (0, 1, 2, 4, 41, 47, 50, 58, 59, 253, 255):
            assert kernel.run(eth(IPV4, ipv4(protocol, bytes(40)))) == DROP, protocol
        for protocol in (1, 47, 50, 58, 59, 253):
            assert kernel.run(eth(IPV6, ipv6(protocol, bytes(40)))) == DROP, protocol
        everybody = b"\xff" * 6 + eth(IPV4, ipv4(17, bytes(8)))[6:]
        assert kernel.run(everybody) == DROP


def test_what_has_no_ports_is_in_no_rule_on_ports() -> None:
    rules = "rules: [{action: drop, dport: {not: 22}}]"
    with judging(read_text(rules, "", 0).ruleset) as kernel:
        for protocol in (1, 47, 50, 58):
            assert kernel.run(eth(IPV4, ipv4(protocol, bytes(40)))) == PASS
        assert kernel.run(eth(IPV4, ipv4(6, WEB))) == DROP


def test_a_mapped_address_is_another_one() -> None:
    mapped = bytearray(eth(IPV6, ipv6(17, bytes(8))))
    mapped[22:38] = bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 1])
    for source, verdict in (("192.0.2.1", PASS), ("::ffff:0:0/96", DROP)):
        ruleset = read_text(f'rules: [{{action: drop, src: "{source}"}}]', "", 0).ruleset
        with judging(ruleset) as kernel:
            assert kernel.run(bytes(mapped)) == verdict


def test_a_packet_that_no_rule_drops_passes_whole_alone() -> None:
    whole = eth(IPV4, ipv4(6, WEB))
    with judging(read_text(NO_TELNET, "", 0).ruleset) as kernel:
        for length in range(14, len(whole)):
            assert kernel.run(whole[:length]) == DROP, length
        assert kernel.run(whole) == PASS


def test_what_no_rule_matches_meets_the_default() -> None:
    with judging(read_text(f"default: drop\n{NO_TELNET}", "", 0).ruleset) as kernel:
        assert kernel.run(eth(IPV4, ipv4(6, WEB))) == DROP
