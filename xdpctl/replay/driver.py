"""bpf/replay.bpf.c in the kernel: packets of many batches are laid out in memory that it shares,
and put through another program in as few test runs as can be.

A test run of many repetitions puts its program into the kernel's XDP dispatcher and takes it out
again, and waits both times until no CPU may be using the old one: 25 ms. So short runs go one by
one, at some 2 microseconds each, and so do packets that are too long for one page.
"""

from __future__ import annotations

import errno
import os
import struct
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

from xdpctl.datapath.loading import open_object
from xdpctl.datapath.program import RunningProgram
from xdpctl.pylibbpf import BpfError, ObjectProgram
from xdpctl.pylibbpf.fd import Owner
from xdpctl.replay.clock import LAST_NS, Clock
from xdpctl.replay.packets import Packets

BPF_OBJECT = os.path.join(os.path.dirname(__file__), os.pardir, "data", "replay.bpf.o")

LENGTH_MIN = 14
LENGTH_MAX = 73152
"""What BPF_PROG_TEST_RUN takes: an Ethernet header, and one page and 17 fragments."""

_LINEAR_MAX, _LENGTH_ROOM = 3072, 4096  # of bpf/replay.bpf.c
FEW = 4096
"""Packets that are rather put through one by one."""
_SHARED = ("clock", "begun", "judged")
_U32, _U64 = struct.Struct("=I"), struct.Struct("=Q")
_FIELDS = ("verdict", "reason", "malformed", "protocol", "slot", "length")


class Judged(NamedTuple):
    """What the program made of a packet, in its own numbers (struct judged)."""

    verdict: int
    reason: int
    malformed: int
    protocol: int
    slot: int
    length: int


