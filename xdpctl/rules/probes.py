"""Frames that a ruleset is asked about before it runs.

Lengths and checksums are those of no real packet: neither rules nor the reference model look at
them.  Addresses are 4 or 16 bytes, MAC addresses 6, as on the wire.
"""

from __future__ import annotations

import struct

BROADCAST = bytes.fromhex("ffffffffffff")
UNSPECIFIED_IPV6 = bytes(16)
_ALL_NODES = bytes.fromhex("ff02") + bytes(13) + b"\x01"
_ALL_ROUTERS = bytes.fromhex("ff02") + bytes(13) + b"\x02"
_SOLICITED_NODE = bytes.fromhex("ff0200000000000000000001ff")

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
AF21 = 18  # what OpenSSH asks for in interactive sessions (ssh_config(5), IPQoS)

_ARP, _IPV4, _IPV6 = 0x0806, 0x0800, 0x86DD
_TCP, _UDP, _ICMP, _ICMPV6 = 6, 17, 1, 58
_IPV4_BYTES = 4
_SHORTEST_BYTES = 60  # of an Ethernet frame without its check sequence
_HOPS = 64


class Path:
    """The way of packets from a sender to us: MAC addresses and addresses, in this direction."""

    __slots__ = ("_header", "own", "sender", "sender_mac")

    def __init__(self, sender_mac: bytes, own_mac: bytes, sender: bytes, own: bytes) -> None:
        self._header = own_mac + sender_mac
        self.sender_mac, self.sender, self.own = sender_mac, sender, own

    def tcp(self, sport: int, dport: int, flags: int, *, dscp: int = 0) -> bytes:
        """RFC 9293, 3.1."""
        header = struct.pack("!HHIIBBHHH", sport, dport, 1, 1, 5 << 4, flags, 0xFFFF, 0, 0)
        return self._ip(_TCP, header, dscp)

    def udp(self, sport: int, dport: int) -> bytes:
        """RFC 768."""
        return self._ip(_UDP, struct.pack("!HHHH", sport, dport, 8, 0))

    def echo(self, *, reply: bool) -> bytes:
        """RFC 792, RFC 4443 4.1 and 4.2."""
        if len(self.sender) == _IPV4_BYTES:
            return self._ip(_ICMP, bytes([0 if reply else 8]) + bytes(7))
        return self._ip(_ICMPV6, bytes([129 if reply else 128]) + bytes(7))

    def _ip(self, protocol: int, payload: bytes, dscp: int = 0) -> bytes:
        if len(self.sender) == _IPV4_BYTES:  # RFC 791, 3.1
            length = 20 + len(payload)
            fields = (0x45, dscp << 2, length, 1, 0x4000, _HOPS, protocol, 0)
            header = struct.pack("!BBHHHBBH", *fields)
            return (
                self._header + struct.pack("!H", _IPV4) + header + self.sender + self.own + payload
            )
        return self._header + _ipv6(self.sender, self.own, protocol, payload, _HOPS, dscp)


def arp(sender_mac: bytes, own_mac: bytes, sender: bytes, own: bytes) -> tuple[bytes, ...]:
    """A request to all and an answer to us (RFC 826), bare and as Ethernet pads it."""

    def packet(operation: int, target_mac: bytes) -> bytes:
        start = struct.pack("!HHHBBH", _ARP, 1, _IPV4, 6, 4, operation)
        return sender_mac + start + sender_mac + sender + target_mac + own

    request, answer = packet(1, bytes(6)), packet(2, own_mac)
    return BROADCAST + request, (own_mac + answer).ljust(_SHORTEST_BYTES, b"\0")


def neighbour_discovery(
    sender_mac: bytes, own_mac: bytes, sender: bytes, own: bytes
) -> tuple[bytes, ...]:
    """Solicitations and advertisements of neighbours and routers (RFC 4861, 4.1 to 4.4), and the
    solicitation without a source that looks for duplicates (RFC 4862, 5.4.2)."""
    hops = 255  # RFC 4861, 3.1
    source_option, target_option = b"\x01\x01" + sender_mac, b"\x02\x01" + sender_mac

    def message(kind: int, source: bytes, target: bytes, body: bytes) -> bytes:
        multicast = target[0] == 0xFF  # noqa: PLR2004 - RFC 2464, 7: its MAC address
        mac = b"\x33\x33" + target[-4:] if multicast else own_mac
        packet = _ipv6(source, target, _ICMPV6, struct.pack("!BBH", kind, 0, 0) + body, hops)
        return mac + sender_mac + packet

    own_group, flags = _SOLICITED_NODE + own[-3:], bytes.fromhex("60000000")
    return (
        message(135, sender, own_group, bytes(4) + own + source_option),
        message(135, sender, own, bytes(4) + own + source_option),
        message(135, UNSPECIFIED_IPV6, own_group, bytes(4) + own),
        message(136, sender, own, flags + sender + target_option),
        message(136, sender, _ALL_NODES, flags + sender + target_option),
        message(134, sender, _ALL_NODES, struct.pack("!BBHII", 64, 0, 1800, 0, 0) + source_option),
        message(133, sender, _ALL_ROUTERS, bytes(4) + source_option),
        message(133, UNSPECIFIED_IPV6, _ALL_ROUTERS, bytes(4)),
    )


def _ipv6(
    source: bytes, target: bytes, protocol: int, payload: bytes, hops: int, dscp: int = 0
) -> bytes:
    """Ethertype, header (RFC 8200, 3) and payload."""
    start = struct.pack("!HIHBB", _IPV6, 6 << 28 | dscp << 22, len(payload), protocol, hops)
    return start + source + target + payload
