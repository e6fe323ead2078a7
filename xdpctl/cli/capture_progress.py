"""While a capture is read: a bar on a terminal, and what Ctrl-C means for a pipe."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from xdpctl.rules.inputs import STDIN

if TYPE_CHECKING:
    from xdpctl.captures.batches import Batch
    from xdpctl.captures.reading import CaptureReader

LONG_BYTES = 64 << 20
"""Of a file that is worth a bar."""


@contextmanager
def first_interrupt_ends_the_pipe(capture: str) -> Iterator[None]:
    """Ctrl-C reaches whoever writes into the pipe, too: what is in it is still to be told."""
    if capture != STDIN:
        yield
        return

    def ignore_once(*_: Any) -> None:
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, ignore_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def progress(
    reader: CaptureReader, label: str, *, hidden: bool = False
) -> Iterator[Iterable[Batch]]:
    """The batches, with a bar on a terminal where the file is long."""
    size = reader.size_bytes or 0
    if hidden or size < LONG_BYTES or not sys.stderr.isatty():
        yield reader
        return
    with click.progressbar(length=size, file=sys.stderr, label=label) as bar:

        def shown() -> Iterator[Batch]:
            for batch in reader:
                bar.update(reader.bytes_read - bar.pos)
                yield batch

        yield shown()
