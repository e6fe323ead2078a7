"""A frame's fields, by the standards, for the reference model: written to be read, not to be fast.

The bytes that are there decide: length fields and checksums are not looked at, for Ethernet pads
short frames.  What a field is absent from has None for it.

- A header that is cut short or wrong gives none of its fields, and ends the parsing: an IPv4 header
  whose options are cut off has no addresses.  The headers before it keep theirs.
- The upper-layer protocol and the fragment of IPv6 are known when the whole chain of extension
  headers has been walked.
- Of a transport header that is cut short, the fields whose bytes are there are there: both ports
  with four bytes, TCP's flags with fourteen, type and code of ICMP with two.
- Later fragments have no transport header.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

LENGTH_MAX = 65535  # what is longer counts as that long

ETHERNET_BYTES, VLAN_BYTES, IPV4_BYTES, IPV6_BYTES = 14, 4, 20, 40
VLAN_TAGS = (0x8100, 0x88A8)  # IEEE 802.1Q: customer and service tags
VLAN_TAGS_MAX = 2
ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD

HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
EXTENSIONS = (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION)
EXTENSIONS_MAX = 8

ICMP, TCP, UDP, DCCP, ICMPV6, SCTP, UDP_LITE = 1, 6, 17, 33, 58, 132, 136
TRANSPORT_BYTES = {ICMP: 4, TCP: 20, UDP: 8, DCCP: 12, ICMPV6: 4, SCTP: 12, UDP_LITE: 8}
PORTS_BYTES, TYPE_AND_CODE_BYTES, FLAGS_AT = 4, 2, 13


class Address(NamedTuple):
    version: int
    number: int

    def __str__(self) -> str:
        from ipaddress import IPv4Address, IPv6Address  # noqa: PLC0415 - for people only

        of_ipv4 = self.version == 4  # noqa: PLR2004
        return str(IPv4Address(self.number) if of_ipv4 else IPv6Address(self.number))

    def with_port(self, port: int | None) -> str:
        """As RFC 3986 and RFC 5952, 6 write them; without one the address alone."""
        if port is None:
            return str(self)
        return f"{self}:{port}" if self.version == 4 else f"[{self}]:{port}"  # noqa: PLR2004


@dataclass(slots=True)
class Packet:
    """What a rule can ask for; numbers are in the host's order.

    Attributes:
        length: of the frame in bytes as the kernel hands it to XDP: with its Ethernet header and
            without its check sequence; at most 65,535.
        untagged: the frame is known to have no VLAN tag.
        vlan: the identifier of the outer tag.
        ethertype: behind the VLAN tags.
        ttl: IPv4's time to live or IPv6's hop limit.
        malformed: why the packet is, as the statistics name it.
    """

    length: int
    src_mac: int | None = None
    dst_mac: int | None = None
    untagged: bool = False
    vlan: int | None = None
    ethertype: int | None = None
    src: Address | None = None
    dst: Address | None = None
    ttl: int | None = None
    dscp: int | None = None
    proto: int | None = None
    fragment: str | None = None
    sport: int | None = None
    dport: int | None = None
    flags: int | None = None
    icmp: tuple[int, int] | None = None
    malformed: str | None = None


class _Malformed(Exception):
    """Its argument is the reason."""


def parse(frame: bytes) -> Packet:
    """Parse an Ethernet II frame without its check sequence."""
    packet = Packet(min(len(frame), LENGTH_MAX))
    try:
        _ethernet(packet, frame)
    except _Malformed as error:
        packet.malformed = str(error)
    return packet


def _ethernet(packet: Packet, frame: bytes) -> None:
    if len(frame) < ETHERNET_BYTES:
        raise _Malformed("short-ethernet")
    packet.dst_mac = int.from_bytes(frame[0:6], "big")
    packet.src_mac = int.from_bytes(frame[6:12], "big")
    ethertype = int.from_bytes(frame[12:14], "big")
    packet.untagged = ethertype not in VLAN_TAGS
    rest = frame[ETHERNET_BYTES:]
    tags = 0
    while ethertype in VLAN_TAGS:
        if tags == VLAN_TAGS_MAX:
            raise _Malformed("vlan-depth")
        if len(rest) < VLAN_BYTES:
            raise _Malformed("short-vlan")
        if tags == 0:
            packet.vlan = int.from_bytes(rest[0:2], "big") & 0x0FFF
        ethertype = int.from_bytes(rest[2:4], "big")
        rest = rest[VLAN_BYTES:]
        tags += 1
    packet.ethertype = ethertype
    if ethertype == ETHERTYPE_IPV4:
        _ipv4(packet, rest)
    elif ethertype == ETHERTYPE_IPV6:
        _ipv6(packet, rest)


def _ipv4(packet: Packet, header: bytes) -> None:
    """RFC 791, 3.1; the DSCP is RFC 2474's."""
    if len(header) < IPV4_BYTES:
        raise _Malformed("short-ipv4")
    if header[0] >> 4 != 4:  # noqa: PLR2004 - the version
        raise _Malformed("ip-version")
    length = (header[0] & 0x0F) * 4
    if length < IPV4_BYTES:
        raise _Malformed("ipv4-header-length")
    if len(header) < length:
        raise _Malformed("short-ipv4")
    packet.dscp = header[1] >> 2
    packet.ttl = header[8]
    packet.proto = header[9]
    packet.src = Address(4, int.from_bytes(header[12:16], "big"))
    packet.dst = Address(4, int.from_bytes(header[16:20], "big"))
    flags_and_offset = int.from_bytes(header[6:8], "big")
    more, offset = flags_and_offset & 0x2000 != 0, flags_and_offset & 0x1FFF
    packet.fragment = "later" if offset else "first" if more else "no"
    if not offset:
        _transport(packet, header[length:])


