"""An independent reading of a frame, used to judge the BPF data plane.

Written from the standards alone (IEEE 802.1Q, RFC 791, RFC 8200, RFC 4302), never from the data
plane's source: two parsers that share no code are unlikely to share a mistake.  Standard library
only.

The bytes that are there decide.  IPv4 total length and IPv6 payload length are not enforced, for
Ethernet pads short frames; checksums, reserved bits and addresses are not looked at either.
"""

import struct
from dataclasses import dataclass

MALFORMED = "malformed"

VLAN_ETHERTYPES = frozenset({0x8100, 0x88A8})
MAX_VLAN_TAGS = 2

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_IPV6 = 0x86DD
NAMED_ETHERTYPES = {
    0x0806: "arp",
    0x88CC: "lldp",
    0x8847: "mpls",
    0x8848: "mpls",
    0x8863: "pppoe",
    0x8864: "pppoe",
}

HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
EXTENSIONS = frozenset({HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION})
MAX_EXTENSIONS = 8


@dataclass(frozen=True)
class Parsed:
    """What a frame is counted as, and for a malformed frame, why."""

    protocol: str
    reason: str | None = None


def malformed(reason: str) -> Parsed:
    return Parsed(MALFORMED, reason)


def parse(frame: bytes) -> Parsed:
    """Parse an Ethernet II frame (without its frame check sequence)."""
    if len(frame) < 14:
        return malformed("short-ethernet")
    (ethertype,) = struct.unpack_from("!H", frame, 12)
    rest = frame[14:]

    tags = 0
    while ethertype in VLAN_ETHERTYPES:
        if tags == MAX_VLAN_TAGS:
            return malformed("vlan-depth")
        if len(rest) < 4:
            return malformed("short-vlan")
        _tci, ethertype = struct.unpack_from("!HH", rest)
        rest = rest[4:]
        tags += 1

    if ethertype == ETHERTYPE_IPV4:
        return parse_ipv4(rest)
    if ethertype == ETHERTYPE_IPV6:
        return parse_ipv6(rest)
    return Parsed(NAMED_ETHERTYPES.get(ethertype, "other"))


def parse_ipv4(packet: bytes) -> Parsed:
    """RFC 791 section 3.1; a later fragment carries the protocol field as the first one does."""
    if len(packet) < 20:
        return malformed("short-ipv4")
    version, words = packet[0] >> 4, packet[0] & 0x0F
    if version != 4:
        return malformed("ip-version")
    if words < 5:
        return malformed("ipv4-header-length")
    if len(packet) < words * 4:
        return malformed("short-ipv4")
    return Parsed(str(packet[9]))


def parse_ipv6(packet: bytes) -> Parsed:
    """RFC 8200 sections 3 and 4: the fixed header, then the chain of extension headers."""
    if len(packet) < 40:
        return malformed("short-ipv6")
    if packet[0] >> 4 != 6:
        return malformed("ip-version")
    following = packet[6]
    rest = packet[40:]

    walked = 0
    while following in EXTENSIONS:
        if walked == MAX_EXTENSIONS:
            return malformed("extension-depth")
        length = extension_length(following, rest)
        if length is None or len(rest) < length:
            return malformed("short-extension")
        kind, following = following, rest[0]
        if kind == FRAGMENT and fragment_offset(rest) != 0:
            break  # what comes next is the middle of a payload, not a header
        rest = rest[length:]
        walked += 1
    return Parsed(str(following))


def extension_length(kind: int, rest: bytes) -> int | None:
    """How long the extension header at the start of `rest` says it is; None if it cannot say."""
    if kind == FRAGMENT:  # RFC 8200 section 4.5: fixed, its second byte is reserved
        return 8
    if len(rest) < 2:
        return None
    if kind == AUTHENTICATION:  # RFC 4302 section 2.2: 4-byte words, minus 2; so never below 8
        return (rest[1] + 2) * 4
    return (rest[1] + 1) * 8  # RFC 8200 sections 4.3, 4.4, 4.6: 8-byte units, minus 1


def fragment_offset(header: bytes) -> int:
    """The offset of a fragment header, in 8-byte units; the low three bits are not part of it."""
    (field,) = struct.unpack_from("!H", header, 2)
    return int(field) >> 3
