"""The oracle itself is judged here: by hand-made bytes, by scapy's dissection, by arithmetic.

Expected values are written out, never computed by the oracle or imported from it.
"""

import struct
import warnings
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle import Parsed, parse

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # scapy's own imports warn with some versions of its friends
    from scapy.contrib.lldp import (
        LLDPDU,
        LLDPDUChassisID,
        LLDPDUEndOfLLDPDU,
        LLDPDUPortID,
        LLDPDUTimeToLive,
    )
    from scapy.contrib.mpls import MPLS
    from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Router_Alert
    from scapy.layers.inet6 import (
        ICMPv6EchoRequest,
        ICMPv6ND_NS,
        IPv6,
        IPv6ExtHdrDestOpt,
        IPv6ExtHdrFragment,
        IPv6ExtHdrHopByHop,
        IPv6ExtHdrRouting,
        IPv6ExtHdrSegmentRouting,
        MIP6MH_HoTI,
        PadN,
    )
    from scapy.layers.ipsec import AH, ESP
    from scapy.layers.l2 import ARP, GRE, LLC, SNAP, Dot1AD, Dot1Q, Dot3, Ether
    from scapy.layers.ppp import PPP, PPPoE, PPPoED
    from scapy.layers.sctp import SCTP
    from scapy.packet import NoPayload, Packet, Raw

PROTOCOLS = {str(number) for number in range(256)} | {"arp", "lldp", "mpls", "pppoe", "other"}
UNHURRIED = settings(deadline=None)  # a slow machine is not a wrong answer

REASONS = {
    "short-ethernet",
    "short-vlan",
    "vlan-depth",
    "short-ipv4",
    "ip-version",
    "ipv4-header-length",
    "short-ipv6",
    "short-extension",
    "extension-depth",
}


def bad(reason: str) -> Parsed:
    return Parsed("malformed", reason)


# Hand-made bytes.

MACS = bytes.fromhex("020000000001 020000000002")
FOUR = MACS + b"\x08\x00"
SIX = MACS + b"\x86\xdd"


def ether(ethertype: int, *tags: int) -> bytes:
    """Addresses, each tag's ethertype with a tag control field, then the last ethertype."""
    return MACS + b"".join(struct.pack("!HH", tag, 0xE064) for tag in tags) + ethertype.to_bytes(2)


def ipv4(protocol: int, first: int = 0x45, fragment: int = 0) -> bytes:
    """Twenty bytes of header; options, where the first byte promises them, are the caller's."""
    return struct.pack(
        "!BBHHHBBH4s4s", first, 0, 20, 1, fragment, 64, protocol, 0, b"\x0a\0\0\1", b"\x0a\0\0\2"
    )


def ipv6(following: int, first: int = 0x60) -> bytes:
    return struct.pack("!BxHHBB16s16s", first, 0, 0, following, 64, b"\xfd" * 16, b"\xfe" * 16)


def ext(following: int, length: int = 0) -> bytes:
    """A hop-by-hop, routing or destination options header."""
    return bytes([following, length]) + bytes(8 * length + 6)


def auth(following: int, length: int) -> bytes:
    return bytes([following, length]) + bytes(4 * length + 6)


def frag(following: int, field: int, reserved: int = 0) -> bytes:
    return struct.pack("!BBHI", following, reserved, field, 0xDEADBEEF)


def eight(last: int) -> bytes:
    """Eight 8-byte destination options headers; the fixed header before them says 60."""
    return ext(60) * 7 + ext(last)


