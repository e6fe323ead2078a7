"""The program with a ruleset and bans, attached to nothing, for a replay alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Generic, NamedTuple, TypeVar

from xdpctl.datapath.ban_entries import Prefix
from xdpctl.datapath.bans import BanTable
from xdpctl.datapath.contents import content_of, end_on_clock
from xdpctl.datapath.kernel import explained
from xdpctl.datapath.loading import loaded_program
from xdpctl.datapath.program import RunningProgram
from xdpctl.datapath.rulesets import counted_of
from xdpctl.pylibbpf.fd import Owner
from xdpctl.replay.clock import Clock
from xdpctl.replay.driver import LENGTH_MAX, Driver, Judged
from xdpctl.replay.packets import Packets, parted
from xdpctl.replay.verdicts import REFUSED, TOO_LONG, TOO_SHORT, UNCOUNTED, Summary, Wording
from xdpctl.rules.limitplan import limits_of
from xdpctl.rules.model import Ruleset

SUBJECT = "replay"

_PATIENCE_NS = 250_000_000
"""How old a batch gets before it is judged, though there is room for more: ten times what a run
costs beside its packets."""

P = TypeVar("P", bound=Packets)


class Outcome(NamedTuple, Generic[P]):
    """Of a batch: `judged` has None for each packet that was not judged, and is empty where
    records were not asked for."""

    packets: P
    judged: list[Judged | None]


class Instance(Owner):
    """Its clock begins with the first packet.

    Attributes:
        wording: what its numbers stand for.
        ruleset: the one that it judges by; None for one that counts.
        clock: by which it does.
        running: its program and maps.
    """

    def __init__(
        self, ruleset: Ruleset | None, bans: Mapping[Prefix, int | None], first_ns: int
    ) -> None:
        """
        Args:
            ruleset: None for one that counts.
            bans: until which Unix time, in nanoseconds; None is for ever.
            first_ns: when the first packet comes, Unix time.

        Raises TooManyClasses, TooManyRanges, TooManyLimits, KernelRefused, BadInstallation,
        MissingPrivilege.
        """
        self.ruleset = ruleset
        self.clock = clock = Clock.beginning_at(first_ns)
        content = None
        if ruleset is not None:
            content = content_of(ruleset, replay_origin_ns=clock.origin_ns)
        with ExitStack() as stack, explained(SUBJECT):
            program = stack.enter_context(
                loaded_program(content=content, max_bans=max(1, len(bans)), replaying=True)
            )
            self.running = stack.enter_context(RunningProgram(program.info.id))
            if bans:
                BanTable(self.running).copy(
                    {
                        prefix: 0 if end is None else end_on_clock(end, clock.origin_ns)
                        for prefix, end in bans.items()
                    }
                )
            self._driver = stack.enter_context(Driver(program, self.running, clock))
            self.wording = Wording(self.running)
            self._stack = stack.pop_all()
        self._given = 0
        self._first_ns: int | None = None
        self._last_ns: int | None = None

    def close(self) -> None:
        self._stack.close()

    def judge(self, batches: Iterable[P], *, records: bool, at_once: bool) -> Iterator[Outcome[P]]:
        """Each batch in its order, once its packets are judged: that may be when more have been
        taken. Raises KernelRefused, and what `batches` raises."""
        driver, waiting, since_ns = self._driver, list[P](), time.monotonic_ns()
        for packets in batches:
            self._note(packets)
            large = not driver.takes(packets)
            if large or not driver.has_room_for(packets):
                yield from self._run(waiting, records=records)
                waiting, since_ns = [], time.monotonic_ns()
            if large:
                yield self._judged_in_parts(packets, records=records)
                continue
            driver.stage(packets)
            waiting.append(packets)
            if at_once or time.monotonic_ns() - since_ns > _PATIENCE_NS:
                yield from self._run(waiting, records=records)
                waiting, since_ns = [], time.monotonic_ns()
        yield from self._run(waiting, records=records)

    def _run(self, waiting: list[P], *, records: bool) -> Iterator[Outcome[P]]:
        with explained(SUBJECT):
            judged = self._driver.run(records=records)
        return map(Outcome[P], waiting, judged)

    def _judged_in_parts(self, packets: P, *, records: bool) -> Outcome[P]:
        driver = self._driver
        judged: list[Judged | None] = []
        for part in parted(packets, driver.packets_max, driver.bytes_max, LENGTH_MAX):
            driver.stage(part)
            with explained(SUBJECT):
                judged += driver.run(records=records)[0]
        return Outcome(packets, judged)

    def _note(self, packets: Packets) -> None:
        self._given += len(packets.lengths)
        if packets.times_ns:
            first, last = min(packets.times_ns), max(packets.times_ns)
            self._first_ns = first if self._first_ns is None else min(first, self._first_ns)
            self._last_ns = last if self._last_ns is None else max(last, self._last_ns)

    def forget(self) -> None:
        """Limits begin anew, with full buckets. Raises KernelRefused."""
        if self.ruleset is None or not limits_of(self.ruleset.rules):
            return
        with explained(SUBJECT), self.running.map("cells").mmap(writable=True) as cells:
            cells[:] = bytes(len(cells))

    def summary(self) -> Summary:
        """Raises KernelRefused."""
        driver = self._driver
        with explained(SUBJECT):
            counters = self.running.read_sum()
            ruleset = counted_of(self.running)
        not_replayed = {
            TOO_SHORT: driver.too_short,
            TOO_LONG: driver.too_long,
            REFUSED: driver.refused,
        }
        accounted = counters.total.packets + sum(not_replayed.values())
        not_replayed[UNCOUNTED] = self._given - accounted
        return Summary(
            counters,
            self.running.names,
            ruleset,
            {reason: packets for reason, packets in not_replayed.items() if packets},
            self._first_ns,
            self._last_ns,
            driver.duration_ns / driver.timed if driver.timed else None,
        )
