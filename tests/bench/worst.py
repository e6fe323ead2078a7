"""The most expensive ruleset and packet that were found for the classifier."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from xdpctl.rules.model import RULES_MAX

_WORD = 64  # rules

# What the packet has, and what the `number`th rule asks for instead, of each field.
_FIELDS: dict[str, tuple[Any, Callable[[int], Any]]] = {
    "src": (["@here", "192.0.2.1"], lambda number: ["@away", _host(number)]),
    "dst": (["@here", "192.0.2.1"], lambda number: ["@away", _host(number)]),
    "sport": (1, lambda number: 1000 + number),
    "dport": (2, lambda number: 1000 + number),
    "flags": ("0x02/0xff", lambda number: f"{number % 250 + 4:#04x}/0xff"),
    "ttl": (64, lambda number: number % 190 + 65),
    "dscp": (0, lambda number: number % 63 + 1),
    "length": (64, lambda number: 1000 + number),
    "vlan": (1, lambda number: number % 4000 + 2),
    "src_mac": ("02:00:00:00:00:01", lambda number: _mac(6, number)),
    "dst_mac": ("02:00:00:00:00:02", lambda number: _mac(10, number)),
}  # fmt: skip

SETS = {"here": ["192.0.2.1"], "away": ["198.51.100.0/24"]}


def _host(number: int) -> str:
    return f"10.0.{number >> 8}.{number & 255}"


def _mac(first: int, number: int) -> str:
    return (first << 40 | number).to_bytes(6, "big").hex(":")


def worst_rules() -> list[dict[str, Any]]:
    """4,096 rules of eleven fields. Of every 64 (a word of a bit row) eleven are met by the packet
    in all fields but one, in each another one, and the rest in none: all words of all rows have to
    be read, and none can be left out early.
    """
    fields = list(_FIELDS)
    return [_rule(number, fields) for number in range(RULES_MAX)]


def _rule(number: int, fields: list[str]) -> dict[str, Any]:
    place = number % _WORD
    entry: dict[str, Any] = {"action": "drop", "proto": "tcp"}
    for at, (field, (met, other)) in enumerate(_FIELDS.items()):
        entry[field] = met if place < len(fields) and at != place else other(number)
    return entry


def worst_frame() -> bytes:
    """64 bytes: what `_FIELDS` says that the packet has."""
    address = bytes([192, 0, 2, 1])
    tcp = struct.pack("!HHIIBBHHH", 1, 2, 1, 0, 5 << 4, 0x02, 8192, 0, 0)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, address, address)
    macs = bytes.fromhex("020000000002 020000000001")
    return (macs + struct.pack("!HHH", 0x8100, 1, 0x0800) + ip + tcp).ljust(64, b"\0")
