"""What bans drop over time, whoever is banned and unbanned meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from xdpctl.datapath.ban_entries import Ban
from xdpctl.datapath.bans import read_bans
from xdpctl.datapath.counters import Tally
from xdpctl.datapath.interfaces import Interface
from xdpctl.observe.rates import per_second, successive

InterfaceBan = tuple[Interface, Ban]


class BansSnapshot(NamedTuple):
    """The bans in force on some interfaces at one moment.

    Attributes:
        timestamp_ns: on CLOCK_REALTIME.
        monotonic_ns: the same moment, for rates.
    """

    bans: tuple[InterfaceBan, ...]
    timestamp_ns: int
    monotonic_ns: int

    @property
    def total(self) -> Tally:
        return _sum([ban.hits for _, ban in self.bans])


class BansInterval(NamedTuple):
    """What bans dropped between two snapshots.

    Attributes:
        snapshot: the later one.
        seconds: between them.
        recent: what came in between, in the order of the later one's bans; of a ban that is new,
            or was ended and set again, what it has dropped since then.
    """

    snapshot: BansSnapshot
    seconds: float
    recent: tuple[Tally, ...]

    @classmethod
    def between(cls, earlier: BansSnapshot, later: BansSnapshot) -> BansInterval:
        before = {(where.ifindex, ban.prefix): ban.hits for where, ban in earlier.bans}
        recent = tuple(
            _since(ban.hits, before.get((where.ifindex, ban.prefix))) for where, ban in later.bans
        )
        return cls(later, (later.monotonic_ns - earlier.monotonic_ns) / 1e9, recent)

    @property
    def total(self) -> Tally:
        return _sum(self.recent)

    def per_second(self, count: int) -> float:
        return per_second(count, self.seconds)


def take_bans(interfaces: Sequence[Interface], tag: str | None = None) -> BansSnapshot:
    """The bans of a tag, or all. Raises as `read_bans`."""
    bans = tuple((each, ban) for each in interfaces for ban in read_bans(each, tag))
    return BansSnapshot(bans, time.time_ns(), time.monotonic_ns())


def bans_intervals(
    interfaces: Sequence[Interface],
    tag: str | None,
    wait: Callable[[], bool],
    count: int | None = None,
) -> Iterator[BansInterval]:
    """Interval after interval; `wait` and `count` as of `successive`. Raises as `read_bans`."""
    for earlier, later in successive(lambda: take_bans(interfaces, tag), wait, count):
        yield BansInterval.between(earlier, later)


def _since(now: Tally, before: Tally | None) -> Tally:
    if before is None or now.packets < before.packets:
        return now
    return Tally(now.packets - before.packets, now.bytes - before.bytes)


def _sum(tallies: Sequence[Tally]) -> Tally:
    return Tally(sum(each.packets for each in tallies), sum(each.bytes for each in tallies))
