"""The same rules in the language of each program, and a packet as bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.bench.policies import PORTS_MAX, TCP, FiveFields, Flow, PortRange
from xdpctl.rules.limits import CELLS_MAX

SET = "listed"
DEVICE = "eth0"
RATE, BURST = 1000, 100
"""Packets a second, and packets at once, of a limit per source."""
EXPIRY_S = 120
"""When iptables forgets a source."""

_PROTOCOLS = {6: "tcp", 17: "udp"}
_FRAME_BYTES_MIN = 64
_IPV4_HEADER = struct.Struct("!BBHHHBBH4s4s")


def xdpctl_file(
    rules: Sequence[FiveFields | dict[str, Any]], *, prefixes: Path | None = None, **keys: Any
) -> str:
    """A rules file; `keys` are those at its top. The rule about the set is the first one."""
    entries = [each if isinstance(each, dict) else _xdpctl_rule(each) for each in rules]
    document: dict[str, Any] = {**keys, "rules": entries}
    if prefixes is not None:
        document["sets"] = {SET: {"file": str(prefixes)}}
        entries.insert(0, {"action": "drop", "src": f"@{SET}"})
    return json.dumps(document)  # which is YAML


def _xdpctl_rule(rule: FiveFields) -> dict[str, Any]:
    entry = {
        "action": "drop",
        "src": str(rule.source),
        "proto": _PROTOCOLS[rule.protocol],
        "dport": _ports(rule.destination_ports, "-"),
    }
    if rule.destination is not None:
        entry["dst"] = str(rule.destination)
    if rule.source_ports is not None:
        entry["sport"] = _ports(rule.source_ports, "-")
    return entry


def xdpctl_limit(sources: int) -> dict[str, Any]:
    """Each source by itself. With four times as many cells or more, four in five have their own."""
    cells = 1 << (4 * sources - 1).bit_length()
    return {
        "action": "limit",
        "rate": f"{RATE}/s",
        "burst": BURST,
        "per": "src",
        "cells": min(cells, CELLS_MAX),
    }


def nft_file(
    rules: Iterable[FiveFields],
    *,
    prefixes: Path | None = None,
    default: str = "accept",
    sources: int = 0,
) -> str:
    """IPv4. A chain at the ingress of the device, the earliest that nft has."""
    lines = ["table netdev bench {"]
    if prefixes is not None:
        elements = ", ".join(prefixes.read_text(encoding="ascii").split())
        lines.append(f"set {SET} {{ type ipv4_addr; flags interval; auto-merge")
        lines.append(f"elements = {{ {elements} }}\n}}")
    if sources:
        size = 2 * sources
        lines.append(f"set sources {{ type ipv4_addr; size {size}; flags dynamic; }}")
    lines.append("chain ingress {")
    lines.append(f"type filter hook ingress device {DEVICE} priority 0; policy {default};")
    if sources:
        limit = f"limit rate over {RATE}/second burst {BURST} packets"
        lines.append(f"add @sources {{ ip saddr {limit} }} counter drop")
    if prefixes is not None:
        lines.append(f"ip saddr @{SET} counter drop")
    lines += [f"{_nft_rule(rule)} counter drop" for rule in rules]
    return "\n".join([*lines, "}\n}\n"])


def _nft_rule(rule: FiveFields) -> str:
    protocol = _PROTOCOLS[rule.protocol]
    parts = [f"ip saddr {rule.source}"]
    if rule.destination is not None:
        parts.append(f"ip daddr {rule.destination}")
    if rule.source_ports is not None:
        parts.append(f"{protocol} sport {_ports(rule.source_ports, '-')}")
    parts.append(f"{protocol} dport {_ports(rule.destination_ports, '-')}")
    return " ".join(parts)


def iptables_file(
    rules: Iterable[FiveFields],
    *,
    with_set: bool = False,
    default: str = "ACCEPT",
    sources: int = 0,
) -> str:
    """IPv4. For `iptables-restore`; the chain is PREROUTING of `raw`, the earliest that it has."""
    lines = ["*raw", f":PREROUTING {default} [0:0]", ":OUTPUT ACCEPT [0:0]"]
    if sources:
        table = f"--hashlimit-htable-size {sources} --hashlimit-htable-max {2 * sources}"
        lines.append(
            "-A PREROUTING -m hashlimit --hashlimit-name sources --hashlimit-mode srcip"
            f" --hashlimit-above {RATE}/second --hashlimit-burst {BURST} {table}"
            f" --hashlimit-htable-expire {EXPIRY_S * 1000} -j DROP"
        )
    if with_set:
        lines.append(f"-A PREROUTING -m set --match-set {SET} src -j DROP")
    lines += [f"-A PREROUTING {_iptables_rule(rule)} -j DROP" for rule in rules]
    return "\n".join([*lines, "COMMIT\n"])


def _iptables_rule(rule: FiveFields) -> str:
    parts = [f"-s {rule.source}"]
    if rule.destination is not None:
        parts.append(f"-d {rule.destination}")
    parts.append(f"-p {_PROTOCOLS[rule.protocol]}")
    if rule.source_ports is not None:
        parts.append(f"--sport {_ports(rule.source_ports, ':')}")
    parts.append(f"--dport {_ports(rule.destination_ports, ':')}")
    return " ".join(parts)


def ipset_file(prefixes: Path, count: int) -> str:
    """For `ipset restore`."""
    lines = [f"create {SET} hash:net maxelem {count}"]
    lines += [f"add {SET} {each}" for each in prefixes.read_text(encoding="ascii").split()]
    return "\n".join([*lines, ""])


def linear_rules(rules: Iterable[FiveFields]) -> bytes:
    """IPv4. As struct five_fields of linear.bpf.c has them, numbers in the host's byte order."""
    packed = bytearray()
    for rule in rules:
        for network in (rule.source, rule.destination):
            address = 0 if network is None else int(network.network_address)
            packed += struct.pack("=II", address, 0 if network is None else int(network.netmask))
        for ports in (rule.source_ports, rule.destination_ports):
            packed += struct.pack("=HH", *(ports or (0, PORTS_MAX)))
        packed += struct.pack("=I", rule.protocol)
    return bytes(packed)


