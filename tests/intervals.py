"""Disjoint intervals of addresses of every shape, and what holds an address, found by bisection."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xdpctl.rules.addresses import Table, compile_ipv4, compile_ipv6

BITS = {4: 32, 6: 128}
HALF = (1 << 64) - 1


class Interval(NamedTuple):
    first: int
    last: int
    number: int


def class_of(intervals: Sequence[Interval], address: int) -> int:
    """By bisection; 0 where no interval holds the address."""
    place = bisect_right(intervals, address, key=lambda interval: interval.first) - 1
    return intervals[place].number if place >= 0 and address <= intervals[place].last else 0


def as_array(version: int, addresses: Iterable[int]) -> NDArray[Any]:
    """uint32[n] or uint64[n, 2], as the compiler takes them."""
    if version == 4:
        return np.fromiter(addresses, np.uint32)
    halves = [(address >> 64, address & HALF) for address in addresses]
    return np.array(halves, np.uint64).reshape(-1, 2)


def compiled(version: int, intervals: Sequence[Interval]) -> Table:
    starts, ends = (as_array(version, (each[side] for each in intervals)) for side in (0, 1))
    classes = np.array([each.number for each in intervals], np.uint16)
    return (compile_ipv4 if version == 4 else compile_ipv6)(starts, ends, classes)


def edges(version: int, intervals: Sequence[Interval]) -> list[int]:
    """The first and last address of each interval and their neighbours, and of the whole space."""
    top = (1 << BITS[version]) - 1
    near = {0, 1, top - 1, top}
    for each in intervals:
        near |= {
            each.first - 1,
            each.first,
            each.first + 1,
            each.last - 1,
            each.last,
            each.last + 1,
        }
    return sorted(address for address in near if 0 <= address <= top)


def cut(version: int, points: Iterable[int], random: Random) -> list[Interval]:
    """Intervals between points: some covered, some not, some of one address, some touching."""
    top = (1 << BITS[version]) - 1
    firsts = sorted({point & top for point in points})
    intervals = []
    for first, following in pairwise([*firsts, top + 1]):
        last = random.choice((following - 1, following - 1, first, (first + following - 1) // 2))
        number = random.choice((0, 1, 1, 2, 65535, random.randrange(1 << 16)))
        if number:
            intervals.append(Interval(first, last, number))
    return intervals


def scattered(bits: int, count: int, random: Random) -> list[int]:
    """Points anywhere."""
    return [random.getrandbits(bits) for _ in range(count)]


def clustered(bits: int, count: int, random: Random) -> list[int]:
    """Points in groups of very different width, as far apart as powers of two."""
    points: list[int] = []
    while len(points) < count:
        base, wide = random.getrandbits(bits), random.randrange(1, bits + 1)
        step = random.choice((0, 0, 1, 4, 8, 16))
        of_group = random.randrange(1, max(2, count // 3))
        points += [base + (random.getrandbits(wide) >> step << step) for _ in range(of_group)]
    return points


def prefixes(bits: int, count: int, random: Random) -> list[int]:
    """Where prefixes begin and end: of all lengths, nested, many from one part of the space."""
    points: list[int] = []
    parents = [0, random.getrandbits(bits)]
    while len(points) < count:
        length = random.randrange(bits + 1)
        size = 1 << (bits - length)
        parent, kept = random.choice(parents), random.randrange(bits + 1)
        address = parent >> kept << kept | random.getrandbits(kept)
        parents.append(address)
        points += [address // size * size, address // size * size + size]
    return points


def powers(bits: int, count: int, random: Random) -> list[int]:
    """Each half as far from the first as the one before: the worst there is for equal steps."""
    base = random.choice((0, random.getrandbits(bits)))
    return [base + (1 << bit) + each for bit in range(bits) for each in range(-(-count // bits))]


def neighbours(bits: int, count: int, random: Random) -> list[int]:
    """Blocks of half the bits, of IPv6 /64s, side by side, with a few points in each, and in some
    more of a large number: an array has a slot for each block, and what is inside right below."""
    half = bits // 2
    block = random.getrandbits(half) >> 1
    points: list[int] = []
    while len(points) < count:
        block += random.choice((1, 1, 1, 2))
        inside = random.choice((1, 2, count // 200, count // 100))
        points += [block << half | random.getrandbits(half) for _ in range(inside)]
    return points


SHAPES = (scattered, clustered, prefixes, powers, neighbours)
