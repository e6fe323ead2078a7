"""What a ban is, in the words of people and as the kernel keeps it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from xdpctl.datapath.counters import Tally
from xdpctl.rules.values import (
    BITS,
    IPV4,
    IPV6,
    AddressRange,
    BadValue,
    address_text,
    parse_address,
    parse_host,
    quoted,
)

BAN_KEY = ("high", "low", "version", "length")
"""The members of struct ban_key."""
_SHOWN_MAX = 3


class Prefix(NamedTuple):
    """The addresses of IPv4 or IPv6 (`version`) whose first `length` bits are those of `network`,
    of which the others are 0."""

    version: int
    network: int
    length: int

    def __str__(self) -> str:
        address = address_text(self.version, self.network)
        return address if self.length == BITS[self.version] else f"{address}/{self.length}"

    @property
    def range(self) -> AddressRange:
        last = self.network + (1 << (BITS[self.version] - self.length)) - 1
        return AddressRange(self.version, self.network, last)

    def holds(self, version: int, address: int) -> bool:
        shift = BITS[self.version] - self.length
        return version == self.version and address >> shift == self.network >> shift


class Ban(NamedTuple):
    """A prefix that is banned.

    Attributes:
        expires_ns, added_ns: on CLOCK_REALTIME; `expires_ns` is None for ever.
        remaining_ns: until it expires.
        hits: packets that it dropped, since the prefix was banned first.
    """

    prefix: Prefix
    tag: str
    added_ns: int
    expires_ns: int | None
    remaining_ns: int | None
    hits: Tally


def parse_ban(text: str) -> Prefix:
    """An address or a prefix without host bits. Raises BadValue."""
    if "/" not in text and "-" not in text:
        version, number = parse_host(text)
        return Prefix(version, number, BITS[version])
    version, first, last = parse_address(text)
    size = last - first + 1
    if size & -size != size or first % size:
        raise BadValue(f"{quoted(text)} is a range: ban the prefixes in it")
    return Prefix(version, first, BITS[version] - (size.bit_length() - 1))


def some_of(prefixes: Collection[Prefix]) -> str:
    """The first few, for a message."""
    first = ", ".join(map(str, list(prefixes)[:_SHOWN_MAX]))
    more = len(prefixes) - _SHOWN_MAX
    return first if more <= 0 else f"{first} and {more:,} more"


def is_in_force(expires_ns: int, boot_ns: int) -> bool:
    """By when it expires, and by what time it is, on CLOCK_BOOTTIME; 0 is never."""
    return not expires_ns or expires_ns > boot_ns


def ban_of(
    key: tuple[int, ...], terms: tuple[int, int, bytes], hits: Tally, boot_ns: int, now_ns: int
) -> Ban:
    """Of an entry as it is in the kernel.

    Args:
        key: as BAN_KEY.
        terms: expires_ns, added_ns and tag of struct ban.
        boot_ns, now_ns: what time it is on CLOCK_BOOTTIME, and on CLOCK_REALTIME.
    """
    expires_ns, added_ns, tag = terms
    remaining = expires_ns - boot_ns if expires_ns else None
    return Ban(
        _prefix_of_key(key),
        tag.partition(b"\0")[0].decode(errors="replace"),
        added_ns,
        None if remaining is None else now_ns + remaining,
        remaining,
        hits,
    )


def _prefix_of_key(key: tuple[int, ...]) -> Prefix:
    high, low, version, length = key
    if version == IPV4:
        return Prefix(IPV4, high >> 32, length)
    return Prefix(IPV6, high << 64 | low, length)
