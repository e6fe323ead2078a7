"""What a rule that limits says: rate, burst, whose, and how many cells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from xdpctl.rules.model import Limit
from xdpctl.rules.values import BITS, IPV4, IPV6, BadValue, quoted

RATE_PACKETS_MAX = 100_000_000
RATE_BITS_MAX = 400_000_000_000
BURST_SECONDS_MAX = 365 * 86400
"""How long a bucket may take to fill: the data plane's times have to have room for it."""

CELLS = 65536
CELLS_MAX = 1 << 24

BURST_PACKETS, BURST_BYTES = 10, 15_000
"""What a bucket holds at least where that is not said: ten frames, of a tenth of a second."""

_SUBNET = 64
"""RFC 4291, 2.5.4: what a host of IPv6 has all addresses of."""

_NUMBER = r"0|[1-9][0-9]{0,11}"
_PERIODS = {"s": 1, "m": 60, "h": 3600}
_BITS = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6}
_RATE = re.compile(
    rf"({_NUMBER}) ?(?:/({'|'.join(_PERIODS)})|({'|'.join(_BITS)})/s)", re.IGNORECASE
)
_BURST = re.compile(rf"({_NUMBER}) ?({'|'.join(_BYTES)})?", re.IGNORECASE)
_PER = re.compile(r"(src|dst)(?:/(0|[1-9][0-9]{0,2})(?:,(0|[1-9][0-9]{0,2}))?)?", re.IGNORECASE)
_BITS_PER_BYTE = 8


class Key(NamedTuple):
    """A key of a rule that limits; in the file and, with hyphens before it, on the command line."""

    metavar: str
    help: str
    examples: tuple[str, ...]


KEYS: Mapping[str, Key] = MappingProxyType(
    {
        "rate": Key(
            "RATE",
            "of a limit: packets a second, minute or hour, or bits a second",
            ("1000/s", "10/m", "100/h", "10Mbit/s", "64kbit/s"),
        ),
        "burst": Key(
            "SIZE",
            "of a limit: how much may come at once, packets, or bytes where the rate is of bits",
            ("200", "64kB"),
        ),
        "per": Key(
            "WHOSE",
            "of a limit: all together, or each source or destination, or each prefix of them",
            ("all", "src", "dst", "src/24", "dst/56", "src/24,56"),
        ),
        "cells": Key(
            "NUMBER",
            "of a limit per address: how many it tells apart, a power of two",
            ("65536",),
        ),
    }
)


class BadKey(BadValue):
    """Attributes: key: whose value is wrong."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def parse_limit(texts: Mapping[str, str]) -> Limit:
    """The limit that the values of KEYS come to, `rate` among them. Raises BadKey."""
    key = "rate"
    try:
        rate, seconds, bits = _rate(texts[key])
        key = "burst"
        burst = _burst(texts.get(key), rate, seconds, bits=bits)
        key = "per"
        per, ipv4_length, ipv6_length = _per(texts.get(key, "all"))
        key = "cells"
        cells = _cells(texts.get(key), per)
    except BadValue as error:
        raise BadKey(key, str(error)) from None
    return Limit(
        rate=rate,
        seconds=seconds,
        bits=bits,
        burst=burst,
        per=per,
        ipv4_length=ipv4_length,
        ipv6_length=ipv6_length,
        cells=cells,
        spelling=tuple((key, texts[key]) for key in KEYS if key in texts),
    )


def _rate(text: str) -> tuple[int, int, bool]:
    """Packets and seconds, or bits and 1; and whether it is bits."""
    found = _RATE.fullmatch(text)
    if found is None:
        raise BadValue(f"{quoted(text)} is not a rate such as 1000/s, 10/m or 10Mbit/s")
    number, period, unit = found.groups()
    rate = int(number) * (_BITS[unit.lower()] if unit else 1)
    most = RATE_BITS_MAX if unit else RATE_PACKETS_MAX
    if not rate:
        raise BadValue(f"{quoted(text)} lets nothing through: action: drop does that")
    if rate > most:
        raise BadValue(f"{quoted(text)} is more than {most:,} {'bit/s' if unit else 'packets'}")
    return rate, _PERIODS[period.lower()] if period else 1, bool(unit)


def _burst(text: str | None, rate: int, seconds: int, *, bits: bool) -> int:
    """Packets, or bytes."""
    if text is None:
        tenth = rate // (seconds * 10 * (_BITS_PER_BYTE if bits else 1))
        return max(tenth, BURST_BYTES if bits else BURST_PACKETS)
    found = _BURST.fullmatch(text)
    if found is None or bits != (found[2] is not None):
        right = "bytes, such as 64kB, where the rate is of bits" if bits else "packets, such as 200"
        raise BadValue(f"{quoted(text)} is not a number of {right}")
    burst = int(found[1]) * (_BYTES[found[2].lower()] if bits else 1)
    if not burst:
        raise BadValue(f"{quoted(text)} lets nothing through")
    if burst * (_BITS_PER_BYTE if bits else 1) * seconds > BURST_SECONDS_MAX * rate:
        raise BadValue(f"{quoted(text)} takes more than a year at this rate")
    return burst


def _per(text: str) -> tuple[str, int, int]:
    """Whose, and the prefix lengths of IPv4 and of IPv6. Of one length up to 32, that of IPv6 is a
    subnet's; a longer one is that of IPv6."""
    if text.lower() == "all":
        return "", 0, 0
    found = _PER.fullmatch(text)
    if found is None:
        raise BadValue(f"{quoted(text)} is none of all, src, dst, src/24, dst/24,56 and the like")
    whose, *lengths = found.groups()
    ipv4, ipv6 = BITS[IPV4], BITS[IPV6]
    given = [int(each) for each in lengths if each is not None]
    if len(given) == len((IPV4, IPV6)):
        ipv4, ipv6 = given
    elif given:
        ipv4, ipv6 = (given[0], _SUBNET) if given[0] <= BITS[IPV4] else (BITS[IPV4], given[0])
    for version, length in ((IPV4, ipv4), (IPV6, ipv6)):
        if not 1 <= length <= BITS[version]:
            raise BadValue(f"{quoted(text)}: a length of IPv{version} is 1 to {BITS[version]} here")
    return whose.lower(), ipv4, ipv6


def _cells(text: str | None, per: str) -> int:
    if text is None:
        return CELLS if per else 1
    if not per:
        raise BadValue("only a limit per src or dst has several")
    if not re.fullmatch(_NUMBER, text) or not 1 <= int(text) <= CELLS_MAX:
        raise BadValue(f"{quoted(text)} is not a number of 1 to {CELLS_MAX:,}")
    number = int(text)
    if number & (number - 1):
        above = 1 << number.bit_length()
        raise BadValue(f"{number} is no power of two: did you mean {above // 2} or {above}?")
    return number
