"""A signal stops what goes on until it is stopped, at whatever moment it comes."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

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


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def at_instruction(wanted: int, act: Callable[[], None]) -> Callable[..., Any]:
    """A trace function that acts at the Nth instruction that Python executes, in whatever frame."""
    seen = 0

    def trace(frame: FrameType, _event: str, _argument: object) -> Callable[..., Any]:
        nonlocal seen
        frame.f_trace_opcodes = True
        seen += 1
        if seen == wanted:
            act()
        return trace

    return trace


def at_poll(act: Callable[[], None]) -> Callable[..., None]:
    """A profile function that acts when it is decided to sleep, once, and right before it."""
    times = 0

    def profile(_frame: FrameType, event: str, function: Any) -> None:
        nonlocal times
        if event == "c_call" and function.__name__ == "poll":
            times += 1
            if times == 1:
                act()

    return profile


def test_a_signal_at_any_instruction_of_waiting_stops() -> None:
    came = True
    instructions = 0
    while came:
        came = False
        instructions += 1

        def interrupt() -> None:
            nonlocal came
            came = True
            send(signal.SIGINT)

        with stop_signals() as stop:
            tracing = sys.gettrace()
            sys.settrace(at_instruction(instructions, interrupt))
            try:
                stop.wait(0.001)
            finally:
                sys.settrace(tracing)
            assert stop.is_set() == stop.wait(0) == came, instructions
    assert instructions > 20


@pytest.mark.parametrize("seconds", [math.inf, 1e12, 1000])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_right_before_the_sleep_ends_it(number: int, seconds: float) -> None:
    with stop_signals() as stop:
        profiling = sys.getprofile()
        sys.setprofile(at_poll(lambda: send(number)))
        try:
            assert stop.wait(seconds)
        finally:
            sys.setprofile(profiling)
        assert stop.is_set()


def test_another_signal_neither_ends_nor_shortens_the_wait() -> None:
    came = []
    before = signal.signal(signal.SIGUSR1, lambda *_: came.append(time.monotonic()))
    start_s = time.monotonic()
    try:
        with stop_signals() as stop:
            profiling = sys.getprofile()
            sys.setprofile(at_poll(lambda: send(signal.SIGUSR1)))
            try:
                assert not stop.wait(0.25)
            finally:
                sys.setprofile(profiling)
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
