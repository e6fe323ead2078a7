"""Who sends most on an interface, as counts that go on: what a dashboard has of them.

Of what is sampled between two readings, whose packets were all counted, each key is given its
share of those. Estimates are rounded, and keys with the least are forgotten when there are many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import nlargest
from typing import NamedTuple

from xdpctl.datapath.counters import Tally
from xdpctl.datapath.sampling import ONE_IN_MAX, Wanted
from xdpctl.datapath.snapshot import Snapshot
from xdpctl.errors import KernelRefused
from xdpctl.observe.packets import PacketSource
from xdpctl.observe.rates import Interval
from xdpctl.observe.talkers import By, LookedAt, Talkers, key_text, look_at, one_in_for
from xdpctl.observe.top import HEAD_BYTES
from xdpctl.pylibbpf.fd import Owner

SAMPLES_PER_SECOND = 500.0
"""So many take half of a hundredth of a CPU."""

KEYS_SHOWN = 100
_KEYS_KEPT = 2000
_RING_BYTES = 256 << 10
BYS = (By.SRC, By.DST, By.PORT)


class Estimate(NamedTuple):
    """How far off a rate may be, to either side, in 95 of 100 cases: packets/s."""

    error: float


class CountedTalker(NamedTuple):
    name: str
    counted: Tally
    estimate: Estimate


class TalkerCounts(NamedTuple):
    """Attributes:
    talkers: those with most packets, by what they are put together by.
    known: how many there were.
    one_in: of so many packets one was looked at.
    """

    talkers: Mapping[By, tuple[CountedTalker, ...]]
    known: Mapping[By, int]
    one_in: int


class TalkerCounter(Owner):
    """Counts those of one interface; to be asked at each of its snapshots."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Raises as `SampleReader`."""
        self._before = snapshot
        self._totals: dict[By, dict[str, list[float]]] = {by: {} for by in BYS}
        wanted = Wanted(bytes=HEAD_BYTES)
        self._source = PacketSource(snapshot.interface, wanted, ring_bytes=_RING_BYTES)

    def count(self, snapshot: Snapshot) -> TalkerCounts:
        """With what came since the last time. Raises as `SampleReader.renew`."""
        looked_at = look_at(self._source.read())
        one_in = self._source.one_in
        interval = Interval.between(self._before, snapshot)
        self._before = snapshot
        errors = {by: self._add(by, looked_at, interval) for by in BYS}
        rate = interval.per_second(interval.counters.total.packets)
        self._source.take_one_in(one_in_for(rate, SAMPLES_PER_SECOND, ONE_IN_MAX))
        return TalkerCounts(
            {by: tuple(_largest(self._totals[by], errors[by])) for by in BYS},
            {by: len(self._totals[by]) for by in BYS},
            one_in,
        )

    def _add(self, by: By, looked_at: Iterable[LookedAt], interval: Interval) -> dict[str, float]:
        """Returns the errors of those who have sent."""
        talkers = Talkers(by, 1)
        talkers.add(looked_at, interval.counters.total, interval.seconds)
        totals, errors = self._totals[by], {}
        for each in talkers.ranking().talkers:
            name = key_text(each.key, by)
            of_key = totals.setdefault(name, [0.0, 0.0])
            of_key[0] += each.packets_per_second * interval.seconds
            of_key[1] += each.bits_per_second / 8 * interval.seconds
            errors[name] = each.error
        if len(totals) > 2 * _KEYS_KEPT:
            kept = nlargest(_KEYS_KEPT, totals, key=lambda name: totals[name][0])
            self._totals[by] = {name: totals[name] for name in kept}
        return errors

    def close(self) -> None:
        self._source.close()


def _largest(
    totals: Mapping[str, list[float]], errors: Mapping[str, float]
) -> Iterable[CountedTalker]:
    for name in nlargest(KEYS_SHOWN, totals, key=lambda name: totals[name][0]):
        packets, octets = totals[name]
        yield CountedTalker(
            name, Tally(round(packets), round(octets)), Estimate(errors.get(name, 0.0))
        )


def counter_of(snapshot: Snapshot) -> TalkerCounter | None:
    """None where all that can sample are sampling. Raises NotAttached, NoSuchInterface,
    MissingPrivilege."""
    try:
        return TalkerCounter(snapshot)
    except KernelRefused:
        return None
