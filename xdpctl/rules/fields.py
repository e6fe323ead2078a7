"""The fields that a rule may name: one table for the file, the command line, the JSON Schema and
the documentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from xdpctl.rules.model import (
    Addresses,
    Condition,
    Flags,
    Fragment,
    Fragments,
    Icmp,
    Macs,
    Numbers,
    Range,
    merged,
)
from xdpctl.rules.values import (
    IPV4,
    IPV6,
    BadValue,
    parse_address,
    parse_flags,
    parse_fragment,
    parse_icmp,
    parse_mac,
    parse_number,
    parse_set_name,
)
from xdpctl.rules.words import (
    DSCP,
    ETHERTYPES,
    PROTOCOLS,
    TCP_FLAGS,
)

_NO_KEYWORDS: Mapping[str, Range] = MappingProxyType({})
NO_TAG = "none"


class Field(NamedTuple):
    """What a rule can ask of a packet.

    Attributes:
        name: its key in the file; with hyphens for underscores, its option on the command line.
        metavar: what stands for a value in help texts.
        help: one line; what a packet must have for the field to be there.
        examples: values that are right.
        build: from spellings to the condition; raises BadValue.
        least, most: the range of validity of a number; both 0 where values are no numbers.
        keywords: what may stand for a number.
    """

    name: str
    metavar: str
    help: str
    examples: tuple[str, ...]
    build: Callable[[Field, Sequence[str], bool], Condition]
    least: int = 0
    most: int = 0
    keywords: Mapping[str, Range] = _NO_KEYWORDS

    def condition(self, values: Sequence[str], *, negated: bool = False) -> Condition:
        """The condition that the field is one of the values, or, negated, is there and is none.

        Raises BadValue: a value is wrong, or the condition can never hold.
        """
        if not values:
            raise BadValue("the list is empty, and would never match")
        return self.build(self, values, negated)


def _numbers(field: Field, values: Sequence[str], negated: bool) -> Condition:
    written = [text for text in values if not _is_no_tag(field, text)]
    ranges = merged(
        [parse_number(text, field.least, field.most, field.keywords) for text in written]
    )
    if negated and ranges == ((field.least, field.most),):
        raise BadValue("every value is excluded, so it would never match")
    return Numbers(
        negated=negated,
        spelling=tuple(values),
        ranges=ranges,
        untagged=len(written) < len(values),
    )


def _is_no_tag(field: Field, text: str) -> bool:
    return field.name == "vlan" and text.lower() == NO_TAG


def _addresses(_field: Field, values: Sequence[str], negated: bool) -> Condition:
    sets = {parse_set_name(text) for text in values if text.startswith("@")}
    ranges = [parse_address(text) for text in values if not text.startswith("@")]
    ipv4 = merged([(each.first, each.last) for each in ranges if each.version == IPV4])
    ipv6 = merged([(each.first, each.last) for each in ranges if each.version == IPV6])
    if negated and ipv4 == ((0, 2**32 - 1),) and ipv6 == ((0, 2**128 - 1),):
        raise BadValue("every value is excluded, so it would never match")
    return Addresses(
        negated=negated, spelling=tuple(values), ipv4=ipv4, ipv6=ipv6, sets=tuple(sorted(sets))
    )


def _flags(_field: Field, values: Sequence[str], negated: bool) -> Condition:
    pairs = {parse_flags(text) for text in values}
    return Flags(negated=negated, spelling=tuple(values), pairs=tuple(sorted(pairs)))


def _icmp(_field: Field, values: Sequence[str], negated: bool) -> Condition:
    messages = {message for text in values for message in parse_icmp(text)}
    return Icmp(negated=negated, spelling=tuple(values), messages=tuple(sorted(messages)))


def _macs(_field: Field, values: Sequence[str], negated: bool) -> Condition:
    addresses = {parse_mac(text) for text in values}
    return Macs(negated=negated, spelling=tuple(values), addresses=tuple(sorted(addresses)))


def _fragments(_field: Field, values: Sequence[str], negated: bool) -> Condition:
    kinds = frozenset(parse_fragment(text) for text in values)
    if negated and kinds == set(Fragment):
        raise BadValue("every value is excluded, so it would never match")
    return Fragments(negated=negated, spelling=tuple(values), kinds=kinds)


_ADDRESS_EXAMPLES = ("192.0.2.0/24", "2001:db8::1", "192.0.2.5-192.0.2.9", "@office")
_PORT_EXAMPLES = ("22", "6000-6063")

FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        field.name: field
        for field in (
            Field(
                "src", "ADDRESS", "source address, prefix, range or @set; of IPv4 and IPv6",
                _ADDRESS_EXAMPLES, _addresses,
            ),
            Field(
                "dst", "ADDRESS", "destination address, prefix, range or @set; of IPv4 and IPv6",
                _ADDRESS_EXAMPLES, _addresses,
            ),
            Field(
                "proto", "PROTOCOL", "upper-layer protocol of IPv4 or IPv6, by keyword or number",
                ("tcp", "ipv6-icmp", "47"), _numbers, 0, 255, PROTOCOLS,
            ),
            Field(
                "sport", "PORT", "source port of TCP, UDP, UDP-Lite, SCTP and DCCP",
                _PORT_EXAMPLES, _numbers, 0, 65535,
            ),
            Field(
                "dport", "PORT", "destination port of TCP, UDP, UDP-Lite, SCTP and DCCP",
                _PORT_EXAMPLES, _numbers, 0, 65535,
            ),
            Field(
                "flags", "VALUE/MASK", f"TCP flags ({' '.join(TCP_FLAGS)}): of those in the mask, "
                "exactly those of the value are set",
                ("syn/syn,ack", "0/syn,ack", "rst"), _flags,
            ),
            Field(
                "icmp", "TYPE[/CODE]", "type and code of ICMP and ICMPv6, by name or number",
                ("echo-request", "3/4", "*/3"), _icmp,
            ),
            Field(
                "length", "BYTES", "length of the frame, its Ethernet header included",
                ("64", "1500-65535"), _numbers, 0, 65535,
            ),
            Field(
                "ttl", "HOPS", "time to live of IPv4, hop limit of IPv6",
                ("1", "0-4"), _numbers, 0, 255,
            ),
            Field(
                "dscp", "DSCP", "differentiated services code point, by name or number",
                ("ef", "cs1", "af41", "0-7"), _numbers, 0, 63, DSCP,
            ),
            Field(
                "vlan", "ID", "VLAN of the outer tag, or none",
                ("10", "100-199", NO_TAG), _numbers, 0, 4095,
            ),
            Field(
                "ethertype", "TYPE", "ethertype behind the VLAN tags, by name or number",
                ("arp", "ipv6", "0x88cc"), _numbers, 0, 65535, ETHERTYPES,
            ),
            Field(
                "src_mac", "MAC", "source MAC address",
                ("02:00:00:00:00:01",), _macs,
            ),
            Field(
                "dst_mac", "MAC", "destination MAC address",
                ("ff:ff:ff:ff:ff:ff",), _macs,
            ),
            Field(
                "fragment", "WHICH", "no: a whole packet; first, later: a fragment of one",
                ("no", "first", "later"), _fragments,
            ),
        )
    }
)  # fmt: skip
