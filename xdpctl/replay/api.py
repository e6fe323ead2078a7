"""Replays from Python."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from types import MappingProxyType

from xdpctl.datapath.ban_entries import Prefix
from xdpctl.datapath.kernel import require_privileges
from xdpctl.pylibbpf.fd import Owner
from xdpctl.replay.instance import Instance, Outcome, P
from xdpctl.replay.packets import Packet, batches_of
from xdpctl.replay.rulebook import Rulebook
from xdpctl.replay.verdicts import Summary, Verdict
from xdpctl.rules.model import Ruleset

_NO_BANS: Mapping[Prefix, int | None] = MappingProxyType({})


class Replay(Owner):
    """What a ruleset would do to packets: the real program, in an instance of its own that
    touches no interface and shares nothing with one that does.

    Its clock goes by the packets: bans, limits and rules that expire do as they would have done
    when these came. A context manager; what limits have let through is remembered, and everything
    is counted, until the end of it. Without `with`, each `run()` begins anew.

    Attributes:
        rulebook: the names of the rules, and what is odd about their file.
        bans: those that it was given.
    """

    def __init__(
        self,
        ruleset: Ruleset | str | os.PathLike[str] | None = None,
        *,
        bans: Mapping[Prefix, int | None] = _NO_BANS,
    ) -> None:
        """
        Args:
            ruleset: one, the path of a rules file, or None for a program that only counts. In a
                file `expires: 10m` is ten minutes after the first packet.
            bans: until which Unix time in nanoseconds; None is for ever.

        Raises:
            BadRuleset: the file has mistakes.
            WrongUsage: the file cannot be read.
        """
        self.rulebook = Rulebook(ruleset)
        self.bans = bans
        self._instance: Instance | None = None
        self._summary: Summary | None = None
        self._is_kept = False

    def __enter__(self) -> Replay:
        require_privileges()
        self._is_kept = True
        return self

    def close(self) -> None:
        instance, self._instance = self._instance, None
        self._is_kept = False
        if instance is not None:
            with instance:
                self._summary = instance.summary()

    def run(self, packets: Iterable[Packet]) -> Iterator[Verdict]:
        """The verdict of each packet, in their order. Packets are taken some thousands at a time.

        Args:
            packets: each bytes, a Unix time in seconds with bytes, or a packet of scapy's: an
                Ethernet frame without its check sequence.

        Raises:
            MissingPrivilege: root is needed.
            TooManyClasses, TooManyRanges, TooManyLimits: the ruleset cannot be compiled.
            KernelRefused.
        """
        number = 0
        for outcome in self.judge(batches_of(packets), records=True):
            wording = self.instance.wording
            batch = outcome.packets
            for time_ns, length, judged in zip(
                batch.times_ns, batch.lengths, outcome.judged, strict=True
            ):
                number += 1
                yield wording.verdict(number, time_ns, length, judged)

    def judge(
        self, batches: Iterable[P], *, records: bool, at_once: bool = False
    ) -> Iterator[Outcome[P]]:
        """The same of packets in batches, such as those of `xdpctl.captures`, as the program's own
        numbers, which `instance.wording` explains.

        Args:
            records: whether it is asked what became of each packet; they are counted in any case.
            at_once: no batch waits for others to be judged with it, which takes less time.

        Raises as `run()`, and what `batches` raises.
        """
        require_privileges()
        keep, batches = self._is_kept, iter(batches)
        try:
            first = next(batches, None)
            if first is None:
                self._open(time.time_ns())
                return
            if self._instance is None:
                self._open(first.times_ns[0] if first.times_ns else time.time_ns())
            yield from self.instance.judge(
                chain([first], batches), records=records, at_once=at_once
            )
        finally:
            if not keep:
                self.close()

    def begin(self, time_ns: int) -> None:
        """Within `with`: let the clock begin at a Unix time instead of with the first packet.
        Raises as `run()`."""
        self._open(time_ns)

    def forget(self) -> None:
        """Let limits begin anew, as if no packet had come before. Raises KernelRefused."""
        self.instance.forget()

    @property
    def is_begun(self) -> bool:
        """Whether packets have been judged, which limits may remember."""
        return self._instance is not None

    @property
    def instance(self) -> Instance:
        """While packets are judged. Raises ValueError before and after."""
        if self._instance is None:
            raise ValueError("no packet is being judged")
        return self._instance

    @property
    def summary(self) -> Summary:
        """What was counted until now, or until the end. Raises KernelRefused, and ValueError
        before any packet was asked about."""
        if self._instance is not None:
            return self._instance.summary()
        if self._summary is None:
            raise ValueError("nothing was replayed")
        return self._summary

    def _open(self, first_ns: int) -> None:
        if self._instance is None:
            self._instance = Instance(self.rulebook.at(first_ns), self.bans, first_ns)