TABLE: dict[str, tuple[bytes, Parsed]] = {
    # Ethernet and its ethertypes
    "empty": (b"", bad("short-ethernet")),
    "13 bytes": ((MACS + b"\x08"), bad("short-ethernet")),
    "arp without payload": (ether(0x0806), Parsed("arp")),
    "lldp without payload": (ether(0x88CC), Parsed("lldp")),
    "mpls unicast without payload": (ether(0x8847), Parsed("mpls")),
    "mpls multicast without payload": (ether(0x8848), Parsed("mpls")),
    "mpls that ends before its IP is not looked into": (ether(0x8847) + b"\0" * 8, Parsed("mpls")),
    "pppoe discovery without payload": (ether(0x8863), Parsed("pppoe")),
    "pppoe session without payload": (ether(0x8864), Parsed("pppoe")),
    "802.3 length": (ether(0x0026) + b"\x42\x42\x03" + bytes(35), Parsed("other")),
    "802.3 length of zero": (ether(0), Parsed("other")),
    "802.3 length, SNAP-encapsulated IPv4": (
        ether(28) + bytes.fromhex("aaaa03 000000 0800") + ipv4(6),
        Parsed("other"),
    ),
    "old QinQ 0x9100 is no tag": (ether(0x0800, 0x9100) + ipv4(6), Parsed("other")),
    "0x9200 is no tag": (ether(0x0800, 0x9200) + ipv4(6), Parsed("other")),
    "MACsec": (ether(0x88E5), Parsed("other")),
    "ethertype all ones": (ether(0xFFFF), Parsed("other")),
    "ethertype bytes swapped": (ether(0x0008) + ipv4(6), Parsed("other")),
    "neighbours of the named ethertypes 1": (ether(0x0805), Parsed("other")),
    "neighbours of the named ethertypes 2": (ether(0x8846), Parsed("other")),
    "neighbours of the named ethertypes 3": (ether(0x8849), Parsed("other")),
    "neighbours of the named ethertypes 4": (ether(0x8862), Parsed("other")),
    "neighbours of the named ethertypes 5": (ether(0x8865), Parsed("other")),
    "neighbours of the named ethertypes 6": (ether(0x88A7), Parsed("other")),
    "neighbours of the named ethertypes 7": (ether(0x8101), Parsed("other")),
    # VLAN tags
    "C-tag": (ether(0x0800, 0x8100) + ipv4(17), Parsed("17")),
    "S-tag": (ether(0x0800, 0x88A8) + ipv4(17), Parsed("17")),
    "S-tag then C-tag": (ether(0x86DD, 0x88A8, 0x8100) + ipv6(58), Parsed("58")),
    "C-tag then S-tag": (ether(0x86DD, 0x8100, 0x88A8) + ipv6(58), Parsed("58")),
    "two C-tags, arp": (ether(0x0806, 0x8100, 0x8100), Parsed("arp")),
    "two S-tags, length field": (ether(0x0040, 0x88A8, 0x88A8), Parsed("other")),
    "C-tag then 0x9100": (ether(0x0800, 0x8100, 0x9100) + ipv4(6), Parsed("other")),
    "priority tag (VLAN 0)": (MACS + bytes.fromhex("8100 0000 88cc"), Parsed("lldp")),
    "tag control that looks like an ethertype": (
        MACS + bytes.fromhex("8100 8100 0806"),
        Parsed("arp"),
    ),
    "tag missing": (MACS + b"\x81\0", bad("short-vlan")),
    "tag of three bytes": (MACS + b"\x81\0\0\1\x08", bad("short-vlan")),
    "second tag missing": (ether(0x88A8, 0x8100), bad("short-vlan")),
    "second tag of three bytes": (ether(0x8100, 0x88A8) + b"\0\1\x08", bad("short-vlan")),
    "third tag missing": (ether(0x8100, 0x88A8, 0x8100), bad("vlan-depth")),
    "third tag there": (ether(0x0800, 0x8100, 0x8100, 0x88A8) + ipv4(6), bad("vlan-depth")),
    "third tag cut": (ether(0x88A8, 0x88A8, 0x88A8) + b"\0", bad("vlan-depth")),
    # IPv4
    "ipv4 protocol 0": (FOUR + ipv4(0), Parsed("0")),
    "ipv4 protocol 255": (FOUR + ipv4(255), Parsed("255")),
    "ipv4 ah is not walked through": (FOUR + ipv4(51) + auth(6, 4), Parsed("51")),
    "ipv4 carrying ipv6 is not looked into": (FOUR + ipv4(41) + b"\xff", Parsed("41")),
    "ipv4 with number of an ipv6 extension": (FOUR + ipv4(60), Parsed("60")),
    "ipv4 first fragment": (FOUR + ipv4(17, fragment=0x2000), Parsed("17")),
    "ipv4 later fragment": (FOUR + ipv4(17, fragment=0x00B9), Parsed("17")),
    "ipv4 missing": (FOUR, bad("short-ipv4")),
    "ipv4 of 19 bytes": (FOUR + ipv4(6)[:19], bad("short-ipv4")),
    "ipv4 of 19 bytes, wrong version": (FOUR + ipv4(6, 0x65)[:19], bad("short-ipv4")),
    "ipv4 ethertype, version 6": (FOUR + ipv6(6), bad("ip-version")),
    "ipv4 version 0": (FOUR + ipv4(6, 0x05), bad("ip-version")),
    "ipv4 version 5, IHL 4": (FOUR + ipv4(6, 0x54), bad("ip-version")),
    "ipv4 version 12": (FOUR + ipv4(6, 0xC5), bad("ip-version")),
    "ipv4 version 6, IHL 15 not there": (FOUR + ipv4(6, 0x6F), bad("ip-version")),
    "ipv4 IHL 0": (FOUR + ipv4(6, 0x40), bad("ipv4-header-length")),
    "ipv4 IHL 4": (FOUR + ipv4(6, 0x44), bad("ipv4-header-length")),
    "ipv4 IHL 6 and no options": (FOUR + ipv4(6, 0x46), bad("short-ipv4")),
    "ipv4 IHL 6, three bytes of options": (FOUR + ipv4(6, 0x46) + bytes(3), bad("short-ipv4")),
    "ipv4 IHL 6, four bytes of options": (FOUR + ipv4(6, 0x46) + bytes(4), Parsed("6")),
    "ipv4 IHL 15, 39 bytes of options": (FOUR + ipv4(2, 0x4F) + bytes(39), bad("short-ipv4")),
    "ipv4 IHL 15, 40 bytes of options": (FOUR + ipv4(2, 0x4F) + bytes(40), Parsed("2")),
    "ipv4 padded by Ethernet": (FOUR + ipv4(6) + bytes(26), Parsed("6")),
    "ipv4 IHL 8, options only in the padding": (FOUR + ipv4(6, 0x48) + bytes(12), Parsed("6")),
    # IPv6
    "ipv6 missing": (SIX, bad("short-ipv6")),
    "ipv6 of 39 bytes": (SIX + ipv6(6)[:39], bad("short-ipv6")),
    "ipv6 of 39 bytes, wrong version": (SIX + ipv6(6, 0x40)[:39], bad("short-ipv6")),
    "ipv6 ethertype, 40 bytes of ipv4": (SIX + ipv4(6) + bytes(20), bad("ip-version")),
    "ipv6 ethertype, 20 bytes of ipv4": (SIX + ipv4(6), bad("short-ipv6")),
    "ipv6 version 14": (SIX + ipv6(0, 0xE0), bad("ip-version")),
    "ipv6 traffic class bits": (SIX + ipv6(6, 0x6F), Parsed("6")),
    "ipv6 tcp without payload": (SIX + ipv6(6), Parsed("6")),
    "ipv6 no next header": (SIX + ipv6(59) + bytes(8), Parsed("59")),
    "ipv6 esp": (SIX + ipv6(50), Parsed("50")),
    "ipv6 mobility": (SIX + ipv6(135) + ext(6), Parsed("135")),
    "ipv6 HIP": (SIX + ipv6(139) + ext(6), Parsed("139")),
    "ipv6 shim6": (SIX + ipv6(140) + ext(6), Parsed("140")),
    "ipv6 255": (SIX + ipv6(255), Parsed("255")),
    "ipv6 carrying ipv4 is not looked into": (SIX + ipv6(4) + b"\xff", Parsed("4")),
    "ipv6 ICMPv4 number": (SIX + ipv6(1), Parsed("1")),
    "hop-by-hop": (SIX + ipv6(0) + ext(58), Parsed("58")),
    "hop-by-hop not first": (SIX + ipv6(60) + ext(0) + ext(58), Parsed("58")),
    "hop-by-hop twice": (SIX + ipv6(0) + ext(0) + ext(17), Parsed("17")),
    "routing": (SIX + ipv6(43) + ext(17, 2), Parsed("17")),
    "destination options": (SIX + ipv6(60) + ext(6, 1), Parsed("6")),
    "destination options then none": (SIX + ipv6(60) + ext(59), Parsed("59")),
    "destination options then esp": (SIX + ipv6(60) + ext(50), Parsed("50")),
    "extension missing": (SIX + ipv6(0), bad("short-extension")),
    "extension of one byte": (SIX + ipv6(43) + b"\x06", bad("short-extension")),
    "extension of seven bytes": (SIX + ipv6(60) + ext(6)[:7], bad("short-extension")),
    "extension of 2048 bytes": (SIX + ipv6(60) + ext(6, 255), Parsed("6")),
    "extension of 2048 bytes, last missing": (
        SIX + ipv6(60) + ext(6, 255)[:-1],
        bad("short-extension"),
    ),
    "extension reaches past its packet, next header known": (
        SIX + ipv6(0) + bytes([6, 1]) + bytes(13),
        bad("short-extension"),
    ),
    # Authentication header: (length + 2) * 4 bytes
    "ah of 24": (SIX + ipv6(51) + auth(6, 4), Parsed("6")),
    "ah of 24, last missing": (SIX + ipv6(51) + auth(6, 4)[:23], bad("short-extension")),
    "ah of length 0 is 8": (SIX + ipv6(51) + bytes([60, 0]) + bytes(6) + ext(17), Parsed("17")),
    "ah of length 0, seven there": (SIX + ipv6(51) + bytes(7), bad("short-extension")),
    "ah of length 1 is 12": (
        SIX + ipv6(51) + bytes([60, 1]) + bytes(10) + ext(17),
        Parsed("17"),
    ),
    "ah of length 1, eleven there": (SIX + ipv6(51) + b"\x06\1" + bytes(9), bad("short-extension")),
    "ah of length 255 is 1028": (SIX + ipv6(51) + auth(60, 255) + ext(132), Parsed("132")),
    # Fragments: the offset is the high thirteen bits
    "atomic fragment": (SIX + ipv6(44) + frag(58, 0), Parsed("58")),
    "first fragment is walked on": (SIX + ipv6(44) + frag(60, 1) + ext(17), Parsed("17")),
    "first fragment, rest missing": (SIX + ipv6(44) + frag(60, 1), bad("short-extension")),
    "reserved bits are no offset": (SIX + ipv6(44) + frag(60, 7) + ext(17), Parsed("17")),
    "offset 1": (SIX + ipv6(44) + frag(60, 8), Parsed("60")),
    "offset in the high byte only": (SIX + ipv6(44) + frag(0, 0x0100), Parsed("0")),
    "largest offset": (SIX + ipv6(44) + frag(51, 0xFFF8), Parsed("51")),
    "later fragment whose next is a fragment": (SIX + ipv6(44) + frag(44, 9) * 2, Parsed("44")),
    "later fragment of routing": (SIX + ipv6(44) + frag(43, 0x10), Parsed("43")),
    "later fragment of udp": (SIX + ipv6(44) + frag(17, 0x10) + b"x", Parsed("17")),
    "later fragment of no next header": (SIX + ipv6(44) + frag(59, 0x10), Parsed("59")),
    "reserved byte is no length": (SIX + ipv6(44) + frag(60, 0, 255) + ext(17), Parsed("17")),
    "fragment in a fragment": (SIX + ipv6(44) + frag(44, 1) + frag(0, 8), Parsed("0")),
    "fragment of seven bytes": (SIX + ipv6(44) + frag(6, 0)[:7], bad("short-extension")),
    "later fragment of seven bytes": (SIX + ipv6(44) + frag(6, 8)[:7], bad("short-extension")),
    # At most eight extension headers
    "eight extensions": (SIX + ipv6(60) + eight(6), Parsed("6")),
    "eight extensions, then none": (SIX + ipv6(60) + eight(59), Parsed("59")),
    "eighth cut": (SIX + ipv6(60) + eight(6)[:-1], bad("short-extension")),
    "ninth missing": (SIX + ipv6(60) + eight(60), bad("extension-depth")),
    "ninth there": (SIX + ipv6(60) + eight(60) + ext(6), bad("extension-depth")),
    "ninth cut": (SIX + ipv6(60) + eight(0) + ext(6)[:1], bad("extension-depth")),
    "ninth a later fragment": (SIX + ipv6(60) + eight(44) + frag(6, 8), bad("extension-depth")),
    "ninth ah": (SIX + ipv6(60) + eight(51) + auth(6, 4), bad("extension-depth")),
    "eighth a later fragment of an extension": (
        SIX + ipv6(60) + ext(60) * 6 + ext(44) + frag(0, 8),
        Parsed("0"),
    ),
    "eighth a first fragment of an extension": (
        SIX + ipv6(60) + ext(60) * 6 + ext(44) + frag(0, 1),
        bad("extension-depth"),
    ),
    "eight ahs": (SIX + ipv6(51) + auth(51, 1) * 7 + auth(17, 1), Parsed("17")),
    "eight first fragments": (SIX + ipv6(44) + frag(44, 0) * 7 + frag(6, 0), Parsed("6")),
    "nine first fragments": (SIX + ipv6(44) + frag(44, 0) * 9, bad("extension-depth")),
    "eight of 2048 bytes": (SIX + ipv6(0) + ext(0, 255) * 7 + ext(6, 255), Parsed("6")),
    "tags do not count as extensions": (
        ether(0x86DD, 0x88A8, 0x8100) + ipv6(60) + eight(58),
        Parsed("58"),
    ),
}


