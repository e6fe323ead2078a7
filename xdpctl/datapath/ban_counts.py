"""The bans that hit most, read again and again at little cost however many there are.

All of them are looked at as often as that takes a hundredth of the time: a few hundred at every
reading, 100,000 every few seconds. What is read each time is those that were chosen then.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from xdpctl.datapath.ban_entries import BAN_KEY, Ban, ban_of, is_in_force
from xdpctl.datapath.counters import Tally
from xdpctl.datapath.program import BAN_INDEX, NotOursError, RunningProgram
from xdpctl.pylibbpf import Map

SHOWN_MAX = 1000
_SHARE = 100


class BanCounts(NamedTuple):
    """Attributes:
    bans: those that have hit most, the most first, then by address.
    in_force: how many there are; of many as it was when all were looked at last.
    """

    bans: tuple[Ban, ...]
    in_force: int


class BanReader:
    """Reads the bans of one program, for as long as that is open."""

    def __init__(
        self,
        program: RunningProgram,
        most: int = SHOWN_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises NotOursError.

        Args:
            most: how many to read each time.
            clock: in seconds.
        """
        self._bans: Map = program.map("bans")
        self._hits: Map = program.map("ban_hits")
        self._index: Map = program.map(BAN_INDEX)
        self._most, self._clock = most, clock
        self._chosen: list[tuple[int, ...]] = []
        self._in_force = 0
        self._look_at_s = clock()

    def read(self) -> BanCounts:
        """Raises BpfError; NotOursError, BtfError where they are laid out otherwise."""
        try:
            if not self._index[0].any:
                return BanCounts((), 0)
        except AttributeError:
            raise NotOursError("the program's bans are laid out otherwise") from None
        began_s = self._clock()
        if began_s >= self._look_at_s:
            self._choose()
            self._look_at_s = began_s + (self._clock() - began_s) * _SHARE
        bans = sorted(self._read_chosen(), key=lambda ban: (-ban.hits.packets, ban.prefix))
        return BanCounts(tuple(bans), self._in_force if self._in_force > self._most else len(bans))

    def _choose(self) -> None:
        """Look at all of them."""
        boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        there = {
            key
            for key, (expires_ns,) in self._bans.lookup_rows(BAN_KEY, ("expires_ns",))
            if is_in_force(expires_ns, boot_ns)
        }
        hits = {
            key: packets
            for key, (packets,) in self._hits.lookup_rows(BAN_KEY, ("packets",))
            if key in there
        }
        self._chosen = heapq.nlargest(self._most, hits, key=hits.__getitem__)
        without = (key for key in there if key not in hits)
        self._chosen += islice(without, self._most - len(self._chosen))
        self._in_force = len(there)

    def _read_chosen(self) -> Iterator[Ban]:
        boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        now_ns = time.time_ns()
        pack = self._bans.key_row(*BAN_KEY).pack
        keys = [pack(*key) for key in self._chosen]
        terms = self._bans.lookup_some(keys, ("expires_ns", "added_ns", "tag"))
        hits = self._hits.lookup_some(keys, ("packets", "bytes"))
        for key, ban, hit in zip(self._chosen, terms, hits, strict=True):
            if ban is not None and is_in_force(ban[0], boot_ns):
                yield ban_of(key, ban, Tally(*hit or (0, 0)), boot_ns, now_ns)
