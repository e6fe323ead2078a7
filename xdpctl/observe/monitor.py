"""The core of a dashboard, which knows no screen: several interfaces over time, and their sum."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from math import hypot
from typing import Protocol

from xdpctl.observe.history import TOTAL_TICKS, Board, Line
from xdpctl.observe.rates import Rate
from xdpctl.observe.reading import About, Reading, Table
from xdpctl.observe.talker_counts import Estimate

SUM = "all"
"""What the interfaces together are called."""


class Source(Protocol):
    """Where readings come from: interfaces, or what a test makes up."""

    def read(self) -> Mapping[str, Reading]:
        """A reading of each interface, by what the source calls it."""


class Monitor:
    """Takes readings and says what is to be seen.

    While it is paused what is to be seen stays as it was, and readings are taken all the same.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._boards: dict[str, Board] = {}
        self._moments: deque[int] = deque(maxlen=TOTAL_TICKS)
        self._frozen: tuple[dict[str, Board], deque[int]] | None = None

    def tick(self) -> None:
        """Take a reading. Raises as the source does."""
        readings = self._source.read()
        for key, reading in readings.items():
            board = self._boards.setdefault(key, Board(reading.interface))
            board.add(reading)
        newest = max((each.monotonic_ns for each in readings.values()), default=0)
        for key, board in self._boards.items():
            if key not in readings:
                board.add(_gone(board, newest))
        self._moments.append(newest)

    @property
    def paused(self) -> bool:
        return self._frozen is not None

    def pause(self) -> None:
        self._frozen = copy.deepcopy((self._boards, self._moments))

    def resume(self) -> None:
        self._frozen = None

    def zero(self) -> None:
        """Let all totals be counted from now on; the data plane's counters stay as they are."""
        for board in [*self._boards.values(), *self._shown.values()]:
            board.zero()

    @property
    def _shown(self) -> dict[str, Board]:
        return self._frozen[0] if self._frozen else self._boards

    @property
    def scopes(self) -> tuple[str, ...]:
        """What can be looked at: interfaces as the source calls them, before them their sum."""
        keys = tuple(self._shown)
        return (SUM, *keys) if len(keys) > 1 else keys

    def board(self, scope: str) -> Board | None:
        """The history of one interface; None of their sum."""
        return self._shown.get(scope)

    def total(self, scope: str) -> Line:
        """All packets; of what is in `scopes`."""
        return _sum(scope, [board.total.line() for board in self._chosen(scope)])

    def lines(self, scope: str, table: Table) -> list[Line]:
        """The rows of a table; in a sum those of one name together."""
        boards = self._chosen(scope)
        if len(boards) == 1:
            return [*boards[0].lines(table)]
        found: dict[str, list[Line]] = {}
        for board in boards:
            for line in board.lines(table):
                found.setdefault(line.key, []).append(line)
        return [_sum(key, lines) for key, lines in found.items()]

    def in_all(self, scope: str, table: Table) -> int | None:
        """How many rows there are of a table that has too many for all to be told, otherwise None;
        in a sum those of all interfaces."""
        boards = self._chosen(scope)
        if not any(table in board.in_all for board in boards):
            return None
        return sum(
            board.in_all.get(table) or sum(line.present for line in board.lines(table))
            for board in boards
        )

    def one_in(self, scope: str) -> int | None:
        """Of how many packets one was looked at, for who sends most; None where nobody knows. In a
        sum the most."""
        known = [board.one_in for board in self._chosen(scope) if board.one_in is not None]
        return max(known, default=None)

    def interfaces(self) -> list[Line]:
        """A row for each scope."""
        return [
            self.total(scope)._replace(key=scope, place=place)
            for place, scope in enumerate(self.scopes)
        ]

    def seconds_back(self, ticks: int) -> float:
        """How long ago the interval began that is `ticks` back, seen from the latest reading."""
        moments = (self._frozen[1] if self._frozen else self._moments) or [0]
        first = max(0, len(moments) - 1 - ticks)
        return (moments[-1] - moments[first]) / 1e9

    def _chosen(self, scope: str) -> Sequence[Board]:
        board = self._shown.get(scope)
        return [*self._shown.values()] if board is None else [board]


def busiest_to_mean(cpus: Iterable[Line]) -> float | None:
    """How many times the mean of all CPUs' packets/s the busiest one has: 1 is even, and as many as
    there are CPUs is all on one. None while there are no packets."""
    rates = [line.rate.packets if line.rate else 0.0 for line in cpus if line.present]
    return max(rates) * len(rates) / sum(rates) if any(rates) else None


def _gone(board: Board, monotonic_ns: int) -> Reading:
    return Reading(board.interface, monotonic_ns, 0, "not attached", None, {})


def _sum(key: str, lines: Sequence[Line]) -> Line:
    if len(lines) == 1:
        return lines[0]._replace(key=key)
    counted = [line.bytes for line in lines if line.bytes is not None]
    # The latest intervals are those at the end, however long each history is.
    columns = zip_longest(*(reversed(line.rates) for line in lines))
    return Line(
        key,
        sum(line.packets for line in lines),
        sum(counted) if counted else None,
        _sum_of_rates(line.rate for line in lines),
        tuple(_sum_of_rates(column) for column in columns)[::-1],
        any(line.present for line in lines),
        min(line.place for line in lines),
        _about(lines),
    )


def _about(lines: Sequence[Line]) -> About:
    """Of independent estimates the variances add up."""
    known = [line.about for line in lines if line.about is not None]
    errors = [each.error for each in known if isinstance(each, Estimate)]
    return Estimate(hypot(*errors)) if errors else next(iter(known), None)


def _sum_of_rates(rates: Iterable[Rate | None]) -> Rate | None:
    known = [rate for rate in rates if rate is not None]
    if not known:
        return None
    return Rate(sum(rate.packets for rate in known), sum(rate.bytes for rate in known))