@pytest.mark.parametrize(("frame", "expected"), TABLE.values(), ids=TABLE.keys())
def test_described_frame(frame: bytes, expected: Parsed) -> None:
    assert parse(frame) == expected


@pytest.mark.parametrize("number", range(256))
def test_every_ipv4_protocol_is_its_number(number: int) -> None:
    assert parse(FOUR + ipv4(number)) == Parsed(str(number))


@pytest.mark.parametrize("number", range(256))
def test_every_ipv6_next_header_but_five_is_its_number(number: int) -> None:
    expected = bad("short-extension") if number in (0, 43, 44, 51, 60) else Parsed(str(number))
    assert parse(SIX + ipv6(number)) == expected
    assert parse(SIX + ipv6(44) + frag(number, 8)) == Parsed(str(number))


def test_every_other_ethertype_is_other() -> None:
    spoken_for = {0x0800, 0x86DD, 0x8100, 0x88A8, 0x0806, 0x88CC, 0x8847, 0x8848, 0x8863, 0x8864}
    others = {number for number in range(0x10000) if parse(ether(number)) == Parsed("other")}
    assert others == set(range(0x10000)) - spoken_for


# Every truncation.  Each row is (bytes from which it holds, result); sums of header lengths:
# Ethernet 14, tag 4, IPv4 20 and options, IPv6 40, extensions as their length fields say.

