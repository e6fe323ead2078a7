"""The dashboard's core: rates, totals, sums and gaps, by a clock of the test's own."""

from __future__ import annotations

import pytest

from tests.synthetic import SECOND_NS, Clockwork, gone, protocols, reading
from xdpctl.datapath.ban_counts import BanCounts
from xdpctl.datapath.ban_entries import Ban, parse_ban
from xdpctl.datapath.counters import Counters, RowNames, SizeRange, Tally
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.rule_counts import RuleCounts
from xdpctl.datapath.snapshot import Snapshot
from xdpctl.observe.history import ENDED_MAX, ROW_TICKS, TOTAL_TICKS
from xdpctl.observe.monitor import SUM, Monitor, busiest_to_mean
from xdpctl.observe.rates import Rate
from xdpctl.observe.reading import Reading, Row, Table, reading_of
from xdpctl.observe.talker_counts import Estimate
from xdpctl.pylibbpf.xdp import Mode
from xdpctl.rules.stored import StoredRuleset


def monitor(ticks: int, **readings) -> Monitor:
    made = Monitor(Clockwork(**readings))
    for _ in range(ticks):
        made.tick()
    return made


def lines(made: Monitor, scope: str = "eth0", table: Table = Table.PROTOCOLS):
    return {line.key: line for line in made.lines(scope, table)}


def test_rate_is_the_difference_by_the_seconds_between() -> None:
    made = monitor(
        3,
        eth0=[
            reading(10, protocols(tcp=(100, 6400)), total=(100, 6400)),
            reading(12, protocols(tcp=(300, 26400)), total=(300, 26400)),
            reading(12.5, protocols(tcp=(300, 26400)), total=(300, 26400)),
        ],
    )
    tcp = lines(made)["tcp"]
    assert tcp.rates == (None, Rate(100.0, 10_000.0), Rate(0.0, 0.0))
    assert (tcp.packets, tcp.bytes, tcp.rate) == (300, 26400, Rate(0.0, 0.0))
    assert made.total("eth0").rates == tcp.rates
    assert made.seconds_back(1) == 0.5
    assert made.seconds_back(100) == 2.5


def test_row_that_comes_later_has_counted_from_zero() -> None:
    made = monitor(
        2,
        eth0=[
            reading(0, protocols(tcp=(5, 500))),
            reading(2, protocols(tcp=(5, 500), udp=(8, 80))),
        ],
    )
    assert lines(made)["udp"].rates == (Rate(4.0, 40.0),)


def test_row_that_ends_stays_with_its_total_and_without_a_rate() -> None:
    made = monitor(
        3,
        eth0=[
            reading(0, protocols(tcp=(5, 500), udp=(1, 60))),
            reading(1, protocols(tcp=(7, 700), udp=(2, 120))),
            reading(2, protocols(udp=(2, 120))),
        ],
    )
    tcp = lines(made)["tcp"]
    assert [*lines(made)] == ["tcp", "udp"]
    assert (tcp.present, tcp.packets, tcp.rate) == (False, 7, None)
    assert lines(made)["udp"].present


def test_of_many_rows_that_end_the_latest_stay() -> None:
    names = [f"r{n}" for n in range(ENDED_MAX + 3)]
    every = {name: (1, 1) for name in names}
    made = monitor(
        4,
        eth0=[
            reading(0, protocols(**every)),
            reading(1, protocols(**{name: (1, 1) for name in names[2:]})),
            reading(2, protocols(last=(1, 1))),
            reading(3, protocols(last=(1, 1))),
        ],
    )
    ended = [key for key, line in lines(made).items() if not line.present]
    assert len(ended) == ENDED_MAX
    assert not {"r0", "r1"} & set(ended)
    assert lines(made)["last"].present


def test_of_a_table_that_is_told_in_part_rows_that_are_not_told_are_forgotten() -> None:
    def bans(second: int, *names: str, in_all: int | None = None):
        told = None if in_all is None else {Table.BANS: in_all}
        return reading(second, {Table.BANS: [Row(n, 1, 1) for n in names]}, in_all=told)

    source = [bans(0, "a", "b", in_all=9), bans(1, "b", "c", in_all=8), bans(2, "c")]
    made = monitor(2, eth0=source, eth1=[bans(0, "z"), bans(1)])
    assert [*lines(made, table=Table.BANS)] == ["b", "c"]
    assert [made.in_all(each, Table.BANS) for each in made.scopes] == [8, 8, None]
    made.pause()
    assert made.in_all("eth0", Table.BANS) == 8
    made.resume()
    made.tick()
    found = lines(made, table=Table.BANS)
    assert {key: line.present for key, line in found.items()} == {"b": False, "c": True}
    assert made.in_all(SUM, Table.BANS) is None


