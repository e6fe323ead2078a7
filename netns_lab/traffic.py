"""Frames made with scapy: what a network may carry, one of each kind."""

from __future__ import annotations

from typing import Any, NamedTuple

LEFT_MAC, RIGHT_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
LEFT_IPV4, RIGHT_IPV4 = "192.0.2.1", "192.0.2.2"
LEFT_IPV6, RIGHT_IPV6 = "2001:db8::1", "2001:db8::2"

_PAYLOAD = b"the quick brown fox jumps over the lazy dog"


class Ends(NamedTuple):
    """The addresses that frames go from and to."""

    source_mac: str = LEFT_MAC
    destination_mac: str = RIGHT_MAC
    source_ipv4: str = LEFT_IPV4
    destination_ipv4: str = RIGHT_IPV4
    source_ipv6: str = LEFT_IPV6
    destination_ipv6: str = RIGHT_IPV6


ENDS = Ends()


def mix(ends: Ends = ENDS) -> dict[str, bytes]:
    """Frames by description: every kind of packet that a parser of headers has to know, sound ones
    first, and then some that it must not stumble over. All are 14 bytes or longer."""
    from scapy.layers.inet import (  # noqa: PLC0415 - takes a second to import
        ICMP,
        IP,
        TCP,
        UDP,
        IPOption_Router_Alert,
    )
    from scapy.layers.inet6 import (  # noqa: PLC0415
        ICMPv6EchoRequest,
        IPv6,
        IPv6ExtHdrDestOpt,
        IPv6ExtHdrFragment,
        IPv6ExtHdrHopByHop,
        IPv6ExtHdrRouting,
    )
    from scapy.layers.ipsec import AH, ESP  # noqa: PLC0415
    from scapy.layers.l2 import ARP, GRE, Dot1AD, Dot1Q, Ether  # noqa: PLC0415
    from scapy.layers.sctp import SCTP, SCTPChunkInit  # noqa: PLC0415

    def eth(**fields: Any) -> Any:
        return Ether(src=ends.source_mac, dst=ends.destination_mac, **fields)

    def ipv4(**fields: Any) -> Any:
        return IP(src=ends.source_ipv4, dst=ends.destination_ipv4, **fields)

    def ipv6(**fields: Any) -> Any:
        return IPv6(src=ends.source_ipv6, dst=ends.destination_ipv6, **fields)

    tcp, udp = TCP(sport=40000, dport=80), UDP(sport=40000, dport=53)
    tcp4 = bytes(eth() / ipv4() / tcp / _PAYLOAD)
    packets = {
        "TCP": tcp4,
        "TCP over IPv6": eth() / ipv6() / tcp / _PAYLOAD,
        "UDP": eth() / ipv4() / udp / _PAYLOAD,
        "UDP over IPv6": eth() / ipv6() / udp / _PAYLOAD,
        "ICMP": eth() / ipv4() / ICMP() / _PAYLOAD,
        "ICMPv6": eth() / ipv6() / ICMPv6EchoRequest(data=_PAYLOAD),
        "SCTP": eth() / ipv4() / SCTP(sport=40000, dport=2905) / SCTPChunkInit(),
        "UDP-Lite": eth() / ipv4(proto=136) / bytes(udp / _PAYLOAD),
        "DCCP": eth() / ipv4(proto=33) / bytes(12),
        "GRE": eth() / ipv4() / GRE() / ipv4() / udp,
        "ESP": eth() / ipv4() / ESP(spi=1, seq=1, data=_PAYLOAD),
        "AH over IPv6": eth() / ipv6() / AH(nh=6, payloadlen=4, icv=bytes(12)) / bytes(tcp),
        "IPv4 options": eth() / ipv4(options=[IPOption_Router_Alert()], proto=2) / bytes(8),
        "IPv6 extension headers": eth()
        / ipv6()
        / IPv6ExtHdrHopByHop()
        / IPv6ExtHdrRouting(addresses=[ends.destination_ipv6])
        / IPv6ExtHdrDestOpt()
        / udp
        / _PAYLOAD,
        "first fragment": eth() / ipv4(flags="MF", id=7) / udp / bytes(64),
        "later fragment": eth() / ipv4(frag=9, id=7, proto=17) / bytes(64),
        "first IPv6 fragment": eth() / ipv6() / IPv6ExtHdrFragment(m=1, id=7) / udp / bytes(64),
        "later IPv6 fragment": eth() / ipv6() / IPv6ExtHdrFragment(offset=9, nh=17) / bytes(64),
        "VLAN": eth() / Dot1Q(vlan=10) / ipv4() / tcp / _PAYLOAD,
        "double VLAN": eth() / Dot1AD(vlan=100) / Dot1Q(vlan=10) / ipv4() / udp / _PAYLOAD,
        "ARP": eth()
        / ARP(psrc=ends.source_ipv4, pdst=ends.destination_ipv4, hwsrc=ends.source_mac),
        "LLDP": eth(type=0x88CC) / bytes(46),
        "MPLS": eth(type=0x8847) / bytes.fromhex("000641ff") / ipv4() / udp,
        "PPPoE": eth(type=0x8864) / bytes(46),
        "unknown ethertype": eth(type=0x88B5) / bytes(46),
        "truncated IPv4": tcp4[: 14 + 12],
        "three VLAN tags": eth() / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / ipv4() / udp,
        "IPv4 header too short": tcp4[:14] + b"\x44" + tcp4[15:],
    }
    return {description: bytes(packet) for description, packet in packets.items()}
