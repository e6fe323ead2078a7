"""Many lists of addresses become few classes: two addresses are of one class if the same lists hold
them.

Each list is given a random 64-bit number. XORed along the sorted starts and ends of all intervals
they make a running value that is the same exactly where the same lists hold (the idea of Zobrist
hashing): two sets of lists out of 65,535 are taken for one with a chance below 2^-33. The numbers
come from the kernel's random source at each run, so that no list can be made for such a collision.
What is returned does not depend on them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xdpctl.errors import WrongUsage

U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
Index = NDArray[np.int64]

CLASSES_MAX = 0xFFFF
_OWNER_BITS = 31

Bounds = tuple[NDArray[Any], NDArray[Any]]
"""The starts and ends of intervals, ascending and disjoint, both ends included."""


class TooManyClasses(WrongUsage):
    """Of `what`, such as "the addresses of src"."""

    def __init__(self, what: str, count: int) -> None:
        super().__init__(
            f"the rules tell {what} apart in {count:,} ways: there can be {CLASSES_MAX:,}",
            hint="fewer lists that overlap, or one set of those that are named in the same rules",
        )


@dataclass(frozen=True, slots=True)
class Classes:
    """The elementary intervals, and what their classes are.

    Attributes:
        starts, ends: as those of the lists: uint32[n] for IPv4, uint64[n, 2] for IPv6. Ascending
            and disjoint; neighbours that touch differ in class.
        classes: uint16[n], numbered from 1 on by their first address; what no list holds is 0 and
            not listed.
        members: uint64[classes + 1, words]: bit k % 64 of word k // 64 says whether list k holds
            the class.
    """

    starts: NDArray[Any]
    ends: NDArray[Any]
    classes: U16
    members: U64

    def lists_of(self, number: int) -> list[int]:
        """The lists that hold a class, by their place."""
        bits = np.unpackbits(self.members[number].astype("<u8").view(np.uint8), bitorder="little")
        return [int(place) for place in np.flatnonzero(bits)]


def classify_ipv4(lists: Sequence[Bounds], what: str = "IPv4 addresses") -> Classes:
    """Classes of IPv4 addresses, from lists of uint32[n] starts and ends.

    Args:
        what: they are, if not that.

    Raises:
        TooManyClasses: more than 65,535.
    """
    starts, ends, owners = _joined(lists, np.zeros(0, np.uint32))
    starts, after = starts.astype(np.uint64), ends.astype(np.uint64) + np.uint64(1)
    first, behind, classes, members = _classify(starts, after, owners, len(lists), what)
    last = behind - np.uint64(1)
    return Classes(first.astype(np.uint32), last.astype(np.uint32), classes, members)


def classify_ipv6(lists: Sequence[Bounds]) -> Classes:
    """Classes of IPv6 addresses, from lists of uint64[n, 2] starts and ends (high, low half).

    Raises:
        TooManyClasses: more than 65,535.
    """
    starts, ends, owners = _joined(lists, np.zeros((0, 2), np.uint64))
    after = ends + np.array([0, 1], np.uint64)
    after[:, 0] += after[:, 1] == 0
    positions, places = _places(np.concatenate((starts, after)))
    # Behind the last address comes 2^128, which reads as 0 here.
    places[len(starts) :][~after.any(axis=1)] = len(positions)
    positions = np.append(positions, np.zeros((1, 2), np.uint64), axis=0)
    parts = places[: len(starts)], places[len(starts) :]
    first, behind, classes, members = _classify(*parts, owners, len(lists), "IPv6 addresses")
    last = positions[behind]
    last[:, 0] -= last[:, 1] == 0
    last[:, 1] -= np.uint64(1)
    return Classes(positions[first], last, classes, members)


def _joined(lists: Sequence[Bounds], none: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """All starts, all ends, and the place of the list that each is of."""
    starts, ends = (np.concatenate([none, *(each[side] for each in lists)]) for side in (0, 1))
    owners = np.repeat(np.arange(len(lists), dtype=np.uint32), [len(each[0]) for each in lists])
    return starts, ends, owners


def _places(addresses: U64) -> tuple[U64, U64]:
    """The distinct ones of uint64[n, 2] in ascending order, and where in them each one is."""
    order = np.lexsort((addresses[:, 1], addresses[:, 0]))
    ascending = addresses[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (ascending[1:] != ascending[:-1]).any(axis=1)
    places = np.empty(len(order), np.uint64)
    places[order] = np.cumsum(new) - 1
    return ascending[new], places


def _classify(
    starts: U64, after: U64, owners: U32, lists: int, what: str
) -> tuple[U64, U64, U16, U64]:
    """Of intervals of numbers up to 2^32, ends not included: the starts and ends of the elementary
    intervals, their classes, and the classes' members."""
    if lists == 1:  # as mostly, where it is a long one
        first, behind = _joints_removed(starts, after)
        members = np.arange(min(1, len(first)) + 1, dtype=np.uint64)[:, None]
        return first, behind, np.ones(len(first), np.uint16), members
    at, values = _running(starts, after, owners, lists)
    (held,) = np.nonzero(values)
    first, behind = at[held], at[held + 1]
    classes, leaders = _numbered(values[held], what)
    return first, behind, classes, _members(first[leaders], starts, after, owners, lists)