def test_interface_that_goes_and_comes_back_has_a_gap_and_counts_anew() -> None:
    made = monitor(
        4,
        eth0=[
            reading(0, protocols(tcp=(50, 500)), total=(50, 500)),
            gone(1),
            reading(2, protocols(tcp=(80, 800)), total=(80, 800), attached=2),
            reading(4, protocols(tcp=(90, 900)), total=(90, 900), attached=2),
        ],
    )
    assert lines(made)["tcp"].rates == (None, None, None, Rate(5.0, 50.0))
    assert made.board("eth0").present


def test_while_it_is_gone_the_board_says_so_and_keeps_the_totals() -> None:
    made = monitor(2, eth0=[reading(0, protocols(tcp=(50, 500)), total=(50, 500)), gone(1)])
    assert (made.board("eth0").state, made.board("eth0").present) == ("gone", False)
    assert (made.total("eth0").packets, made.total("eth0").rate) == (50, None)


def test_attached_anew_between_two_readings_counts_from_zero() -> None:
    made = monitor(
        2,
        eth0=[
            reading(0, protocols(tcp=(50, 500))),
            reading(1, protocols(tcp=(60, 600)), attached=2),
        ],
    )
    assert lines(made)["tcp"].rate == Rate(60.0, 600.0)


def test_counter_that_was_reset_counts_from_zero() -> None:
    made = monitor(
        2, eth0=[reading(0, protocols(tcp=(50, 500))), reading(2, protocols(tcp=(6, 60)))]
    )
    assert (lines(made)["tcp"].rate, lines(made)["tcp"].packets) == (Rate(3.0, 30.0), 6)


def test_zero_point_takes_off_what_was_counted_until_a_counter_begins_anew() -> None:
    made = monitor(
        1,
        eth0=[
            reading(0, protocols(tcp=(50, 500)), total=(50, 500)),
            reading(1, protocols(tcp=(53, 530)), total=(53, 530)),
            reading(2, protocols(tcp=(60, 600)), total=(60, 600), attached=2),
        ],
    )
    made.zero()
    made.tick()
    assert (lines(made)["tcp"].packets, lines(made)["tcp"].bytes) == (3, 30)
    assert made.total("eth0").packets == 3
    made.tick()
    assert lines(made)["tcp"].packets == 60


def test_while_paused_the_picture_stays_and_readings_are_taken_all_the_same() -> None:
    made = monitor(1, eth0=[reading(t, protocols(tcp=(10 * t, 100 * t))) for t in range(4)])
    made.tick()
    made.pause()
    made.tick()
    made.tick()
    assert (lines(made)["tcp"].packets, len(lines(made)["tcp"].rates)) == (10, 2)
    made.resume()
    assert lines(made)["tcp"].packets == 30
    assert lines(made)["tcp"].rates[1:] == (Rate(10.0, 100.0),) * 3


def test_sum_adds_rows_of_one_name_over_interfaces_and_aligns_the_latest() -> None:
    made = monitor(
        3,
        eth0=[reading(t, protocols(tcp=(10 * t, 100 * t)), total=(10 * t, 0)) for t in range(3)],
        eth1=[
            gone(0, "eth1"),
            gone(1, "eth1"),
            reading(2, protocols(udp=(4, 40), tcp=(1, 7)), total=(5, 47), interface="eth1"),
        ],
    )
    assert made.scopes == (SUM, "eth0", "eth1")
    total = lines(made, SUM)
    assert (total["tcp"].packets, total["tcp"].bytes) == (21, 207)
    assert total["tcp"].rates == (None, Rate(10.0, 100.0), Rate(10.0, 100.0))
    assert total["udp"].packets == 4
    assert made.total(SUM).packets == 25
    assert [line.key for line in made.interfaces()] == [SUM, "eth0", "eth1"]


def test_interface_that_the_source_no_longer_names_has_ended() -> None:
    made = monitor(2, eth0=[reading(0), reading(1)], eth1=[reading(0, interface="eth1")])
    assert [line.present for line in made.interfaces()] == [True, True, False]


