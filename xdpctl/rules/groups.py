"""Fields that are looked up together: their classes, all taken together, choose one row.

Small fields are intersected when a ruleset is compiled, so that the data plane ANDs few rows: the
joint classes of Recursive Flow Classification (Gupta and McKeown, SIGCOMM 1999).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from xdpctl.rules.bitrows import U64, rows_of, summarized
from xdpctl.rules.numbers import FieldClasses

U16 = NDArray[np.uint16]

_COMBINATIONS_MAX = 1 << 14  # of the classes of a group of several fields

_CHUNK_WORDS = 1 << 21


@dataclass(frozen=True, slots=True)
class Group:
    """Fields, and the rows of the combinations of their classes.

    Attributes:
        fields: the first varies fastest: the index of a combination is the sum of each class times
            its multiplier.
        multipliers: of the fields.
        table: uint16[combinations]: the row of each; None where it is the combination's index.
        rows: uint64[rows, 1 + words].
    """

    fields: tuple[FieldClasses, ...]
    multipliers: tuple[int, ...]
    table: U16 | None
    rows: U64


def group_fields(fields: Sequence[FieldClasses], words: int) -> list[Group]:
    """Groups of as many fields as have few enough combinations. The data plane has room for more
    groups (GROUPS_MAX of bpf/config.h) than there are fields."""
    return [_group(part, words) for part in _partition(fields)]


def _partition(fields: Sequence[FieldClasses]) -> list[list[FieldClasses]]:
    """Smallest first, each to the first group that has room for it."""
    parts: list[list[FieldClasses]] = []
    for field in sorted(fields, key=lambda each: each.count):
        for part in parts:
            if prod(each.count for each in part) * field.count <= _COMBINATIONS_MAX:
                part.append(field)
                break
        else:
            parts.append([field])
    return parts


def _group(fields: Sequence[FieldClasses], words: int) -> Group:
    rows = [
        rows_of(each.members, each.conditions, each.condition_of_rule, words) for each in fields
    ]
    if len(fields) == 1:
        return Group(tuple(fields), (1,), None, rows[0])
    counts = [each.count for each in fields]
    multipliers = tuple(prod(counts[:i]) for i in range(len(counts)))
    table, chosen = _distinct_rows(rows, words)
    return Group(tuple(fields), multipliers, table, summarized(chosen))


def _distinct_rows(parts: Sequence[U64], words: int) -> tuple[U16, U64]:
    """The number of each combination's row, and the rows: those that differ.

    Rows are told apart by sums of products with random odd numbers, from the kernel's random source
    at each run: of 65,536 rows two are taken for one with a chance below 2^-31.
    """
    counts = [len(each) for each in parts]
    factors = np.frombuffer(os.urandom(8 * words), np.uint64) | np.uint64(1)
    numbers: dict[int, int] = {}
    table = np.empty(prod(counts), np.uint16)
    chosen: list[U64] = []
    step = max(1, _CHUNK_WORDS // words)
    for start in range(0, len(table), step):
        index = np.arange(start, min(start + step, len(table)))
        rows = np.full((len(index), 1 + words), ~np.uint64(0))
        for part, count in zip(parts, counts, strict=True):
            index, place = np.divmod(index, count)
            rows &= part[place]
        keys, first, inverse = np.unique(
            (_mixed(rows[:, 1:]) * factors).sum(axis=1, dtype=np.uint64),
            return_index=True,
            return_inverse=True,
        )
        known = []
        for key, place in zip(keys.tolist(), first.tolist(), strict=True):
            if key not in numbers:
                numbers[key] = len(numbers)
                chosen.append(rows[place])
            known.append(numbers[key])
        table[start : start + step] = np.array(known, np.uint16)[inverse]
    return table, np.array(chosen)


def _mixed(rows: U64) -> U64:
    """Words in which every bit depends on every other; murmur3's finalizer (public domain)."""
    rows = (rows ^ rows >> np.uint64(33)) * np.uint64(0xFF51AFD7ED558CCD)
    rows = (rows ^ rows >> np.uint64(33)) * np.uint64(0xC4CEB9FE1A85EC53)
    return rows ^ rows >> np.uint64(33)
