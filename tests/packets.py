"""Described packets and what each is counted as, worked out by hand from the RFCs.

Built from bytes, not by a library, so that every field that matters is in sight.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

MACS = bytes.fromhex("020000000002 020000000001")


class Packet(NamedTuple):
    """`protocol` as the JSON output names it; `reason` where it is malformed."""

    name: str
    frame: bytes
    protocol: str
    reason: str | None = None


def eth(ethertype: int, payload: bytes = b"") -> bytes:
    return MACS + struct.pack("!H", ethertype) + payload


def tag(ethertype: int, payload: bytes = b"", vid: int = 10) -> bytes:
    """What follows the tag's own ethertype: tag control information, the next ethertype."""
    return struct.pack("!HH", vid, ethertype) + payload


def ipv4(
    protocol: int, payload: bytes = b"", *, ihl: int = 5, version: int = 4, frag: int = 0
) -> bytes:
    options = bytes([1]) * max(0, ihl * 4 - 20)  # RFC 791: 1 is no operation
    header = struct.pack(
        "!BBHHHBBH4s4s", version << 4 | ihl, 0, 20 + len(options) + len(payload), 7, frag, 64,
        protocol, 0, bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]),
    )  # fmt: skip
    return header + options + payload


def ipv6(next_header: int, payload: bytes = b"", *, version: int = 6) -> bytes:
    addresses = bytes.fromhex("20010db8000000000000000000000001 20010db8000000000000000000000002")
    return struct.pack("!IHBB", version << 28, len(payload), next_header, 64) + addresses + payload


def extension(next_header: int, payload: bytes = b"", *, units: int = 0) -> bytes:
    """Hop-by-hop, routing or destination options: (units + 1) * 8 bytes (RFC 8200, 4.3)."""
    return bytes([next_header, units]) + bytes(6 + units * 8) + payload


def ah(next_header: int, payload: bytes = b"", *, length: int = 4) -> bytes:
    """(length + 2) * 4 bytes (RFC 4302, 2.2)."""
    return bytes([next_header, length]) + bytes((length + 2) * 4 - 2) + payload


def fragment(next_header: int, payload: bytes = b"", *, offset: int = 0, more: int = 1) -> bytes:
    """Eight bytes; the offset counts in units of eight (RFC 8200, 4.5)."""
    return struct.pack("!BBHI", next_header, 0, offset << 3 | more, 7) + payload


TCP = struct.pack("!HHIIBBHHH", 40000, 80, 1, 0, 5 << 4, 2, 8192, 0, 0)
UDP = struct.pack("!HHHH", 40000, 53, 8, 0)

IPV4, IPV6, ARP, CTAG, STAG = 0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8