TRUNCATIONS: dict[str, tuple[bytes, int, list[tuple[int, Parsed]]]] = {
    "ipv4 tcp": (
        FOUR + ipv4(6) + bytes(20),
        54,
        [(0, bad("short-ethernet")), (14, bad("short-ipv4")), (34, Parsed("6"))],
    ),
    "ipv4 options, one tag": (
        ether(0x0800, 0x8100) + ipv4(1, 0x47) + bytes(8) + bytes(8),
        54,
        [
            (0, bad("short-ethernet")),
            (14, bad("short-vlan")),
            (18, bad("short-ipv4")),
            (46, Parsed("1")),
        ],
    ),
    "ipv4 wrong version": (
        FOUR + ipv4(6, 0x75) + bytes(6),
        40,
        [(0, bad("short-ethernet")), (14, bad("short-ipv4")), (34, bad("ip-version"))],
    ),
    "ipv4 IHL 3": (
        FOUR + ipv4(6, 0x43) + bytes(6),
        40,
        [(0, bad("short-ethernet")), (14, bad("short-ipv4")), (34, bad("ipv4-header-length"))],
    ),
    "ipv6 udp, two tags": (
        ether(0x86DD, 0x88A8, 0x8100) + ipv6(17) + bytes(8),
        70,
        [
            (0, bad("short-ethernet")),
            (14, bad("short-vlan")),
            (22, bad("short-ipv6")),
            (62, Parsed("17")),
        ],
    ),
    "ipv6 wrong version": (
        SIX + ipv6(6, 0x40) + bytes(4),
        58,
        [(0, bad("short-ethernet")), (14, bad("short-ipv6")), (54, bad("ip-version"))],
    ),
    # 54 + hop-by-hop 16 + routing 24 + first fragment 8 + AH 24 + destination options 8 = 134
    "ipv6 all five extensions": (
        SIX + ipv6(0) + ext(43, 1) + ext(44, 2) + frag(51, 1) + auth(60, 4) + ext(6) + bytes(20),
        154,
        [
            (0, bad("short-ethernet")),
            (14, bad("short-ipv6")),
            (54, bad("short-extension")),
            (134, Parsed("6")),
        ],
    ),
    # 54 + destination options 8 + fragment 8 = 70; what the payload looks like does not matter
    "ipv6 later fragment": (
        SIX + ipv6(60) + ext(44) + frag(60, 0x0010) + b"\xff" * 16,
        86,
        [
            (0, bad("short-ethernet")),
            (14, bad("short-ipv6")),
            (54, bad("short-extension")),
            (70, Parsed("60")),
        ],
    ),
    # 54 + 8 * 8 = 118: the ninth needs no bytes to be one too many
    "ipv6 nine extensions": (
        SIX + ipv6(60) + eight(60) + ext(6),
        126,
        [
            (0, bad("short-ethernet")),
            (14, bad("short-ipv6")),
            (54, bad("short-extension")),
            (118, bad("extension-depth")),
        ],
    ),
    "three tags": (
        ether(0x0806, 0x8100, 0x88A8, 0x8100),
        26,
        [(0, bad("short-ethernet")), (14, bad("short-vlan")), (22, bad("vlan-depth"))],
    ),
    "arp, one tag": (
        ether(0x0806, 0x88A8) + bytes(28),
        46,
        [(0, bad("short-ethernet")), (14, bad("short-vlan")), (18, Parsed("arp"))],
    ),
    "pppoe": (
        ether(0x8864) + bytes(10),
        24,
        [(0, bad("short-ethernet")), (14, Parsed("pppoe"))],
    ),
}