def _joints_removed(starts: U64, after: U64) -> tuple[U64, U64]:
    """Intervals that touch are one."""
    apart = starts[1:] != after[:-1]
    return (
        starts[np.concatenate(([True], apart))[: len(starts)]],
        after[np.concatenate((apart, [True]))[: len(after)]],
    )


def _running(starts: U64, after: U64, owners: U32, lists: int) -> tuple[U64, U64]:
    """Where the running value changes, and to what; to 0 at the end."""
    events = np.concatenate((starts, after))
    events <<= np.uint64(_OWNER_BITS)
    events[: len(starts)] |= owners
    events[len(starts) :] |= owners
    events.sort()
    values = np.frombuffer(os.urandom(8 * lists), np.uint64)[
        (events & np.uint64((1 << _OWNER_BITS) - 1)).astype(np.int64)
    ]
    events >>= np.uint64(_OWNER_BITS)
    np.bitwise_xor.accumulate(values, out=values)
    settled = np.ones(len(events), np.bool_)
    settled[:-1] = events[1:] != events[:-1]
    at, values = events[settled], values[settled]
    changed = np.diff(values, prepend=np.uint64(0)) != 0
    return at[changed], values[changed]


def _numbered(values: U64, what: str) -> tuple[U16, Index]:
    """Numbers from 1 on in the order in which the values appear, and where each first does."""
    distinct = np.sort(values)  # np.unique() would load masked arrays for that
    distinct = distinct[np.concatenate(([True], distinct[1:] != distinct[:-1]))[: len(values)]]
    if len(distinct) > CLASSES_MAX:
        raise TooManyClasses(what, len(distinct))
    places = np.searchsorted(distinct, values)
    leaders = np.empty(len(distinct), np.int64)
    # Of several values for one place the last is kept: here that of the first to appear.
    leaders[places[::-1]] = np.arange(len(values))[::-1]
    # Put in order without np.argsort(), whose AVX2 code gives a wrong order in Debian 12's qemu 7.2
    # without KVM: the one operation here whose result was seen to depend on the processor.
    leads = np.zeros(len(values), np.bool_)
    leads[leaders] = True
    (leaders,) = np.nonzero(leads)
    numbers = np.empty(len(distinct), np.uint16)
    numbers[places[leaders]] = np.arange(1, len(distinct) + 1)
    return numbers[places], leaders


def _members(leaders: U64, starts: U64, after: U64, owners: U32, lists: int) -> U64:
    """Which lists hold each class, told by one number of each, ascending."""
    words = -(-lists // 64)
    begin, end = np.searchsorted(leaders, starts), np.searchsorted(leaders, after)
    (holding,) = np.nonzero(begin < end)
    word, bit = owners[holding] // 64, np.uint64(1) << (owners[holding] % 64).astype(np.uint64)
    toggles = np.zeros((len(leaders) + 2, words), np.uint64)
    for edge in (begin, end):
        np.bitwise_xor.at(toggles, (edge[holding] + 1, word), bit)
    return np.bitwise_xor.accumulate(toggles, axis=0)[:-1]
