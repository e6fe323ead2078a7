"""What can vary in a frame so that many of them are many flows, all with sound checksums."""

from __future__ import annotations

from typing import NamedTuple

from netns_lab.headers import Headers, headers_of

_ICMP, _TCP, _UDP, _ICMPV6 = 1, 6, 17, 58
_DNS_PORT = 53
_CHECKSUM_AT = {_TCP: 16, _UDP: 6, _ICMP: 2, _ICMPV6: 2}  # from the upper header's beginning
_ECHOES = {_ICMP: (8, 0), _ICMPV6: (128, 129)}
_BENCHMARK = (bytes([198, 18]), bytes([198, 19]))  # 198.18.0.0/15, RFC 2544, appendix C.2.2
_ALL, _LOW_BYTE, _PORT = 0xFFFF, 0x00FF, 0x3FFF


class Edit(NamedTuple):
    """Bits of the 16-bit word at `offset` that vary; offsets of the checksums over it, or 0."""

    offset: int
    mask: int
    header_checksum: int
    upper_checksum: int


def edits_of(frame: bytes) -> tuple[Edit, ...]:
    """The low bits of the source address, and the source port, the echo's identifier or that of
    fragments, and a DNS query's; at most three. None for what is not IP or is malformed.

    Of an IPv4 source address only the last byte varies, so that it remains in its /24, except in
    198.18.0.0/15, which is for such tests: there two do. It becomes neither all zeros nor all ones:
    an answer to a network's broadcast address comes back to the one who sends it.
    """
    headers = headers_of(frame)
    upper_checksum = _upper_checksum(frame, headers)
    edits = [_source(frame, headers, upper_checksum)]
    if headers.ipv4 is not None and headers.fragment:
        edits.append(Edit(headers.ipv4 + 4, _ALL, headers.ipv4 + 10, 0))
    elif headers.upper is not None and upper_checksum:
        edits.append(_flow(frame, headers.protocol, headers.upper, upper_checksum))
        edits.append(_query(frame, headers.protocol, headers.upper, upper_checksum))
    return tuple(edit for edit in edits if edit is not None)


def _source(frame: bytes, headers: Headers, upper_checksum: int) -> Edit | None:
    if headers.ipv4 is not None:
        source = headers.ipv4 + 12
        benchmark = frame[source : source + 2] in _BENCHMARK
        mask = _ALL if benchmark else _host_bits(frame[source + 3])
        pseudo = upper_checksum if headers.protocol != _ICMP else 0  # RFC 792 has no pseudo-header
        return Edit(source + 2, mask, headers.ipv4 + 10, pseudo)
    if headers.ipv6 is not None:
        if headers.upper is not None and headers.protocol in _CHECKSUM_AT and not upper_checksum:
            return None  # over IPv6 a checksum is not optional, and this one cannot be kept
        return Edit(headers.ipv6 + 22, _ALL, 0, upper_checksum)
    return None


def _host_bits(byte: int) -> int:
    """All but the lowest bit of the byte that is set and the lowest that is not."""
    return _LOW_BYTE & ~(byte & -byte) & ~(~byte & (byte + 1))


def _flow(frame: bytes, protocol: int | str, upper: int, checksum: int) -> Edit | None:
    if protocol in (_TCP, _UDP):
        return Edit(upper, _PORT, 0, checksum)
    echoes = _ECHOES.get(protocol, ()) if isinstance(protocol, int) else ()
    if frame[upper] in echoes and len(frame) >= upper + 6:
        return Edit(upper + 4, _ALL, 0, checksum)
    return None


def _query(frame: bytes, protocol: int | str, upper: int, checksum: int) -> Edit | None:
    port = int.from_bytes(frame[upper + 2 : upper + 4])
    if protocol == _UDP and port == _DNS_PORT and len(frame) >= upper + 10:
        return Edit(upper + 8, _ALL, 0, checksum)
    return None


def _upper_checksum(frame: bytes, headers: Headers) -> int:
    """Its offset, or 0 where there is none to keep: UDP may go without."""
    at = _CHECKSUM_AT.get(headers.protocol) if isinstance(headers.protocol, int) else None
    if headers.upper is None or at is None:
        return 0
    offset = headers.upper + at
    return offset if any(frame[offset : offset + 2]) and offset + 2 <= len(frame) else 0
