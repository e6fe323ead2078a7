"""Packets in batches: where they are in a buffer, instead of an object for each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol


class Batch(NamedTuple):
    """Packets that follow each other in a file; one at least.

    Attributes:
        data: holds the frames, with other bytes in between.
        offsets: where in `data` each frame begins, uint32.
        lengths: bytes of each frame that were captured, uint32; may be 0.
        originals: bytes that each frame had on the wire, uint32; never less than `lengths`.
        times_ns: since 1970-01-01 UTC, int64, in the order of the file.
        numbers: of the packets within the file, from 1; those that are left out count as well.
    """

    data: bytearray
    offsets: array[int]
    lengths: array[int]
    originals: array[int]
    times_ns: array[int]
    numbers: Sequence[int]


class Packet(NamedTuple):
    """A frame of Ethernet.

    Attributes:
        number: within the file, from 1.
        time_ns: since 1970-01-01 UTC.
        data: what was captured of it.
        original_length: bytes that it had on the wire.
    """

    number: int
    time_ns: int
    data: bytes
    original_length: int


def packets(batches: Iterable[Batch]) -> Iterator[Packet]:
    """The packets of batches one by one."""
    for batch in batches:
        view = memoryview(batch.data)
        for number, time_ns, offset, length, original in zip(
            batch.numbers,
            batch.times_ns,
            batch.offsets,
            batch.lengths,
            batch.originals,
            strict=True,
        ):
            yield Packet(number, time_ns, view[offset : offset + length].tobytes(), original)


class Gathering:
    """A batch while it comes together."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.offsets = array("I")
        self.lengths = array("I")
        self.originals = array("I")
        self.times_ns = array("q")
        self._missing: list[int] = []

    @property
    def number(self) -> int:
        """Of the packet that comes next."""
        return self.first + len(self.offsets) + len(self._missing)

    def add(self, offset: int, captured: int, original: int, time_ns: int) -> None:
        self.offsets.append(offset)
        self.lengths.append(captured)
        self.originals.append(original)
        self.times_ns.append(time_ns)

    def leave_out(self) -> None:
        """Pass the next packet over."""
        self._missing.append(self.number)

    def batch(self, data: bytearray) -> Batch:
        numbers: Sequence[int] = range(self.first, self.number)
        if self._missing:
            missing = set(self._missing)
            numbers = array("Q", (each for each in numbers if each not in missing))
        return Batch(data, self.offsets, self.lengths, self.originals, self.times_ns, numbers)


class Parser(Protocol):
    """Finds the packets in what was read of a file.

    Attributes:
        stopped: whether the rest of the file is beyond understanding.
    """

    stopped: bool

    def parse(self, buffer: bytearray, gathering: Gathering) -> int:
        """Add the packets that are there in whole; how many bytes are done with.

        What is done with may have been changed: see `linktypes`.
        """

    def finish(self, rest: bytearray, number: int) -> None:
        """Nothing comes after `rest`, with which packet `number` would begin."""
