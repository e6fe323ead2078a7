"""The data plane's clock in a replay: it goes by the times of the packets.

It is 0 a year before the first packet. Limits count it in sixteenths of a nanosecond within 64
bits, which is 36 years, and may look a year ahead: what comes later than it can tell, or
before it began, it tells as its last moment and as its first.
"""

from __future__ import annotations

from typing import NamedTuple

_YEAR_NS = 365 * 86400 * 10**9
LAST_NS = 34 * _YEAR_NS


class Clock(NamedTuple):
    """Attributes: origin_ns: Unix time at which the clock is 0."""

    origin_ns: int

    @classmethod
    def beginning_at(cls, first_ns: int) -> Clock:
        """That of packets of which the first came at this Unix time."""
        return cls(max(first_ns - _YEAR_NS, -(2**63)))

    def at(self, time_ns: int) -> int:
        """What it says at a Unix time; as `clock_at()` of bpf/replay.bpf.c."""
        return min(max(time_ns - self.origin_ns, 1), LAST_NS)
