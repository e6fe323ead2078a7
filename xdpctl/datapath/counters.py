"""What was counted: plain values, added up over CPUs and subtracted over time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import add, sub
from typing import Any, NamedTuple, Self

from xdpctl.protocols import protocol_name
from xdpctl.pylibbpf import Btf, BtfError

_ROWS_MAX = 4096  # of any table: what a program's BTF says is untrusted


class Tally(NamedTuple):
    packets: int
    bytes: int


class Counters(NamedTuple):
    """One CPU's counts, or a sum of several: a number for each row of the data plane's tables.

    protocols, verdicts, drop_reasons: a Tally for each row; malformed, sizes: packets for each row.
    """

    protocols: tuple[Tally, ...]
    verdicts: tuple[Tally, ...]
    drop_reasons: tuple[Tally, ...]
    malformed: tuple[int, ...]
    sizes: tuple[int, ...]

    @classmethod
    def from_record(cls, record: Any) -> Self:
        """From a `struct counters` as `pylibbpf` decodes it."""
        return cls(
            tuple(Tally(row.packets, row.bytes) for row in record.protocols),
            tuple(Tally(row.packets, row.bytes) for row in record.verdicts),
            tuple(Tally(row.packets, row.bytes) for row in record.drop_reasons),
            record.malformed,
            record.sizes,
        )

    @property
    def total(self) -> Tally:
        """All packets: each is in exactly one row of `verdicts`."""
        return Tally(*map(sum, zip(*self.verdicts, strict=True)))

    def plus(self, other: Counters) -> Counters:
        return _combine(add, self, other)

    def since(self, earlier: Counters) -> Counters:
        """What was counted after `earlier`."""
        return _combine(sub, self, earlier)


def _combine(operation: Any, left: Counters, right: Counters) -> Counters:
    def tallies(pair: Iterable[tuple[Tally, Tally]]) -> tuple[Tally, ...]:
        return tuple(Tally(operation(a[0], b[0]), operation(a[1], b[1])) for a, b in pair)

    return Counters(
        tallies(zip(left.protocols, right.protocols, strict=True)),
        tallies(zip(left.verdicts, right.verdicts, strict=True)),
        tallies(zip(left.drop_reasons, right.drop_reasons, strict=True)),
        tuple(map(operation, left.malformed, right.malformed)),
        tuple(map(operation, left.sizes, right.sizes)),
    )


class SizeRange(NamedTuple):
    """Packet lengths in bytes, both ends inclusive; `last` is None in the open-ended row."""

    first: int
    last: int | None


class RowNames(NamedTuple):
    """What the rows of `Counters` stand for, as the running program's own BTF tells it."""

    protocols: tuple[str, ...]
    verdicts: tuple[str, ...]
    drop_reasons: tuple[str, ...]
    malformed: tuple[str, ...]
    sizes: tuple[SizeRange, ...]

    @classmethod
    def from_btf(cls, btf: Btf) -> Self:
        """Raises BtfError when the program is not one of ours."""
        try:
            sizes = btf.enum("size_row")
            return cls(
                protocols=_names(btf, "protocol_row", "PROTOCOL", protocol_name),
                verdicts=_names(btf, "verdict", "VERDICT"),
                drop_reasons=_names(btf, "drop_reason", "DROP_REASON"),
                malformed=_names(btf, "malformed", "MALFORMED"),
                sizes=_size_ranges(
                    sizes["SIZE_STEP_BYTES"], sizes["SIZE_STEPS_END_BYTES"], sizes["SIZE_ROWS"]
                ),
            )
        except (KeyError, ZeroDivisionError) as error:
            raise BtfError(f"the program counts other things than ours: {error}") from None


def _names(
    btf: Btf, enum: str, prefix: str, unnamed: Callable[[int], str] = str
) -> tuple[str, ...]:
    """The rows 0 to PREFIX_ROWS - 1 by name: PREFIX_SHORT_VLAN is `short-vlan`."""
    values = btf.enum(enum)
    names = {
        value: name.removeprefix(f"{prefix}_").lower().replace("_", "-")
        for name, value in values.items()
        if name.startswith(f"{prefix}_")
    }
    rows = _bounded(values[f"{prefix}_ROWS"])
    return tuple(names.get(row) or unnamed(row) for row in range(rows))


def _size_ranges(step: int, steps_end: int, rows: int) -> tuple[SizeRange, ...]:
    """Rows of `step` bytes up to `steps_end`, powers of two from there, the last one open."""
    starts = list(range(0, _bounded(steps_end // step) * step, step))
    while len(starts) < _bounded(rows):
        starts.append(max(steps_end, starts[-1] * 2 if starts[-1] >= steps_end else steps_end))
    ends = [start - 1 for start in starts[1:]]
    return tuple(map(SizeRange, starts, [*ends, None]))


def _bounded(rows: int) -> int:
    if not 0 < rows <= _ROWS_MAX:
        raise BtfError(f"the program has tables of {rows} rows")
    return rows