PACKETS = [
    Packet("TCP", eth(IPV4, ipv4(6, TCP)), "tcp"),
    Packet("UDP", eth(IPV4, ipv4(17, UDP)), "udp"),
    Packet("ICMP", eth(IPV4, ipv4(1, bytes(8))), "icmp"),
    Packet("IGMP", eth(IPV4, ipv4(2, bytes(8))), "igmp"),
    Packet("SCTP", eth(IPV4, ipv4(132, bytes(12))), "sctp"),
    Packet("DCCP", eth(IPV4, ipv4(33, bytes(12))), "dccp"),
    Packet("UDP-Lite", eth(IPV4, ipv4(136, UDP)), "udplite"),
    Packet("GRE", eth(IPV4, ipv4(47, bytes(4))), "gre"),
    Packet("ESP", eth(IPV4, ipv4(50, bytes(8))), "esp"),
    Packet("AH over IPv4 is a protocol", eth(IPV4, ipv4(51, ah(6, TCP))), "ah"),
    Packet("IPv4 in IPv4", eth(IPV4, ipv4(4, ipv4(6, TCP))), "ipv4"),
    Packet("IPv6 in IPv4", eth(IPV4, ipv4(41, ipv6(6, TCP))), "ipv6"),
    Packet("protocol 0 of IPv4", eth(IPV4, ipv4(0)), "hopopt"),
    Packet("an unassigned protocol", eth(IPV4, ipv4(200)), "200"),
    Packet("protocol 255", eth(IPV4, ipv4(255)), "255"),
    Packet("IPv4 options", eth(IPV4, ipv4(6, TCP, ihl=6)), "tcp"),
    Packet("as many IPv4 options as fit", eth(IPV4, ipv4(17, UDP, ihl=15)), "udp"),
    Packet("IPv4 header and nothing else", eth(IPV4, ipv4(6)), "tcp"),
    Packet("first IPv4 fragment", eth(IPV4, ipv4(17, UDP, frag=0x2000)), "udp"),
    Packet("later IPv4 fragment", eth(IPV4, ipv4(17, bytes(8), frag=0x00B9)), "udp"),
    Packet("frame longer than the IPv4 packet", eth(IPV4, ipv4(6, TCP) + bytes(20)), "tcp"),
    Packet("TCP over IPv6", eth(IPV6, ipv6(6, TCP)), "tcp"),
    Packet("UDP over IPv6", eth(IPV6, ipv6(17, UDP)), "udp"),
    Packet("ICMPv6", eth(IPV6, ipv6(58, bytes(8))), "ipv6-icmp"),
    Packet("no next header", eth(IPV6, ipv6(59)), "ipv6-nonxt"),
    Packet("ESP over IPv6", eth(IPV6, ipv6(50, bytes(8))), "esp"),
    Packet("hop-by-hop options", eth(IPV6, ipv6(0, extension(58, bytes(8)))), "ipv6-icmp"),
    Packet("long hop-by-hop options", eth(IPV6, ipv6(0, extension(17, UDP, units=3))), "udp"),
    Packet("routing header", eth(IPV6, ipv6(43, extension(6, TCP, units=2))), "tcp"),
    Packet("destination options", eth(IPV6, ipv6(60, extension(6, TCP))), "tcp"),
    Packet("AH over IPv6 is walked over", eth(IPV6, ipv6(51, ah(6, TCP))), "tcp"),
    Packet("the shortest AH", eth(IPV6, ipv6(51, ah(17, UDP, length=0))), "udp"),
    Packet("AH of 12 bytes", eth(IPV6, ipv6(51, ah(17, UDP, length=1))), "udp"),
    Packet("first IPv6 fragment", eth(IPV6, ipv6(44, fragment(17, UDP))), "udp"),
    Packet("later IPv6 fragment", eth(IPV6, ipv6(44, fragment(17, bytes(8), offset=9))), "udp"),
    Packet("atomic IPv6 fragment", eth(IPV6, ipv6(44, fragment(6, TCP, more=0))), "tcp"),
    Packet(
        "first fragment with more headers",
        eth(IPV6, ipv6(44, fragment(60, extension(6, TCP)))),
        "tcp",
    ),
    Packet(
        "later fragment of destination options",
        eth(IPV6, ipv6(44, fragment(60, extension(6, TCP), offset=1))),
        "ipv6-opts",
    ),
    Packet(
        "all five extension headers",
        eth(
            IPV6,
            ipv6(0, extension(60, extension(43, extension(44, fragment(51, ah(6, TCP)))))),
        ),
        "tcp",
    ),
    Packet(
        "eight extension headers",
        eth(IPV6, ipv6(60, b"".join([extension(60)] * 7) + extension(6, TCP))),
        "tcp",
    ),
    Packet(
        "nine extension headers",
        eth(IPV6, ipv6(60, b"".join([extension(60)] * 8) + extension(6, TCP))),
        "malformed",
        "extension-depth",
    ),
    Packet(
        "eight extension headers of 2,048 bytes",
        eth(
            IPV6, ipv6(60, b"".join([extension(60, units=255)] * 7) + extension(6, TCP, units=255))
        ),
        "tcp",
    ),
    Packet("ARP", eth(ARP, bytes(28)), "arp"),
    Packet("LLDP", eth(0x88CC, bytes(46)), "lldp"),
    Packet("MPLS unicast", eth(0x8847, bytes(46)), "mpls"),
    Packet("MPLS multicast", eth(0x8848, bytes(46)), "mpls"),
    Packet("PPPoE discovery", eth(0x8863, bytes(46)), "pppoe"),
    Packet("PPPoE session", eth(0x8864, bytes(46)), "pppoe"),
    Packet("RARP", eth(0x8035, bytes(28)), "other"),
    Packet("an 802.3 length", eth(46, bytes(46)), "other"),
    Packet("no payload at all", eth(0x88B5), "other"),
    Packet("0x9100 is no VLAN tag here", eth(0x9100, tag(IPV4, ipv4(6, TCP))), "other"),
    Packet("802.1Q tag", eth(CTAG, tag(IPV4, ipv4(6, TCP))), "tcp"),
    Packet("802.1ad tag alone", eth(STAG, tag(IPV6, ipv6(17, UDP))), "udp"),
    Packet("priority tag", eth(CTAG, tag(ARP, bytes(28), vid=0)), "arp"),
    Packet("802.1ad and 802.1Q", eth(STAG, tag(CTAG, tag(IPV4, ipv4(17, UDP)))), "udp"),
    Packet("two 802.1Q tags", eth(CTAG, tag(CTAG, tag(IPV6, ipv6(58, bytes(8))))), "ipv6-icmp"),
    Packet("tagged LLDP", eth(CTAG, tag(0x88CC, bytes(42))), "lldp"),
    Packet(
        "three tags",
        eth(STAG, tag(CTAG, tag(CTAG, tag(IPV4, ipv4(6, TCP))))),
        "malformed",
        "vlan-depth",
    ),
    Packet("a third tag cut off", eth(CTAG, tag(CTAG, tag(STAG))), "malformed", "vlan-depth"),
    Packet("tag cut short", eth(CTAG, b"\0\x0a\x08"), "malformed", "short-vlan"),
    Packet("second tag missing", eth(STAG, tag(CTAG)), "malformed", "short-vlan"),
    Packet("IPv4 missing", eth(IPV4), "malformed", "short-ipv4"),
    Packet("IPv4 cut by a byte", eth(IPV4, ipv4(6)[:-1]), "malformed", "short-ipv4"),
    Packet("IPv4 options cut by a byte", eth(IPV4, ipv4(6, ihl=7)[:-1]), "malformed", "short-ipv4"),
    Packet("tagged IPv4 cut", eth(CTAG, tag(IPV4, ipv4(6)[:-1])), "malformed", "short-ipv4"),
    Packet("IPv6 behind IPv4's ethertype", eth(IPV4, ipv6(6, TCP)), "malformed", "ip-version"),
    Packet("IPv4 behind IPv6's ethertype", eth(IPV6, ipv4(6, TCP)), "malformed", "ip-version"),
    Packet("20 bytes of IPv4 as IPv6", eth(IPV6, ipv4(6)), "malformed", "short-ipv6"),
    Packet("IPv4 version 5", eth(IPV4, ipv4(6, TCP, version=5)), "malformed", "ip-version"),
    Packet("IPv6 version 4", eth(IPV6, ipv6(6, TCP, version=4)), "malformed", "ip-version"),
    Packet(
        "IPv4 header length 4", eth(IPV4, ipv4(6, TCP, ihl=4)), "malformed", "ipv4-header-length"
    ),
    Packet(
        "IPv4 header length 0", eth(IPV4, ipv4(6, TCP, ihl=0)), "malformed", "ipv4-header-length"
    ),
    Packet("IPv6 missing", eth(IPV6), "malformed", "short-ipv6"),
    Packet("IPv6 cut by a byte", eth(IPV6, ipv6(6)[:-1]), "malformed", "short-ipv6"),
    Packet("hop-by-hop options missing", eth(IPV6, ipv6(0)), "malformed", "short-extension"),
    Packet(
        "extension cut by a byte",
        eth(IPV6, ipv6(60, extension(6)[:-1])),
        "malformed",
        "short-extension",
    ),
    Packet(
        "extension longer than the frame",
        eth(IPV6, ipv6(60, extension(6, units=4)[:-1])),
        "malformed",
        "short-extension",
    ),
    Packet(
        "second extension missing",
        eth(IPV6, ipv6(0, extension(60))),
        "malformed",
        "short-extension",
    ),
    Packet(
        "fragment header cut", eth(IPV6, ipv6(44, fragment(6)[:-1])), "malformed", "short-extension"
    ),
    Packet("AH cut", eth(IPV6, ipv6(51, ah(6)[:-1])), "malformed", "short-extension"),
]
