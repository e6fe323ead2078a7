"""Counts over time: one snapshot after another, and the difference between two of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from xdpctl.datapath.counters import Counters, Tally
from xdpctl.datapath.snapshot import Reader, Snapshot

T = TypeVar("T")


class Rate(NamedTuple):
    """Packets and bytes a second."""

    packets: float
    bytes: float


class Interval(NamedTuple):
    """What was counted between two snapshots of an interface.

    Attributes:
        snapshot: the later one.
        seconds: between them.
        counters: what came in between.
    """

    snapshot: Snapshot
    seconds: float
    counters: Counters

    @classmethod
    def between(cls, earlier: Snapshot, later: Snapshot) -> Interval:
        """Counters that were started anew meanwhile (detached and attached again) began at zero."""
        seconds = (later.monotonic_ns - earlier.monotonic_ns) / 1e9
        if earlier.attached_at_ns != later.attached_at_ns:
            return cls(later, seconds, later.total)
        return cls(later, seconds, later.total.since(earlier.total))

    def rate(self, tally: Tally) -> Rate:
        """Of what was counted in the interval."""
        return Rate(*map(self.per_second, tally))

    def per_second(self, count: int) -> float:
        return per_second(count, self.seconds)


def per_second(count: int, seconds: float) -> float:
    return count / seconds if seconds else 0.0


def intervals(
    readers: Sequence[Reader], wait: Callable[[], bool], count: int | None = None
) -> Iterator[list[Interval]]:
    """For every reader an interval, again and again. As `successive`, and raises as the readers do
    when an interface goes away: NoSuchInterface, NotAttached."""
    for earlier, later in successive(
        lambda: [reader.snapshot() for reader in readers], wait, count
    ):
        yield [Interval.between(*pair) for pair in zip(earlier, later, strict=True)]


def successive(
    take: Callable[[], T], wait: Callable[[], bool], count: int | None = None
) -> Iterator[tuple[T, T]]:
    """Pairs of what `take` gave before and after an interval, again and again.

    Args:
        wait: waits for the end of an interval, and says whether to go on.
        count: how many intervals; None for no end.
    """
    earlier = take()
    turns = 0
    while (count is None or turns < count) and wait():
        later = take()
        yield earlier, later
        earlier = later
        turns += 1
