"""A frame that has given fields: a plain, sound one, as a host would send it.

What is not said is that of a new TCP connection between addresses for documentation (RFC 5737, RFC
3849): from 192.0.2.1, port 40000, to 198.51.100.1, port 80, or from 2001:db8::1 to 2001:db8::2
where something else about it is IPv6's. Flags, a type of ICMP and an ethertype choose the protocol
that has them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from xdpctl.replay import transport
from xdpctl.replay.driver import LENGTH_MAX, LENGTH_MIN
from xdpctl.rules import frame
from xdpctl.rules.checks import impossible
from xdpctl.rules.fields import FIELDS
from xdpctl.rules.frame import ETHERTYPE_IPV4, ETHERTYPE_IPV6, Address
from xdpctl.rules.model import Addresses, Condition, Flags, Fragments, Icmp, Macs, Numbers
from xdpctl.rules.reference import holds
from xdpctl.rules.values import IPV4, IPV6, BadValue, parse_host, quoted

_SOURCE = {IPV4: parse_host("192.0.2.1"), IPV6: parse_host("2001:db8::1")}
_DESTINATION = {IPV4: parse_host("198.51.100.1"), IPV6: parse_host("2001:db8::2")}
_MACS = {"src_mac": 0x020000000001, "dst_mac": 0x020000000002}
_TTL = 64
_VLAN_TAG = 0x8100
_FRAME_BYTES_MIN = 60
"""IEEE 802.3: 64 with the check sequence; shorter ones are padded."""

_LATER_OFFSET = 1480
"""In bytes, of a later fragment: what a packet of 1,500 bytes holds, in units of eight."""
_MORE_FRAGMENTS, _FRAGMENT_UNIT = 0x2000, 8
_IP_ID = 1
_NOT_DIGITS = re.compile(r"0x|[\s:]", re.IGNORECASE)


class NoSuchPacket(BadValue):
    """Attributes: field: the one to blame."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def condition_of(field: str, written: Any) -> Condition:
    """The condition that only one value of a field satisfies, as a rule's is written; of flags
    `syn,ack` is exactly those.

    Args:
        written: a text or number; a list, {"not": ...} and ranges are several packets.

    Raises NoSuchPacket.
    """
    if isinstance(written, list | dict):
        what = "a list" if isinstance(written, list) else "a negation"
        raise NoSuchPacket(field, f"{what} is many packets: one value is wanted")
    text = str(written)
    if field == "flags" and "/" not in text:
        text = f"{text}/0xff"
    try:
        condition = FIELDS[field].condition([text])
        _one_value(field, condition)
    except BadValue as error:
        raise NoSuchPacket(field, str(error)) from None
    return condition


def _one_value(field: str, condition: Condition) -> Any:
    """What a packet has that satisfies it; None of `vlan: none`. Raises BadValue."""
    match condition:
        case Numbers(untagged=True):
            return None
        case Numbers(ranges=((low, high),)) if low == high or _is_keyword(field, condition):
            return low
        case Addresses(ipv4=((low, high),)) if low == high:
            return Address(IPV4, low)
        case Addresses(ipv6=((low, high),)) if low == high:
            return Address(IPV6, low)
        case Icmp(messages=messages) if _is_one_message(condition):
            return {protocol: (kinds[0], codes[0]) for protocol, kinds, codes in messages}
        case Flags(pairs=((value, _),)):
            return value
        case Macs(addresses=(number,)):
            return number
        case Fragments(kinds=kinds):
            return str(*kinds)
    text = condition.spelling[0]
    what = "a set" if text.startswith("@") else "of many packets"
    raise BadValue(f"{quoted(text)} is {what}: one value is wanted")


def _is_keyword(field: str, condition: Condition) -> bool:
    """Such as mpls, which has two ethertypes."""
    return condition.spelling[0].lower() in FIELDS[field].keywords


def _is_one_message(condition: Icmp) -> bool:
    """Of each protocol that has it; the code is 0 unless it is said."""
    any_code = "/" not in condition.spelling[0]
    return all(
        low == high and (any_code or codes[0] == codes[1])
        for _, (low, high), codes in condition.messages
    )


class _Network(NamedTuple):
    """The IP layer. Addresses as (version, number); `fragment` as a rule has it."""

    source: tuple[int, int]
    destination: tuple[int, int]
    protocol: int
    ttl: int
    dscp: int
    fragment: str


def frame_of(conditions: Mapping[str, Condition]) -> bytes:
    """An Ethernet frame, without its check sequence, of 60 bytes at least unless a length is given.

    Args:
        conditions: of `condition_of`, by field.

    Raises NoSuchPacket: no packet has all of them.
    """
    for field, text in impossible(conditions):
        raise NoSuchPacket(field, text.replace("never matches", "no packet has it"))
    values = {name: _one_value(name, each) for name, each in conditions.items()}
    macs = _MACS | {name: values[name] for name in _MACS if name in values}
    head = macs["dst_mac"].to_bytes(6, "big") + macs["src_mac"].to_bytes(6, "big")
    if (vlan := values.get("vlan")) is not None:
        head += struct.pack("!HH", _VLAN_TAG, vlan)
    ethertype = _ethertype(values)
    head += struct.pack("!H", ethertype)
    if ethertype in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
        made = _with_ip(head, values, IPV4 if ethertype == ETHERTYPE_IPV4 else IPV6)
    else:
        made = head.ljust(values.get("length", _FRAME_BYTES_MIN), b"\0")
    _check(made, conditions)
    return made


