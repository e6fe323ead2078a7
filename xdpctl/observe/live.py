"""Interfaces that come and go, read again and again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from xdpctl.datapath.ban_counts import BanCounts, BanReader
from xdpctl.datapath.interfaces import all_interfaces, find_interface
from xdpctl.datapath.kernel import explained
from xdpctl.datapath.program import NotOursError, RunningProgram
from xdpctl.datapath.rule_counts import RuleCounts, RuleReader
from xdpctl.datapath.snapshot import Reader, Snapshot
from xdpctl.errors import KernelRefused, NoSuchInterface, NotAttached, XdpctlError
from xdpctl.observe.reading import Reading, absent, reading_of
from xdpctl.observe.talker_counts import TalkerCounter, TalkerCounts, counter_of
from xdpctl.pylibbpf.fd import Owner
from xdpctl.rules.stored import NotStored

_ONLINE = "/sys/devices/system/cpu/online"


class Taken(NamedTuple):
    """One look at an interface; `rules` is None for a bare counter."""

    snapshot: Snapshot
    rules: RuleCounts | None


class LiveInterface(Owner):
    """An interface by its name: found again when it comes back, followed when it is renamed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._reader: Reader | None = None
        self._rules: tuple[RunningProgram, RuleReader] | None = None
        self._bans: tuple[RunningProgram, BanReader] | None = None
        self._talkers: TalkerCounter | None = None

    def take(self) -> Taken:
        """Raises NoSuchInterface, NotAttached, MissingPrivilege, KernelRefused, NotStored."""
        try:
            return self._take()
        except NoSuchInterface:
            if self._reader is None:
                raise
            self.close()  # another one may bear its name by now
            return self._take()

    def _take(self) -> Taken:
        if self._reader is None:
            self._reader = Reader(find_interface(self.name))
        snapshot = self._reader.snapshot()
        self.name = snapshot.interface.name
        program = self._reader.program
        if program is None:
            return Taken(snapshot, None)
        with self._understood("rules"):
            if self._rules is None or self._rules[0] is not program:
                self._rules = (program, RuleReader(program))
            return Taken(snapshot, self._rules[1].read())

    def take_bans(self) -> BanCounts:
        """Of the program that was looked at last. Raises KernelRefused."""
        program = None if self._reader is None else self._reader.program
        if program is None:
            return BanCounts((), 0)
        with self._understood("bans"):
            if self._bans is None or self._bans[0] is not program:
                self._bans = (program, BanReader(program))
            return self._bans[1].read()

    @contextmanager
    def _understood(self, what: str) -> Iterator[None]:
        """Raises KernelRefused."""
        try:
            with explained(self.name):
                yield
        except NotOursError as error:
            raise KernelRefused(f"{self.name}: its {what} cannot be read: {error}") from None

    def take_talkers(self, snapshot: Snapshot) -> TalkerCounts | None:
        """Who sends most; None where nobody can say. Raises NoSuchInterface, NotAttached,
        MissingPrivilege, KernelRefused."""
        if self._talkers is None:
            self._talkers = counter_of(snapshot)
        return None if self._talkers is None else self._talkers.count(snapshot)

    def close(self) -> None:
        talkers, self._talkers = self._talkers, None
        if talkers is not None:
            talkers.close()
        self._rules = self._bans = None
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


class LiveInterfaces(Owner):
    """Some interfaces by name, or without names whichever our program is on; a context manager."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._named = bool(names)
        self._interfaces = {name: LiveInterface(name) for name in names}

    def take(self) -> dict[str, Taken | XdpctlError]:
        """Each by the name that it was asked for by, or why it cannot be read. Without names only
        those that can. Raises MissingPrivilege.
        """
        if not self._named:
            self._look_for_more()
        found: dict[str, Taken | XdpctlError] = {}
        for asked, interface in [*self._interfaces.items()]:
            try:
                found[asked] = interface.take()
            except (NoSuchInterface, NotAttached) as error:
                interface.close()
                if self._named:
                    found[asked] = error
                else:
                    del self._interfaces[asked]
            except (KernelRefused, NotStored) as error:
                found[asked] = error
        return found

    def check(self) -> None:
        """Raises what `LiveInterface.take` raises for any that was named."""
        for interface in self._interfaces.values():
            interface.take()

    def _look_for_more(self) -> None:
        known = {each.name for each in self._interfaces.values()}
        for interface in all_interfaces():
            if interface.name not in known and interface.name not in self._interfaces:
                self._interfaces[interface.name] = LiveInterface(interface.name)

    def read(self) -> dict[str, Reading]:
        """The same as readings. Raises MissingPrivilege."""
        cpus = cpus_online()
        return {name: self._reading(name, each, cpus) for name, each in self.take().items()}

    def _reading(self, name: str, taken: Taken | XdpctlError, cpus: list[int]) -> Reading:
        if isinstance(taken, XdpctlError):
            return absent(name, time.monotonic_ns(), _state_of(taken))
        try:
            bans = self._interfaces[name].take_bans()
            talkers = self._interfaces[name].take_talkers(taken.snapshot)
        except (KernelRefused, NoSuchInterface, NotAttached) as error:
            return self._reading(name, error, cpus)
        return reading_of(taken.snapshot, taken.rules, bans, cpus, talkers)

    def close(self) -> None:
        for interface in self._interfaces.values():
            interface.close()


def _state_of(error: XdpctlError) -> str:
    match error:
        case NoSuchInterface():
            return "gone"
        case NotAttached():
            return "not attached"
    return error.message


def cpus_online() -> list[int]:
    """The numbers of the CPUs that are online (cpu(7), "online")."""
    found: list[int] = []
    with suppress(OSError, ValueError), open(_ONLINE, encoding="ascii") as file:
        for part in file.read().split(","):
            first, _, last = part.partition("-")
            found += range(int(first), int(last or first) + 1)
    return found
