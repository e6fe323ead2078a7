"""Limits: what their keys mean, what the reference model lets through, and the plan of their cells.
Expected values are sums done by hand."""

from __future__ import annotations

from fractions import Fraction
from ipaddress import ip_address

import pytest
import yaml

from tests.packets import ARP, IPV4, IPV6, eth, ipv4, ipv6
from xdpctl.rules.canonical import digest_of
from xdpctl.rules.compiler import compile_ruleset
from xdpctl.rules.limitplan import TooManyLimits, plan_limits
from xdpctl.rules.limits import parse_limit
from xdpctl.rules.model import Action, Ruleset
from xdpctl.rules.reading import read_text
from xdpctl.rules.reference import Buckets, Verdict, judge
from xdpctl.rules.writing import yaml_of

NOW = 1_800_000_000
V4 = eth(IPV4, ipv4(17, bytes(8)))


def ruleset(*rules: str, default: str = "pass") -> Ruleset:
    listed = "".join(f"- {{name: r{place}, {rule}}}\n" for place, rule in enumerate(rules))
    return read_text(f"malformed: pass\ndefault: {default}\nrules:\n{listed}", "f", NOW).ruleset


def limit(text: str) -> str:
    return f"action: limit, {text}"


def from_source(address: str) -> bytes:
    packed = ip_address(address).packed
    packet, at = (ipv4(17, bytes(8)), 12) if len(packed) == 4 else (ipv6(17, bytes(8)), 8)
    return eth(IPV4 if at == 12 else IPV6, packet[:at] + packed + packet[at + len(packed) :])


def passed(rules: Ruleset, frames: list[tuple[Fraction, bytes]]) -> list[bool]:
    """Of frames at times in seconds, one after another."""
    buckets = Buckets()
    return [
        judge(rules, frame, NOW + after, buckets).action is Action.PASS for after, frame in frames
    ]


@pytest.mark.parametrize(
    ("keys", "rate", "seconds", "bits", "burst"),
    [
        ({"rate": "1000/s"}, 1000, 1, False, 100),
        ({"rate": "30/m"}, 30, 60, False, 10),
        ({"rate": "100/h", "burst": "7"}, 100, 3600, False, 7),
        ({"rate": "10Mbit/s"}, 10_000_000, 1, True, 125_000),
        ({"rate": "64 kbit/s"}, 64_000, 1, True, 15_000),
        ({"rate": "1gbit/s", "burst": "2MB"}, 1_000_000_000, 1, True, 2_000_000),
        ({"rate": "8bit/s", "burst": "9000B"}, 8, 1, True, 9000),
    ],
)
def test_rate_and_burst(
    keys: dict[str, str], rate: int, seconds: int, bits: bool, burst: int
) -> None:
    found = parse_limit(keys)
    assert (found.rate, found.seconds, found.bits, found.burst) == (rate, seconds, bits, burst)
    assert (found.per, found.cells) == ("", 1)


@pytest.mark.parametrize(
    ("per", "expected"),
    [
        ("src", ("src", 32, 128)),
        ("dst", ("dst", 32, 128)),
        ("src/24", ("src", 24, 64)),
        ("src/32", ("src", 32, 64)),
        ("dst/56", ("dst", 32, 56)),
        ("src/24,56", ("src", 24, 56)),
        ("SRC/1,1", ("src", 1, 1)),
    ],
)
def test_per(per: str, expected: tuple[str, int, int]) -> None:
    found = parse_limit({"rate": "1/s", "per": per})
    assert (found.per, found.ipv4_length, found.ipv6_length) == expected
    assert found.cells == 65536


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    rules = ruleset(limit("rate: 10/s, burst: 3"))
    at = [0, 0, 0, 0, Fraction(99, 1000), Fraction(1, 10), Fraction(1, 10), Fraction(3, 10)]
    got = passed(rules, [(Fraction(each), V4) for each in at])
    assert got == [True, True, True, False, False, True, False, True]


def test_bits_count_the_whole_frame_and_a_full_bucket_lets_any_through() -> None:
    """100 bytes are 800 bits: at 8,000 bit/s the next one may come 0.1 s later."""
    small, large = V4.ljust(100, b"\0"), V4.ljust(1000, b"\0")
    rules = ruleset(limit("rate: 8kbit/s, burst: 100B"))
    frames = [(0, small), (Fraction(99, 1000), small), (Fraction(1, 10), small)]
    frames += [(Fraction(1, 5), large), (Fraction(11, 10), small), (Fraction(6, 5), small)]
    got = passed(rules, [(Fraction(at), frame) for at, frame in frames])
    assert got == [True, False, True, True, False, True]


