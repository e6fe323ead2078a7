"""Frames built from fields: sound by scapy's dissection, with what was asked for."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.packet import Packet

from xdpctl.replay.build import NoSuchPacket, condition_of, frame_of, frame_of_hex

_SUMS = ("chksum", "cksum")


def built(**fields: Any) -> bytes:
    return frame_of({name: condition_of(name, value) for name, value in fields.items()})


def dissected(**fields: Any) -> Packet:
    return Ether(built(**fields))


def sums(packet: Packet) -> list[int]:
    """The checksums of all layers as they are."""
    found = []
    while packet:
        found += [packet.fields[name] for name in _SUMS if name in packet.fields]
        packet = packet.payload
    return found


def computed(packet: Packet) -> list[int]:
    """The checksums and lengths of all layers as scapy computes them."""
    bare = packet.copy()
    layer = bare
    while layer:
        for name in (*_SUMS, "len", "plen"):
            layer.fields.pop(name, None)
        layer = layer.payload
    return sums(Ether(bytes(bare)))


def test_nothing_said_is_a_new_connection_between_documentation_addresses() -> None:
    packet = dissected()
    assert (packet.src, packet.dst) == ("02:00:00:00:00:01", "02:00:00:00:00:02")
    assert (packet[IP].src, packet[IP].dst, packet[IP].ttl) == ("192.0.2.1", "198.51.100.1", 64)
    assert (packet[TCP].sport, packet[TCP].dport, packet[TCP].flags) == (40000, 80, "S")
    assert (len(bytes(packet)), packet[IP].len) == (60, 40)


def test_all_fields_of_a_tagged_ipv6_packet_are_there() -> None:
    packet = dissected(
        src="2001:db8:1::7", proto="tcp", sport=7, dport=443, flags="syn,ack", ttl=3, dscp="ef",
        vlan=10, src_mac="02:00:00:00:00:aa", dst_mac="ff:ff:ff:ff:ff:ff", length=200,
    )  # fmt: skip
    assert (packet.src, packet.dst, len(bytes(packet))) == (
        "02:00:00:00:00:aa", "ff:ff:ff:ff:ff:ff", 200,
    )  # fmt: skip
    assert packet[Dot1Q].vlan == 10
    ipv6 = packet[IPv6]
    assert (ipv6.src, ipv6.dst, ipv6.hlim) == ("2001:db8:1::7", "2001:db8::2", 3)
    assert (ipv6.tc >> 2, ipv6.plen) == (46, 200 - 18 - 40)  # RFC 3246: ef is 46
    assert (packet[TCP].sport, packet[TCP].dport, packet[TCP].flags) == (7, 443, "SA")
    assert sums(packet) == computed(packet)


@pytest.mark.parametrize("source", ["192.0.2.9", "2001:db8::9"])
@pytest.mark.parametrize("length", [100, 101, 65535])
@pytest.mark.parametrize("fields", [{"proto": "tcp"}, {"proto": "udp"}, {"icmp": "echo-request"}])
def test_checksums_are_those_that_scapy_computes(
    source: str, length: int, fields: dict[str, str]
) -> None:
    packet = dissected(src=source, length=length, **fields)
    found = sums(packet)
    assert found == computed(packet)
    assert len(found) == (2 if source == "192.0.2.9" else 1)  # IPv6 has none of its own


def test_sctp_checksum_is_that_of_scapy() -> None:
    packet = dissected(proto="sctp", dport=9899)
    whole = bytes(packet[SCTP])[:32]
    assert packet[SCTP].dport == 9899
    assert packet.haslayer(SCTPChunkInit)
    again = SCTP(whole)
    del again.chksum
    assert bytes(again) == whole


@pytest.mark.parametrize("protocol", [33, 136])
def test_sums_of_dccp_and_udplite_come_out_even(protocol: int) -> None:
    """RFC 1071: with the checksum in it, the sum is all ones."""
    packet = dissected(proto=protocol, sport=5, dport=6)
    size = packet[IP].len - 20
    segment = bytes(packet[IP].payload)[:size]
    pseudo = bytes.fromhex("c0000201 c6336401 00") + bytes([protocol]) + size.to_bytes(2, "big")
    words = pseudo + segment
    total = sum(int.from_bytes(words[i : i + 2], "big") for i in range(0, len(words), 2))
    assert total % 0xFFFF == 0
    assert segment[:4] == bytes.fromhex("00050006")


def test_first_and_later_fragments() -> None:
    first, later = dissected(fragment="first", proto="udp"), dissected(fragment="later")
    assert (first[IP].flags, first[IP].frag, first[UDP].dport) == ("MF", 0, 53)
    assert (later[IP].flags, later[IP].frag, later[IP].len) == (0, 185, 28)  # 1,480 / 8
    assert dissected(fragment="first")[IP].len % 8 == 20 % 8  # RFC 791: of eight bytes but the last
    ipv6 = dissected(fragment="later", dst="2001:db8::5")[IPv6ExtHdrFragment]
    assert (ipv6.offset, ipv6.m, ipv6.nh) == (185, 0, 6)
    assert dissected(fragment="first", dst="::5")[IPv6ExtHdrFragment].m == 1


def test_what_is_said_chooses_protocol_and_family() -> None:
    assert dissected(icmp="echo-request")[ICMP].type == 8
    assert dissected(proto="ipv6-icmp").haslayer(ICMPv6EchoRequest)
    assert dissected(icmp="packet-too-big")[IPv6].nh == 58
    assert (dissected(icmp="3/4")[ICMP].type, dissected(icmp="3/4")[ICMP].code) == (3, 4)
    assert dissected(ethertype="arp").type == 0x0806
    assert dissected(ethertype="ipv6")[IPv6].src == "2001:db8::1"
    assert dissected(flags="0")[TCP].flags == 0
    assert dissected(flags="syn/syn,ack")[TCP].flags == "S"


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({"src": "192.0.2.0/24"}, "src", '"192.0.2.0/24" is of many packets: one value is wanted'),
        ({"src": "@office"}, "src", '"@office" is a set: one value is wanted'),
        ({"dport": ["22", "23"]}, "dport", "a list is many packets: one value is wanted"),
        ({"dport": {"not": "22"}}, "dport", "a negation is many packets: one value is wanted"),
        ({"dport": "22-23"}, "dport", '"22-23" is of many packets: one value is wanted'),
        ({"icmp": "*"}, "icmp", '"*" is of many packets: one value is wanted'),
        ({"icmp": "3/0-1"}, "icmp", '"3/0-1" is of many packets: one value is wanted'),
        ({"dport": 65536}, "dport", '"65536" is outside 0-65535'),
        ({"src": "1.2.3"}, "src", '"1.2.3" is not an IPv4 or IPv6 address'),
        (
            {"src": "192.0.2.1", "dst": "2001:db8::1"},
            "dst",
            "no packet has it together with src: one is IPv4, the other IPv6",
        ),
        ({"proto": "icmp", "dport": 1}, "dport", "no packet has it together with proto: "),
        ({"ethertype": "arp", "ttl": 1}, "ttl", "no packet has it together with ethertype: "),
        ({"fragment": "later", "sport": 1}, "sport", "no packet has it: a later fragment has no"),
        ({"ethertype": "0x8100"}, "ethertype", "no packet has it: it is the ethertype behind"),
        ({"length": 53}, "length", "53 is less than the 54 bytes of its headers"),
        ({"length": 13, "ethertype": 1}, "length", 'no packet has "13" and the others'),
        ({"proto": 60, "src": "::1"}, "proto", 'no packet has "60" and the others'),
    ],
)
def test_what_is_no_packet_is_refused_in_a_line(
    fields: dict[str, Any], field: str, text: str
) -> None:
    with pytest.raises(NoSuchPacket) as refused:
        built(**fields)
    assert refused.value.field == field
    assert str(refused.value).startswith(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("spelling", ["{}", "0x{}", "{} ", "in pairs", "with colons", "in fours"])
def test_hexadecimal_in_its_usual_spellings(spelling: str) -> None:
    octets = bytes(range(14, 74))
    text = {
        "in pairs": "0x" + octets.hex(" ").replace(" ", ", 0x").replace(",", ""),
        "with colons": octets.hex(":").upper(),
        "in fours": octets.hex(" ", 2) + "\n",  # tcpdump -xx
    }.get(spelling) or spelling.format(octets.hex())
    assert frame_of_hex(text) == octets


_ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)


@settings(max_examples=30, deadline=None)
@given(
    source=_ADDRESSES,
    protocol=st.sampled_from(["tcp", "udp", "sctp", "dccp", "udplite"]),
    ports=st.tuples(st.integers(0, 65535), st.integers(0, 65535)),
    more=st.fixed_dictionaries(
        {}, optional={"ttl": st.integers(0, 255), "vlan": st.integers(0, 4095)}
    ),
)
def test_whatever_is_asked_for_is_there(
    source: str, protocol: str, ports: tuple[int, int], more: dict[str, int]
) -> None:
    frame = built(src=source, proto=protocol, sport=ports[0], dport=ports[1], **more)
    at = 14 + (4 if "vlan" in more else 0)
    if ip_address(source).version == 4:
        assert ip_address(frame[at + 12 : at + 16]) == ip_address(source)
        header, hops = at + 20, frame[at + 8]
    else:
        assert ip_address(frame[at + 8 : at + 24]) == ip_address(source)
        header, hops = at + 40, frame[at + 7]
    assert hops == more.get("ttl", 64)
    assert frame[header : header + 4] == b"".join(port.to_bytes(2, "big") for port in ports)
