"""The arithmetic of rates, by a clock that the test turns."""

from __future__ import annotations

import pytest

from netns_lab.pacing import TICK_S, Pacer

NO_LIMIT = 10**9


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("rate_pps", [1.0, 3.0, 99.0, 1000.0, 333_333.0, 5_000_000.0])
def test_each_second_has_as_many_packets_as_the_rate_says(rate_pps: float) -> None:
    clock = Clock()
    pacer = Pacer(rate_pps, clock)
    sent = 0
    for second in range(1, 6):
        while clock.now_s < 1000 + second - 1e-9:
            sent += pacer.due(NO_LIMIT)
            clock.now_s += min(pacer.wait_s(), 1000 + second - clock.now_s)
        assert abs(sent - rate_pps * second) <= rate_pps * 2 * TICK_S + 1


def test_nothing_is_due_before_its_time() -> None:
    clock = Clock()
    pacer = Pacer(10, clock)
    assert pacer.due(NO_LIMIT) == 0
    assert pacer.wait_s() == pytest.approx(0.1)
    clock.now_s += 0.099
    assert pacer.due(NO_LIMIT) == 0
    clock.now_s += 0.002
    assert pacer.due(NO_LIMIT) == 1


def test_what_a_limit_holds_back_is_due_later() -> None:
    clock = Clock()
    pacer = Pacer(1000, clock)
    clock.now_s += 0.05
    assert [pacer.due(20), pacer.due(20), pacer.due(20)] == [20, 20, 10]


def test_a_sender_that_was_held_up_makes_up_for_a_tenth_of_a_second_only() -> None:
    clock = Clock()
    pacer = Pacer(1000, clock)
    clock.now_s += 60
    assert pacer.due(NO_LIMIT) == 100
    assert pacer.due(NO_LIMIT) == 0
    clock.now_s += 0.0105
    assert pacer.due(NO_LIMIT) == 10