@pytest.mark.parametrize(("frame", "length", "steps"), TRUNCATIONS.values(), ids=TRUNCATIONS.keys())
def test_every_truncation(frame: bytes, length: int, steps: list[tuple[int, Parsed]]) -> None:
    assert len(frame) == length
    found = [(cut, parse(frame[:cut])) for cut in range(length + 1)]
    changes = [
        step
        for before, step in zip([None, *found], found, strict=False)
        if before is None or before[1] != step[1]
    ]
    assert changes == steps


# Scapy.  Addresses are always given, so that scapy asks no routing table and no neighbour.

E: dict[str, Any] = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
V4: dict[str, Any] = {"src": "10.0.0.1", "dst": "10.0.0.2"}
V6: dict[str, Any] = {"src": "fd00::1", "dst": "fd00::2"}
LLDP = (
    LLDPDUChassisID(subtype=7, id=b"x")
    / LLDPDUPortID(subtype=7, id=b"y")
    / LLDPDUTimeToLive(ttl=20)
    / LLDPDUEndOfLLDPDU()
)
WHO_HAS = ARP(hwsrc=E["src"], psrc=V4["src"], pdst=V4["dst"])
SRV6 = IPv6ExtHdrSegmentRouting(addresses=["fd00::3", "fd00::4"])
FIRST = IPv6ExtHdrFragment(m=1, id=7)
PADDED = IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(12))])
ICV: dict[str, Any] = {"payloadlen": 4, "icv": bytes(12)}


