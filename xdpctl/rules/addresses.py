"""Address tables: disjoint intervals with classes become the blocks that the data plane reads.

bpf/addresses.h draws the structure. What is compiled here is copied as it is into the one value
of a BPF array map; `lookup` walks the same blocks in Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xdpctl.rules.address_layout import (
    BLOCK_WORDS,
    KIND_MASK,
    LINKS_AT,
    LOW,
    NODE,
    SHIFT_AT,
    STEP_MAX,
    U16,
    U32,
    U64,
    Index,
    Kind,
    Mask,
)
from xdpctl.rules.address_nodes import Blocks, Segments, Tree

FORMAT = b"xdpctl address table 2"
"""Of blocks and of how lists are numbered: changed with either, so that no table is taken for one
of today."""


class Root(NamedTuple):
    """What the program has of a table at hand (struct address_root).

    Attributes:
        blocks: how many there are.
        used: 1, that of a program without the table is all zero.
        direct: whether block 0 is an array of values, as mostly; the others are of that array.
    """

    blocks: int
    used: int = 1
    direct: int = 0
    base: int = 0
    child: int = 0
    before: int = 0
    limit: int = 0
    shift: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """A compiled table.

    Attributes:
        version: 4 or 6.
        blocks: uint32[n, 16], n at least 1, 64 bytes each: the one value of the array map.
        depth: the most nodes that a lookup visits.
    """

    version: int
    blocks: U32
    depth: int

    def root(self) -> Root:
        words = self.blocks[0]
        if words[0] & KIND_MASK != Kind.DIRECT:
            return Root(len(self.blocks))
        return Root(
            len(self.blocks),
            direct=1,
            base=int(words.view(np.uint64)[1]),
            child=int(words[1]),
            before=int(words[4]),
            limit=int(words[5]),
            shift=int(words[0] >> SHIFT_AT & 63),
        )


def compile_ipv4(starts: U32, ends: U32, classes: U16) -> Table:
    """The table of IPv4 addresses.

    Args:
        starts, ends: uint32[n], ascending and disjoint, both ends included.
        classes: uint16[n]; 0 is as good as not covered.

    Raises:
        ValueError: the intervals overlap or are out of order.
    """
    _check_order(starts <= ends, ends[:-1] < starts[1:])
    after = ends + np.uint32(1)
    last = np.equal(after, 0)
    chosen, values = _changes(classes, last, after[:-1] == starts[1:], np.equal(starts[:1], 0))
    keys = _interleaved(starts, after)[chosen]
    blocks = Blocks()
    depth = Tree(blocks, keys, values).build(_whole(keys, blocks))
    return Table(4, blocks.words, depth)


def compile_ipv6(starts: U64, ends: U64, classes: U16) -> Table:
    """The table of IPv6 addresses.

    Args:
        starts, ends: uint64[n, 2], high and low half, ascending and disjoint, both ends included.
        classes: uint16[n]; 0 is as good as not covered.

    Raises:
        ValueError: the intervals overlap or are out of order.
    """
    _check_order(~_less(ends, starts), _less(ends[:-1], starts[1:]))
    after = ends + np.array([0, 1], np.uint64)
    after[:, 0] += after[:, 1] == 0
    last, adjacent = (after == 0).all(axis=1), (after[:-1] == starts[1:]).all(axis=1)
    chosen, values = _changes(classes, last, adjacent, (starts[:1] == 0).all(axis=1))
    high, low = (_interleaved(starts[:, half], after[:, half])[chosen] for half in (0, 1))

    blocks = Blocks()
    root = blocks.reserve(1)
    upper_keys, upper_values, lower = _split(high, low, values, blocks)
    below = Tree(blocks, low, values, low=True).build(lower)
    segment = Segments(*(np.array([n]) for n in (0, len(upper_keys), root)))
    depth = Tree(blocks, upper_keys, upper_values).build(segment)
    return Table(6, blocks.words, depth + below)


def _check_order(sound: Mask, disjoint: Mask) -> None:
    if not (sound.all() and disjoint.all()):
        raise ValueError("intervals have to be in ascending order and disjoint")


def _less(a: U64, b: U64) -> Mask:
    """Of addresses in halves."""
    less: Mask = (a[:, 0] < b[:, 0]) | (a[:, 0] == b[:, 0]) & (a[:, 1] < b[:, 1])
    return less


def _interleaved(starts: NDArray[Any], after: NDArray[Any]) -> NDArray[Any]:
    return np.stack((starts, after), axis=1).ravel()


def _changes(classes: U16, last: Mask, adjacent: Mask, at_zero: Mask) -> tuple[Index, U32]:
    """Where the class changes: which of start, end, start, end, ..., and what holds after 0, 1, ...
    of these. Address 0 has nothing before it, the last one nothing behind it."""
    values = _interleaved(classes.astype(np.uint32), np.zeros(len(classes), np.uint32))
    ends = ~last
    ends[:-1] &= ~adjacent
    (chosen,) = np.nonzero(_interleaved(np.ones(len(classes), np.bool_), ends))
    values = values[chosen]
    changed = np.diff(values, prepend=np.uint32(0)) != 0
    chosen, values = chosen[changed], np.append(np.uint32(0), values[changed])
    if len(chosen) and chosen[0] == 0 and at_zero[0]:
        return chosen[1:], values[1:]
    return chosen, values


def _whole(keys: U64, blocks: Blocks) -> Segments:
    return Segments(*(np.array([number]) for number in (0, len(keys), blocks.reserve(1))))


def _split(high: U64, low: U64, values: U32, blocks: Blocks) -> tuple[U64, U32, Segments]:
    """The tree of the high halves, which links to a tree of low halves for each high half that has
    boundaries inside: keys and values of the former, the segments of the latter."""
    first = np.flatnonzero(np.diff(high, prepend=~high[:1]) != 0)
    end = np.append(first[1:], len(high))
    keys, held = high[first], values[end]
    start = first + (low[first] == 0)
    divided = end > start
    links = blocks.reserve(int(divided.sum())) + np.arange(divided.sum())
    lower = Segments(start[divided], (end - start)[divided], links)

    # Where a divided half ends, what holds at its end holds on, unless more begins there.
    ends = divided & (keys != ~np.uint64(0))
    ends[:-1] &= keys[:-1] + np.uint64(1) != keys[1:]
    begun = held.copy()
    begun[divided] = NODE | links * 2
    (chosen,) = np.nonzero(_interleaved(np.ones(len(keys), np.bool_), ends))
    upper = _interleaved(keys, keys + np.uint64(1))[chosen]
    after = np.append(values[0], _interleaved(begun, held)[chosen])
    return (upper[1:], after[1:], lower) if len(upper) and upper[0] == 0 else (upper, after, lower)


def lookup(table: Table, addresses: NDArray[Any]) -> U16:
    """The class of each address, found by walking the blocks as the data plane does.

    Args:
        addresses: uint32[n] for IPv4, uint64[n, 2] (high and low half) for IPv6.

    Returns:
        uint16[n]
    """
    halves = np.zeros((2, len(addresses)), np.uint64)
    halves[: addresses.ndim] = addresses.T
    words = table.blocks.reshape(-1, BLOCK_WORDS // 2)
    values = np.full(len(addresses), NODE, np.uint32)
    (walking,) = np.nonzero(values & NODE)
    while len(walking):
        at = (values[walking] & (NODE - 1)).astype(np.int64)
        node = np.concatenate((words[at], words[np.minimum(at + 1, len(words) - 1)]), axis=1)
        low = (node[:, 0] & LOW != 0).astype(np.int64)
        values[walking] = _step(table.blocks, node, halves[low, walking])
        walking = walking[values[walking] & NODE != 0]
    return values.astype(np.uint16)


def _step(blocks: U32, node: U32, key: U64) -> U32:
    """What each node says of its key: uint32[n] of nodes uint32[n, 16] and keys uint64[n]."""
    meta, child = node[:, 0], node[:, 1].astype(np.int64)
    halves, wide = node.view(np.uint16).astype(np.int64), node.view(np.uint64)
    before = key < wide[:, 1]
    shift = (meta >> SHIFT_AT & 63).astype(np.uint64)
    distance = np.where(before, 0, key - wide[:, 1] >> shift)
    step = np.minimum(distance, STEP_MAX).astype(np.int64)[:, None]

    slot = np.minimum(distance, node[:, 5]).astype(np.int64)
    array = np.minimum(child * BLOCK_WORDS + slot, blocks.size - 1)
    direct = np.where(before, node[:, 4], blocks.ravel()[array])
    small = np.where(before, 0, 1 + (halves[:, 13:16] <= step).sum(axis=1))
    large = np.where(before, 0, 1 + (halves[:, 21:] <= step).sum(axis=1))
    sparse = (wide[:, 3:] < key[:, None]).sum(axis=1)
    inner = (wide[:, 1:] < key[:, None]).sum(axis=1)

    row = np.arange(len(node))
    leaf = np.choose(meta & KIND_MASK, (0 * small, small, large, sparse, inner))
    found = halves[row, np.where(meta & KIND_MASK == Kind.SPARSE, 4, 8) + leaf]
    linked = meta >> LINKS_AT >> leaf.astype(np.uint32) & 1 != 0
    found = np.where(linked, NODE | (child + found) * 2, found)
    result = np.choose(meta & KIND_MASK, (direct, found, found, found, NODE | (child + inner) * 2))
    return result.astype(np.uint32)
