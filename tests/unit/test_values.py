"""Numbers, names and differences, without any kernel."""

from __future__ import annotations

import time

import pytest

from xdpctl.cli.tables import bar
from xdpctl.cli.text import age, printable, rfc3339, si
from xdpctl.datapath.counters import Counters, RowNames, Tally
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.snapshot import Snapshot
from xdpctl.observe.rates import Interval
from xdpctl.protocols import KEYWORDS, protocol_name
from xdpctl.pylibbpf.xdp import Mode


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (1, "1"), (12, "12"), (999, "999"), (999.4, "999"), (999.6, "1 k"), (1000, "1 k"),
        (1234, "1.23 k"), (12345, "12.3 k"), (999_499, "999 k"), (999_500, "1 M"),
        (1_500_000, "1.5 M"), (7.5e9, "7.5 G"), (2.25, "2.25"),
        (18_446_744_073_709_551_615, "18.4 E"),
    ],
)  # fmt: skip
def test_si_keeps_three_digits(number: float, text: str) -> None:
    assert si(number) == text


def test_si_puts_the_prefix_to_the_unit() -> None:
    assert (si(233_000, "B"), si(5, "B")) == ("233 kB", "5 B")


def test_rfc3339_is_utc_to_the_microsecond() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000000Z"
    assert rfc3339(1_000_000_000_123_456_000) == "2001-09-09T01:46:40.123456Z"


def test_control_characters_are_escaped_and_letters_kept() -> None:
    assert printable("eth0\x1b[2J\x07é") == "eth0\\x1b[2J\\x07é"
    assert printable("a\x9bb") == "a\\x9bb"  # C1 control, which some terminals obey


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s ago"), (59, "59 s ago"), (60, "1 min ago"), (7200, "2 h ago"), (90000, "1 d ago")],
)
def test_age_names_the_largest_unit(
    monkeypatch: pytest.MonkeyPatch, seconds: int, text: str
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 10**18 + seconds * 10**9)
    assert age(10**18) == text


@pytest.mark.parametrize(
    ("fraction", "cells", "length"), [(1, 34, 34), (0.5, 34, 17), (0, 34, 0), (1e-9, 34, 1)]
)
def test_bar_is_as_long_as_its_share_and_never_hides_a_packet(
    fraction: float, cells: int, length: int
) -> None:
    assert len(bar(fraction, cells)) == length


def test_protocol_keywords_are_ianas() -> None:
    expected = {
        0: "hopopt", 1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 33: "dccp", 41: "ipv6", 47: "gre",
        50: "esp", 51: "ah", 58: "ipv6-icmp", 59: "ipv6-nonxt", 60: "ipv6-opts", 61: "61",
        88: "eigrp", 89: "ospfigp", 94: "ipip", 103: "pim", 112: "vrrp", 115: "l2tp", 132: "sctp",
        135: "mobility-header", 136: "udplite", 137: "mpls-in-ip", 139: "hip", 143: "ethernet",
        200: "200", 253: "253", 255: "255",
    }  # fmt: skip
    assert {number: protocol_name(number) for number in expected} == expected
    assert len(set(KEYWORDS.values())) == len(KEYWORDS)


def snapshot(packets: int, monotonic_ns: int, attached_at_ns: int = 1) -> Snapshot:
    tallies = (Tally(packets, packets * 100),)
    counters = Counters(tallies, tallies, (), (0,), (packets,))
    return Snapshot(
        Interface("eth0", 2), None, Mode.SKB, 7, attached_at_ns, 0, monotonic_ns,
        (counters,), counters, RowNames(("tcp",), ("pass",), (), ("short",), ()),
    )  # fmt: skip


def test_interval_is_the_difference_and_its_rate_per_second() -> None:
    interval = Interval.between(snapshot(100, 0), snapshot(350, 500_000_000))
    assert interval.counters.total == (250, 25_000)
    assert interval.per_second(250) == 500


def test_counters_started_anew_are_not_subtracted() -> None:
    interval = Interval.between(snapshot(100, 0, 1), snapshot(30, 10**9, 2))
    assert interval.counters.total == (30, 3_000)
