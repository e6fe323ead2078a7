"""From a ruleset to the tables of the data plane: see bpf/classify.h for what they are.

Nothing here knows BPF; `xdpctl.datapath` puts the tables into maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xdpctl.rules.addresses import Root, Table
from xdpctl.rules.addressing import AddressRows, SetTables, address_classes
from xdpctl.rules.bitrows import U64, words_for
from xdpctl.rules.groups import Group, group_fields
from xdpctl.rules.limitplan import LimitPlan, cells_of, limits_of, plan_limits
from xdpctl.rules.model import Ruleset
from xdpctl.rules.numbers import MAC_UNLISTED, VALUES, field_classes

U16 = NDArray[np.uint16]


class FieldPlan(NamedTuple):
    """Where `tables` say what a field's values add to the index of their group.

    Attributes:
        unlisted: what a MAC address adds that no rule names.
    """

    table: int
    unlisted: int
    group: int


class GroupPlan(NamedTuple):
    """Where a group's row numbers are in `tables`, if it is joint, and its rows in `rows`."""

    table: int
    rows: int
    joint: bool


@dataclass(frozen=True, slots=True)
class AddressPlan:
    """Where the rows of a packet's source or destination are in `rows`.

    Attributes:
        set_rows, own_rows: the row of class 0, of IPv4 and of IPv6; None where no rule asks.
        absent_row: of a packet that has no such address.
    """

    set_rows: tuple[int, int] | None
    own_rows: tuple[int, int] | None
    absent_row: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """A ruleset's tables.

    Attributes:
        words: of a row, without the summary.
        rows: uint64[n, 1 + words].
        tables: uint16[n], n at least 1.
        fields: by name, of those that a rule asks for.
        groups: in the order of their numbers.
        source, destination: None where no rule asks for it.
        address_tables: by the names of their maps, those that a rule asks for and that are not
            there already.
        set_tables: what the next program wants to know of those of sets; None without sets.
        macs: what each MAC address that a rule names adds as source, as destination.
        limits: in the order of their numbers.
    """

    words: int
    rows: U64
    tables: U16
    fields: dict[str, FieldPlan]
    groups: tuple[GroupPlan, ...]
    source: AddressPlan | None
    destination: AddressPlan | None
    address_tables: dict[str, Table]
    set_tables: SetTables | None
    macs: dict[int, tuple[int, int]]
    limits: tuple[LimitPlan, ...]

    @property
    def kept_tables(self) -> dict[str, Root]:
        """The tables that are there already: the roots by the names of their maps."""
        of_sets = {} if self.set_tables is None else self.set_tables.roots
        return {name: root for name, root in of_sets.items() if name not in self.address_tables}

    @property
    def cells(self) -> int:
        """How many all limits have together."""
        return cells_of(self.limits)

    @property
    def table_bytes(self) -> int:
        """What the tables take in the kernel, but for a page or so each."""
        blocks = sum(each.blocks.nbytes for each in self.address_tables.values())
        return self.rows.nbytes + self.tables.nbytes + blocks


def compile_ruleset(ruleset: Ruleset, kept: SetTables | None = None) -> Compiled:
    """Compile a ruleset.

    Args:
        kept: the tables of sets that the program before has: if they are of these sets, they need
            not be made.

    Raises TooManyClasses, TooManyRanges, TooManyLimits.
    """
    limits = plan_limits(limits_of(ruleset.rules))
    words = words_for(len(ruleset.rules))
    addresses = address_classes(ruleset, kept)
    address_tables = addresses.tables()
    rows, tables = _Rows(words), _Tables()
    source = _place_rows(rows, addresses.rows_of("src", ruleset, words))
    destination = _place_rows(rows, addresses.rows_of("dst", ruleset, words))
    classes = [each for name in VALUES if (each := field_classes(name, ruleset.rules))]
    groups = group_fields(classes, words)
    fields: dict[str, FieldPlan] = {}
    macs: dict[str, dict[int, int]] = {}
    for number, group in enumerate(groups):
        for each, times in zip(group.fields, group.multipliers, strict=True):
            table = tables.add(each.table * np.uint16(times))
            fields[each.name] = FieldPlan(table, MAC_UNLISTED * times, number)
            macs[each.name] = {mac: class_ * times for mac, class_ in each.macs.items()}
    return Compiled(
        words=words,
        fields=fields,
        groups=tuple(_place_group(rows, tables, group) for group in groups),
        source=source,
        destination=destination,
        address_tables=address_tables,
        set_tables=addresses.set_tables(address_tables),
        macs=_macs(macs, fields),
        rows=rows.joined(),
        tables=tables.joined(),
        limits=limits,
    )


def _place_rows(rows: _Rows, parts: AddressRows | None) -> AddressPlan | None:
    if parts is None:
        return None
    return AddressPlan(
        set_rows=None if parts.sets is None else (rows.add(parts.sets[0]), rows.add(parts.sets[1])),
        own_rows=None if parts.own is None else (rows.add(parts.own[0]), rows.add(parts.own[1])),
        absent_row=rows.add(parts.absent),
    )


def _place_group(rows: _Rows, tables: _Tables, group: Group) -> GroupPlan:
    joint = group.table is not None
    table = 0 if group.table is None else tables.add(group.table)
    return GroupPlan(table, rows.add(group.rows), joint)


def _macs(
    added: Mapping[str, Mapping[int, int]], fields: Mapping[str, FieldPlan]
) -> dict[int, tuple[int, int]]:
    source, destination = added.get("src_mac", {}), added.get("dst_mac", {})
    of_others = [fields[name].unlisted if name in fields else 0 for name in ("src_mac", "dst_mac")]
    return {
        mac: (source.get(mac, of_others[0]), destination.get(mac, of_others[1]))
        for mac in sorted({*source, *destination})
    }


@dataclass
class _Rows:
    """Rows of several parts, one after another."""

    words: int
    parts: list[U64] = field(default_factory=list)
    count: int = 0

    def add(self, rows: U64) -> int:
        """Returns the number of the first one."""
        first = self.count
        self.parts.append(rows)
        self.count += len(rows)
        return first

    def joined(self) -> U64:
        return np.concatenate(self.parts or [np.zeros((1, 1 + self.words), np.uint64)])


@dataclass
class _Tables:
    """Tables of several fields and groups, one after another."""

    parts: list[U16] = field(default_factory=list)
    count: int = 0

    def add(self, table: U16) -> int:
        """Returns the place of its first element."""
        first = self.count
        self.parts.append(table)
        self.count += len(table)
        return first

    def joined(self) -> U16:
        whole = np.concatenate([*self.parts, np.zeros(0, np.uint16)])
        return whole if len(whole) else np.zeros(1, np.uint16)
