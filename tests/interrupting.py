"""Signals that come at a moment chosen to the instruction."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any


class Moment:
    """When a signal is sent to this process.

    Attributes:
        came: whether it was.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self.came = False

    def come(self) -> None:
        self.came = True
        os.kill(os.getpid(), self._number)


@contextmanager
def signal_at_instruction(
    number: int, instruction: int, within: CodeType | None = None
) -> Iterator[Moment]:
    """At the Nth event of tracing in this thread (a call, a line, an instruction); not at a return,
    where Python looks for no signal.

    Args:
        within: count only those of this function and of what it calls.
    """
    moment, seen = Moment(number), 0

    def trace(frame: FrameType, event: str, _argument: object) -> Callable[..., Any] | None:
        nonlocal seen
        if within is not None and not _is_within(frame, within):
            return None
        frame.f_trace_opcodes = True
        if event != "return":
            seen += 1
            if seen == instruction:
                moment.come()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield moment
    finally:
        sys.settrace(before)


@contextmanager
def signal_before(number: int, c_function: str) -> Iterator[Moment]:
    """Right before the first call of a function of this name that is written in C."""
    moment = Moment(number)

    def profile(_frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and function.__name__ == c_function and not moment.came:
            moment.come()

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield moment
    finally:
        sys.setprofile(before)


def _is_within(frame: FrameType | None, code: CodeType) -> bool:
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame is not None
