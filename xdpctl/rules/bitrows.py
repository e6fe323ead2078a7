"""Bit rows: for each class of a field, a bit for each rule that the class satisfies.

The layout is `struct rows` of bpf/types.h: a summary word and then a word for every 64 rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
Bits = NDArray[np.bool_]

_CHUNK_BITS = 1 << 24


def words_for(rules: int) -> int:
    """How many words of 64 rules a row has: a power of two, at least 1."""
    return 1 << (max(rules - 1, 0) // 64).bit_length()


def member_bits(members: U64, lists: int) -> Bits:
    """bool[classes, lists] of packed members (bit k % 64 of word k // 64)."""
    octets = np.ascontiguousarray(members.astype("<u8", copy=False)).view(np.uint8)
    return np.unpackbits(octets, axis=1, count=lists, bitorder="little").view(np.bool_)


def packed_members(bits: Bits) -> U64:
    """What `member_bits` unpacks."""
    return _packed(bits, -(-bits.shape[1] // 64))


def _same(bits: Bits) -> Bits:
    return bits


def rows_of(
    members: U64,
    lists: int,
    condition_of_rule: Sequence[int | None],
    words: int,
    conditions_of: Callable[[Bits], Bits] = _same,
) -> U64:
    """Rows of classes, from which conditions each class satisfies. A class's bits are a byte each
    while they are worked on, and of 65,535 classes and 4,096 conditions never all at once.

    Args:
        members: uint64[classes, ...], packed, by list.
        lists: how many there are.
        condition_of_rule: for each rule its condition, None where it has none: then all classes
            satisfy it.
        words: of a row.
        conditions_of: from bool[some classes, lists] to bool[some classes, conditions], where
            lists are not conditions.

    Returns:
        uint64[classes, 1 + words], the summary first.
    """
    column = np.array([-1 if each is None else each for each in condition_of_rule], np.int64)
    rows = np.zeros((len(members), 1 + words), np.uint64)
    for part in _chunks(len(members), max(len(column), lists, 1)):
        satisfied = conditions_of(member_bits(members[part], lists))
        known = np.pad(satisfied, ((0, 0), (0, 1)), constant_values=True)
        rows[part, 1:] = _packed(np.take(known, column, axis=1), words)
    return summarized(rows)


def summarized(rows: U64) -> U64:
    """The same rows, their summary words filled in."""
    for part in _chunks(len(rows), 64 * rows.shape[1]):
        rows[part, 0] = _packed(rows[part, 1:] != 0, 1)[:, 0]
    return rows


def _packed(bits: Bits, words: int) -> U64:
    octets = np.zeros((len(bits), 8 * words), np.uint8)
    packed = np.packbits(bits, axis=1, bitorder="little")
    octets[:, : packed.shape[1]] = packed
    return octets.view("<u8").astype(np.uint64, copy=False)


def _chunks(count: int, width: int) -> Iterator[slice]:
    """So many rows at a time that their bits, a byte each, stay within 16 MB."""
    step = max(1, _CHUNK_BITS // width)
    for start in range(0, count, step):
        yield slice(start, start + step)
