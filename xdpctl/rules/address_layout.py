"""The layout of the address tables' nodes, as bpf/addresses.h draws it."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
Keys = NDArray[np.unsignedinteger[Any]]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]

BLOCK_WORDS = 16
"""32-bit words in a block of 64 bytes."""

NODE = 1 << 31
"""Set in a value that is no class but the number of a node, counted in half blocks."""

KIND_MASK, LOW, SHIFT_AT, LINKS_AT = 0x7, 1 << 3, 4, 10
"""How `meta`, the first word of a node, is divided."""

STEP_MAX, NO_STEP = 0x7FFE, 0x7FFF
"""The farthest that a boundary is from the base of its leaf, and what stands for no boundary."""


class Kind(IntEnum):
    """`enum address_kind`"""

    DIRECT = 0
    SMALL = 1
    LARGE = 2
    SPARSE = 3
    INNER = 4


SMALL_MAX, LARGE_MAX, SPARSE_MAX, INNER_MAX = 4, 12, 5, 8
"""Boundaries of a leaf by its kind, and children of an inner node."""