def eth(**fields: Any) -> Ether:
    return Ether(**E, **fields)


def v4(**fields: Any) -> Packet:
    return eth() / IP(**V4, **fields)


def v6(**fields: Any) -> Packet:
    return eth() / IPv6(**V6, **fields)


# What is built, the layer scapy must find first after the headers walked, and the protocol.
# Scapy leaves what follows an AH, and a later fragment, as Raw: the header before says what it is.
IP_PACKETS: dict[str, tuple[Packet, type[Packet], str]] = {
    "ipv4 tcp": (v4() / TCP(), TCP, "6"),
    "ipv4 udp": (v4() / UDP() / b"payload", UDP, "17"),
    "ipv4 icmp": (v4() / ICMP(), ICMP, "1"),
    "ipv4 options": (v4(options=[IPOption_Router_Alert()]) / UDP(), UDP, "17"),
    "ipv4 sctp": (v4() / SCTP(), SCTP, "132"),
    "ipv4 gre": (v4() / GRE() / IP(**V4) / UDP(), GRE, "47"),
    "ipv4 esp": (v4() / ESP(spi=1, data=bytes(16)), ESP, "50"),
    "ipv4 ah": (v4() / AH(nh=17, **ICV) / UDP(), AH, "51"),
    "ipv4 in ipv4": (eth() / IP(**V4) / IP(src="10.1.0.1", dst="10.1.0.2") / TCP(), IP, "4"),
    "ipv6 in ipv4": (v4() / IPv6(**V6) / TCP(), IPv6, "41"),
    "ipv4 first fragment": (v4(flags="MF") / UDP() / bytes(8), UDP, "17"),
    "ipv4 later fragment": (v4(frag=4, proto=17) / Raw(bytes(8)), Raw, "17"),
    "ipv6 tcp": (v6() / TCP(), TCP, "6"),
    "ipv6 udp": (v6() / UDP(), UDP, "17"),
    "ipv6 echo": (v6() / ICMPv6EchoRequest(), ICMPv6EchoRequest, "58"),
    "ipv6 neighbour solicitation": (v6() / ICMPv6ND_NS(tgt="fd00::2"), ICMPv6ND_NS, "58"),
    "ipv6 sctp": (v6() / SCTP(), SCTP, "132"),
    "ipv6 gre": (v6() / GRE() / IP(**V4) / TCP(), GRE, "47"),
    "ipv6 esp": (v6() / ESP(spi=1, data=bytes(16)), ESP, "50"),
    "ipv4 in ipv6": (v6() / IP(**V4) / TCP(), IP, "4"),
    "ipv6 nothing": (v6(nh=59), NoPayload, "59"),
    "ipv6 mobility": (v6() / MIP6MH_HoTI(), MIP6MH_HoTI, "135"),
    "ipv6 hop-by-hop": (v6() / PADDED / UDP(), UDP, "17"),
    "ipv6 routing": (v6() / IPv6ExtHdrRouting(addresses=["fd00::9"]) / TCP(), TCP, "6"),
    "ipv6 segment routing": (v6() / SRV6 / TCP(), TCP, "6"),
    "ipv6 destination options": (v6() / IPv6ExtHdrDestOpt() / SCTP(), SCTP, "132"),
    "ipv6 atomic fragment": (v6() / IPv6ExtHdrFragment() / TCP(), TCP, "6"),
    "ipv6 first fragment": (v6() / FIRST / UDP() / bytes(8), UDP, "17"),
    "ipv6 later fragment": (
        v6() / IPv6ExtHdrFragment(offset=3, nh=17) / Raw(bytes(16)),
        Raw,
        "17",
    ),
    "ipv6 later fragment of options": (
        v6() / IPv6ExtHdrFragment(offset=8191, nh=60) / Raw(bytes(16)),
        Raw,
        "60",
    ),
    "ipv6 ah": (v6() / AH(nh=6, **ICV) / TCP(), Raw, "6"),
    "ipv6 chain then esp": (
        v6() / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / ESP(spi=1, data=bytes(16)),
        ESP,
        "50",
    ),
    "ipv6 long chain": (
        v6() / PADDED / IPv6ExtHdrDestOpt() / SRV6 / FIRST / IPv6ExtHdrDestOpt() / TCP(),
        TCP,
        "6",
    ),
    "ipv6 chain then ah": (v6() / PADDED / SRV6 / AH(nh=58, **ICV) / Raw(bytes(8)), Raw, "58"),
    "vlan": (eth() / Dot1Q(vlan=100) / IP(**V4) / TCP(), TCP, "6"),
    "provider vlan": (eth() / Dot1AD(vlan=100) / IPv6(**V6) / UDP(), UDP, "17"),
    "qinq": (eth() / Dot1AD(vlan=1) / Dot1Q(vlan=2, prio=7) / IP(**V4) / UDP(), UDP, "17"),
    "two vlans": (eth() / Dot1Q(vlan=1) / Dot1Q(vlan=2) / IPv6(**V6) / TCP(), TCP, "6"),
}


