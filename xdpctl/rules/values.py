"""One value of a field: from its spelling to numbers.

Spellings are strict, for a value that one tool reads as 8 and another as 10 is how firewalls get
holes: no leading zeros, no underscores, no sexagesimal numbers, nothing that YAML would make of
the text.  Every parser raises BadValue with a text that says what is wrong with the value.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from xdpctl.rules.model import Fragment, Range
from xdpctl.rules.spelling import closest
from xdpctl.rules.words import ICMP_PROTOCOLS, TCP_FLAGS

_NUMBER = r"0x[0-9a-f]{1,8}|0|[1-9][0-9]{0,9}"
_RANGE = re.compile(rf"({_NUMBER})(?: *- *({_NUMBER}))?", re.IGNORECASE)
_LENGTH = re.compile(r"0|[1-9][0-9]{0,2}")
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5}", re.IGNORECASE)
NAME = re.compile(r"[A-Za-z0-9._-]{1,63}")

IPV4, IPV6 = 4, 6
BITS = {IPV4: 32, IPV6: 128}
_BYTE: Range = (0, 255)
_SHOWN_MAX = 60  # characters of a value in a message


class BadValue(ValueError):
    """Its text follows the name of the field."""


class AddressRange(NamedTuple):
    version: int
    first: int
    last: int


def quoted(text: str) -> str:
    """For messages: in quotes, without control characters, and not endless."""
    shown = text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"
    return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown) + '"'


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`: did you mean "..."?`, or nothing where no known word is close."""
    close = closest(word, known)
    return f": did you mean {quoted(close)}?" if close else ""


def parse_number(text: str, least: int, most: int, keywords: Mapping[str, Range]) -> Range:
    """A number, a range of two, or a keyword."""
    if text.lower() in keywords:
        return keywords[text.lower()]
    found = _RANGE.fullmatch(text)
    if found is None:
        raise BadValue(_why_no_number(text, keywords))
    first = _integer(found[1])
    last = first if found[2] is None else _integer(found[2])
    for number in (first, last):
        if not least <= number <= most:
            raise BadValue(f"{quoted(text)} is outside {least}-{most}")
    if first > last:
        raise BadValue(f"{quoted(text)} is an empty range: did you mean {found[2]}-{found[1]}?")
    return first, last


def _integer(text: str) -> int:
    return int(text, 16 if text[:2].lower() == "0x" else 10)


def _why_no_number(text: str, keywords: Mapping[str, Range]) -> str:
    if re.fullmatch(r"[0-9]{1,9}:[0-9]{1,9}", text):
        return f"{quoted(text)} is not a range: did you mean {quoted(text.replace(':', '-'))}?"
    if re.fullmatch(r"0[0-9]+", text):
        return f"{quoted(text)} has a leading zero, which some read as octal"
    if keywords:
        return f"{quoted(text)} is neither a number nor a keyword{did_you_mean(text, keywords)}"
    return f'{quoted(text)} is not a number or a range such as "6000-6063"'


def parse_address(text: str) -> AddressRange:
    """An address, a prefix without host bits, or `first-last`."""
    found, clean = parse_prefix(text)
    if not clean:
        right = f"{address_text(found.version, found.first)}/{text.rpartition('/')[2]}"
        raise BadValue(f"{quoted(text)} has host bits set: did you mean {right}?")
    return found


def parse_prefix(text: str) -> tuple[AddressRange, bool]:
    """The same, and whether it had no host bits set; if it had, the network that they are in."""
    first, dash, last = text.partition("-")
    if dash:
        return _address_range(text, first.strip(" "), last.strip(" ")), True
    host, slash, length = text.partition("/")
    version, number = parse_host(host)
    if not slash:
        return AddressRange(version, number, number), True
    if not _LENGTH.fullmatch(length) or int(length) > BITS[version]:
        raise BadValue(f"{quoted(text)}: a prefix length of IPv{version} is 0 to {BITS[version]}")
    size = 1 << (BITS[version] - int(length))
    network = number & -size
    return AddressRange(version, network, network + size - 1), network == number


