"""Interval after interval, who sends most on an interface."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.sampling import ONE_IN_MAX, Sample, Wanted
from xdpctl.datapath.snapshot import Reader, Snapshot
from xdpctl.observe.packets import PacketSource
from xdpctl.observe.rates import Interval, successive
from xdpctl.observe.talkers import By, Ranking, Talkers, look_at, one_in_for

SAMPLES_PER_SECOND = 2000.0
"""What is aimed at where nobody says how many packets to take: one hundredth of a CPU."""

HEAD_BYTES = 128
"""So much of a packet tells whose it is."""

WINDOW_INTERVALS = 5

_FIRST_LOOK_SECONDS = 0.2
_READ_SECONDS = 0.1


class TopInterval(NamedTuple):
    """The end of an interval.

    Attributes:
        ranking: of the last `WINDOW_INTERVALS` intervals.
        one_in: of so many packets one was taken in the last one.
        lost: so many came too fast to be read, since the beginning.
    """

    snapshot: Snapshot
    ranking: Ranking
    one_in: int
    lost: int


def top(
    interface: Interface,
    by: By,
    seconds: float,
    wait: Callable[[float], bool],
    *,
    rows: int | None = None,
    one_in: int | None = None,
    count: int | None = None,
) -> Iterator[TopInterval]:
    """Who sends most, at the end of each interval.

    Args:
        seconds: an interval.
        wait: waits for so many seconds, and says whether to go on.
        rows: how many talkers at most.
        one_in: of so many packets one is taken; None for what gives enough of them.
        count: how many intervals; None for no end.

    Raises NotAttached, NoSuchInterface, MissingPrivilege, KernelRefused.
    """
    talkers = Talkers(by, WINDOW_INTERVALS)
    with Reader(interface) as reader:
        first = one_in or _first_one_in(reader, wait)
        with PacketSource(interface, Wanted(one_in=first, bytes=HEAD_BYTES)) as source:
            found: list[Sample] = []

            def take() -> Snapshot:
                snapshot = reader.snapshot()
                found.extend(source.read())
                return snapshot

            def collect() -> bool:
                """Until the interval is over, for rings are small."""
                end = time.monotonic() + seconds
                go_on = True
                while go_on and (left := end - time.monotonic()) > 0:
                    go_on = wait(min(left, _READ_SECONDS))
                    found.extend(source.read())
                return go_on

            for earlier, later in successive(take, collect, count):
                interval = Interval.between(earlier, later)
                # What came after its end was read with it, and belongs to the next one.
                of_it = [
                    each
                    for each in found
                    if earlier.timestamp_ns < each.time_ns <= later.timestamp_ns
                ]
                found[:] = [each for each in found if each.time_ns > later.timestamp_ns]
                talkers.add(look_at(of_it), interval.counters.total, interval.seconds)
                yield TopInterval(later, talkers.ranking(rows), source.one_in, source.lost)
                if one_in is None:
                    source.take_one_in(_one_in(interval))


def _first_one_in(reader: Reader, wait: Callable[[float], bool]) -> int:
    earlier = reader.snapshot()
    wait(_FIRST_LOOK_SECONDS)
    return _one_in(Interval.between(earlier, reader.snapshot()))


def _one_in(interval: Interval) -> int:
    rate = interval.per_second(interval.counters.total.packets)
    return one_in_for(rate, SAMPLES_PER_SECOND, ONE_IN_MAX)