def _ports(ports: PortRange, dash: str) -> str:
    return str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}{dash}{ports[1]}"


def frame_of(flow: Flow, destination_mac: str, source_mac: str) -> bytes:
    """An Ethernet frame of 64 bytes or a little more; the header checksum of IPv4 is sound, the
    others are left out, since nobody here looks at them."""
    macs = bytes.fromhex((destination_mac + source_mac).replace(":", ""))
    ports = struct.pack("!HH", flow.source_port, flow.destination_port)
    if flow.protocol == TCP:
        segment = ports + struct.pack("!IIBBHHH", 1, 0, 5 << 4, 2, 8192, 0, 0)
        room = 0
    else:
        room = _FRAME_BYTES_MIN - 14 - (20 if flow.version == 4 else 40) - 8
        segment = ports + struct.pack("!HH", 8 + room, 0) + bytes(room)
    addresses = [_wire(flow.version, each) for each in (flow.source, flow.destination)]
    if flow.version == 6:
        head = struct.pack("!IHBB", 6 << 28, len(segment), flow.protocol, 64)
        return macs + b"\x86\xdd" + head + b"".join(addresses) + segment
    fields = [0x45, 0, 20 + len(segment), 1, 0, 64, flow.protocol, 0, *addresses]
    fields[7] = _checksum(_IPV4_HEADER.pack(*fields))
    frame = macs + b"\x08\x00" + _IPV4_HEADER.pack(*fields) + segment
    return frame.ljust(_FRAME_BYTES_MIN, b"\0")


def _wire(version: int, address: int) -> bytes:
    return address.to_bytes(4 if version == 4 else 16, "big")


def _checksum(header: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
