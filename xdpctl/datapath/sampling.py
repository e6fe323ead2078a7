"""Packets that the data plane hands out while it judges them: one of its readers.

A reader has a ring buffer of its own, and says what it wants by `Wanted`. It is there for as long
as its lease, which has to be renewed: of one that is killed the data plane lets go by itself.
"""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

from xdpctl.datapath.generation import DEFAULT_SLOT
from xdpctl.datapath.interfaces import Interface, current_name
from xdpctl.datapath.kernel import explained, require_privileges
from xdpctl.datapath.locking import only_writer
from xdpctl.datapath.program import NotOursError, RunningProgram, find_ours
from xdpctl.datapath.slots import rule_names
from xdpctl.datapath.snapshot import not_attached
from xdpctl.errors import KernelRefused, XdpctlError
from xdpctl.pylibbpf import BpfError, Codec, Map, MapType, RingBuffer
from xdpctl.pylibbpf.btf import Kind
from xdpctl.pylibbpf.fd import Owner

BYTES_MAX = 65535
"""Of a frame, for a reader: what the kernel copies at a time."""

ONE_IN_MAX = 1_000_000

RENEW_SECONDS = 1.0
"""How often a lease is to be renewed."""

XDP_ACTIONS = {"aborted": 0, "drop": 1, "pass": 2}
"""enum xdp_action, by the names of verdicts."""

UNKNOWN_RULE = "?"
"""The rule of a ruleset that was there and gone before its rules were asked for."""

_ALL = (1 << 32) - 1
_ANY_PORT = (0, 65535)
_LEASE_NS = 5 * 10**9
_MEMBERS = (
    "time_ns", "length", "captured", "generation", "slot", "queue", "cpu", "protocol", "verdict",
    "reason", "malformed",
)  # fmt: skip


class Prefix(NamedTuple):
    """The bits of an address that are asked for; of IPv4 the lower 32 of the first half."""

    network: tuple[int, int] = (0, 0)
    mask: tuple[int, int] = (0, 0)


class Filter(NamedTuple):
    """What a packet must be at least.

    Attributes:
        version: 4 or 6; 0 for any, IP or not.
        protocol: the upper-layer protocol; None for any.
        source_port, destination_port: the first and the last; None for any.
        source, destination: of that version.
    """

    version: int = 0
    protocol: int | None = None
    source_port: tuple[int, int] | None = None
    destination_port: tuple[int, int] | None = None
    source: Prefix = Prefix()
    destination: Prefix = Prefix()


NO_FILTER = Filter()


class Wanted(NamedTuple):
    """What a reader wants.

    Attributes:
        one_in: of so many packets one, at random.
        bytes: of each frame, at most.
        verdicts: their names; empty for any.
        reasons: of packets that are dropped, by name; empty for any, and of those that pass.
        rule: the name of the rule that decides; None for any.
        filter: other packets are left out; it may let more through than it says.
    """

    one_in: int = 1
    bytes: int = BYTES_MAX
    verdicts: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    rule: str | None = None
    filter: Filter = NO_FILTER


class Sample(NamedTuple):
    """A packet as the data plane handed it out.

    Attributes:
        time_ns: Unix time in nanoseconds.
        length: of the frame in bytes; `data` may be less.
        data: from the frame's first byte on.
        queue: of the interface, that it came in by.
        protocol: as the statistics name it.
        verdict: what became of it.
        reason: why it was dropped; None where it was not.
        rule: the name of the rule that decided; None where none did, "?" of a ruleset that is gone.
        malformed: why it is, as the statistics name it; None where it is not.
    """

    time_ns: int
    length: int
    data: bytes
    queue: int
    cpu: int
    protocol: str
    verdict: str
    reason: str | None
    rule: str | None
    malformed: str | None