class Driver(Owner):
    """Puts packets through a program that was loaded for a replay.

    Attributes:
        packets_max, bytes_max: of a batch.
        too_short, too_long, refused: how many packets were not judged.
        timed, duration_ns: of how many it is known how long the kernel took to make and judge
            them, and how long that was.
    """

    def __init__(self, program: ObjectProgram, running: RunningProgram, clock: Clock) -> None:
        """Raises BadInstallation, PylibbpfError."""
        self._program = program
        self._clock = clock
        with ExitStack() as stack:
            self._object = obj = stack.enter_context(open_object(BPF_OBJECT, "replay"))
            for name in _SHARED:
                obj.maps[name].reuse_fd(running.map(name).fd)
            obj.load()
            obj.maps.programs[0] = program.fd
            obj.bss.origin_ns, obj.bss.clock_last_ns = clock.origin_ns, LAST_NS
            self._memory = {
                name: stack.enter_context(obj.maps[name].mmap(writable=True))
                for name in ("blocks", "table", *_SHARED)
            }
            self._verdicts = len(running.names.verdicts)
            self._row = running.map("judged").value_row(*_FIELDS)
            self._stack = stack.pop_all()
        self._block_bytes: int = obj.maps.blocks.info.value_size
        self._blocks: int = obj.maps.blocks.info.max_entries
        self.packets_max: int = obj.maps.judged.info.max_entries
        self.bytes_max = self._block_bytes - _LENGTH_ROOM
        self.too_short = self.too_long = self.refused = self.timed = self.duration_ns = 0
        self._forget()

    def close(self) -> None:
        self._stack.close()

    def _forget(self) -> None:
        self._staged: list[Packets] = []
        self._ends: list[int] = []  # of each batch's packets, as numbers in this run
        self._odd: list[tuple[int, int]] = []  # numbers and lengths that the driver does not make
        self._count = 0

    def takes(self, packets: Packets) -> bool:
        """Whether it is a batch of a size that can be staged."""
        return len(packets.data) <= self.bytes_max and len(packets.lengths) <= self.packets_max

    def has_room_for(self, packets: Packets) -> bool:
        """For one more of these, before the next run."""
        count = self._count + len(packets.lengths)
        return len(self._staged) < self._blocks and count <= self.packets_max

    def stage(self, packets: Packets) -> None:
        """A batch for the next run."""
        lengths, first = packets.lengths, self._count
        if lengths and (min(lengths) < LENGTH_MIN or max(lengths) > _LINEAR_MAX):
            self._odd += [
                (number, length)
                for number, length in enumerate(lengths, first)
                if not LENGTH_MIN <= length <= _LINEAR_MAX
            ]
        start = len(self._staged) * self._block_bytes
        self._memory["blocks"][start : start + len(packets.data)] = packets.data
        self._fill(0, "q", first, packets.times_ns)
        self._fill(8 * self.packets_max, "I", first, packets.offsets)
        self._fill(12 * self.packets_max, "I", first, lengths)
        self._staged.append(packets)
        self._count += len(lengths)
        self._ends.append(self._count)

    def _fill(self, column: int, typecode: str, first: int, values: Sequence[int]) -> None:
        """Of struct table."""
        if not isinstance(values, array) or values.typecode != typecode:
            values = array(typecode, values)
        start = column + first * values.itemsize
        self._memory["table"][start : start + len(values) * values.itemsize] = values.tobytes()

    def run(self, *, records: bool) -> list[list[Judged | None]]:
        """Judges what was staged, whole; returns for each batch and packet what became of it, None
        for a packet that was not judged, or nothing unless records are asked for.

        Raises BpfError.
        """
        unjudged = self._judge_all()
        judged = self._records(unjudged) if records else []
        starts = [0, *self._ends]
        ends = self._ends
        self._forget()
        return [judged[first:end] for first, end in zip(starts, ends, strict=False)]

    def _judge_all(self) -> set[int]:
        """Returns the numbers of those that were not made packets."""
        unjudged = set()
        bss = self._object.bss
        bss.ends = self._ends + [self._count] * (self._blocks - len(self._ends))
        bss.block = at = 0
        for number, length in [*self._odd, (self._count, 0)]:
            self._judge(at, number)
            at = number + 1
            if number == self._count:
                break
            if length < LENGTH_MIN:
                self.too_short += 1
                unjudged.add(number)
            elif length > LENGTH_MAX:
                self.too_long += 1
                unjudged.add(number)
            else:
                self._judge_one(number)
        return unjudged

    def _judge(self, first: int, end: int) -> None:
        if end - first <= FEW:
            self._judge_each(first, end)
            return
        bss = self._object.bss
        failed = bss.failed
        begun = self._memory["begun"]
        begun[:4] = _U32.pack(first)
        while (at := _U32.unpack(begun[:4])[0]) < end:
            try:
                run = self._object.programs.replay.test_run(bytes(LENGTH_MIN), repeat=end - at)
            except BpfError as error:
                if error.errno != errno.EINTR:
                    raise
                # By a signal, between two packets. Where signals come all the time, it would get
                # no further than one packet each time.
                (at,) = _U32.unpack(begun[:4])
                self._judge_each(at, min(at + FEW, end))
            else:
                self.timed += end - at
                self.duration_ns += run.duration_ns * (end - at)
        self.refused += bss.failed - failed

    def _judge_each(self, first: int, end: int) -> None:
        for number in range(first, end):
            self._judge_one(number)

    def _judge_one(self, number: int) -> None:
        batch = bisect_right(self._ends, number)
        packets = self._staged[batch]
        place = number - self._ends[batch] + len(packets.lengths)
        start = batch * self._block_bytes + packets.offsets[place]
        frame = self._memory["blocks"][start : start + packets.lengths[place]]
        self._memory["clock"][:8] = _U64.pack(self._clock.at(packets.times_ns[place]))
        self._memory["begun"][:4] = _U32.pack(number + 1)
        run = self._program.test_run(frame)
        self.timed += 1
        self.duration_ns += run.duration_ns

    def _records(self, unjudged: set[int]) -> list[Judged | None]:
        octets = self._memory["judged"][: self._count * self._row.size]
        judged = map(Judged._make, self._row.iter_unpack(octets))
        return [
            None if number in unjudged or each.verdict >= self._verdicts else each
            for number, each in enumerate(judged)
        ]