def scapy_protocol(frame: bytes, upper: type[Packet]) -> str:
    """What the layer under `upper` says it carries.  `upper` may be of the same class as it."""
    layer: Packet = Ether(frame)
    while not isinstance(layer, IP | IPv6):
        layer = layer.payload
    while not isinstance(layer.payload, upper):
        assert isinstance(layer, Packet), f"scapy found no {upper.__name__}"
        layer = layer.payload
    return str(layer.proto if isinstance(layer, IP) else layer.nh)


@pytest.mark.parametrize(
    ("packet", "upper", "expected"), IP_PACKETS.values(), ids=IP_PACKETS.keys()
)
def test_scapy_agrees_on_ip(packet: Packet, upper: type[Packet], expected: str) -> None:
    frame = bytes(packet)
    assert scapy_protocol(frame, upper) == expected
    assert parse(frame) == Parsed(expected)


OTHER_PACKETS: dict[str, tuple[Packet, type[Packet], str]] = {
    "arp": (eth() / WHO_HAS, ARP, "arp"),
    "arp in a vlan": (eth() / Dot1Q(vlan=5) / WHO_HAS, ARP, "arp"),
    "lldp": (eth() / LLDP, LLDPDU, "lldp"),
    "mpls": (eth() / MPLS(label=3) / IP(**V4) / UDP(), MPLS, "mpls"),
    "mpls in qinq": (eth() / Dot1AD() / Dot1Q() / MPLS() / IPv6(**V6), MPLS, "mpls"),
    "mpls multicast": (eth(type=0x8848) / MPLS() / IP(**V4), Raw, "mpls"),
    "pppoe discovery": (eth() / PPPoED(), PPPoED, "pppoe"),
    "pppoe session": (eth() / PPPoE() / PPP() / IP(**V4) / TCP(), PPPoE, "pppoe"),
    "802.3": (Dot3(**E) / LLC() / SNAP() / b"text", LLC, "other"),
    "unknown ethertype": (eth(type=0x88B5) / Raw(b"text"), Raw, "other"),
}


@pytest.mark.parametrize(
    ("packet", "first", "expected"), OTHER_PACKETS.values(), ids=OTHER_PACKETS.keys()
)
def test_scapy_agrees_on_other_kinds(packet: Packet, first: type[Packet], expected: str) -> None:
    frame = bytes(packet)
    layer: Packet = Ether(frame).payload
    while isinstance(layer, Dot1Q):  # Dot1AD is one too
        layer = layer.payload
    assert isinstance(layer, first)
    assert parse(frame) == Parsed(expected)


