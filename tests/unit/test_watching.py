"""A signal stops what goes on until it is stopped, at whatever moment it comes."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator
from itertools import count

import pytest

from tests.interrupting import signal_at_instruction, signal_before
from xdpctl.cli.watching import stop_signals


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    def fail(*_: object) -> None:
        raise AssertionError("still waiting after 30 s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_a_signal_at_any_instruction_of_waiting_stops() -> None:
    for instruction in count(1):
        with stop_signals() as stop:
            with signal_at_instruction(signal.SIGINT, instruction) as moment:
                stop.wait(0.001)
            assert stop.is_set() == stop.wait(0) == moment.came, instruction
        if not moment.came:
            break
    assert instruction > 20


@pytest.mark.parametrize("seconds", [math.inf, 1e12, 1000])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_right_before_the_sleep_ends_it(number: int, seconds: float) -> None:
    with stop_signals() as stop:
        with signal_before(number, "poll"):
            assert stop.wait(seconds)
        assert stop.is_set()


def test_another_signal_neither_ends_nor_shortens_the_wait() -> None:
    came = []
    before = signal.signal(signal.SIGUSR1, lambda *_: came.append(time.monotonic()))
    start_s = time.monotonic()
    try:
        with stop_signals() as stop:
            with signal_before(signal.SIGUSR1, "poll"):
                assert not stop.wait(0.25)
            assert time.monotonic() - start_s >= 0.25
            assert len(came) == 1
            assert not stop.is_set()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_afterwards_all_is_as_before() -> None:
    def state() -> tuple[object, ...]:
        wakeup = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(wakeup)
        handlers = map(signal.getsignal, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        return wakeup, *handlers, len(os.listdir("/proc/self/fd"))

    before = state()
    with pytest.raises(ValueError, match="of the body"), stop_signals():
        assert state() != before
        raise ValueError("of the body")
    assert state() == before