def _address_range(text: str, first: str, last: str) -> AddressRange:
    version, low = parse_host(first)
    last_version, high = parse_host(last)
    if version != last_version:
        raise BadValue(f"{quoted(text)} begins in IPv{version} and ends in IPv{last_version}")
    if low > high:
        raise BadValue(f"{quoted(text)} is an empty range: did you mean {last}-{first}?")
    return AddressRange(version, low, high)


def parse_host(text: str) -> tuple[int, int]:
    """The version and the number of one address."""
    version, family = (IPV6, socket.AF_INET6) if ":" in text else (IPV4, socket.AF_INET)
    try:  # inet_pton is strict: four decimal parts, no leading zeros, no scope
        return version, int.from_bytes(socket.inet_pton(family, text), "big")
    except (OSError, ValueError):
        raise BadValue(f"{quoted(text)} is not an IPv4 or IPv6 address") from None


def address_text(version: int, number: int) -> str:
    """As the C library writes it: RFC 5952, and ::/96 with dots."""
    family, size = (socket.AF_INET, 4) if version == IPV4 else (socket.AF_INET6, 16)
    return socket.inet_ntop(family, number.to_bytes(size, "big"))


def parse_set_name(text: str) -> str:
    """The name of `@name`."""
    if not NAME.fullmatch(text[1:]):
        raise BadValue(f"{quoted(text)} is no set: a name is 1 to 63 of letters, digits and ._-")
    return text[1:]


def parse_flags(text: str) -> tuple[int, int]:
    """(value, mask).  `syn/syn,ack` as nft writes it; `syn` alone is `syn/syn`, as it is in nft:
    set, whatever the others are."""
    value_text, slash, mask_text = (part.strip(" ") for part in text.partition("/"))
    value = _flag_bits(value_text)
    if not slash:
        if "," in value_text:
            raise BadValue(
                f'{quoted(text)} could mean all of them, "{value_text}/{value_text}",'
                f" or any of them, [{value_text}]"
            )
        if not value:
            raise BadValue(f'{quoted(text)} needs a mask, as in "0/syn,ack": neither is set')
        return value, value
    mask = _flag_bits(mask_text)
    if value & ~mask:
        raise BadValue(f"{quoted(text)} never matches: the mask leaves out a flag of the value")
    if not mask:
        raise BadValue(f"{quoted(text)} looks at no flag")
    return value, mask


def _flag_bits(text: str) -> int:
    if _RANGE.fullmatch(text) and "-" not in text:
        if (number := _integer(text)) > _BYTE[1]:
            raise BadValue(f"{quoted(text)} is outside 0-255")
        return number
    bits = 0
    for word in text.lower().split(","):
        flag = word.strip(" ")
        if flag not in TCP_FLAGS:
            raise BadValue(f"{quoted(flag)} is no TCP flag{did_you_mean(flag, TCP_FLAGS)}")
        bits |= TCP_FLAGS[flag]
    return bits


def parse_icmp(text: str) -> list[tuple[int, Range, Range]]:
    """(protocol, types, codes) for ICMP and ICMPv6: a number is one of both, a name one of those
    that have it, each with its own number."""
    kind, slash, code = (part.strip(" ") for part in text.partition("/"))
    codes = _any_or_range(code) if slash else _BYTE
    if kind == "*" or kind[:1].isdigit():
        return [(protocol, _any_or_range(kind), codes) for protocol in ICMP_PROTOCOLS]
    named = [
        (protocol, (types[kind.lower()], types[kind.lower()]), codes)
        for protocol, types in ICMP_PROTOCOLS.items()
        if kind.lower() in types
    ]
    if not named:
        known = {name for types in ICMP_PROTOCOLS.values() for name in types}
        raise BadValue(f"{quoted(kind)} is no ICMP type{did_you_mean(kind, sorted(known))}")
    return named


def _any_or_range(text: str) -> Range:
    return _BYTE if text == "*" else parse_number(text, *_BYTE, {})


def parse_mac(text: str) -> int:
    if not _MAC.fullmatch(text):
        raise BadValue(f"{quoted(text)} is not a MAC address such as 02:00:00:00:00:01")
    return int(text.replace(":", "").replace("-", ""), 16)


def parse_fragment(text: str) -> Fragment:
    try:
        return Fragment(text.lower())
    except ValueError:
        raise BadValue(f"{quoted(text)} is none of no, first and later") from None
