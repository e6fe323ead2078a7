"""One look at an interface, as tables of counted rows: what history is made of.

Whoever has another table to show adds it to `Table` and to what a source reads; history, sums,
rates and the screen need not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple

from xdpctl.datapath.ban_counts import BanCounts
from xdpctl.datapath.ban_entries import Ban
from xdpctl.datapath.counters import Counters, RowNames, SizeRange, Tally
from xdpctl.datapath.rule_counts import RuleCounts
from xdpctl.datapath.snapshot import Snapshot
from xdpctl.observe.talker_counts import CountedTalker, Estimate, TalkerCounts
from xdpctl.observe.talkers import By

DEFAULT_KEY = "(default)"  # no rule can be called that
_MALFORMED = "malformed: "
_OVER = ": over the rate"  # behind a rule's name, which has no such characters

RuleFields = Mapping[str, Any]
"""A rule, as in the file."""

About = RuleFields | Ban | Estimate | None


class Table(Enum):
    """What is counted; the value is what one of its rows is called."""

    PROTOCOLS = "protocol"
    VERDICTS = "verdict"
    RULES = "rule"
    BANS = "ban"
    SIZES = "size in bytes"
    CPUS = "cpu"
    SOURCES = "source"
    DESTINATIONS = "destination"
    PORTS = "port"


_TALKERS = {By.SRC: Table.SOURCES, By.DST: Table.DESTINATIONS, By.PORT: Table.PORTS}


class Row(NamedTuple):
    """What was counted of one thing.

    Attributes:
        key: its name, which tells it from the others of its table.
        packets, bytes: since the counter began; bytes are None where only packets are counted.
        about: of a rule or a ban that itself, of what is estimated by how much.
    """

    key: str
    packets: int
    bytes: int | None
    about: About = None


class Reading(NamedTuple):
    """What an interface has counted up to one moment.

    Attributes:
        interface: its name.
        monotonic_ns: the moment, for rates.
        attached_at_ns: since when it is counted; what was attached anew counts from zero.
        state: a word or two, such as the mode, or why there is nothing to be read.
        total: all packets; None where there is nothing to be read.
        tables: the rows in their natural order; empty where there is nothing to be read.
        in_all: how many rows there are, of tables that have too many for all to be told.
        one_in: of so many packets one was looked at, for the tables of who sends most.
    """

    interface: str
    monotonic_ns: int
    attached_at_ns: int
    state: str
    total: Tally | None
    tables: Mapping[Table, tuple[Row, ...]]
    in_all: Mapping[Table, int] = MappingProxyType({})
    one_in: int | None = None


def absent(interface: str, monotonic_ns: int, state: str) -> Reading:
    """What there is to be said of an interface that cannot be read."""
    return Reading(interface, monotonic_ns, 0, state, None, {})


def reading_of(
    snapshot: Snapshot,
    rules: RuleCounts | None,
    bans: BanCounts,
    cpus: Iterable[int],
    talkers: TalkerCounts | None = None,
) -> Reading:
    """The tables of a snapshot; `cpus` are those that are online."""
    in_all = {Table.BANS: bans.in_force} if bans.in_force > len(bans.bans) else {}
    if talkers is not None:
        in_all |= {table: talkers.known[by] for by, table in _TALKERS.items()}
    names, total = snapshot.names, snapshot.total
    return Reading(
        snapshot.interface.name,
        snapshot.monotonic_ns,
        snapshot.attached_at_ns,
        f"{snapshot.mode_name} mode",
        total.total,
        {
            Table.PROTOCOLS: tuple(
                Row(name, *tally)
                for name, tally in zip(names.protocols, total.protocols, strict=True)
                if tally.packets
            ),
            Table.VERDICTS: tuple(_verdicts(total, names)),
            Table.RULES: tuple(_rules(rules)),
            Table.BANS: tuple(Row(str(each.prefix), *each.hits, each) for each in bans.bans),
            Table.SIZES: tuple(
                Row(size_key(size), packets, None)
                for size, packets in zip(names.sizes, total.sizes, strict=True)
                if packets
            ),
            Table.CPUS: tuple(_cpus(snapshot.per_cpu, frozenset(cpus))),
            **{
                table: tuple(Row(each.name, *each.counted, each.estimate) for each in of_table)
                for table, of_table in _tables_of(talkers)
            },
        },
        in_all,
        None if talkers is None else talkers.one_in,
    )


def _tables_of(
    talkers: TalkerCounts | None,
) -> Iterable[tuple[Table, tuple[CountedTalker, ...]]]:
    for by, table in _TALKERS.items():
        yield table, () if talkers is None else talkers.talkers[by]


def size_key(size: SizeRange) -> str:
    return f"{size.first:,} and more" if size.last is None else f"{size.first:,} - {size.last:,}"


def _verdicts(total: Counters, names: RowNames) -> Iterable[Row]:
    """Verdicts, below `drop` why, and at the end why packets were malformed if any were."""
    for name, tally in reversed([*zip(names.verdicts, total.verdicts, strict=True)]):
        yield Row(name, *tally)
        if name == "drop":
            for reason, of_reason in zip(names.drop_reasons, total.drop_reasons, strict=True):
                yield Row(f"drop: {reason}", *of_reason)
    for reason, packets in zip(names.malformed, total.malformed, strict=True):
        if packets:
            yield Row(f"{_MALFORMED}{reason}", packets, None)


def _rules(counts: RuleCounts | None) -> Iterable[Row]:
    """Rules, and below each that limits what of it was dropped; at the end the default."""
    if counts is None:
        return
    for fields, tally in zip(counts.stored.rules, counts.rules, strict=False):
        name = str(fields["name"])
        yield Row(name, *tally, fields)
        if name in counts.dropped:
            yield Row(f"{name}{_OVER}", *counts.dropped[name])
    default = {"name": DEFAULT_KEY, "action": counts.stored.default}
    yield Row(DEFAULT_KEY, *counts.default, default)


def _cpus(per_cpu: Iterable[Counters], online: frozenset[int]) -> Iterable[Row]:
    for cpu, counters in enumerate(per_cpu):
        tally = counters.total
        if cpu in online or tally.packets:
            yield Row(f"cpu {cpu}", *tally)
