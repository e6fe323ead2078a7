"""Which cell of a limit an address shares: the multilinear hash, in Python.

D. Lemire, O. Kaser: Strongly Universal String Hashing is Fast, The Computer Journal 57 (2014): the
high half of the sum, modulo 2^64, of a first key and each word of 32 bits times a key of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from xdpctl.rules.model import Limit
from xdpctl.rules.reference import Network


def cell(keys: Sequence[int], limit: Limit, network: Network) -> int:
    version, number = network
    if version == 4:
        total = keys[0] + keys[1] * number
    elif version == 6:
        words = [number >> shift & 0xFFFFFFFF for shift in (96, 64, 32, 0)]
        total = keys[2] + sum(k * word for k, word in zip(keys[3:7], words, strict=True))
    else:
        total = keys[7]
    return (total % 2**64 >> 32) % limit.cells


def cells_by(
    keys: Mapping[str, Sequence[int]], limits: Mapping[str, Limit]
) -> Callable[[str, Network], int]:
    """For the reference model's buckets."""
    return lambda name, network: cell(keys[name], limits[name], network) if limits[name].per else 0
