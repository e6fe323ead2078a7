"""Traffic by name: what `xdpctl lab send` can send without a file. Frames are made with scapy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netns_lab import traffic
from netns_lab.generator import FRAME_BYTES_MAX, FRAME_BYTES_MIN
from netns_lab.traffic import Ends

_FLOOD_SOURCE = "198.18.0.0"  # in 198.18.0.0/15, whose two last bytes vary; RFC 2544
_ETHERNET_BYTES_MIN = 60
_SIZES = 48
_PAYLOAD = bytes(range(32, 127))
_QUERIES = ("www.example.com", "mail.example.net", "a.example.org", "ns1.example.com")


def frames_of(profile: str, ends: Ends, mtu: int) -> list[bytes]:
    """The frames of a profile in PROFILES, none longer than `mtu` bytes behind its header."""
    return [bytes(packet) for packet in PROFILES[profile](ends, mtu)]


def _mix(ends: Ends, mtu: int) -> list[Any]:
    return list(traffic.mix(ends).values())


def _udp(ends: Ends, mtu: int) -> list[Any]:
    from scapy.layers.inet import UDP  # noqa: PLC0415 - takes a second to import

    return [_ipv4(ends) / UDP(sport=40000, dport=9) / _PAYLOAD[:18]]


def _synflood(ends: Ends, mtu: int) -> list[Any]:
    from scapy.layers.inet import TCP  # noqa: PLC0415

    options = [("MSS", 1460), ("SAckOK", b""), ("NOP", None), ("WScale", 7)]
    tcp = TCP(sport=40000, dport=80, flags="S", seq=1, window=64240, options=options)
    return [_ipv4(ends, _FLOOD_SOURCE) / tcp]


def _dnsflood(ends: Ends, mtu: int) -> list[Any]:
    from scapy.layers.dns import DNS, DNSQR  # noqa: PLC0415
    from scapy.layers.inet import UDP  # noqa: PLC0415

    return [
        _ipv4(ends, _FLOOD_SOURCE)
        / UDP(sport=40000, dport=53)
        / DNS(rd=1, qd=DNSQR(qname=name, qtype=kind))
        for name in _QUERIES
        for kind in ("A", "AAAA", "MX")
    ]


def _fragments(ends: Ends, mtu: int) -> list[Any]:
    """Of datagrams that never become whole: the first, one in the middle and the last."""
    from scapy.layers.inet import UDP  # noqa: PLC0415
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment  # noqa: PLC0415

    def ipv6(**fields: Any) -> Any:
        ip = IPv6(src=ends.source_ipv6, dst=ends.destination_ipv6)
        return _ethernet(ends) / ip / IPv6ExtHdrFragment(id=7, **fields)

    udp, part = UDP(sport=40000, dport=9) / bytes(64), bytes(72)
    return [
        _ipv4(ends, _FLOOD_SOURCE, flags="MF") / udp,
        _ipv4(ends, _FLOOD_SOURCE, flags="MF", frag=9, proto=17) / part,
        _ipv4(ends, _FLOOD_SOURCE, frag=18, proto=17) / part,
        ipv6(m=1) / udp,
        ipv6(m=1, offset=9, nh=17) / part,
        ipv6(offset=18, nh=17) / part,
    ]


def _sizes(ends: Ends, mtu: int) -> list[Any]:
    """Of UDP: evenly spread, from the shortest that Ethernet has to the longest possible."""
    from scapy.layers.inet import UDP  # noqa: PLC0415

    headers = _ipv4(ends) / UDP(sport=40000, dport=9)
    longest = min(mtu + FRAME_BYTES_MIN, FRAME_BYTES_MAX)
    span = longest - _ETHERNET_BYTES_MIN
    lengths = [_ETHERNET_BYTES_MIN + span * i // (_SIZES - 1) for i in range(_SIZES)]
    return [headers / bytes(max(0, length - len(headers))) for length in lengths]


def _ethernet(ends: Ends) -> Any:
    from scapy.layers.l2 import Ether  # noqa: PLC0415

    return Ether(src=ends.source_mac, dst=ends.destination_mac)


def _ipv4(ends: Ends, source: str | None = None, **fields: Any) -> Any:
    from scapy.layers.inet import IP  # noqa: PLC0415

    return _ethernet(ends) / IP(src=source or ends.source_ipv4, dst=ends.destination_ipv4, **fields)


PROFILES: dict[str, Callable[[Ends, int], list[Any]]] = {
    "mix": _mix,
    "udp": _udp,
    "synflood": _synflood,
    "dnsflood": _dnsflood,
    "fragments": _fragments,
    "sizes": _sizes,
}
