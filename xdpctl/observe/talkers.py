"""Who sends most: rates estimated from a sample of the packets, with their error.

How many packets there were is known exactly; of those that were sampled it is known whose they
are. If n of T packets were sampled at random, and k of these are somebody's, then that somebody
has sent about T k/n, give or take 1.96 standard errors in 95 of 100 cases, where the standard error
of the share p = k/n is sqrt(p (1 - p) / n * (1 - n/T)) (W. G. Cochran, Sampling Techniques, 3.2:
simple random sampling without replacement). Where all were sampled there is no error.

With few samples that would be too little, and nothing at all where k = n: for the error two more of
somebody's are put to the k and four to the n (A. Agresti, B. A. Coull, The American Statistician
52(2), 1998), which for many makes no difference.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable
from enum import StrEnum
from math import sqrt
from typing import NamedTuple

from xdpctl.datapath.counters import Tally
from xdpctl.datapath.sampling import Sample
from xdpctl.rules.frame import Address, Packet, parse

_CONFIDENCE = 1.96  # standard errors: 95 %
_MORE_OF_ONE, _MORE_OF_ALL = 2, 4


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


LookedAt = tuple[Sample, Packet]


def look_at(samples: Iterable[Sample]) -> list[LookedAt]:
    """Samples with what they say."""
    return [(each, parse(each.data)) for each in samples]


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

    def add(self, looked_at: Iterable[LookedAt], total: Tally, seconds: float) -> None:
        """What came in an interval: some packets, and how many there were in all."""
        packets: Counter[Key] = Counter()
        octets: Counter[Key] = Counter()
        for sample, packet in looked_at:
            key = self._key_of(sample, packet)
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
        sampled = [each for each in self._intervals if each.sampled]
        for each in sampled:
            population = max(each.total.packets, each.sampled)
            count = each.sampled + _MORE_OF_ALL / len(sampled)
            share = (each.packets[key] + _MORE_OF_ONE / len(sampled)) / count
            scale = population / each.sampled
            packets += scale * each.packets[key]
            octets += scale * each.bytes[key]
            variance += population**2 * share * (1 - share) / count * (1 - 1 / scale)
        per_second = 1 / seconds if seconds else 0.0
        return Talker(
            key,
            packets / total.packets if total.packets else 0.0,
            packets * per_second,
            octets * 8 * per_second,
            _CONFIDENCE * sqrt(variance) * per_second,
        )


def key_text(key: Key, by: By) -> str:
    """A key on a line."""
    match by, key:
        case By.FLOW, (Address() as src, Address() as dst, proto, sport, dport):
            return f"{src.with_port(_port(sport))} > {dst.with_port(_port(dport))} {proto}"
        case By.FLOW, _:
            return str(key[2])
        case By.PORT, (proto, port):
            return str(proto) if port is None else f"{proto}/{port}"
        case By.RULE, (rule, reason):
            return str(rule) if rule is not None else f"({reason or 'default'})"
    return str(key[0])


def _port(value: object) -> int | None:
    return value if isinstance(value, int) else None


def one_in_for(packets_per_second: float, wanted_per_second: float, most: int) -> int:
    """Of how many packets one is to be taken, so that about so many a second come."""
    return max(1, min(most, round(packets_per_second / wanted_per_second)))


def _of_address(protocol: str, address: Address | None) -> Key:
    return (protocol,) if address is None else (address,)


_KEYS: dict[By, Callable[[Sample, Packet], Key]] = {
    By.SRC: lambda sample, packet: _of_address(sample.protocol, packet.src),
    By.DST: lambda sample, packet: _of_address(sample.protocol, packet.dst),
    By.FLOW: lambda sample, packet: (
        packet.src, packet.dst, sample.protocol, packet.sport, packet.dport,
    ),
    By.PORT: lambda sample, packet: (sample.protocol, packet.dport),
    By.RULE: lambda sample, _: (sample.rule, sample.reason),
}  # fmt: skip
