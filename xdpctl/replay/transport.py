"""Headers of the transport protocols, with correct checksums: the first that a host would send."""

from __future__ import annotations

import struct

from xdpctl.rules.frame import DCCP, ICMP, ICMPV6, SCTP, TCP, UDP, UDP_LITE

_SPORT = 40000
_DPORTS = {TCP: 80, UDP: 53}
_OTHER_DPORT = 5000
_SYN = 0x02
_ECHO_REQUEST = {ICMP: (8, 0), ICMPV6: (128, 0)}
_WINDOW = 65535
_CRC32C_POLYNOMIAL = 0x82F63B78  # Castagnoli's, reflected
_HEADER_BYTES = {TCP: 20, UDP: 8, UDP_LITE: 8, SCTP: 32, DCCP: 20, ICMP: 8, ICMPV6: 8}


def header_bytes(protocol: int) -> int:
    """Of what `segment` makes without data; 0 of protocols that it has no header of."""
    return _HEADER_BYTES.get(protocol, 0)


def segment(
    protocol: int,
    pseudo_header: bytes,
    *,
    sport: int | None,
    dport: int | None,
    flags: int | None,
    kind: tuple[int, int] | None,
    data: bytes,
) -> bytes:
    """A header and data behind it; the data alone of protocols that have no ports and no types.

    Args:
        pseudo_header: of RFC 9293, 3.1 or RFC 8200, 8.1, without the length.
        kind: type and code of ICMP.
    """
    if protocol in (ICMP, ICMPV6):
        return _icmp(protocol, pseudo_header, kind or _ECHO_REQUEST[protocol], data)
    if protocol not in _HEADER_BYTES:
        return data
    ports = struct.pack(
        "!HH",
        _SPORT if sport is None else sport,
        _DPORTS.get(protocol, _OTHER_DPORT) if dport is None else dport,
    )
    if protocol == TCP:
        return _tcp(pseudo_header, ports, _SYN if flags is None else flags, data)
    if protocol == SCTP:
        return _sctp(ports, data)
    if protocol == DCCP:
        return _dccp(pseudo_header, ports, data)
    return _udp(pseudo_header, ports, data)


def checksum(data: bytes) -> int:
    """The Internet's (RFC 1071)."""
    words = struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2))
    total: int = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _summed(pseudo_header: bytes, header: bytes, at: int, data: bytes) -> bytes:
    """Header and data with the checksum of both at a place of the header, where 0 is before."""
    whole = header + data
    # The length has 16 bits of IPv4 and 32 of IPv6: the sum is the same.
    total = checksum(pseudo_header + struct.pack("!I", len(whole)) + whole)
    return whole[:at] + struct.pack("!H", total) + whole[at + 2 :]


def _tcp(pseudo_header: bytes, ports: bytes, flags: int, data: bytes) -> bytes:
    """RFC 9293, 3.1."""
    header = ports + struct.pack("!IIBBHHH", 1, 0, 5 << 4, flags, _WINDOW, 0, 0)
    return _summed(pseudo_header, header, 16, data)


def _udp(pseudo_header: bytes, ports: bytes, data: bytes) -> bytes:
    """RFC 768, and RFC 3828 with everything covered: its sum has the length of the packet."""
    made = _summed(pseudo_header, ports + struct.pack("!HH", 8 + len(data), 0), 6, data)
    # 0 would say that there is no checksum.
    return made if made[6:8] != b"\0\0" else made[:6] + b"\xff\xff" + made[8:]


def _icmp(protocol: int, pseudo_header: bytes, kind: tuple[int, int], data: bytes) -> bytes:
    """RFC 792, without a pseudo header, and RFC 4443."""
    header = struct.pack("!BBHHH", *kind, 0, 1, 1)
    if protocol == ICMPV6:
        return _summed(pseudo_header, header, 2, data)
    total = checksum(header + data)
    return header[:2] + struct.pack("!H", total) + header[4:] + data


def _sctp(ports: bytes, data: bytes) -> bytes:
    """RFC 9260, 3.1 and 3.3.2: an INIT, which has no verification tag."""
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20, 1, _WINDOW, 1, 1, 1)
    total = _crc32c(ports + bytes(8) + chunk + data)
    return ports + bytes(4) + struct.pack("<I", total) + chunk + data


def _crc32c(data: bytes) -> int:
    """RFC 9260, appendix A."""
    crc = 0xFFFFFFFF
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (_CRC32C_POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _dccp(pseudo_header: bytes, ports: bytes, data: bytes) -> bytes:
    """RFC 4340, 5.1: a request, with a sequence number of 48 bits."""
    kind_and_extended = 0 << 1 | 1
    header = ports + struct.pack("!BBHBBHII", 5, 0, 0, kind_and_extended, 0, 0, 1, 0)
    return _summed(pseudo_header, header, 6, data)
