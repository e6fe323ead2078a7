"""Interfaces as pcapng describes them: link type, clock, length of the frame check sequence.

Source: draft-ietf-opsawg-pcapng, 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from struct import Struct
from typing import NamedTuple

from xdpctl.captures import blocks
from xdpctl.captures.linktypes import Adapter, adapter

_NS_PER_SECOND = 1_000_000_000
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_TSRESOL_BINARY = 0x80
_MICROSECONDS = 6
_BITS_PER_BYTE = 8


class Clock(NamedTuple):
    """What the reader needs at each packet, where times are whole nanoseconds.

    Attributes:
        adapt: see `linktypes.adapter()`.
        factor: nanoseconds per unit of time.
        high_max: of the upper 32 bits of a time, such that `ticks * factor + base_ns` is an
            int64; below 0 where `Interface.time_ns()` has to be asked for every time.
        base_ns: added to each time.
    """

    adapt: Adapter | None
    factor: int
    high_max: int
    base_ns: int


class Interface(NamedTuple):
    """An interface of a section.

    Attributes:
        adapt: see `linktypes.adapter()`.
        numerator, denominator: nanoseconds per unit of time.
        base_ns: added to each time.
        snaplen: bytes that are kept of a packet at most; 0 is no limit.
    """

    adapt: Adapter | None
    numerator: int
    denominator: int
    base_ns: int
    snaplen: int

    def time_ns(self, ticks: int) -> int:
        """Since 1970-01-01 UTC, rounded down; the nearest int64 if it is none."""
        exact = ticks * self.numerator // self.denominator + self.base_ns
        return max(_INT64_MIN, min(_INT64_MAX, exact))

    @property
    def clock(self) -> Clock:
        high_max = -1
        if self.denominator == 1 and self.base_ns >= _INT64_MIN:
            high_max = ((_INT64_MAX - self.base_ns) // self.numerator >> 32) - 1
        return Clock(self.adapt, self.numerator, high_max, self.base_ns)


UNREADABLE = Interface(lambda *packet: "of an interface whose description is damaged", 1, 1, 0, 0)
"""In the place of one that cannot be read: the others keep their numbers."""


def read_interface(body: bytes, order: str) -> Interface:
    """Of the body of an Interface Description Block, 8 bytes or more, in this byte order."""
    link_type, snaplen = Struct(order + "H2xI").unpack_from(body)
    resolution, offset_s, fcs_bytes = _MICROSECONDS, 0, 0
    for code, value in _options(body[8:], order):
        if code == blocks.IF_TSRESOL and len(value) == 1:
            resolution = value[0]
        elif code == blocks.IF_TSOFFSET and len(value) == 8:  # noqa: PLR2004
            (offset_s,) = Struct(order + "q").unpack(value)
        elif code == blocks.IF_FCSLEN and len(value) == 1:
            fcs_bytes = _fcs_bytes(value[0])
    numerator, denominator = _ns_per_tick(resolution)
    adapt = adapter(link_type, fcs_bytes)
    return Interface(adapt, numerator, denominator, offset_s * _NS_PER_SECOND, snaplen)


def _options(body: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """As far as they are sound."""
    head = Struct(order + "HH")
    offset = 0
    while offset + head.size <= len(body):
        code, length = head.unpack_from(body, offset)
        offset += head.size
        if code == blocks.END_OF_OPTIONS or offset + length > len(body):
            return
        yield code, body[offset : offset + length]
        offset += length + 3 & ~3


def _ns_per_tick(resolution: int) -> tuple[int, int]:
    """Of if_tsresol, as a fraction in lowest terms."""
    exponent = resolution & ~_TSRESOL_BINARY
    per_second = (2 if resolution & _TSRESOL_BINARY else 10) ** exponent
    common = gcd(_NS_PER_SECOND, per_second)
    return _NS_PER_SECOND // common, per_second // common


def _fcs_bytes(length: int) -> int:
    """The specification says bits, and gives 4 as its example: programs write 4 as well as 32."""
    return length // _BITS_PER_BYTE if length >= _BITS_PER_BYTE else length
