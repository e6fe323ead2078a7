"""What the commands that go on until they are stopped have in common."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from xdpctl.cli.text import printable
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.snapshot import Reader
from xdpctl.errors import NoSuchInterface, NotAttached
from xdpctl.observe.rates import Interval, intervals


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
            print(f"xdpctl: {printable(error.message)} any more", file=sys.stderr)
