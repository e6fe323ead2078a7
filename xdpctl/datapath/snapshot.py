"""What our program on an interface has counted, at one moment."""

from __future__ import annotations

import time
from functools import reduce
from typing import NamedTuple

from xdpctl.datapath.counters import Counters, RowNames
from xdpctl.datapath.hook import mode_name
from xdpctl.datapath.interfaces import (
    Interface,
    command_line,
    current_name,
    current_namespace,
)
from xdpctl.datapath.kernel import explained, require_privileges
from xdpctl.datapath.program import RunningProgram, find_ours
from xdpctl.errors import NotAttached
from xdpctl.pylibbpf.fd import Owner
from xdpctl.pylibbpf.xdp import Mode


class Snapshot(NamedTuple):
    """The counts of one interface.

    Attributes:
        netns: the name of its network namespace, None where it has none.
        attached_at_ns, timestamp_ns: on CLOCK_REALTIME.
        monotonic_ns: the same moment as `timestamp_ns`, for rates.
        per_cpu, total: counts by possible CPU, and of all together.
        names: what the rows of the counts stand for.
    """

    interface: Interface
    netns: str | None
    mode: Mode
    program_id: int
    attached_at_ns: int
    timestamp_ns: int
    monotonic_ns: int
    per_cpu: tuple[Counters, ...]
    total: Counters
    names: RowNames

    @property
    def mode_name(self) -> str:
        return mode_name(self.mode)


class Reader(Owner):
    """Takes snapshots of one interface, whatever name it goes by; a context manager.

    The program is looked up anew only when another one has taken its place.
    """

    def __init__(self, interface: Interface) -> None:
        self._ifindex = interface.ifindex
        self._name = interface.name
        self._netns = current_namespace()
        self._program: RunningProgram | None = None

    def snapshot(self) -> Snapshot:
        """
        Raises:
            NoSuchInterface: it is gone.
            NotAttached: our program is not on it.
            MissingPrivilege, KernelRefused.
        """
        require_privileges()
        self._name = current_name(self._ifindex, self._name)
        with explained(self._name):
            found = find_ours(self._ifindex, self._program)
            if found is not None:
                program, mode = found
                if program is not self._program:
                    self.close()
                    self._program = program
                return self._take(program, mode)
        raise not_attached(self._name)

    def _take(self, program: RunningProgram, mode: Mode) -> Snapshot:
        per_cpu = program.read()
        return Snapshot(
            interface=Interface(self._name, self._ifindex),
            netns=self._netns,
            mode=mode,
            program_id=program.program_id,
            attached_at_ns=program.attached_at_ns,
            timestamp_ns=time.time_ns(),
            monotonic_ns=time.monotonic_ns(),
            per_cpu=per_cpu,
            total=reduce(Counters.plus, per_cpu),
            names=program.names,
        )

    @property
    def program(self) -> RunningProgram | None:
        """What the last snapshot was read from; owned by this object, and closed by the next one
        when another program has taken its place."""
        return self._program

    def close(self) -> None:
        program, self._program = self._program, None
        if program is not None:
            program.close()


def not_attached(name: str) -> NotAttached:
    return NotAttached(
        f"{name}: xdpctl is not attached", hint=f"run: {command_line('attach', name)}"
    )
