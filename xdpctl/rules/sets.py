"""Named sets: made of ranges, compared, asked, and written as prefixes."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

import numpy as np

from xdpctl.rules.intervals import (
    Ipv4Ranges,
    WideRanges,
    count_prefixes,
    merge_ipv4,
    merge_ipv6,
    narrowed,
    subtract,
    widened,
)
from xdpctl.rules.model import NamedSet
from xdpctl.rules.values import BITS, IPV4, AddressRange, address_text

WEIGHT_MAX = 6_000_000
"""Of all sets of a ruleset together, so that compiling it takes less than a gigabyte."""

_LOW_64 = 2**64 - 1


def set_of(name: str, ranges: Iterable[AddressRange]) -> NamedSet:
    """From ranges in any order; for a few of them, or some 100,000."""
    ipv4, ipv6 = arrays_of(ranges)
    return set_of_arrays(name, ipv4, ipv6, prefixes=len(ipv4) + len(ipv6))


def arrays_of(ranges: Iterable[AddressRange]) -> tuple[Ipv4Ranges, WideRanges]:
    """As arrays, in the order given."""
    ipv4, ipv6 = array("I"), array("Q")  # lists of numbers would take ten times the memory
    for version, first, last in ranges:
        if version == IPV4:
            ipv4.extend((first, last))
        else:
            ipv6.extend((first >> 64, first & _LOW_64, last >> 64, last & _LOW_64))
    return (
        np.array(ipv4, np.uint32).reshape(-1, 2),
        np.array(ipv6, np.uint64).reshape(-1, 2, 2),
    )


def set_of_arrays(
    name: str,
    ipv4: Ipv4Ranges,
    ipv6: WideRanges,
    *,
    source: str | None = None,
    file_digest: str | None = None,
    prefixes: int,
) -> NamedSet:
    """From ranges in any order, overlapping or not.

    Args:
        ipv4: shape (n, 2), [first, last].
        ipv6: shape (n, 2, 2), [first, last][high, low 64 bits].
        prefixes: how many were written.
    """
    ipv4, ipv6 = merge_ipv4(ipv4), merge_ipv6(ipv6)
    ipv4.flags.writeable = ipv6.flags.writeable = False
    return NamedSet(name, ipv4, ipv6, _digest(ipv4, ipv6), source, file_digest, prefixes)


def _digest(ipv4: Ipv4Ranges, ipv6: WideRanges) -> str:
    content = hashlib.sha256(b"xdpctl set %d %d\n" % (len(ipv4), len(ipv6)))
    content.update(ipv4.astype(">u4").tobytes())
    content.update(ipv6.astype(">u8").tobytes())
    return content.hexdigest()


def ranges_of(named: NamedSet) -> Iterator[AddressRange]:
    """Its merged ranges, IPv4 first."""
    for first, last in named.ipv4.tolist():
        yield AddressRange(4, first, last)
    for (first_high, first_low), (last_high, last_low) in named.ipv6.tolist():
        yield AddressRange(6, first_high << 64 | first_low, last_high << 64 | last_low)


def prefixes_of(named: NamedSet) -> Iterator[str]:
    """The fewest prefixes that cover exactly the set, IPv4 first; an address without its length."""
    for version, first, last in ranges_of(named):
        bits = BITS[version]
        while first <= last:
            aligned = (first & -first).bit_length() - 1 if first else bits
            size = min(aligned, (last - first + 1).bit_length() - 1)
            text = address_text(version, first)
            yield text if size == 0 else f"{text}/{bits - size}"
            first += 1 << size  # noqa: PLW2901


def weight_of(named: NamedSet) -> int:
    """What it weighs in memory, in ranges of IPv4: one of IPv6 is as heavy as four."""
    return len(named.ipv4) + 4 * len(named.ipv6)


def covers(named: NamedSet, addresses: Iterable[IPv4Address | IPv6Address]) -> list[bool]:
    """Which of a few addresses are in the set."""
    ranges = [AddressRange(each.version, int(each), int(each)) for each in addresses]
    return [overlaps(named, each) for each in ranges]


def overlaps(named: NamedSet, addresses: AddressRange) -> bool:
    """Whether the set has any of a range: then its last range to begin by then does."""
    version, first, last = addresses

    def start(index: int) -> int:
        return _bounds(named, version, index)[0]

    count = len(named.ipv4 if version == IPV4 else named.ipv6)
    index = bisect_right(range(count), last, key=start) - 1
    return index >= 0 and _bounds(named, version, index)[1] >= first


def _bounds(named: NamedSet, version: int, index: int) -> tuple[int, int]:
    if version == IPV4:
        first, last = named.ipv4[index].tolist()
        return first, last
    (first_high, first_low), (last_high, last_low) = named.ipv6[index].tolist()
    return first_high << 64 | first_low, last_high << 64 | last_low


class SpecialSpace(NamedTuple):
    """Addresses that a blocklist should think twice about."""

    network: str
    purpose: str

    def __str__(self) -> str:
        return f"{self.purpose} ({self.network})"


# IANA's special-purpose address registries (RFC 6890), and what neighbour discovery (RFC 4861)
# needs: it speaks from link-local and unspecified addresses, and to ff02::/16.
_SPECIAL: tuple[tuple[str, int, int, int, str], ...] = (
    ("0.0.0.0/8", 4, 0x00000000, 0x00FFFFFF, "this network, DHCP's source"),
    ("10.0.0.0/8", 4, 0x0A000000, 0x0AFFFFFF, "private addresses"),
    ("100.64.0.0/10", 4, 0x64400000, 0x647FFFFF, "addresses behind carriers' NAT"),
    ("127.0.0.0/8", 4, 0x7F000000, 0x7FFFFFFF, "loopback"),
    ("169.254.0.0/16", 4, 0xA9FE0000, 0xA9FEFFFF, "link-local addresses"),
    ("172.16.0.0/12", 4, 0xAC100000, 0xAC1FFFFF, "private addresses"),
    ("192.168.0.0/16", 4, 0xC0A80000, 0xC0A8FFFF, "private addresses"),
    ("224.0.0.0/4", 4, 0xE0000000, 0xEFFFFFFF, "multicast"),
    ("255.255.255.255", 4, 0xFFFFFFFF, 0xFFFFFFFF, "broadcast"),
    ("::", 6, 0, 0, "the unspecified address, duplicate address detection's source"),
    ("::1", 6, 1, 1, "loopback"),
    ("fc00::/7", 6, 0xFC << 120, (0xFE << 120) - 1, "private addresses"),
    ("fe80::/10", 6, 0xFE80 << 112, (0xFEC0 << 112) - 1, "link-local, neighbour discovery"),
    ("ff00::/8", 6, 0xFF << 120, (1 << 128) - 1, "multicast, ff02::/16 neighbour discovery"),
)


def special_space(named: NamedSet) -> list[SpecialSpace]:
    """Which private, loopback, multicast, link-local and like networks the set has a part of."""
    return [
        SpecialSpace(network, purpose)
        for network, version, first, last, purpose in _SPECIAL
        if overlaps(named, AddressRange(version, first, last))
    ]


def plus(named: NamedSet, ranges: Iterable[AddressRange]) -> NamedSet:
    """The set with more addresses."""
    more = set_of("", ranges)
    ipv4 = np.concatenate((named.ipv4, more.ipv4))
    return _changed(named, ipv4, np.concatenate((named.ipv6, more.ipv6)))


def minus(named: NamedSet, ranges: Iterable[AddressRange]) -> NamedSet:
    """The set without some addresses."""
    less = set_of("", ranges)
    ipv4 = narrowed(subtract(widened(named.ipv4), widened(less.ipv4)))
    return _changed(named, ipv4, subtract(named.ipv6, less.ipv6))


def _changed(named: NamedSet, ipv4: Ipv4Ranges, ipv6: WideRanges) -> NamedSet:
    """It no longer is what its file says, if it came from one."""
    ipv4, ipv6 = merge_ipv4(ipv4), merge_ipv6(ipv6)
    prefixes = count_prefixes(widened(ipv4)) + count_prefixes(ipv6)
    return set_of_arrays(named.name, ipv4, ipv6, prefixes=prefixes)


def only_in(named: NamedSet, other: NamedSet) -> int:
    """How many prefixes it takes at least for what of a set is not in another."""
    ipv4 = subtract(widened(named.ipv4), widened(other.ipv4))
    return count_prefixes(ipv4) + count_prefixes(subtract(named.ipv6, other.ipv6))