def test_history_goes_back_only_so_far() -> None:
    ticks = TOTAL_TICKS + 5
    made = monitor(ticks, eth0=[reading(t, protocols(tcp=(t + 1, 0))) for t in range(ticks)])
    assert len(made.total("eth0").rates) == TOTAL_TICKS
    assert len(lines(made)["tcp"].rates) == ROW_TICKS


@pytest.mark.parametrize(
    ("counts", "ratio"), [((10, 10), 1.0), ((30, 0, 0), 3.0), ((6, 3, 3), 1.5), ((0, 0), None)]
)
def test_ratio_of_the_busiest_cpu_to_the_mean(counts, ratio) -> None:
    def rows(factor: int):
        return {Table.CPUS: [Row(f"cpu {n}", factor * c, 0) for n, c in enumerate(counts)]}

    made = monitor(2, eth0=[reading(0, rows(0)), reading(1, rows(1))])
    assert busiest_to_mean(made.lines("eth0", Table.CPUS)) == ratio


def test_errors_of_independent_estimates_add_up_as_variances() -> None:
    def of(error: float) -> Reading:
        row = Row("192.0.2.1", 10, 600, Estimate(error))
        return reading(0, {Table.SOURCES: [row]}, one_in=10)

    made = Monitor(Clockwork(eth0=[of(3.0)], eth1=[of(4.0)._replace(one_in=99)]))
    made.tick()
    assert [each.about for each in made.lines("eth0", Table.SOURCES)] == [Estimate(3.0)]
    assert [each.about for each in made.lines(SUM, Table.SOURCES)] == [Estimate(5.0)]
    assert [made.one_in(each) for each in made.scopes] == [99, 10, 99]


def test_tables_of_a_snapshot_have_its_rows_and_the_rules_and_cpus_online() -> None:
    names = RowNames(
        ("icmp", "tcp", "udp"),
        ("aborted", "drop", "pass"),
        ("rule", "default"),
        ("short-ipv4", "vlan-depth"),
        (SizeRange(0, 63), SizeRange(64, 127), SizeRange(128, None)),
    )
    none = Tally(0, 0)
    counters = Counters(
        (none, Tally(5, 500), Tally(2, 120)),
        (none, Tally(2, 120), Tally(5, 500)),
        (Tally(2, 120), none),
        (0, 1),
        (2, 0, 5),
    )
    idle = Counters((none,) * 3, (none,) * 3, (none,) * 2, (0, 0), (0, 0, 0))
    snapshot = Snapshot(
        Interface("eth0", 2), None, Mode.DRIVER, 7, 3, 4, 5 * SECOND_NS,
        (counters, idle, idle), counters, names,
    )  # fmt: skip
    stored = StoredRuleset(
        "edge", "", 0, "pass", "drop", (), ({"name": "dns", "action": "limit"},), (1,), (2,), None
    )
    counts = RuleCounts(stored, (Tally(2, 120),), Tally(5, 500), {"dns": Tally(1, 60)})
    banned = Ban(parse_ban("192.0.2.0/24"), "", 0, None, None, Tally(4, 256))
    made = reading_of(snapshot, counts, BanCounts((banned,), 3), [0, 1])
    assert made.in_all == {Table.BANS: 3}
    assert reading_of(snapshot, counts, BanCounts((banned,), 1), [0, 1]).in_all == {}
    assert (made.total, made.state, made.monotonic_ns) == ((7, 620), "driver mode", 5 * SECOND_NS)
    found = {table: [each[:3] for each in rows] for table, rows in made.tables.items() if rows}
    assert found == {
        Table.PROTOCOLS: [("tcp", 5, 500), ("udp", 2, 120)],
        Table.VERDICTS: [
            ("pass", 5, 500),
            ("drop", 2, 120),
            ("drop: rule", 2, 120),
            ("drop: default", 0, 0),
            ("aborted", 0, 0),
            ("malformed: vlan-depth", 1, None),
        ],
        Table.RULES: [("dns", 2, 120), ("dns: over the rate", 1, 60), ("(default)", 5, 500)],
        Table.BANS: [("192.0.2.0/24", 4, 256)],
        Table.SIZES: [("0 - 63", 2, None), ("128 and more", 5, None)],
        Table.CPUS: [("cpu 0", 7, 620), ("cpu 1", 0, 0)],
    }
