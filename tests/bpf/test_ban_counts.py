"""The bans that hit most, read again and again: which of them, and how often all are looked at."""

from __future__ import annotations

import time

from tests.bpf.banning import Banning, banning, frame, prefix
from xdpctl.datapath.ban_counts import BanReader
from xdpctl.datapath.bans import Terms
from xdpctl.datapath.counters import Tally

LENGTH = len(frame("192.0.2.1"))


class Clock:
    """Goes on by a second whenever it is asked, or is set."""

    def __init__(self) -> None:
        self.now_s = 0

    def __call__(self) -> float:
        self.now_s += 1
        return self.now_s


def hit(bans: Banning, **times: int) -> None:
    """`_1=2`: two packets from 192.0.2.1."""
    for last, count in times.items():
        for _ in range(count):
            bans.verdict(f"192.0.2.{last[1:]}")


def read(reader: BanReader) -> tuple[dict[str, Tally], int]:
    found = reader.read()
    return {str(each.prefix): each.hits for each in found.bans}, found.in_force


def test_few_bans_are_all_read_and_those_that_hit_most_come_first() -> None:
    with banning() as bans:
        reader = BanReader(bans.running)
        assert read(reader) == ({}, 0)
        bans.ban("192.0.2.1", "192.0.2.2", terms=Terms(3600, "scan"))
        bans.ban("192.0.2.128/25", "2001:db8::/32")
        hit(bans, _2=2, _129=1, _200=2)
        found = reader.read()
        assert [(str(each.prefix), each.hits, each.tag) for each in found.bans] == [
            ("192.0.2.128/25", Tally(3, 3 * LENGTH), ""),
            ("192.0.2.2", Tally(2, 2 * LENGTH), "scan"),
            ("192.0.2.1", Tally(0, 0), "scan"),
            ("2001:db8::/32", Tally(0, 0), ""),
        ]
        for one, other in zip(sorted(found.bans), sorted(bans.table), strict=True):
            times = {"remaining_ns": None, "expires_ns": None}
            assert one._replace(**times) == other._replace(**times)
        remaining = found.bans[1].remaining_ns
        assert remaining is not None and 3590 * 10**9 < remaining <= 3600 * 10**9


def test_of_many_those_that_hit_most_are_read_and_all_are_counted() -> None:
    with banning() as bans:
        bans.ban(*(f"192.0.2.{n}" for n in range(1, 6)))
        hit(bans, _5=3, _2=1, _3=2)
        reader = BanReader(bans.running, most=2)
        assert read(reader) == (
            {"192.0.2.5": Tally(3, 3 * LENGTH), "192.0.2.3": Tally(2, 2 * LENGTH)},
            5,
        )
        reader = BanReader(bans.running, most=4)
        assert [*read(reader)[0]][:3] == ["192.0.2.5", "192.0.2.3", "192.0.2.2"]
        assert len(read(reader)[0]) == 4


def test_all_are_looked_at_a_hundredth_of_the_time_and_the_chosen_always() -> None:
    with banning() as bans:
        clock = Clock()
        reader = BanReader(bans.running, most=2, clock=clock)
        bans.ban("192.0.2.1", "192.0.2.2", "192.0.2.3")
        hit(bans, _1=2, _2=1)
        assert [*read(reader)[0]] == ["192.0.2.1", "192.0.2.2"]  # it took a second, the third
        hit(bans, _2=4, _3=9)
        bans.table.remove([prefix("192.0.2.1")])
        clock.now_s = 100
        assert read(reader) == ({"192.0.2.2": Tally(5, 5 * LENGTH)}, 3)
        clock.now_s = 101
        assert [*read(reader)[0]] == ["192.0.2.3", "192.0.2.2"]


def test_expired_bans_leave_their_places_to_others() -> None:
    with banning() as bans:
        bans.ban("192.0.2.1", "192.0.2.2", "192.0.2.3")
        hit(bans, _1=3, _2=2, _3=1)
        entries = bans.running.map("bans")
        long_ago = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 10**9
        for key, entry in list(entries.lookup_batch()):
            if key.high >> 32 & 255 == 1:
                entries[vars(key)] = {**vars(entry), "expires_ns": long_ago}
        assert [*read(BanReader(bans.running, most=2))[0]] == ["192.0.2.2", "192.0.2.3"]