class SampleReader(Owner):
    """One reader of an interface's packets; a context manager.

    It stays when another ruleset takes the place of the one that is there.
    """

    def __init__(self, interface: Interface, wanted: Wanted, *, ring_bytes: int = 1 << 20) -> None:
        """
        Args:
            ring_bytes: how many bytes may wait to be read; a power of two, whole pages.

        Raises:
            NotAttached, NoSuchInterface, MissingPrivilege.
            KernelRefused: there are too many readers, no such rule, no memory.
        """
        self._name = interface.name
        self._ifindex = interface.ifindex
        self._wanted = wanted
        self._found: list[bytes] = []
        self._rules: dict[int, dict[int, str]] = {0: {}}
        self._owner = secrets.randbits(64)
        self._program: RunningProgram | None = None
        self._lost_before = 0
        with ExitStack() as stack:
            stack.callback(self._leave)
            with explained(self._name):
                self._ring = stack.enter_context(
                    Map.create(
                        MapType.RINGBUF, "samples", key_size=0, value_size=0, max_entries=ring_bytes
                    )
                )
                self._buffer = stack.enter_context(RingBuffer(self._ring.fd, self._found.append))
            self.renew()
            self._stack = stack.pop_all()

    def renew(self) -> None:
        """Stay for some seconds more, on whatever program of ours is there now.

        Raises NotAttached, NoSuchInterface, MissingPrivilege, KernelRefused.
        """
        require_privileges()
        self._name = current_name(self._ifindex, self._name)
        with explained(self._name):
            found = find_ours(self._ifindex, self._program)
            if found is None:
                raise not_attached(self._name)
            try:
                self._follow(found[0])
            except NotOursError as error:
                raise KernelRefused(f"{self._name}: {error}") from None

    def want(self, wanted: Wanted) -> None:
        """Want something else from now on. Raises as `renew`."""
        self._wanted = wanted
        self.renew()

    def read(self) -> list[Sample]:
        """What has come since the last time, without waiting for more. Raises KernelRefused."""
        with explained(self._name):
            self._buffer.consume()
        found = [*self._found]
        self._found.clear()
        to_unix_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return [self._sample(each, to_unix_ns) for each in found]

    @property
    def lost(self) -> int:
        """How many packets were wanted and found no room. Raises KernelRefused."""
        if self._program is None:
            return self._lost_before
        with explained(self._name):
            return self._lost_before + self._lost_here() - self._lost_at_start

    def close(self) -> None:
        self._stack.close()

    def _follow(self, program: RunningProgram) -> None:
        """Let `program`, which may be another one than before, be read from."""
        before = self._program
        if before is not program:
            handed_on = before is not None and _same_maps(before, program)
            if not handed_on:
                self._leave()
            elif before is not None:
                before.close()
            self._program = program
            self._names, self._header = program.names, _header_of(program)
            self._no_slot = program.map("rule_counts").info.max_entries
            self._rules[program.generation] = rule_names(program)
            if not handed_on:
                self._enter(program)
        self._write_reader(program)

    def _enter(self, program: RunningProgram) -> None:
        readers, rings = program.map("sample_readers"), program.map("sample_rings")
        with only_writer():
            now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            free = [number for number, each in readers.lookup_batch() if each.lease_ns < now]
            if not free:
                raise KernelRefused(
                    f"{self._name}: {readers.info.max_entries} readers of its packets are there",
                    hint="a dashboard, top, trace or capture has to end first",
                )
            self._number = min(free)
            for number in free:  # those who were killed left theirs
                with suppress(KeyError, BpfError):
                    del rings[number]
            self._write_reader(program)
            rings[self._number] = self._ring.fd
            self._lost_at_start = self._lost_here()
            _set_active(program, lambda active: active | 1 << self._number)

    def _leave(self) -> None:
        """Be no reader any more, as far as there still is something to be left."""
        program, self._program = self._program, None
        if program is None:
            return
        with program, suppress(XdpctlError, BpfError, KeyError, NotOursError), only_writer():
            if program.map("sample_readers")[self._number].owner != self._owner:
                return
            self._lost_before += self._lost_in(program) - self._lost_at_start
            _set_active(program, lambda active: active & ~(1 << self._number))
            program.map("sample_readers")[self._number] = {}
            del program.map("sample_rings")[self._number]

    def _write_reader(self, program: RunningProgram) -> None:
        wanted, names = self._wanted, program.names
        reader: dict[str, Any] = {
            "lease_ns": time.clock_gettime_ns(time.CLOCK_BOOTTIME) + _LEASE_NS,
            "owner": self._owner,
            "one_in": wanted.one_in,
            "bytes": wanted.bytes,
            "verdicts": _bits(wanted.verdicts, names.verdicts),
            "reasons": _bits(wanted.reasons, names.drop_reasons),
            "slot": self._slot_of(wanted.rule, program),
            "filter": _filter_record(wanted.filter, program.btf.enum("present")),
        }
        everything = Wanted(one_in=wanted.one_in, bytes=wanted.bytes)
        reader["asks_for_each"] = int(wanted != everything)
        program.map("sample_readers")[self._number] = reader

    def _slot_of(self, rule: str | None, program: RunningProgram) -> int:
        if rule is None:
            return self._no_slot
        slots = {name: slot for slot, name in self._rules[program.generation].items()}
        if rule not in slots:
            raise KernelRefused(f"{self._name}: {rule}: no such rule")
        return slots[rule]

    def _lost_here(self) -> int:
        assert self._program is not None
        return self._lost_in(self._program)

    def _lost_in(self, program: RunningProgram) -> int:
        return sum(int(cpu.lost[self._number]) for cpu in program.map("sample_state")[0])

    def _sample(self, raw: bytes, to_unix_ns: int) -> Sample:
        names, header = self._names, self._header
        (
            time_ns, length, captured, generation, slot, queue, cpu, protocol, verdict, reason,
            malformed,
        ) = header.unpack_from(raw)  # fmt: skip
        return Sample(
            time_ns + to_unix_ns,
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
            self.renew()
        return self._rules.get(generation, {}).get(slot, UNKNOWN_RULE)


def _same_maps(one: RunningProgram, other: RunningProgram) -> bool:
    """Whether readers of one are readers of the other."""
    return one.map("sampling").info.id == other.map("sampling").info.id


def _header_of(program: RunningProgram) -> struct.Struct:
    type_id = program.btf.find(Kind.STRUCT, "sample")
    if type_id is None:
        raise NotOursError("the program hands out no samples")
    return Codec(program.btf, type_id).row(*_MEMBERS)


def _set_active(program: RunningProgram, change: Callable[[int], int]) -> None:
    """Change the bits of readers, and the number above them, which lets all CPUs look."""
    map_ = program.map("sampling")
    bits = program.map("sample_readers").info.max_entries
    active = map_[0].active
    changes = (active >> bits) + 1 & (1 << 64 - bits) - 1
    map_[0] = {"active": changes << bits | change(active & (1 << bits) - 1)}


def _bits(wanted: Sequence[str], names: Sequence[str]) -> int:
    """Those of some names among all; of none of them all that there can be."""
    if not wanted:
        return _ALL
    return sum(1 << names.index(each) for each in wanted)


def _filter_record(wanted: Filter, present: Mapping[str, int]) -> dict[str, Any]:
    """struct sample_filter."""
    asks = 0
    if wanted.version:
        asks |= present[f"HAS_IPV{wanted.version}"]
    if wanted.protocol is not None:
        asks |= present["HAS_PROTOCOL"]
    if wanted.source_port or wanted.destination_port:
        asks |= present["HAS_PORTS"]
    return {
        "asks": asks,
        "some_protocol": int(wanted.protocol is not None),
        "protocol": wanted.protocol or 0,
        "source_port": wanted.source_port or _ANY_PORT,
        "destination_port": wanted.destination_port or _ANY_PORT,
        "source": wanted.source._asdict(),
        "destination": wanted.destination._asdict(),
    }
