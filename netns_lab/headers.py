"""Where the headers of a frame are, and what it carries: enough to edit it and to name it."""

from __future__ import annotations

import struct
from typing import NamedTuple

_ETHERNET_BYTES = 14
_VLAN_ETHERTYPES = (0x8100, 0x88A8)
_VLAN_TAGS_MAX = 2
_IPV4, _IPV6 = 0x0800, 0x86DD
_VERSION_4, _VERSION_6 = 4, 6
_IPV4_BYTES, _IPV6_BYTES = 20, 40
_NAMES = {0x0806: "arp", 0x88CC: "lldp", 0x8847: "mpls", 0x8848: "mpls"}
_NAMES |= {0x8863: "pppoe", 0x8864: "pppoe"}

HOP_BY_HOP, ROUTING, FRAGMENT, AH, DESTINATION = 0, 43, 44, 51, 60
_EXTENSIONS = (HOP_BY_HOP, ROUTING, FRAGMENT, AH, DESTINATION)
_EXTENSIONS_MAX = 8
_EXTENSION_BYTES_MIN = 8
_OFFSET_MASK = 0x1FFF  # RFC 791, 3.1; in units of 8 bytes
_MORE_FRAGMENTS = 0x2000
_IPV6_OFFSET_MASK = 0xFFF8  # RFC 8200, 4.5


class Headers(NamedTuple):
    """What a frame has; offsets are in bytes from its destination MAC address.

    Attributes:
        protocol: the IP protocol behind VLAN tags and IPv6 extension headers by IANA's number, or
            `arp`, `lldp`, `mpls`, `pppoe`, `other`, `malformed`.
        ipv4, ipv6: the offset of the outermost IP header; None where it is not of that version.
        upper: the offset of what IP carries; None where it does not begin in this frame.
        fragment: whether it is a part of a datagram, the first or a later one.
    """

    protocol: int | str
    ipv4: int | None = None
    ipv6: int | None = None
    upper: int | None = None
    fragment: bool = False


MALFORMED = Headers("malformed")


def headers_of(frame: bytes) -> Headers:
    """Walks over Ethernet, up to two VLAN tags, IPv4 or IPv6 and up to eight extension headers."""
    try:
        offset, ethertype = _ETHERNET_BYTES, _u16(frame, _ETHERNET_BYTES - 2)
        for _ in range(_VLAN_TAGS_MAX):
            if ethertype in _VLAN_ETHERTYPES:
                offset, ethertype = offset + 4, _u16(frame, offset + 2)
        if ethertype in _VLAN_ETHERTYPES:
            return MALFORMED
        if ethertype == _IPV4:
            return _ipv4(frame, offset)
        if ethertype == _IPV6:
            return _ipv6(frame, offset)
    except struct.error:  # it ends inside a header
        return MALFORMED
    return Headers(_NAMES.get(ethertype, "other"))


def _ipv4(frame: bytes, offset: int) -> Headers:
    length = (frame[offset] & 0x0F) * 4 if offset < len(frame) else 0
    _need(frame, offset, max(length, _IPV4_BYTES))
    if frame[offset] >> 4 != _VERSION_4 or length < _IPV4_BYTES:
        return MALFORMED
    part = _u16(frame, offset + 6) & (_MORE_FRAGMENTS | _OFFSET_MASK)
    upper = None if part & _OFFSET_MASK else offset + length
    return Headers(frame[offset + 9], ipv4=offset, upper=upper, fragment=bool(part))


def _ipv6(frame: bytes, start: int) -> Headers:
    _need(frame, start, _IPV6_BYTES)
    if frame[start] >> 4 != _VERSION_6:
        return MALFORMED
    following, offset, fragment = frame[start + 6], start + _IPV6_BYTES, False
    for _ in range(_EXTENSIONS_MAX):
        if following not in _EXTENSIONS:
            break
        _need(frame, offset, _EXTENSION_BYTES_MIN)
        length = _extension_length(following, frame[offset + 1])
        _need(frame, offset, length)
        if following == FRAGMENT:
            fragment = True
            if _u16(frame, offset + 2) & _IPV6_OFFSET_MASK:
                return Headers(frame[offset], ipv6=start, fragment=True)
        following, offset = frame[offset], offset + length
    if following in _EXTENSIONS:
        return MALFORMED
    return Headers(following, ipv6=start, upper=offset, fragment=fragment)


def _extension_length(kind: int, length: int) -> int:
    if kind == FRAGMENT:
        return _EXTENSION_BYTES_MIN
    return (length + 2) * 4 if kind == AH else (length + 1) * 8  # RFC 4302, 2.2; RFC 8200, 4.2


def _u16(frame: bytes, offset: int) -> int:
    number: int = struct.unpack_from("!H", frame, offset)[0]
    return number


def _need(frame: bytes, offset: int, size: int) -> None:
    """Raises struct.error, as reading past the end does."""
    if offset + size > len(frame):
        raise struct.error("the frame ends inside a header")
