"""Arithmetic on many address ranges at once, with NumPy; never a step of Python per range.

IPv4 ranges are uint32 of shape (n, 2), [first, last].  Where both families are treated alike, and
for IPv6, ranges are uint64 of shape (n, 2, 2): [first, last][high 64 bits, low 64 bits].  Both ends
are inclusive.  "Merged" is sorted, disjoint, and with adjacent ranges joined.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ipv4Ranges = npt.NDArray[np.uint32]
WideRanges = npt.NDArray[np.uint64]
Array = npt.NDArray[Any]

_ALL_ONES = np.uint64(2**64 - 1)
_32, _1, _0 = np.uint64(32), np.uint64(1), np.uint64(0)


def merge_ipv4(ranges: Ipv4Ranges) -> Ipv4Ranges:
    """Merged."""
    if not len(ranges):
        return np.empty((0, 2), np.uint32)
    packed = (ranges[:, 0].astype(np.uint64) << _32) | ranges[:, 1]
    packed.sort()
    last = np.maximum.accumulate(packed & np.uint64(2**32 - 1))
    packed >>= _32
    begins = np.flatnonzero(packed[1:] > last[:-1] + _1) + 1
    return np.stack(
        (
            packed[np.concatenate(([0], begins))].astype(np.uint32),
            last[np.concatenate((begins - 1, [len(last) - 1]))].astype(np.uint32),
        ),
        axis=1,
    )


def merge_ipv6(ranges: WideRanges) -> WideRanges:
    """Merged."""
    if not len(ranges):
        return np.empty((0, 2, 2), np.uint64)
    ranges = ranges[_order(ranges[:, 0])]
    # There is no running maximum of pairs; there is one of their ranks.
    by_last = _order(ranges[:, 1])
    rank = np.empty(len(ranges), np.intp)
    rank[by_last] = np.arange(len(ranges))
    last = ranges[by_last[np.maximum.accumulate(rank)], 1]
    after, wrapped = _successor(last[:-1])
    begins = np.flatnonzero(_greater(ranges[1:, 0], after) & ~wrapped) + 1
    return np.stack(
        (
            ranges[np.concatenate(([0], begins)), 0],
            last[np.concatenate((begins - 1, [len(last) - 1]))],
        ),
        axis=1,
    )


def widened(ranges: Ipv4Ranges) -> WideRanges:
    """IPv4 ranges as those of numbers of 128 bits."""
    wide = np.zeros((len(ranges), 2, 2), np.uint64)
    wide[:, :, 1] = ranges
    return wide


def narrowed(ranges: WideRanges) -> Ipv4Ranges:
    """The opposite of `widened`."""
    return ranges[:, :, 1].astype(np.uint32)


def subtract(ranges: WideRanges, others: WideRanges) -> WideRanges:
    """What of merged ranges is in none of the merged others, merged."""
    if not len(ranges) or not len(others):
        return ranges
    points, steps = _boundaries(ranges, others)
    order = _order(points)
    points, inside = points[order], steps[order].cumsum(axis=0)
    differs = (points[1:] != points[:-1]).any(axis=1)
    final = np.append(differs, True)  # of several boundaries at a point, the last one knows all
    points, inside = points[final], inside[final]
    wanted = (inside[:, 0] == 1) & (inside[:, 1] == 0)
    turns = np.diff(wanted.astype(np.int8), prepend=0)
    first = points[turns == 1]
    last = _predecessor(points[turns == -1])
    if len(last) < len(first):
        last = np.append(last, [[_ALL_ONES, _ALL_ONES]], axis=0)
    return np.stack((first, last), axis=1)


def _boundaries(ranges: WideRanges, others: WideRanges) -> tuple[Array, Array]:
    """Where each side is entered and left, and by how much its depth changes there."""
    points, steps = [], []
    for side, each in enumerate((ranges, others)):
        after, wrapped = _successor(each[:, 1])
        for place, change in ((each[:, 0], 1), (after[~wrapped], -1)):
            step = np.zeros((len(place), 2), np.int8)
            step[:, side] = change
            points.append(place)
            steps.append(step)
    return np.concatenate(points), np.concatenate(steps)


def count_prefixes(ranges: WideRanges) -> int:
    """How many prefixes it takes at least to cover exactly these merged ranges.

    A range that ends before `end` splits at `middle`, which is `end` without the bits below the
    highest one in which first and `end` differ: up to there one prefix for each bit set in the
    distance, and from there one for each bit set in the rest of `end`.
    """
    first = ranges[:, 0]
    end, wrapped = _successor(ranges[:, 1])
    below = _below_highest_bit(first ^ end)
    rising = np.bitwise_count(_difference(end & ~below, first)).sum(axis=1)
    falling = np.bitwise_count(end & below).sum(axis=1)
    to_the_end = np.maximum(np.bitwise_count(_difference(end, first)).sum(axis=1), 1)
    return int(np.where(wrapped, to_the_end, rising + falling).sum(dtype=np.int64))


def _order(numbers: Array) -> npt.NDArray[np.intp]:
    return np.lexsort((numbers[:, 1], numbers[:, 0]))


def _greater(left: Array, right: Array) -> npt.NDArray[np.bool_]:
    return np.asarray(
        (left[:, 0] > right[:, 0]) | ((left[:, 0] == right[:, 0]) & (left[:, 1] > right[:, 1]))
    )


def _successor(numbers: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Each plus one, and where that went round to zero."""
    result = numbers.copy()
    result[:, 1] += _1
    carry = result[:, 1] == _0
    result[:, 0] += carry
    return result, carry & (result[:, 0] == _0)


def _predecessor(numbers: Array) -> Array:
    result = numbers.copy()
    result[:, 0] -= numbers[:, 1] == _0
    result[:, 1] -= _1
    return result


def _difference(left: Array, right: Array) -> Array:
    result = left - right
    result[:, 0] -= left[:, 1] < right[:, 1]
    return result


def _below_highest_bit(numbers: Array) -> Array:
    """Ones in all places below the highest one that is set."""
    high, low = numbers[:, 0].copy(), numbers[:, 1].copy()
    for shift in np.array([1, 2, 4, 8, 16, 32], np.uint64):
        high |= high >> shift
        low |= low >> shift
    low = np.where(high != _0, _ALL_ONES, low >> _1)
    return np.stack((high >> _1, low), axis=1)