def _ipv6(packet: Packet, header: bytes) -> None:
    """RFC 8200, 3 and 4."""
    if len(header) < IPV6_BYTES:
        raise _Malformed("short-ipv6")
    if header[0] >> 4 != 6:  # noqa: PLR2004 - the version
        raise _Malformed("ip-version")
    packet.dscp = (int.from_bytes(header[0:2], "big") >> 4 & 0xFF) >> 2
    packet.ttl = header[7]
    packet.src = Address(6, int.from_bytes(header[8:24], "big"))
    packet.dst = Address(6, int.from_bytes(header[24:40], "big"))

    following, rest = header[6], header[IPV6_BYTES:]
    fragment = "no"
    walked = 0
    while following in EXTENSIONS and fragment != "later":
        if walked == EXTENSIONS_MAX:
            raise _Malformed("extension-depth")
        length = _extension_bytes(following, rest)
        if len(rest) < length:
            raise _Malformed("short-extension")
        if following == FRAGMENT:  # 4.5: 13 bits of offset, two reserved ones, more fragments
            offset_and_more = int.from_bytes(rest[2:4], "big")
            if offset_and_more >> 3:
                fragment = "later"
            elif offset_and_more & 1:
                fragment = "first"
        following, rest = rest[0], rest[length:]
        walked += 1
    packet.proto = following
    packet.fragment = fragment
    if fragment != "later":
        _transport(packet, rest)


def _extension_bytes(kind: int, header: bytes) -> int:
    """As the header says, or at least what it takes to say it."""
    if kind == FRAGMENT:
        return 8
    if len(header) < 2:  # noqa: PLR2004 - next header and length
        return 2
    if kind == AUTHENTICATION:  # RFC 4302, 2.2: in words of four bytes, less two
        return (header[1] + 2) * 4
    return (header[1] + 1) * 8  # in units of eight bytes, less one


def _transport(packet: Packet, header: bytes) -> None:
    """RFC 9293 (TCP), 768 (UDP), 3828 (UDP-Lite), 9260 (SCTP), 4340 (DCCP), 792 and 4443 (ICMP)."""
    if packet.proto not in TRANSPORT_BYTES:
        return
    if packet.proto in (ICMP, ICMPV6):
        if len(header) >= TYPE_AND_CODE_BYTES:
            packet.icmp = header[0], header[1]
    elif len(header) >= PORTS_BYTES:
        packet.sport = int.from_bytes(header[0:2], "big")
        packet.dport = int.from_bytes(header[2:4], "big")
    if packet.proto == TCP and len(header) > FLAGS_AT:
        packet.flags = header[FLAGS_AT]
    if len(header) < TRANSPORT_BYTES[packet.proto]:
        raise _Malformed("short-transport")
