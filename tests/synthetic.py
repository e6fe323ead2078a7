"""A source of readings that tests make up, by a clock of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xdpctl.datapath.counters import Tally
from xdpctl.observe.reading import Reading, Row, Table, absent

SECOND_NS = 10**9


class Clockwork:
    """A source with a list of readings for each interface, of which each `read` takes the next."""

    def __init__(self, **readings: Sequence[Reading]) -> None:
        self._readings = {name: [*each] for name, each in readings.items()}

    def read(self) -> Mapping[str, Reading]:
        return {name: each.pop(0) for name, each in self._readings.items() if each}


def reading(
    second: float,
    rows: Mapping[Table, Sequence[Row]] | None = None,
    *,
    total: tuple[int, int] = (0, 0),
    interface: str = "eth0",
    attached: int = 1,
    in_all: Mapping[Table, int] | None = None,
    one_in: int | None = None,
) -> Reading:
    return Reading(
        interface,
        int(second * SECOND_NS),
        attached * SECOND_NS,
        "driver mode",
        Tally(*total),
        {table: tuple(each) for table, each in (rows or {}).items()},
        in_all or {},
        one_in,
    )


def protocols(**counts: tuple[int, int]) -> dict[Table, list[Row]]:
    return {Table.PROTOCOLS: [Row(name, *each) for name, each in counts.items()]}


def gone(second: float, interface: str = "eth0") -> Reading:
    return absent(interface, int(second * SECOND_NS), "gone")
