"""What the commands that go on until they are stopped have in common."""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from xdpctl.cli.text import printable
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.snapshot import Reader
from xdpctl.errors import NoSuchInterface, NotAttached, XdpctlError
from xdpctl.observe.rates import Interval, intervals

if TYPE_CHECKING:
    from xdpctl.cli.packet_options import Choice
    from xdpctl.datapath.sampling import Sample
    from xdpctl.observe.packets import PacketSource

_STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
_POLL_SECONDS_MAX = 3600.0  # poll(2) takes milliseconds as an int; whoever waits longer looks again


@contextmanager
def packets_of(
    interface: Interface, choice: Choice, *, ring_bytes: int = 1 << 20
) -> Iterator[tuple[Iterator[list[Sample]], PacketSource]]:
    """Batches of the chosen packets of an interface, until stopped, or the interface (or our
    program) goes away, and where they come from.

    Raises NotAttached, NoSuchInterface, MissingPrivilege, KernelRefused.
    """
    from xdpctl.observe.packets import PacketSource, stream  # noqa: PLC0415

    deadline = None if choice.seconds is None else time.monotonic() + choice.seconds
    with (
        stop_signals() as stop,
        PacketSource(
            interface, choice.wanted, choice.packet_filter, ring_bytes=ring_bytes
        ) as source,
    ):

        def wait(seconds: float) -> bool:
            left = math.inf if deadline is None else deadline - time.monotonic()
            return stop.wait(max(0.0, min(seconds, left))) or left <= seconds

        def batches() -> Iterator[list[Sample]]:
            try:
                yield from stream(source, wait, choice.limit)
            except (NoSuchInterface, NotAttached) as error:
                print_gone(error)

        yield batches(), source


def print_gone(error: XdpctlError) -> None:
    """What ends a command that goes on until it is stopped."""
    print(f"xdpctl: {printable(error.message)} any more", file=sys.stderr)


class Stop:
    """Set by the signals of stop_signals(), to be asked or waited for by the main thread.

    It is no threading.Event because a handler runs in the midst of whatever the main thread does:
    within an Event's wait(), its set() would wait for a lock which that thread itself holds, for
    ever. What wakes wait() is a byte that C writes when the signal comes (signal.set_wakeup_fd), so
    that none is missed between a look and the sleep, either.
    """

    def __init__(self, wakeup: int) -> None:
        """
        Args:
            wakeup: the end that is read of a pipe, which blocks nobody, for the signals' numbers.
        """
        self._wakeup = wakeup
        self._poll = select.poll()
        self._poll.register(wakeup, select.POLLIN)
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, seconds: float = math.inf) -> bool:
        """Whether it is set before so many seconds are over."""
        end_s = time.monotonic() + seconds
        while not self._set:
            left_s = min(end_s - time.monotonic(), _POLL_SECONDS_MAX)
            if self._poll.poll(max(0, math.ceil(left_s * 1000))):
                # The handler may not have run yet. Other handlers' signals have bytes here, too.
                self._set |= not _STOP_SIGNALS.isdisjoint(os.read(self._wakeup, 4096))
            elif end_s <= time.monotonic():
                break
        return self._set


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """What Ctrl-C, SIGTERM and a closed terminal set, instead of ending us in the middle of
    something."""
    with ExitStack() as stack:
        ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for end in ends:
            stack.callback(os.close, end)
        stop = Stop(ends[0])
        wakeup = signal.set_wakeup_fd(ends[1], warn_on_full_buffer=False)
        stack.callback(signal.set_wakeup_fd, wakeup)
        for number in _STOP_SIGNALS:
            handler = signal.signal(number, lambda *_: stop.set())
            stack.callback(signal.signal, number, handler)
        yield stop


def watch(
    interfaces: Sequence[Interface],
    seconds: float,
    stop: Stop,
    show: Callable[[list[Interval]], None],
    count: int | None = None,
) -> None:
    """Show interval after interval, until stopped or an interface (or our program) goes away.

    Raises:
        NotAttached, NoSuchInterface: at the start; later that is an end like any other.
    """
    with ExitStack() as stack:
        readers = [stack.enter_context(Reader(each)) for each in interfaces]
        for reader in readers:
            reader.snapshot()
        try:
            for each in intervals(readers, lambda: not stop.wait(seconds), count):
                show(each)
                sys.stdout.flush()
        except (NoSuchInterface, NotAttached) as error:
            print_gone(error)