@pytest.mark.parametrize("factor", [Fraction(1, 2), 1, 2, 20])
@pytest.mark.parametrize("unit", ["packets", "bits"])
def test_what_gets_through_in_ten_seconds(factor: Fraction, unit: str) -> None:
    """100 frames of 100 bytes a second, or 80 kbit/s; a burst of one."""
    rate = "100/s, burst: 1" if unit == "packets" else "80kbit/s, burst: 100B"
    frame = V4.ljust(100, b"\0")
    sent = int(1000 * factor)
    times = [Fraction(10 * i, sent) for i in range(sent)]
    got = passed(ruleset(limit(f"rate: {rate}")), [(at, frame) for at in times])
    assert sum(got) == min(sent, 1000)


def test_networks_have_buckets_of_their_own() -> None:
    rules = ruleset(limit("rate: 1/h, burst: 1, per: 'src/24,56'"))
    sources = ["192.0.2.1", "192.0.2.9", "192.0.3.1"]
    sources += ["2001:db8::1", "2001:db8:0:ff::1", "2001:db8:0:100::"]
    frames = [*map(from_source, sources), eth(ARP), eth(ARP)]
    got = passed(rules, [(Fraction(0), frame) for frame in frames])
    assert got == [True, False, True, True, False, True, True, False]


def test_what_is_within_goes_on_to_the_next_rule() -> None:
    rules = ruleset(limit("rate: 1/h, burst: 2"), limit("rate: 1/h, burst: 1"), "action: drop")
    buckets = Buckets()
    got = [judge(rules, V4, NOW, buckets) for _ in range(3)]
    assert got == [
        Verdict(Action.DROP, "rule", "r2"),
        Verdict(Action.DROP, "limit", "r1"),
        Verdict(Action.DROP, "limit", "r0"),
    ]


def test_an_expired_limit_takes_nothing() -> None:
    rules = ruleset(limit(f"rate: 1/h, burst: 1, expires: '{'2027-01-15T08:00:00Z'}'"))
    assert passed(rules, [(Fraction(0), V4)] * 3) == [True] * 3  # NOW is that moment


def test_is_written_as_it_was_read() -> None:
    text = limit("rate: 1000/s, burst: 200, per: 'src/24,56', cells: 1024, proto: udp")
    rules = ruleset(text, limit("rate: 10Mbit/s"))
    written = yaml.safe_load(yaml_of(rules))
    assert written["rules"] == [
        {"name": "r0", "action": "limit", "rate": "1000/s", "burst": 200, "per": "src/24,56",
         "cells": 1024, "proto": "udp"},
        {"name": "r1", "action": "limit", "rate": "10Mbit/s"},
    ]  # fmt: skip
    assert digest_of(read_text(yaml_of(rules), "f", NOW).ruleset) == digest_of(rules)


def test_equal_limits_are_so_whatever_their_spelling() -> None:
    one, same, other = (
        ruleset(limit(each)) for each in ("rate: 1000/s", "rate: 1000/s, burst: 100", "rate: 999/s")
    )
    assert digest_of(one) == digest_of(same) != digest_of(other)


def test_cells_lie_in_the_order_of_names_with_a_cache_line_each_at_least() -> None:
    whole, per = parse_limit({"rate": "1/s"}), {"rate": "1/s", "per": "src"}
    wide = parse_limit({**per, "cells": "16"})
    plans = plan_limits({"c": whole, "a": wide, "b": whole})
    assert [(each.name, each.first_cell) for each in plans] == [("a", 0), ("b", 16), ("c", 24)]
    assert compile_ruleset(ruleset(limit("rate: 1/s"))).cells == 8


def test_sixty_four_limits_compile_and_one_more_does_not() -> None:
    rules = [limit("rate: 1/s")] * 65
    assert len(compile_ruleset(ruleset(*rules[:64])).limits) == 64
    with pytest.raises(TooManyLimits, match="65 rules limit: there can be 64"):
        compile_ruleset(ruleset(*rules))


def test_cells_of_all_limits_are_bounded() -> None:
    rules = [limit("rate: 1/s, per: src, cells: 8388608")] * 3
    with pytest.raises(TooManyLimits, match="25,165,824 cells: there can be 16,777,216 in all"):
        compile_ruleset(ruleset(*rules))
