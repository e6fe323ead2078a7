"""Trees of 64-byte blocks that map a 64-bit key to a value, built level by level with numpy.

The layout is that of bpf/addresses.h, where it is drawn. A tree is built from *boundaries*: keys in
ascending order at which the value changes. All nodes of a level are built at once; no step loops
over boundaries or nodes in Python.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from xdpctl.rules.address_layout import (
    BLOCK_WORDS,
    INNER_MAX,
    LARGE_MAX,
    LINKS_AT,
    LOW,
    NO_STEP,
    NODE,
    SHIFT_AT,
    SMALL_MAX,
    SPARSE_MAX,
    STEP_MAX,
    U16,
    U32,
    U64,
    Index,
    Keys,
    Kind,
    Mask,
)

_DIRECT_LEVELS_MAX = 3
_DIRECT_BITS_MAX = 20
_FEW_BOUNDARIES = 1 << 15
"""Below it arrays have a slot or two for each boundary, so that nearly all slots need one leaf;
from there on a slot for every four to eight of them, which caches like better."""

_BATCH = 1 << 16


class Segments(NamedTuple):
    """Runs of boundaries, each to become a node: int64[n] each.

    Attributes:
        first: number of the first boundary.
        size: how many boundaries.
        block: the number of the block that the node is written to.
    """

    first: Index
    size: Index
    block: Index

    def where(self, chosen: Mask | slice) -> Segments:
        return Segments(self.first[chosen], self.size[chosen], self.block[chosen])

    @classmethod
    def joined(cls, parts: list[Segments]) -> Segments:
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))


class Blocks:
    """The blocks of a table while it grows."""

    def __init__(self) -> None:
        self._words: U32 = np.zeros((64, BLOCK_WORDS), np.uint32)
        self._used = 0

    def reserve(self, count: int) -> int:
        """The number of the first of `count` new blocks, which are zero."""
        first, self._used = self._used, self._used + count
        if self._used > len(self._words):
            grown = np.zeros((max(self._used, len(self._words) * 3 // 2), BLOCK_WORDS), np.uint32)
            grown[:first] = self._words[:first]
            self._words = grown
        return first

    @property
    def words(self) -> U32:
        """uint32[blocks, 16], until more are reserved."""
        return self._words[: self._used]


class Tree:
    """Trees over one array of boundaries.

    Args:
        blocks: where the nodes go.
        keys: uint32[n] or uint64[n], ascending, none of them 0.
        values: uint32[n + 1]; `values[i]` holds after i boundaries. A class, or NODE and the number
            of a node that stands at the beginning of a block.
        low: whether the keys are the low halves of IPv6 addresses.
    """

    def __init__(self, blocks: Blocks, keys: Keys, values: U32, *, low: bool = False) -> None:
        self._blocks = blocks
        self._keys = keys
        self._values = values
        self._low = LOW if low else 0
        self._links = bool(values.max(initial=0) & NODE)

    def build(self, segments: Segments) -> int:
        """Write the tree of each segment. Returns the most nodes on a way from a root to a leaf."""
        depth = direct_levels = 0
        while len(segments.first):
            depth += 1
            shift, fits = self._resolution(segments)
            size, capacity = segments.size, np.where(fits, LARGE_MAX, SPARSE_MAX)
            large = fits & (size <= LARGE_MAX) & (size > 0)
            sparse = ~large & (size <= SPARSE_MAX)
            direct = (size > capacity * INNER_MAX) & (direct_levels < _DIRECT_LEVELS_MAX)
            inner = ~(large | sparse | direct)
            self._write_stepped(Kind.LARGE, segments.where(large), shift[large])
            self._write_sparse(segments.where(sparse))
            below = [self._write_inner(segments.where(inner), capacity[inner])]
            if direct.any():
                direct_levels += 1
                small, others = self._write_direct(segments.where(direct))
                below.append(others)
                if small and not len(below[0].first) + len(others.first):
                    depth += 1
            segments = Segments.joined(below)
        return depth

    def _resolution(self, segments: Segments) -> tuple[Index, Mask]:
        """For each segment the power of two that divides all its steps, and whether 15 bits then
        hold each distance from its first boundary."""
        first, size, _ = segments
        divisors = np.zeros(len(self._keys) + 1, self._keys.dtype)
        np.subtract(self._keys[1:], self._keys[:-1], out=divisors[1:-1])
        occupied = size > 0
        starts = first[occupied]
        divisors[starts] = 0  # the step from the segment before
        edges = np.stack((starts, starts + size[occupied]), axis=1).ravel()
        steps = divisors[:0]
        if len(edges):
            steps = np.bitwise_or.reduceat(divisors, edges)[::2]
        span = self._keys[starts + size[occupied] - 1] - self._keys[starts]
        shift = np.zeros(len(first), np.int64)
        fits = np.ones(len(first), np.bool_)
        lowest_bit: Keys = steps & (~steps + steps.dtype.type(1))
        shift[occupied] = _bit_length(lowest_bit) - (steps != 0)
        fits[occupied] = span >> shift[occupied].astype(span.dtype) <= STEP_MAX
        return shift, fits

    def _meta(self, kind: Kind, shift: Index | int, links: U32 | int = 0) -> U32:
        fields = np.asarray(links) << LINKS_AT | np.asarray(shift) << SHIFT_AT
        return (fields | kind | self._low).astype(np.uint32)

    def _classes(self, segments: Segments, ranks: int) -> tuple[U16, U32, U32]:
        """What holds after 0, 1, ... ranks - 1 boundaries of each segment (the last repeated), with
        the mask of those that are links, and the block that links count from."""
        rank = np.minimum(np.arange(ranks), segments.size[:, None])
        values = self._values[segments.first[:, None] + rank]
        if not self._links:
            zero = np.zeros(len(values), np.uint32)
            return values.astype(np.uint16), zero, zero
        is_link = values & NODE != 0
        numbers = (values & (NODE - 1)) >> 1
        origin = np.where(is_link, numbers, NODE).min(axis=1)
        links = (is_link << np.arange(ranks)).sum(axis=1)
        values = np.where(is_link, numbers - origin[:, None], values)
        return values.astype(np.uint16), links.astype(np.uint32), origin

    def _distances(self, segments: Segments, shift: Index, count: int) -> U16:
        """Of the boundaries after the first from the first: uint16[n, count]."""
        following = np.arange(1, count + 1)
        present = following < segments.size[:, None]
        first = segments.first[:, None]
        last = first + segments.size[:, None] - 1
        keys = self._keys[np.minimum(first + following, last)]
        distance = keys - self._keys[first] >> shift[:, None].astype(keys.dtype)
        return np.where(present, distance, NO_STEP).astype(np.uint16)

    def _write_stepped(self, kind: Kind, segments: Segments, shift: Index) -> None:
        """Leaves of half a block, where `block` counts halves, or of a whole one."""
        most = SMALL_MAX if kind is Kind.SMALL else LARGE_MAX
        words = self._blocks.words.reshape(-1, BLOCK_WORDS // (2 if kind is Kind.SMALL else 1))
        for start in range(0, len(shift), _BATCH):
            batch = slice(start, start + _BATCH)
            part, by = segments.where(batch), shift[batch]
            rows = np.zeros((len(by), words.shape[1]), np.uint32)
            classes, links, origin = self._classes(part, most + 1)
            rows[:, 0] = self._meta(kind, by, links)
            rows[:, 1] = origin
            rows.view(np.uint64)[:, 1] = self._keys[part.first]
            rows.view(np.uint16)[:, 8 : 9 + most] = classes
            rows.view(np.uint16)[:, 9 + most :] = self._distances(part, by, most - 1)
            words[part.block] = rows

    def _write_sparse(self, segments: Segments) -> None:
        rows = np.zeros((len(segments.first), BLOCK_WORDS), np.uint32)
        classes, links, origin = self._classes(segments, SPARSE_MAX + 1)
        rows[:, 0] = self._meta(Kind.SPARSE, 0, links)
        rows[:, 1] = origin
        rows.view(np.uint16)[:, 4:10] = classes
        place = np.arange(SPARSE_MAX)
        number = np.where(place < segments.size[:, None], segments.first[:, None] + place, -1)
        rows.view(np.uint64)[:, 3:] = self._lasts(number)
        self._blocks.words[segments.block] = rows

    def _lasts(self, number: Index) -> U64:
        """The greatest key before each boundary; the greatest of all where the number is -1."""
        if not len(self._keys):
            return np.full(number.shape, ~np.uint64(0))
        before = self._keys[number].astype(np.uint64) - np.uint64(1)
        return np.where(number < 0, ~np.uint64(0), before)

    def _write_inner(self, segments: Segments, capacity: Index) -> Segments:
        """Returns the children: of one size in each node, all full but the last level's."""
        first, size, block = segments
        leaves = -(-size // capacity)
        share = np.ones(len(first), np.int64)  # leaves below each child
        while (more := share * INNER_MAX < leaves).any():
            share[more] *= INNER_MAX
        children = -(-leaves // share)
        each = -(-size // np.maximum(children, 1))
        before = np.cumsum(children) - children
        origin = self._blocks.reserve(int(children.sum())) + before

        place = np.arange(1, INNER_MAX)
        number = np.where(place < children[:, None], first[:, None] + place * each[:, None], -1)
        rows = np.zeros((len(first), BLOCK_WORDS), np.uint32)
        rows[:, 0] = self._meta(Kind.INNER, 0)
        rows[:, 1] = origin
        rows.view(np.uint64)[:, 1:] = self._lasts(number)
        self._blocks.words[block] = rows

        child = np.arange(children.sum()) - np.repeat(before, children)
        start = np.repeat(first, children) + child * np.repeat(each, children)
        end = np.minimum(start + np.repeat(each, children), np.repeat(first + size, children))
        return Segments(start, end - start, np.repeat(origin, children) + child)

    def _write_direct(self, segments: Segments) -> tuple[bool, Segments]:
        """Returns whether there are small leaves below, and all other nodes below."""
        first, size, block = segments
        lowest, highest = self._keys[first], self._keys[first + size - 1]
        spread = np.where(size < _FEW_BOUNDARIES, 0, 2)
        bits = np.minimum(_bit_length(size) - spread, _DIRECT_BITS_MAX)
        shift = np.maximum(_bit_length(highest - lowest) - bits, 0).astype(lowest.dtype)
        base = lowest >> shift << shift
        last_slot = (highest - base >> shift).astype(np.int64)
        array_blocks = last_slot // BLOCK_WORDS + 1
        before = np.cumsum(array_blocks) - array_blocks
        origin = self._blocks.reserve(int(array_blocks.sum())) + before

        rows = np.zeros((len(first), BLOCK_WORDS), np.uint32)
        rows[:, 0] = self._meta(Kind.DIRECT, shift.astype(np.int64))
        rows[:, 1] = origin
        rows.view(np.uint64)[:, 1] = base
        rows[:, 4] = self._values[first]
        rows[:, 5] = last_slot
        self._blocks.words[block] = rows

        slots, entries = self._slots(segments, base, shift, array_blocks)
        small, others = self._write_below(slots, entries)
        array = self._blocks.words[origin[0] : origin[0] + len(entries) // BLOCK_WORDS]
        array[:] = entries.reshape(-1, BLOCK_WORDS)
        return small, others

    def _slots(
        self, segments: Segments, base: Keys, shift: Keys, array_blocks: Index
    ) -> tuple[Segments, U32]:
        """The boundaries inside each slot of the arrays, and the value at its beginning."""
        first, size, _ = segments
        slots = array_blocks * BLOCK_WORDS
        ends, slot_ends = np.cumsum(size), np.cumsum(slots)
        number = np.repeat(first - (ends - size), size)
        number += np.arange(ends[-1])
        offset = self._keys[number]
        del number
        offset -= np.repeat(base, size)
        by = np.repeat(shift, size)
        slot = np.repeat(slot_ends - slots, size)
        np.add(slot, offset >> by, out=slot, casting="unsafe")
        total = np.bincount(slot, minlength=slot_ends[-1])
        inside = offset != offset >> by << by
        held = np.bincount(slot[inside], minlength=slot_ends[-1])
        start = np.cumsum(total) - held + np.repeat(first - (ends - size), slots)
        return Segments(start, held, start), self._values[start]

    def _write_below(self, slots: Segments, entries: U32) -> tuple[bool, Segments]:
        """Give each slot that has boundaries inside a node, and write it where that is small."""
        (busy,) = np.nonzero(slots.size)
        below = Segments(slots.first[busy], slots.size[busy], busy)
        shift, fits = self._resolution(below)
        small = fits & (below.size <= SMALL_MAX)
        count = int(small.sum())
        halves = 2 * self._blocks.reserve((count + 1) // 2) + np.arange(count)
        entries[busy[small]] = NODE | halves
        leaves = below.where(small)._replace(block=halves)
        self._write_stepped(Kind.SMALL, leaves, shift[small])
        blocks = self._blocks.reserve(len(busy) - count) + np.arange(len(busy) - count)
        entries[busy[~small]] = NODE | blocks * 2
        return bool(count), below.where(~small)._replace(block=blocks)


def _bit_length(numbers: Keys | Index) -> Index:
    """As int.bit_length(); over 2^53 it may be one more, which costs a leaf its fit at worst."""
    return np.frexp(numbers.astype(np.float64))[1].astype(np.int64)