def test_scapy_third_tag_is_too_deep() -> None:
    packet = eth() / Dot1AD(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / IP(**V4) / TCP()
    assert parse(bytes(packet)) == bad("vlan-depth")


def padding(size: int) -> list[PadN]:
    return [PadN(optdata=bytes(size))]


SIZES = st.integers(0, 200)
SCAPY_EXTENSIONS = st.one_of(
    st.builds(lambda size: IPv6ExtHdrHopByHop(options=padding(size)), SIZES),
    st.builds(lambda size: IPv6ExtHdrDestOpt(options=padding(size)), SIZES),
    st.builds(lambda n: IPv6ExtHdrRouting(addresses=["fd00::9"] * n), st.integers(0, 4)),
    st.builds(lambda more: IPv6ExtHdrFragment(m=more), st.integers(0, 1)),
)


@UNHURRIED
@given(
    tags=st.lists(st.sampled_from([Dot1Q, Dot1AD]), max_size=2),
    chain=st.lists(SCAPY_EXTENSIONS, max_size=8),
    upper=st.sampled_from([TCP, UDP, SCTP, GRE, ICMPv6EchoRequest]),
)
def test_scapy_agrees_on_generated_chains(
    tags: list[type[Packet]], chain: list[Packet], upper: type[Packet]
) -> None:
    packet: Packet = eth()
    for tag in tags:
        packet = packet / tag()
    packet = packet / IPv6(**V6)
    for header in chain:
        packet = packet / header
    frame = bytes(packet / upper())
    assert parse(frame) == Parsed(scapy_protocol(frame, upper))


# Hypothesis, without scapy: frames put together header by header, then cut anywhere.


@dataclass(frozen=True)
class Header:
    """One extension header to be: its number, its length field, its fragment offset."""

    kind: int
    length: int
    offset: int

    def build(self, following: int) -> bytes:
        if self.kind == 44:
            return frag(following, self.offset << 3 | 1, self.length)
        return (auth if self.kind == 51 else ext)(following, self.length)


KINDS = st.sampled_from([0, 43, 44, 51, 60])
HEADERS = st.builds(Header, KINDS, st.integers(0, 20), st.sampled_from([0, 0, 0, 1, 256, 8191]))
TAGS = st.lists(st.sampled_from([0x8100, 0x88A8]), max_size=4)
UPPER = st.integers(0, 255).filter(lambda number: number not in (0, 43, 44, 51, 60))


@UNHURRIED
@given(TAGS, st.lists(HEADERS, max_size=11), UPPER, st.binary(max_size=40), st.data())
def test_built_ipv6_frame_cut_anywhere(
    tags: list[int], chain: list[Header], upper: int, payload: bytes, data: st.DataObject
) -> None:
    kinds = [header.kind for header in chain] + [upper]
    parts = [h.build(following) for h, following in zip(chain, kinds[1:], strict=True)]
    frame = ether(0x86DD, *tags) + ipv6(kinds[0]) + b"".join(parts) + payload

    # (length at which this stage is over, what a shorter frame is); then what is left at the end
    stages = [(14, bad("short-ethernet")), (14 + 4 * min(len(tags), 2), bad("short-vlan"))]
    if len(tags) > 2:
        final = bad("vlan-depth")
    else:
        end = stages[-1][0] + 40
        stages.append((end, bad("short-ipv6")))
        stop = next((i for i, h in enumerate(chain) if h.kind == 44 and h.offset), len(chain) - 1)
        walked = parts[: min(stop + 1, 8)]
        stages.append((end + sum(map(len, walked)), bad("short-extension")))
        final = bad("extension-depth") if stop >= 8 else Parsed(str(kinds[stop + 1]))

    edges = [edge + step for edge, _ in stages for step in (-1, 0)]
    cut = data.draw(st.sampled_from(edges) | st.integers(0, len(frame)) | st.just(len(frame)))
    expected = next((result for edge, result in stages if cut < edge), final)
    assert parse(frame[:cut]) == expected


@UNHURRIED
@given(TAGS, st.integers(0, 255), st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 100))
def test_built_ipv4_frame_cut_anywhere(
    tags: list[int], first: int, protocol: int, fragment: int, size: int
) -> None:
    packet = (ipv4(protocol, first, fragment) + b"\x66" * 80)[:size]
    result = parse(ether(0x0800, *tags) + packet)
    if len(tags) > 2:
        assert result == bad("vlan-depth")
    elif size < 20:
        assert result == bad("short-ipv4")
    elif first not in range(0x40, 0x50):
        assert result == bad("ip-version")
    elif first < 0x45:
        assert result == bad("ipv4-header-length")
    elif size < 4 * (first - 0x40):
        assert result == bad("short-ipv4")
    else:
        assert result == Parsed(str(protocol))


# Any bytes at all: some plain, some that start well enough to get past the first checks.

ETHERTYPES = [
    0x0800,
    0x86DD,
    0x8100,
    0x88A8,
    0x0806,
    0x88CC,
    0x8847,
    0x8848,
    0x8863,
    0x8864,
    0x9100,
]
ANY_FRAME = st.binary(max_size=200) | st.builds(
    lambda ethertype, tags, header, tail: ether(ethertype, *tags) + header + tail,
    st.sampled_from(ETHERTYPES),
    TAGS,
    st.builds(ipv4, st.integers(0, 255), st.integers(0x30, 0x5F))
    | st.builds(ipv6, st.sampled_from([0, 6, 43, 44, 51, 60]), st.integers(0x50, 0x7F))
    | st.just(b""),
    st.binary(max_size=200)
    | st.lists(st.sampled_from([0, 1, 6, 43, 44, 51, 60]), max_size=200).map(bytes),
)


@UNHURRIED
@given(ANY_FRAME)
def test_any_bytes_give_a_valid_result(frame: bytes) -> None:
    result = parse(frame)
    if result.protocol == "malformed":
        assert result.reason in REASONS
    else:
        assert result.protocol in PROTOCOLS
        assert result.reason is None


@UNHURRIED
@given(ANY_FRAME, st.binary(max_size=60))
def test_padding_changes_only_what_was_too_short(frame: bytes, pad: bytes) -> None:
    result = parse(frame)
    if not (result.reason or "").startswith("short-"):
        assert parse(frame + pad) == result


def test_a_result_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        parse(b"").protocol = "6"  # type: ignore[misc]
