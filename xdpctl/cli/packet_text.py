"""A packet's fields in the words of a rule, and a packet as one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdpctl.protocols import protocol_name
from xdpctl.rules.frame import Address, Packet
from xdpctl.rules.words import ETHERTYPES, ICMP_PROTOCOLS, TCP_FLAGS

if TYPE_CHECKING:
    from xdpctl.datapath.sampling import Sample

_FLAG_NAMES = {bit: name for name, bit in TCP_FLAGS.items() if name != "ecn"}
_ETHERTYPE_NAMES = {first: name for name, (first, _) in reversed([*ETHERTYPES.items()])}


def fields_of(packet: Packet) -> dict[str, Any]:
    """What is known of a packet, by the names that rules have for it."""
    fields: dict[str, Any] = {
        "src_mac": mac_text(packet.src_mac),
        "dst_mac": mac_text(packet.dst_mac),
        "vlan": "none" if packet.untagged else packet.vlan,
        "ethertype": _ethertype(packet.ethertype),
        "src": _text(packet.src),
        "dst": _text(packet.dst),
        "ttl": packet.ttl,
        "dscp": packet.dscp,
        "proto": None if packet.proto is None else protocol_name(packet.proto),
        "fragment": packet.fragment,
        "sport": packet.sport,
        "dport": packet.dport,
        "flags": None if packet.flags is None else flags_text(packet.flags),
        "icmp": _icmp(packet),
        "length": packet.length,
    }
    return {name: value for name, value in fields.items() if value is not None}


def line_of(packet: Packet) -> str:
    """Who sends what to whom, as far as it is known."""
    parts = []
    if packet.vlan is not None:
        parts.append(f"vlan {packet.vlan}")
    if packet.src is not None and packet.dst is not None:
        parts.append(f"{packet.src.with_port(packet.sport)} > {packet.dst.with_port(packet.dport)}")
    else:
        parts.append(f"{mac_text(packet.src_mac) or '?'} > {mac_text(packet.dst_mac) or '?'}")
    if packet.proto is not None:
        parts.append(protocol_name(packet.proto))
    elif packet.ethertype is not None:
        parts.append(_ethertype(packet.ethertype) or "")
    if packet.flags is not None:
        parts.append(flags_text(packet.flags))
    if packet.icmp is not None:
        parts.append(_icmp(packet) or "")
    if packet.fragment not in (None, "no"):
        parts.append(f"{packet.fragment} fragment")
    return " ".join(parts)


def why(sample: Sample) -> str:
    """What decided on a packet; empty where nothing but a bare counter did."""
    if sample.reason == "malformed":
        return f"malformed {sample.malformed}"
    if sample.rule is not None:
        return f"{'limit' if sample.reason == 'limit' else 'rule'} {sample.rule}"
    return sample.reason or ""


def flags_text(flags: int) -> str:
    """As a rule has them; `0` for none."""
    return ",".join(name for bit, name in _FLAG_NAMES.items() if flags & bit) or "0"


def _text(address: Address | None) -> str | None:
    return None if address is None else str(address)


def mac_text(number: int | None) -> str | None:
    return None if number is None else number.to_bytes(6, "big").hex(":")


def _ethertype(number: int | None) -> str | None:
    return None if number is None else _ETHERTYPE_NAMES.get(number, f"0x{number:04x}")


def _icmp(packet: Packet) -> str | None:
    if packet.icmp is None:
        return None
    kind, code = packet.icmp
    names = {value: name for name, value in reversed(_types_of(packet.proto).items())}
    name = names.get(kind, str(kind))
    return f"{name}/{code}" if code else name


def _types_of(protocol: int | None) -> dict[str, int]:
    return ICMP_PROTOCOLS.get(protocol or 0, {})
