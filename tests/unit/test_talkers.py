"""Who sends most, estimated from samples: by arithmetic, and how often that is right."""

from __future__ import annotations

import struct
from collections import Counter
from math import sqrt

import numpy as np
import pytest

from tests.packets import ARP, IPV4, TCP, UDP, eth, ipv4
from xdpctl.datapath.counters import Tally
from xdpctl.datapath.sampling import Sample
from xdpctl.observe.talkers import By, Ranking, Talkers, look_at, one_in_for
from xdpctl.rules.frame import Address

DESTINATION = Address(4, 192 << 24 | 2 << 8 | 2)  # of tests.packets: 192.0.2.2
UDP_BYTES = 100


def sample(
    source: int = 0,
    *,
    data: bytes | None = None,
    length: int = UDP_BYTES,
    protocol: str = "udp",
    rule: str | None = None,
    reason: str | None = None,
) -> Sample:
    """A UDP packet from an address with this number, 40000 > 53; or other bytes."""
    if data is None:
        frame = bytearray(eth(IPV4, ipv4(17, UDP)))
        frame[26:30] = struct.pack("!I", source)  # behind 14 bytes of Ethernet and 12 of IPv4
        data = bytes(frame)
    verdict = "drop" if reason else "pass"
    return Sample(0, length, data, 0, 0, protocol, verdict, reason, rule, None)


def ranking(*intervals: tuple[list[Sample], Tally, float], by: By = By.SRC) -> Ranking:
    made = Talkers(by, 5)
    for each in intervals:
        made.add(look_at(each[0]), *each[1:])
    return made.ranking()


def test_estimate_is_the_share_of_all_packets() -> None:
    """3 of 4 samples of 1,000 packets in 2 s: 750, which is 375 a second. Of (3 + 2) / (4 + 4)
    the standard error is sqrt(5/8 * 3/8 / 8), less the part of 4 in 1,000 that is known."""
    found = [sample(1)] * 3 + [sample(2)]
    made = ranking((found, Tally(1000, 100_000), 2.0))
    assert (made.seconds, made.total, made.sampled) == (2.0, (1000, 100_000), 4)
    first, second = made.talkers
    assert first.key == (Address(4, 1),)
    assert first.share == pytest.approx(0.75)
    assert first.packets_per_second == pytest.approx(375)
    assert first.bits_per_second == pytest.approx(375 * 100 * 8)
    standard_error = sqrt(5 / 8 * 3 / 8 / 8 * (1 - 4 / 1000))
    assert first.error == pytest.approx(1.96 * 1000 * standard_error / 2)
    assert (second.key, second.packets_per_second) == ((Address(4, 2),), pytest.approx(125))


def test_where_all_were_sampled_there_is_no_error() -> None:
    made = ranking(([sample(1)] * 3 + [sample(2)], Tally(4, 400), 1.0))
    assert [(each.packets_per_second, each.error) for each in made.talkers] == [(3, 0), (1, 0)]


def test_one_source_alone_has_an_error_all_the_same() -> None:
    """Of 100 samples that are all of one, up to some three in a hundred may be of others."""
    (only,) = ranking(([sample(1)] * 100, Tally(10_000, 0), 1.0)).talkers
    assert only.packets_per_second == pytest.approx(10_000)
    assert only.error == pytest.approx(
        1.96 * 10_000 * sqrt(102 / 104 * 2 / 104 / 104 * 0.99), rel=1e-9
    )


def test_intervals_count_by_their_packets_and_not_by_their_samples() -> None:
    """One packet in ten of 1,000, then one in a hundred of 10,000: 500 + 1,000 of 11,000."""
    few = [sample(1)] * 50 + [sample(2)] * 50
    many = [sample(1)] * 10 + [sample(2)] * 90
    made = ranking((few, Tally(1000, 0), 1.0), (many, Tally(10_000, 0), 1.0))
    rates = {each.key[0]: each.packets_per_second for each in made.talkers}
    assert rates == {
        Address(4, 2): pytest.approx(9500 / 2), Address(4, 1): pytest.approx(1500 / 2)
    }  # fmt: skip
    assert made.talkers[1].share == pytest.approx(1500 / 11_000)


