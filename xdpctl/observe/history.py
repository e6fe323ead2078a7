"""What an interface has counted over the last minutes, and how fast.

A `Board` belongs to one interface, has a `Track` for each row that was seen, and takes one reading
an interval. Tracks stay when their rows end: who looks away misses nothing. Of tables of which only
some rows are told they do not: what is no longer told need not have ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from xdpctl.observe.rates import Rate
from xdpctl.observe.reading import About, Reading, Row, Table

TOTAL_TICKS = 300
"""How many intervals the graph of all packets goes back."""
ROW_TICKS = 60
"""The same of a row: there may be thousands of them."""
ENDED_MAX = 1000
"""How many rows of a table stay after their end."""

_NO_RATE = Rate(0.0, 0.0)


class Line(NamedTuple):
    """A row as it is shown.

    Attributes:
        key: tells it from the others of its table.
        packets, bytes: since the zero point; bytes are None where they are not counted.
        rate: of the last interval; None where nothing could be measured, as of what has ended.
        history: rates of the last intervals, as it goes on; the latest at the end, None in gaps.
        present: whether it is still there; what has ended keeps its last counts.
        place: where it stood among the others when last seen.
        about: as of the row, when it was last seen.
    """

    key: str
    packets: int
    bytes: int | None
    rate: Rate | None
    history: Collection[Rate | None]
    present: bool
    place: int = 0
    about: About = None

    @property
    def rates(self) -> tuple[Rate | None, ...]:
        """The history as it is now; made when asked for, since few of thousands of rows are."""
        return tuple(self.history)


class Track:
    """One row over time; `missed` is for how many intervals it has not been there."""

    __slots__ = ("_row", "_zero", "missed", "place", "rates")

    def __init__(self, key: str, ticks: int) -> None:
        self._row = Row(key, 0, 0)
        self._zero = (0, 0)
        self.missed = 0
        self.place = 0
        self.rates: deque[Rate | None] = deque(maxlen=ticks)

    def add(self, row: Row, seconds: float | None, *, anew: bool = False) -> None:
        """Takes what was counted up to now.

        Args:
            seconds: since the count before; None where there is none to compare with.
            anew: the counter began at 0 since then. It has, too, when it is less than it was.
        """
        if anew or row.packets < self._row.packets:
            self._row, self._zero = Row(row.key, 0, 0), (0, 0)
        packets = row.packets - self._row.packets
        octets = (row.bytes or 0) - (self._row.bytes or 0)
        self._row, self.missed = row, 0
        if not seconds:
            self.rates.append(None)
        elif packets:
            self.rates.append(Rate(packets / seconds, octets / seconds))
        else:
            self.rates.append(_NO_RATE)  # one object for all: most of thousands of rules are idle

    def miss(self) -> None:
        """Takes an interval in which the row was not there."""
        self.missed += 1
        self.rates.append(None)

    def zero(self) -> None:
        """Lets totals be counted from now on."""
        self._zero = (self._row.packets, self._row.bytes or 0)

    def line(self) -> Line:
        packets, octets = self._row.packets - self._zero[0], self._row.bytes
        return Line(
            self._row.key,
            packets,
            None if octets is None else octets - self._zero[1],
            self.rates[-1] if self.rates else None,
            self.rates,
            not self.missed,
            self.place,
            self._row.about,
        )


class Board:
    """The history of one interface.

    Attributes:
        interface: its present name.
        state: its mode, or why there is nothing to be read.
        present: whether it could be read at last.
        total: of all packets.
        in_all: how many rows there are, of tables of which only some are told.
        one_in: as of a reading.
    """

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self.state = ""
        self.present = False
        self.total = Track(interface, TOTAL_TICKS)
        self.in_all: Mapping[Table, int] = {}
        self.one_in: int | None = None
        self._tables: dict[Table, dict[str, Track]] = {table: {} for table in Table}
        self._attached_at_ns = 0
        self._last_ns: int | None = None

    def add(self, reading: Reading) -> None:
        """Takes the next reading."""
        self.interface, self.state = reading.interface, reading.state
        self.present = reading.total is not None
        self.in_all, self.one_in = dict(reading.in_all), reading.one_in
        if reading.total is None:
            self._last_ns = None  # what came in meanwhile has no rate
            self.total.miss()
            for tracks in self._tables.values():
                _add_rows(tracks, (), None, anew=False)
                _forget_ended(tracks, ENDED_MAX)
            return
        last_ns, self._last_ns = self._last_ns, reading.monotonic_ns
        seconds = None if last_ns is None else (reading.monotonic_ns - last_ns) / 1e9
        anew = self._attached_at_ns != reading.attached_at_ns
        self._attached_at_ns = reading.attached_at_ns
        self.total.add(Row(reading.interface, *reading.total), seconds, anew=anew)
        for table, tracks in self._tables.items():
            _add_rows(tracks, reading.tables.get(table, ()), seconds, anew=anew)
            _forget_ended(tracks, 0 if table in reading.in_all else ENDED_MAX)

    def lines(self, table: Table) -> Iterable[Line]:
        """The rows of a table, in the order in which they came."""
        return (track.line() for track in self._tables[table].values())

    def zero(self) -> None:
        """Lets all totals be counted from now on."""
        self.total.zero()
        for tracks in self._tables.values():
            for track in tracks.values():
                track.zero()


def _add_rows(
    tracks: dict[str, Track], rows: Iterable[Row], seconds: float | None, *, anew: bool
) -> None:
    seen = set()
    for place, row in enumerate(rows):
        track = tracks.get(row.key)
        if track is None:
            track = tracks[row.key] = Track(row.key, ROW_TICKS)
        track.place = place
        track.add(row, seconds, anew=anew)
        seen.add(row.key)
    for key, track in tracks.items():
        if key not in seen:
            track.miss()


def _forget_ended(tracks: dict[str, Track], most: int) -> None:
    """All but so many; those first that ended first."""
    ended = [key for key, track in tracks.items() if track.missed]
    ended.sort(key=lambda key: tracks[key].missed)
    for key in ended[most:]:
        del tracks[key]
