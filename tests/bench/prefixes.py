"""Prefixes as they are met with, made up anew the same each time."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Of 10,000 routes of the public table, by length from 8 on; few of the longest ones are public.
_IPV4_LENGTHS = np.array([1, 1, 3, 9, 27, 53, 95, 120, 1320, 800, 1330, 2500, 4000, 4900, 10800,
                          9800, 58000, 500, 600, 700, 800, 900, 1000, 1000, 2000])  # fmt: skip
_IPV6_LENGTHS = {29: 3, 32: 14, 33: 1, 34: 1, 35: 1, 36: 5, 38: 1, 40: 8, 42: 2, 44: 9, 46: 3,
                 47: 2, 48: 51}  # fmt: skip
# The first 16 bits of what the registries have given out.
_IPV6_REGISTRIES = [
    0x2001, *range(0x2400, 0x240B), 0x240E, *range(0x2600, 0x2608), 0x2620,
    0x2800, 0x2801, 0x2803, 0x2804, 0x2806, *range(0x2A00, 0x2A15), 0x2C0F,
]  # fmt: skip
_IPV6_ALLOCATIONS = 14_000

U64 = NDArray[np.uint64]
HALF = np.uint64(0xFFFFFFFFFFFFFFFF)


class Prefixes(NamedTuple):
    """Distinct prefixes.

    Attributes:
        version: 4 or 6.
        first, last: the addresses at both ends: uint32[n] or uint64[n, 2] (high and low half).
        lengths: int64[n]
    """

    version: int
    first: NDArray[Any]
    last: NDArray[Any]
    lengths: NDArray[np.int64]

    def by_length(self) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """A list for each length, ascending and disjoint."""
        of_length = (self.lengths == length for length in np.unique(self.lengths))
        return [(self.first[each], self.last[each]) for each in of_length]

    def addresses(self, count: int, random: np.random.Generator) -> NDArray[Any]:
        """`count` addresses, each somewhere in one of the prefixes."""
        chosen = random.permutation(np.resize(np.arange(len(self.lengths)), count))
        shape = (count, *self.first.shape[1:])
        anywhere = random.integers(0, HALF, shape, np.uint64, endpoint=True)
        inside = self.first[chosen] ^ self.last[chosen]
        return self.first[chosen] | anywhere.astype(inside.dtype) & inside

    def texts(self) -> Iterator[str]:
        """As ADDRESS/LENGTH."""
        for address, length in zip(self.first.tolist(), self.lengths.tolist(), strict=True):
            yield f"{text_of(address)}/{length}"


def text_of(address: int | list[int]) -> str:
    """An address, of IPv6 as its high and its low half; `ipaddress` takes six times as long."""
    if isinstance(address, list):
        return inet_ntop(AF_INET6, struct.pack("!QQ", *address))
    return inet_ntop(AF_INET, struct.pack("!I", address))


def mixed_ipv4(count: int) -> Prefixes:
    """Lengths as in the public routing table, over half of the /8 in very different density."""
    random = np.random.default_rng(1)
    lengths = random.choice(np.arange(8, 33), 2 * count, p=_IPV4_LENGTHS / _IPV4_LENGTHS.sum())
    density = random.exponential(size=223)
    top = random.choice(np.arange(1, 224), 2 * count, p=density / density.sum())
    return _ipv4((top << 24 | random.integers(0, 1 << 24, 2 * count)), lengths, count)


def hosts_ipv4(count: int) -> Prefixes:
    """/32 anywhere."""
    random = np.random.default_rng(2)
    addresses = random.integers(0, 1 << 32, count + count // 100)
    return _ipv4(addresses, np.full(len(addresses), 32), count)


def mixed_ipv6(count: int, lone: int = 0) -> Prefixes:
    """Lengths as in the public routing table, in allocations of very different size; `lone` of them
    are a /64 or a /128 in its place."""
    random = np.random.default_rng(3)
    blocks = random.choice(np.array(_IPV6_REGISTRIES), _IPV6_ALLOCATIONS)
    allocations = blocks << 16 | random.integers(0, 1 << 13, _IPV6_ALLOCATIONS) << 3
    sizes = random.pareto(1, _IPV6_ALLOCATIONS) + 0.2
    chances = np.array(list(_IPV6_LENGTHS.values()))
    more = 4 * count
    lengths = random.choice(np.array(list(_IPV6_LENGTHS)), more, p=chances / chances.sum())
    lengths[: more * lone // count] = np.resize((64, 128), more * lone // count)
    high = random.choice(allocations, more, p=sizes / sizes.sum()).astype(np.uint64)
    high = high << np.uint64(32) | random.integers(0, 1 << 32, more, np.uint64)
    low = random.integers(0, HALF, more, np.uint64, endpoint=True)
    return _ipv6(high, low, lengths, count)


def hosts_ipv6(count: int) -> Prefixes:
    """/128 anywhere in 2000::/3."""
    random = np.random.default_rng(4)
    high = np.uint64(1 << 61) | random.integers(0, 1 << 61, count, np.uint64)
    low = random.integers(0, HALF, count, np.uint64, endpoint=True)
    return _ipv6(high, low, np.full(count, 128), count)


def _ipv4(addresses: NDArray[np.int64], lengths: NDArray[np.int64], count: int) -> Prefixes:
    hosts = (1 << 32 - lengths) - 1
    first = addresses & ~hosts
    _, order = np.unique(first << 6 | lengths, return_index=True)
    order = order[np.sort(np.random.default_rng(5).permutation(len(order))[:count])]
    last = (first | hosts)[order].astype(np.uint32)
    return Prefixes(4, first[order].astype(np.uint32), last, lengths[order])


def _ipv6(high: U64, low: U64, lengths: NDArray[np.int64], count: int) -> Prefixes:
    bits = np.stack((64 - np.minimum(lengths, 64), 128 - np.maximum(lengths, 64)), axis=1)
    none = (bits == 0) | (bits == 64)  # a shift by 64 is no shift
    shift = np.where(none, 0, bits).astype(np.uint64)
    hosts = np.where(bits == 64, HALF, (np.uint64(1) << shift) - np.uint64(1))
    first = np.stack((high, low), axis=1) & ~hosts
    keys = np.column_stack((first, lengths.astype(np.uint64)))
    order = np.lexsort(keys.T[::-1])
    order = order[np.append(True, (keys[order][1:] != keys[order][:-1]).any(axis=1))]
    order = order[np.sort(np.random.default_rng(5).permutation(len(order))[:count])]
    return Prefixes(6, first[order], (first | hosts)[order], lengths[order])