def test_only_the_last_intervals_count() -> None:
    made = Talkers(By.SRC, 2)
    for source in (1, 2, 3):
        made.add(look_at([sample(source)]), Tally(1, 100), 1.0)
    assert {each.key for each in made.ranking().talkers} == {(Address(4, 2),), (Address(4, 3),)}
    assert made.ranking().seconds == 2


def test_nothing_is_estimated_of_nothing() -> None:
    assert ranking() == Ranking((), 0, Tally(0, 0), 0)
    assert ranking(([], Tally(0, 0), 1.0)).talkers == ()
    assert ranking(([], Tally(9, 900), 1.0)).talkers == ()
    (only,) = ranking(([sample(1)], Tally(0, 0), 0.0)).talkers
    assert only.packets_per_second == only.error == 0


def test_rows_are_those_who_send_most() -> None:
    found = [sample(number) for number in range(200) for _ in range(number)]
    made = Talkers(By.SRC, 1)
    made.add(look_at(found), Tally(len(found), 0), 1.0)
    keys = [each.key[0] for each in made.ranking(3).talkers]
    assert keys == [Address(4, number) for number in (199, 198, 197)]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (By.SRC, {(Address(4, 7),), ("arp",)}),
        (By.DST, {(DESTINATION,), ("arp",)}),
        (By.FLOW, {(Address(4, 7), DESTINATION, "udp", 40000, 53),
                   (Address(4, 192 << 24 | 2 << 8 | 1), DESTINATION, "tcp", 40000, 80),
                   (None, None, "arp", None, None)}),
        (By.PORT, {("udp", 53), ("tcp", 80), ("arp", None)}),
        (By.RULE, {("web", None), (None, "default"), (None, None)}),
    ],
)  # fmt: skip
def test_keys_are_what_packets_are_put_together_by(by: By, expected: set[object]) -> None:
    found = [
        sample(7, rule="web"),
        sample(data=eth(IPV4, ipv4(6, TCP)), protocol="tcp", reason="default"),
        sample(data=eth(ARP, bytes(28)), protocol="arp"),
    ]
    made = ranking((found, Tally(3, 300), 1.0), by=by)
    keys = {each.key for each in made.talkers}
    others = {(Address(4, 192 << 24 | 2 << 8 | 1),)} if by is By.SRC else set()
    assert keys == expected | others


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
def test_error_covers_the_truth_in_95_of_100_cases(share: float) -> None:
    """Of 20,000 packets 1,000 are sampled without putting them back, 2,000 times over. By chance
    such a frequency is off by 0.5 % (one standard error)."""
    population, count, runs = 20_000, 1000, 2000
    senders = round(population * share)
    drawn = np.random.default_rng(1).hypergeometric(senders, population - senders, count, runs)
    covered = 0
    one, other = sample(1), sample(2)
    for number, times in Counter(drawn.tolist()).items():
        made = ranking(([one] * number + [other] * (count - number), Tally(population, 0), 1.0))
        estimate = next(each for each in made.talkers if each.key == (Address(4, 1),))
        covered += times * (abs(estimate.packets_per_second - senders) <= estimate.error)
    assert 0.92 <= covered / runs <= 0.98


def test_rate_of_sampling_is_what_gives_as_many_samples_as_are_wanted() -> None:
    assert one_in_for(0, 2000, 1_000_000) == 1
    assert one_in_for(2000, 2000, 1_000_000) == 1
    assert one_in_for(1_000_000, 2000, 1_000_000) == 500
    assert one_in_for(1e12, 2000, 1_000_000) == 1_000_000
