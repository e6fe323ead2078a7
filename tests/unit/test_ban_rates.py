"""Rates of bans: what each has dropped between two looks at them."""

from __future__ import annotations

import pytest

from xdpctl.datapath.ban_entries import Ban, parse_ban
from xdpctl.datapath.counters import Tally
from xdpctl.datapath.interfaces import Interface
from xdpctl.observe.ban_rates import BansInterval, BansSnapshot

LEFT, RIGHT = Interface("left", 1), Interface("right", 2)


def snapshot(seconds: float, *bans: tuple[Interface, str, int, int]) -> BansSnapshot:
    return BansSnapshot(
        tuple(
            (where, Ban(parse_ban(prefix), "", 0, None, None, Tally(packets, length)))
            for where, prefix, packets, length in bans
        ),
        0,
        int(seconds * 1e9),
    )


def test_a_ban_is_compared_with_itself_on_its_interface() -> None:
    earlier = snapshot(
        1, (LEFT, "192.0.2.1", 10, 600), (RIGHT, "192.0.2.1", 2, 120), (LEFT, "192.0.2.2", 9, 540)
    )
    later = snapshot(3.5, (LEFT, "192.0.2.1", 15, 900), (RIGHT, "192.0.2.1", 3, 180))
    interval = BansInterval.between(earlier, later)

    assert interval.recent == (Tally(5, 300), Tally(1, 60))
    assert interval.total == Tally(6, 360)
    assert later.total == Tally(18, 1080)
    assert interval.per_second(5) == pytest.approx(2)


def test_a_ban_that_is_new_or_set_again_counts_from_nothing() -> None:
    earlier = snapshot(1, (LEFT, "192.0.2.1", 10, 600))
    later = snapshot(2, (LEFT, "192.0.2.0/24", 4, 240), (LEFT, "192.0.2.1", 3, 180))

    assert BansInterval.between(earlier, later).recent == (Tally(4, 240), Tally(3, 180))
