"""Interval arithmetic on sets, against plain sets of Python and `ipaddress`."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv6Address,
    ip_address,
    ip_network,
    summarize_address_range,
)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpctl.rules.intervals import count_prefixes, merge_ipv6, narrowed, subtract, widened
from xdpctl.rules.model import NamedSet
from xdpctl.rules.sets import (
    covers,
    minus,
    only_in,
    plus,
    prefixes_of,
    ranges_of,
    set_of,
    special_space,
)
from xdpctl.rules.values import AddressRange, parse_address

TOP4, TOP6 = 2**32 - 1, 2**128 - 1

# Small numbers meet often; those around 2**64 and at the top are where carries go wrong.
numbers6 = st.one_of(
    st.integers(0, 40),
    st.integers(2**64 - 20, 2**64 + 20),
    st.integers(TOP6 - 40, TOP6),
    st.integers(0, TOP6),
)
numbers4 = st.one_of(st.integers(0, 40), st.integers(TOP4 - 40, TOP4), st.integers(0, TOP4))


def pairs(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[list[tuple[int, int]]]:
    pair = st.tuples(numbers, numbers).map(lambda each: (min(each), max(each)))
    return st.lists(pair, max_size=12)


def made(version: int, ranges: list[tuple[int, int]], name: str = "x") -> NamedSet:
    return set_of(name, [AddressRange(version, *each) for each in ranges])


def held(named: NamedSet) -> list[tuple[int, int]]:
    return [(first, last) for _version, first, last in ranges_of(named)]


def edges(*ranges: list[tuple[int, int]], top: int) -> list[int]:
    """Every number at which anything can change, and its neighbours."""
    near = {edge + step for each in ranges for pair in each for edge in pair for step in (-1, 0, 1)}
    return sorted(number for number in near | {0, top} if 0 <= number <= top)


def inside(ranges: list[tuple[int, int]], number: int) -> bool:
    return any(first <= number <= last for first, last in ranges)


@pytest.mark.parametrize("version", [4, 6])
@given(data=st.data())
def test_merged_ranges_hold_the_same_and_are_sorted_and_apart(
    version: int, data: st.DataObject
) -> None:
    top, numbers = (TOP4, numbers4) if version == 4 else (TOP6, numbers6)
    ranges = data.draw(pairs(numbers))
    merged = held(made(version, ranges))
    for number in edges(ranges, merged, top=top):
        assert inside(merged, number) == inside(ranges, number)
    for (_first, last), (following, _last) in zip(merged, merged[1:], strict=False):
        assert following > last + 1


@pytest.mark.parametrize("version", [4, 6])
@given(data=st.data())
def test_difference_holds_what_only_the_first_set_has(version: int, data: st.DataObject) -> None:
    top, numbers = (TOP4, numbers4) if version == 4 else (TOP6, numbers6)
    left, right = data.draw(pairs(numbers)), data.draw(pairs(numbers))
    ranges = [AddressRange(version, *each) for each in right]
    less = held(minus(made(version, left), ranges))
    more = held(plus(made(version, left), ranges))
    for number in edges(left, right, less, top=top):
        assert inside(less, number) == (inside(left, number) and not inside(right, number))
        assert inside(more, number) == (inside(left, number) or inside(right, number))
    for (_first, last), (following, _last) in zip(less, less[1:], strict=False):
        assert following > last + 1


@pytest.mark.parametrize("version", [4, 6])
@given(data=st.data())
def test_prefixes_are_those_of_summarize_address_range(version: int, data: st.DataObject) -> None:
    numbers, address = (
        (numbers4, IPv4Address) if version == 4 else (numbers6, IPv6Address)  # type: ignore[assignment]
    )
    named = made(version, data.draw(pairs(numbers)))
    expected = [
        network
        for first, last in held(named)
        for network in summarize_address_range(address(first), address(last))  # type: ignore[type-var]
    ]
    assert [ip_network(each) for each in prefixes_of(named)] == expected
    wide = widened(named.ipv4) if version == 4 else named.ipv6
    assert count_prefixes(wide) == len(expected)


@given(pairs(numbers6))
def test_merging_twice_changes_nothing(ranges: list[tuple[int, int]]) -> None:
    named = made(6, ranges)
    assert np.array_equal(merge_ipv6(named.ipv6), named.ipv6)


@given(pairs(numbers4))
def test_nothing_is_left_of_a_set_without_itself(ranges: list[tuple[int, int]]) -> None:
    wide = widened(made(4, ranges).ipv4)
    assert len(subtract(wide, wide)) == 0
    assert np.array_equal(widened(narrowed(wide)), wide)


def test_set_of_both_families_is_sorted_merged_and_read_only() -> None:
    named = set_of("x", map(parse_address, ["10.0.1.0/24", "10.0.0.0/24", "2001:db8::/33",
                                            "2001:db8:8000::/33", "192.0.2.7"]))  # fmt: skip
    assert named.ipv4.tolist() == [[0x0A000000, 0x0A0001FF], [0xC0000207, 0xC0000207]]
    assert named.ipv6.tolist() == [[[0x20010DB800000000, 0], [0x20010DB8FFFFFFFF, 2**64 - 1]]]
    assert named.ipv4.dtype == np.uint32
    assert named.ipv6.dtype == np.uint64
    assert named.prefixes == 5
    with pytest.raises(ValueError, match="read-only"):
        named.ipv4[0, 0] = 1


def test_sets_are_equal_when_name_and_addresses_are() -> None:
    one = set_of("x", map(parse_address, ["10.0.0.0/25", "10.0.0.128/25"]))
    other = set_of("x", [parse_address("10.0.0.0/24")])
    assert one == other
    assert one.digest == other.digest
    assert one != set_of("y", [parse_address("10.0.0.0/24")])
    assert one != set_of("x", [parse_address("10.0.0.0/23")])
    assert (
        set_of("x", [parse_address("0.0.0.1")]).digest != set_of("x", [parse_address("::1")]).digest
    )


def test_covers_says_which_addresses_are_in_the_set() -> None:
    named = set_of(
        "x", map(parse_address, ["192.0.2.0/24", "192.0.2.255-192.0.3.7", "2001:db8::/32"])
    )
    addresses = {
        "192.0.1.255": False, "192.0.2.0": True, "192.0.3.7": True, "192.0.3.8": False,
        "0.0.0.0": False, "255.255.255.255": False, "2001:db8::": True, "::": False,
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff": True, "2001:db9::": False,
        "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff": False, "::192.0.2.1": False,
    }  # fmt: skip
    assert covers(named, map(ip_address, addresses)) == list(addresses.values())
    assert covers(set_of("x", []), [ip_address("::1"), ip_address("1.2.3.4")]) == [False, False]


@pytest.mark.parametrize(
    ("prefix", "networks"),
    [
        ("192.0.2.0/24", []),
        ("9.0.0.0/8", []),
        ("10.1.2.3", ["10.0.0.0/8"]),
        ("8.0.0.0/6", ["10.0.0.0/8"]),
        ("0.0.0.0/1", ["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8"]),
        ("172.31.255.255", ["172.16.0.0/12"]),
        ("172.32.0.0/11", []),
        ("192.168.0.0/16", ["192.168.0.0/16"]),
        ("169.254.0.1", ["169.254.0.0/16"]),
        ("239.255.255.255", ["224.0.0.0/4"]),
        ("255.255.255.255", ["255.255.255.255"]),
        ("240.0.0.0-255.255.255.254", []),
        ("2000::/3", []),
        ("8000::/1", ["fc00::/7", "fe80::/10", "ff00::/8"]),
        ("::/127", ["::", "::1"]),
        ("fe80::/64", ["fe80::/10"]),
        ("fec0::/10", []),
        ("ff02::1:ff00:0/104", ["ff00::/8"]),
        ("fdff:ffff::", ["fc00::/7"]),
    ],
)
def test_special_space_is_told(prefix: str, networks: list[str]) -> None:
    named = set_of("x", [parse_address(prefix)])
    assert [each.network for each in special_space(named)] == networks
    for network in networks:
        assert str(ip_network(network)[0]) == network.partition("/")[0]


def test_only_in_counts_the_fewest_prefixes() -> None:
    old = set_of("x", map(parse_address, ["10.0.0.0/8", "2001:db8::/32"]))
    new = set_of("x", map(parse_address, ["10.0.0.0/9", "2001:db8::/32", "::1", "192.0.2.0/24"]))
    assert only_in(new, old) == 2
    assert only_in(old, new) == 1
    assert only_in(old, old) == 0
