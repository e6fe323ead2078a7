"""A reader's place among those that the data plane hands packets out to.

A reader has a ring buffer of its own, and says what it wants by `Wanted`. It is there for as long
as its lease, which has to be renewed: of one that is killed the data plane lets go by itself. Who
was away for longer (stopped, or the machine asleep) takes a place again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from xdpctl.datapath.generation import DEFAULT_SLOT
from xdpctl.datapath.kernel import explained
from xdpctl.datapath.locking import only_writer
from xdpctl.datapath.program import SAMPLING, NotOursError, RunningProgram
from xdpctl.datapath.sample_records import header_of, wanted_record
from xdpctl.datapath.sampling import UNKNOWN_RULE, Sample, Wanted
from xdpctl.datapath.slots import rule_names
from xdpctl.errors import KernelRefused, XdpctlError
from xdpctl.pylibbpf import BpfError, Map, MapType, RingBuffer
from xdpctl.pylibbpf.fd import Owner

_LEASE_NS = 5 * 10**9
_LEASE_LEFT_NS = 10**9  # with less than that somebody else may be about to take the place
_CLOCK_STEP_NS = 10**6
_GENERATIONS_MAX = 8  # whose rules are known by name: samples of older ones have long been read


class _Enough(Exception):
    """As much has been read at once as the ring can hold."""


class ProgramReader(Owner):
    """One reader of the packets of a program of ours, and of those that take its place; a context
    manager. It reads once it follows one."""

    def __init__(
        self,
        name: str,
        wanted: Wanted,
        *,
        ring_bytes: int = 1 << 20,
        catch_up: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            name: of the interface, for messages.
            ring_bytes: how many bytes may wait to be read; a power of two, whole pages.
            catch_up: to follow the program of now; called where a packet is of one not yet known.

        Raises MissingPrivilege, KernelRefused.
        """
        self.name = name
        self.wanted = wanted
        self.catch_up = catch_up
        self._ring_bytes = self._room = ring_bytes
        self._found: list[bytes] = []
        self._rules: dict[int, dict[int, str]] = {0: {}}
        self._owner = secrets.randbits(64)
        self._program: RunningProgram | None = None
        self._number: int | None = None
        self._lost_before = self._lost_since = self._lost_at_start = 0
        self._to_unix_ns = _to_unix_ns()
        with ExitStack() as stack:
            stack.callback(self._leave)
            with explained(name):
                self._ring = stack.enter_context(
                    Map.create(
                        MapType.RINGBUF, "samples", key_size=0, value_size=0, max_entries=ring_bytes
                    )
                )
                self._buffer = stack.enter_context(RingBuffer(self._ring.fd, self._keep))
            self._stack = stack.pop_all()

    @property
    def program(self) -> RunningProgram | None:
        """Whose packets are read; owned by this object."""
        return self._program

    def follow(self, program: RunningProgram, *, anew: bool = False) -> None:
        """Let `program`, which may be another one than before, be read from for some seconds.

        Args:
            program: owned by this object from now on.
            anew: what is wanted has changed, so that no CPU goes on as before.

        Raises NotOursError, BpfError; KernelRefused: there are too many readers, no such rule.
        """
        before = self._program
        if before is not program:
            self._change_to(program)
        if self._is_held(program):
            self._write_reader(program)
            self._count_lost(program)
            if anew:
                with only_writer():
                    _set_active(program, lambda active: active)
        else:
            self._enter(program)

    def read(self) -> list[Sample]:
        """What has come since the last time, as much as the ring holds at most, without waiting
        for more. Raises KernelRefused."""
        self._room = self._ring_bytes
        with explained(self.name), suppress(_Enough):
            self._buffer.consume()
        found = [*self._found]
        self._found.clear()
        # Two clocks are never read at the same moment: times stay in order if this stays as it is.
        to_unix_ns = _to_unix_ns()
        if abs(to_unix_ns - self._to_unix_ns) > _CLOCK_STEP_NS:
            self._to_unix_ns = to_unix_ns
        return [self._sample(each) for each in found]

    @property
    def lost(self) -> int:
        """How many packets were wanted and found no room. Raises KernelRefused."""
        program = self._program
        if program is not None and self._number is not None:
            with explained(self.name):
                if self._is_owner(program):
                    self._count_lost(program)
        return self._lost_before + self._lost_since

    def close(self) -> None:
        self._stack.close()

    def _keep(self, raw: bytes) -> None:
        """Where packets come faster than they are read, reading would never end."""
        self._found.append(raw)
        self._room -= len(raw)
        if self._room <= 0:
            raise _Enough

    def _change_to(self, program: RunningProgram) -> None:
        before = self._program
        if before is not None and _same_maps(before, program):
            before.close()
        else:
            self._leave()
        self._program = program
        self._names, self._header = program.names, header_of(program)
        self._no_slot = program.map("rule_counts").info.max_entries
        self._rules[program.generation] = rule_names(program)
        for old in [*self._rules][:-_GENERATIONS_MAX]:
            del self._rules[old]

    def _is_owner(self, program: RunningProgram) -> bool:
        return bool(program.map("sample_readers")[self._number].owner == self._owner)

    def _is_held(self, program: RunningProgram) -> bool:
        """Whether the place is this reader's, and the data plane knows it."""
        if self._number is None or not self._is_owner(program):
            return False
        left_ns = program.map("sample_readers")[self._number].lease_ns - _now_ns()
        active = program.map(SAMPLING)[0].active
        return bool(left_ns > _LEASE_LEFT_NS and active >> self._number & 1)

    def _count_lost(self, program: RunningProgram) -> None:
        assert self._number is not None
        self._lost_since = _lost_in(program, self._number) - self._lost_at_start

    def _enter(self, program: RunningProgram) -> None:
        readers, rings = program.map("sample_readers"), program.map("sample_rings")
        before, self._number = self._number, None
        if before is not None and program.map("sample_readers")[before].owner == self._owner:
            self._lost_since = _lost_in(program, before) - self._lost_at_start
        self._lost_before, self._lost_since = self._lost_before + self._lost_since, 0
        with only_writer():
            now_ns = _now_ns()
            free = [
                number
                for number, each in readers.lookup_batch()
                if each.lease_ns < now_ns or each.owner == self._owner
            ]
            if not free:
                raise KernelRefused(
                    f"{self.name}: {readers.info.max_entries} readers of its packets are there",
                    hint="a dashboard, top, trace or capture has to end first",
                )
            for each in free:  # those who were killed left theirs
                with suppress(KeyError, BpfError):
                    del rings[each]
            number = min(free) if before is None or before not in free else before
            self._number = number
            self._write_reader(program)
            rings[number] = self._ring.fd
            self._lost_at_start = _lost_in(program, number)
            _set_active(program, lambda active: active | 1 << number)

    def _leave(self) -> None:
        """Be no reader any more, as far as there still is something to be left."""
        program, self._program = self._program, None
        number, self._number = self._number, None
        if program is None:
            return
        with program, suppress(XdpctlError, BpfError, KeyError, NotOursError), only_writer():
            if number is None or program.map("sample_readers")[number].owner != self._owner:
                return
            self._lost_before += _lost_in(program, number) - self._lost_at_start
            self._lost_since = 0
            _set_active(program, lambda active: active & ~(1 << number))
            program.map("sample_readers")[number] = {}
            del program.map("sample_rings")[number]

    def _write_reader(self, program: RunningProgram) -> None:
        reader = wanted_record(self.wanted, self._slot_of(self.wanted.rule, program), program)
        reader |= {"lease_ns": _now_ns() + _LEASE_NS, "owner": self._owner}
        program.map("sample_readers")[self._number] = reader

    def _slot_of(self, rule: str | None, program: RunningProgram) -> int:
        if rule is None:
            return self._no_slot
        slots = {name: slot for slot, name in self._rules[program.generation].items()}
        if rule not in slots:
            raise KernelRefused(f"{self.name}: {rule}: no such rule")
        return slots[rule]

    def _sample(self, raw: bytes) -> Sample:
        names, header = self._names, self._header
        (
            time_ns, length, captured, generation, slot, queue, cpu, protocol, verdict, reason,
            malformed,
        ) = header.unpack_from(raw)  # fmt: skip
        return Sample(
            time_ns + self._to_unix_ns,
            length,
            raw[header.size : header.size + captured],
            queue,
            cpu,
            names.protocols[protocol],
            names.verdicts[verdict],
            names.drop_reasons[reason] if reason < len(names.drop_reasons) else None,
            self._rule_at(generation, slot),
            names.malformed[malformed] if malformed < len(names.malformed) else None,
        )

    def _rule_at(self, generation: int, slot: int) -> str | None:
        if slot in (DEFAULT_SLOT, self._no_slot):
            return None
        if generation not in self._rules:  # another ruleset has just taken the place
            with suppress(XdpctlError):  # whoever renews will be told
                self.catch_up()
        return self._rules.setdefault(generation, {}).get(slot, UNKNOWN_RULE)


def _lost_in(program: RunningProgram, number: int) -> int:
    return sum(int(cpu.lost[number]) for cpu in program.map("sample_state")[0])


def _now_ns() -> int:
    """The clock that leases go by."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _to_unix_ns() -> int:
    """From that clock to Unix time: of some readings that between which the least time passed."""

    def reading() -> tuple[int, int]:
        before, unix, after = _now_ns(), time.time_ns(), _now_ns()
        return after - before, unix - (before + after) // 2

    return min(reading() for _ in range(5))[1]


def _same_maps(one: RunningProgram, other: RunningProgram) -> bool:
    """Whether readers of one are readers of the other."""
    return one.map(SAMPLING).info.id == other.map(SAMPLING).info.id


def _set_active(program: RunningProgram, change: Callable[[int], int]) -> None:
    """Change the bits of readers, and the number above them, which lets all CPUs look."""
    map_ = program.map(SAMPLING)
    bits = program.map("sample_readers").info.max_entries
    active = map_[0].active
    changes = (active >> bits) + 1 & (1 << 64 - bits) - 1
    map_[0] = {"active": changes << bits | change(active & (1 << bits) - 1)}
