"""What the commands that go on until they are stopped have in common."""

from __future__ import annotations

import math
import signal
import sys
import threading
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
        PacketSource(
            interface, choice.wanted, choice.packet_filter, ring_bytes=ring_bytes
        ) as source,
        stop_signals() as stop,
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


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and a closed terminal set, instead of ending us in the middle
    of something."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watch(
    interfaces: Sequence[Interface],
    seconds: float,
    stop: threading.Event,
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