def _ethertype(values: Mapping[str, Any]) -> int:
    if (ethertype := values.get("ethertype")) is not None:
        return int(ethertype)
    addresses = [values[name] for name in ("src", "dst") if name in values]
    if addresses:
        return ETHERTYPE_IPV6 if addresses[0].version == IPV6 else ETHERTYPE_IPV4
    is_ipv6 = values.get("proto") == frame.ICMPV6
    if "icmp" in values and "proto" not in values:
        is_ipv6 = frame.ICMP not in values["icmp"]
    return ETHERTYPE_IPV6 if is_ipv6 else ETHERTYPE_IPV4


def _protocol(values: Mapping[str, Any], version: int) -> int:
    if (protocol := values.get("proto")) is not None:
        return int(protocol)
    if "icmp" in values:
        usual = frame.ICMPV6 if version == IPV6 else frame.ICMP
        return usual if usual in values["icmp"] else int(*values["icmp"])
    return frame.TCP


def _with_ip(head: bytes, values: Mapping[str, Any], version: int) -> bytes:
    network = _Network(
        values.get("src", _SOURCE[version]),
        values.get("dst", _DESTINATION[version]),
        _protocol(values, version),
        values.get("ttl", _TTL),
        values.get("dscp", 0),
        values.get("fragment", "no"),
    )
    fixed = len(_ip(network, b""))
    payload = _payload(network, values, 0)
    wanted = values.get("length")
    if wanted is None:
        return (head + _ip(network, payload)).ljust(_FRAME_BYTES_MIN, b"\0")
    room = wanted - len(head) - fixed - len(payload)
    if room < 0:
        text = f"{wanted} is less than the {len(head) + fixed + len(payload)} bytes of its headers"
        raise NoSuchPacket("length", text)
    return head + _ip(network, _payload(network, values, room))


def _payload(network: _Network, values: Mapping[str, Any], room: int) -> bytes:
    """What is in the IP packet, with so many bytes behind the headers."""
    if network.fragment == "later":
        return bytes(room if "length" in values else _FRAGMENT_UNIT)
    if network.fragment == "first" and "length" not in values:
        room = -transport.header_bytes(network.protocol) % _FRAGMENT_UNIT
    kinds = values.get("icmp", {}).get(network.protocol)
    return transport.segment(
        network.protocol,
        _pseudo_header(network),
        sport=values.get("sport"),
        dport=values.get("dport"),
        flags=values.get("flags"),
        kind=kinds,
        data=bytes(room),
    )


def _pseudo_header(network: _Network) -> bytes:
    """What the transport's checksum covers besides it, but for its length (RFC 9293, 3.1; RFC 8200,
    8.1: the same sum)."""
    size = 4 if network.source[0] == IPV4 else 16
    addresses = (number.to_bytes(size, "big") for _, number in network[:2])
    return b"".join(addresses) + struct.pack("!H", network.protocol)


def _ip(network: _Network, payload: bytes) -> bytes:
    return (_ipv4 if network.source[0] == IPV4 else _ipv6)(network, payload)


def _ipv4(network: _Network, payload: bytes) -> bytes:
    """RFC 791, 3.1."""
    place = {
        "no": 0,
        "first": _MORE_FRAGMENTS,
        "later": _LATER_OFFSET // _FRAGMENT_UNIT,
    }[network.fragment]
    header = struct.pack(
        "!BBHHHBBH4s4s",
        4 << 4 | 5,
        network.dscp << 2,
        frame.IPV4_BYTES + len(payload),
        _IP_ID,
        place,
        network.ttl,
        network.protocol,
        0,
        network.source[1].to_bytes(4, "big"),
        network.destination[1].to_bytes(4, "big"),
    )
    checksum = struct.pack("!H", transport.checksum(header))
    return header[:10] + checksum + header[12:] + payload


def _ipv6(network: _Network, payload: bytes) -> bytes:
    """RFC 8200, 3 and 4.5."""
    following = network.protocol
    if network.fragment != "no":
        place = 1 if network.fragment == "first" else _LATER_OFFSET
        payload = struct.pack("!BBHI", following, 0, place, _IP_ID) + payload
        following = frame.FRAGMENT
    addresses = b"".join(number.to_bytes(16, "big") for _, number in network[:2])
    first = 6 << 28 | network.dscp << 22
    return struct.pack("!IHBB", first, len(payload), following, network.ttl) + addresses + payload


def frame_of_hex(text: str) -> bytes:
    """The bytes of hexadecimal digits, with or without spaces, colons and `0x` between them.

    Raises NoSuchPacket: they are no such, or not as many as the kernel takes.
    """
    digits = _NOT_DIGITS.sub("", text)
    if len(digits) % 2:
        digit = "digit" if len(digits) == 1 else "digits"
        raise NoSuchPacket("hex", f"{len(digits):,} hexadecimal {digit}: a byte has two")
    try:
        octets = bytes.fromhex(digits)
    except ValueError:
        raise NoSuchPacket("hex", f"{quoted(text)} has other than hexadecimal digits") from None
    if not LENGTH_MIN <= len(octets) <= LENGTH_MAX:
        raise NoSuchPacket("hex", of_no_use(len(octets)))
    return octets


def of_no_use(length: int) -> str:
    """Why the kernel does not take packets of some lengths."""
    return (
        f"a packet of {length:,} bytes: the kernel takes {LENGTH_MIN} to {LENGTH_MAX:,}, with the"
        " Ethernet header"
    )


def _check(made: bytes, conditions: Mapping[str, Condition]) -> None:
    """Whether it has them: IPv6 walks over some protocols to what is behind them, for instance."""
    packet = frame.parse(made)
    for name, each in conditions.items():
        if not holds(name, each, packet, {}):
            raise NoSuchPacket(name, f"no packet has {quoted(each.spelling[0])} and the others")
    if packet.malformed is not None:
        field = "length" if "length" in conditions else "proto"
        raise NoSuchPacket(field, f"such a packet would be malformed: {packet.malformed}")
