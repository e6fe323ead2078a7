"""Who sends most: rates estimated from a sample of the packets, with their error.

How many packets there were is known exactly; of those that were sampled it is known whose they
are. If n of T packets were sampled at random, and k of these are somebody's, then that somebody
has sent about T k/n, give or take 1.96 standard errors in 95 of 100 cases, where the standard error
of the share p = k/n is sqrt(p (1 - p) / n * (1 - n/T)) (W. G. Cochran, Sampling Techniques, 3.2:
simple random sampling without replacement). Where all were sampled there is no error.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable
from enum import StrEnum
from math import sqrt
from typing import Any, NamedTuple

from xdpctl.datapath.counters import Tally
from xdpctl.datapath.sampling import Sample
from xdpctl.rules.frame import Packet, parse

_CONFIDENCE = 1.96  # standard errors: 95 %


class By(StrEnum):
    """What packets are put together by."""

    SRC = "src"
    DST = "dst"
    FLOW = "flow"
    PORT = "port"
    RULE = "rule"


Key = tuple[Hashable, ...]
"""Of `src` and `dst`: the address, or the protocol of what has none. Of `flow`: both addresses,
protocol and both ports, each None where there is none. Of `port`: protocol and destination port.
Of `rule`: the rule's name and the reason for a drop, either None."""


class Talker(NamedTuple):
    """What is estimated of one key.

    Attributes:
        share: of all packets, 0 to 1.
        packets_per_second, bits_per_second: estimates.
        error: of `packets_per_second`, to either side, in 95 of 100 cases.
    """

    key: Key
    share: float
    packets_per_second: float
    bits_per_second: float
    error: float


class Ranking(NamedTuple):
    """Those who send most.

    Attributes:
        talkers: who sends most first.
        seconds: the time that this is about.
        total: all packets and bytes of that time, exactly.
        sampled: of those packets so many.
    """

    talkers: tuple[Talker, ...]
    seconds: float
    total: Tally
    sampled: int


class _Interval(NamedTuple):
    seconds: float
    total: Tally
    sampled: int
    packets: Counter[Key]
    bytes: Counter[Key]


class Talkers:
    """The last intervals, put together by one thing."""

    def __init__(self, by: By, intervals: int) -> None:
        self._key_of = _KEYS[by]
        self._intervals: deque[_Interval] = deque(maxlen=intervals)

    def add(self, samples: Iterable[Sample], total: Tally, seconds: float) -> None:
        """What came in an interval: some packets, and how many there were in all."""
        packets: Counter[Key] = Counter()
        octets: Counter[Key] = Counter()
        for sample in samples:
            key = self._key_of(sample)
            packets[key] += 1
            octets[key] += sample.length
        self._intervals.append(_Interval(seconds, total, packets.total(), packets, octets))

    def ranking(self, rows: int | None = None) -> Ranking:
        """The first `rows` of them, or all."""
        packets: Counter[Key] = Counter()
        for each in self._intervals:
            packets.update(each.packets)
        seconds = sum(each.seconds for each in self._intervals)
        total = Tally(
            sum(each.total.packets for each in self._intervals),
            sum(each.total.bytes for each in self._intervals),
        )
        # Of those whose samples are few estimates are alike: all but the first need no arithmetic.
        candidates = packets.most_common(None if rows is None else 2 * rows + 10)
        talkers = [self._talker(key, seconds, total) for key, _ in candidates]
        talkers.sort(key=lambda each: each.packets_per_second, reverse=True)
        return Ranking(tuple(talkers[:rows]), seconds, total, packets.total())

    def _talker(self, key: Key, seconds: float, total: Tally) -> Talker:
        packets = octets = variance = 0.0
        for each in self._intervals:
            if not each.sampled:
                continue
            population = max(each.total.packets, each.sampled)
            share = each.packets[key] / each.sampled
            scale = population / each.sampled
            packets += scale * each.packets[key]
            octets += scale * each.bytes[key]
            variance += population**2 * share * (1 - share) / each.sampled * (1 - 1 / scale)
        per_second = 1 / seconds if seconds else 0.0
        return Talker(
            key,
            packets / total.packets if total.packets else 0.0,
            packets * per_second,
            octets * 8 * per_second,
            _CONFIDENCE * sqrt(variance) * per_second,
        )


def one_in_for(packets_per_second: float, wanted_per_second: float, most: int) -> int:
    """Of how many packets one is to be taken, so that about so many a second come."""
    return max(1, min(most, round(packets_per_second / wanted_per_second)))


def _address_key(sample: Sample, which: str) -> Key:
    address = getattr(parse(sample.data), which)
    return (sample.protocol,) if address is None else (address,)


def _flow_key(sample: Sample) -> Key:
    packet: Packet = parse(sample.data)
    protocol = sample.protocol
    return (packet.src, packet.dst, protocol, packet.sport, packet.dport)


def _port_key(sample: Sample) -> Key:
    return (sample.protocol, parse(sample.data).dport)


_KEYS: dict[By, Callable[[Sample], Any]] = {
    By.SRC: lambda sample: _address_key(sample, "src"),
    By.DST: lambda sample: _address_key(sample, "dst"),
    By.FLOW: _flow_key,
    By.PORT: _port_key,
    By.RULE: lambda sample: (sample.rule, sample.reason),
}
