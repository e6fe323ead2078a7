"""Compiled address tables, walked in Python, next to a bisection of what they are compiled from."""

from __future__ import annotations

import ipaddress
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.intervals import (
    BITS,
    SHAPES,
    Interval,
    as_array,
    class_of,
    compiled,
    cut,
    edges,
    scattered,
)
from xdpctl.rules.addresses import (
    Table,
    compile_ipv4,
    lookup,
)

DEPTHS = {4: 16, 6: 32}  # ADDRESS_DEPTH_IPV4 and _IPV6: how far the data plane walks

VERSIONS = pytest.mark.parametrize("version", [4, 6])


def assert_equal(version: int, intervals: list[Interval], probes: list[int]) -> Table:
    table = compiled(version, intervals)
    found = lookup(table, as_array(version, probes)).tolist()
    expected = [class_of(intervals, address) for address in probes]
    wrong = [hex(each) for each, a, b in zip(probes, found, expected, strict=True) if a != b]
    assert not wrong
    assert table.depth <= DEPTHS[version]
    return table


@VERSIONS
@pytest.mark.parametrize("shape", SHAPES)
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**64), count=st.sampled_from([1, 2, 3, 5, 9, 30, 70, 200, 700]))
def test_every_address_near_an_edge_has_its_class(
    version: int, shape: object, seed: int, count: int
) -> None:
    assert callable(shape)
    random = Random(seed)
    intervals = cut(version, shape(BITS[version], count, random), random)
    assert_equal(
        version, intervals, edges(version, intervals) + scattered(BITS[version], 50, random)
    )


ADDRESSES = {
    version: st.integers(0, (1 << bits) - 1) | st.sampled_from([0, 1, (1 << bits) - 1, 1 << 31])
    for version, bits in BITS.items()
}


@VERSIONS
@settings(deadline=None)
@given(data=st.data())
def test_few_intervals_of_any_kind(version: int, data: st.DataObject) -> None:
    points = data.draw(st.sets(ADDRESSES[version], max_size=12).map(sorted))
    numbers = data.draw(st.lists(st.integers(0, 65535), min_size=12, max_size=12))
    pairs = zip(points[::2], points[1::2], numbers, strict=False)
    intervals = [Interval(*each) for each in pairs]
    assert_equal(version, intervals, edges(version, intervals))


@VERSIONS
@pytest.mark.parametrize(
    "covered",
    [
        [],
        [(0, None)],
        [(0, 0)],
        [(None, None)],
        [(0, 0), (None, None)],
        [(0, 1 << 31), ((1 << 31) + 1, None)],
        [(1, 1)],
        [(0, 5), (6, 6), (8, None)],
    ],
)
def test_nothing_everything_and_the_ends_of_the_space(
    version: int, covered: list[tuple[int | None, int | None]]
) -> None:
    """None stands for the last address."""
    top = (1 << BITS[version]) - 1
    ends = [tuple(top if end is None else end for end in pair) for pair in covered]
    intervals = [Interval(*pair, number) for number, pair in enumerate(ends, 1)]
    assert_equal(version, intervals, edges(version, intervals))


def of_networks(*networks: str) -> list[Interval]:
    found = sorted(map(ipaddress.ip_network, networks))
    return [
        Interval(int(each.network_address), int(each.broadcast_address), number)
        for number, each in enumerate(found, 1)
    ]


@pytest.mark.parametrize(
    "networks",
    [
        ["0.0.0.0/0"],
        ["192.0.2.1/32"],
        ["0.0.0.0/32", "255.255.255.255/32"],
        ["::/0"],
        ["2001:db8::1/128"],
        ["2001:db8:0:1::/64"],
        ["::/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"],
        ["2001:db8::/33", "2001:db8:8000::/128", "2001:db8:8000::1/128", "2001:db8:8000:1::/64"],
        ["2001:db8::ffff:ffff:ffff:ffff/128", "2001:db8:0:1::/128"],
    ],
)
def test_a_lone_prefix_takes_a_node_for_each_half(networks: list[str]) -> None:
    intervals = of_networks(*networks)
    version = ipaddress.ip_network(networks[0]).version
    table = assert_equal(version, intervals, edges(version, intervals))
    assert table.depth <= (1 if version == 4 else 2)


def test_a_hundred_thousand_lone_ipv6_hosts_are_a_short_way_off() -> None:
    """Each alone in its /64, all over 2000::/3: root, array, leaf of the high half, leaf of the
    low half, and what is crowded by chance."""
    random = Random(6)
    hosts = sorted({1 << 125 | random.getrandbits(125) for _ in range(100_000)})
    intervals = [Interval(host, host, 7) for host in hosts]
    table = compiled(6, intervals)
    found = lookup(table, as_array(6, hosts))
    assert (found == 7).all()
    assert not lookup(table, as_array(6, [host ^ 1 << 20 for host in hosts])).any()
    assert table.depth <= 5
    assert table.blocks.nbytes < 100_000 * 160


@pytest.mark.parametrize("spread", [2**32, 2**21])
def test_a_million_hosts_stay_below_thirty_two_megabytes(spread: int) -> None:
    generator = np.random.default_rng(4)
    start = (2**32 - spread) // 2
    hosts = np.unique(generator.integers(start, start + spread, 1_400_000).astype(np.uint32))
    hosts = hosts[:1_000_000]
    classes = np.resize(np.array([1, 2, 65535], np.uint16), len(hosts))
    table = compile_ipv4(hosts, hosts, classes)
    assert (lookup(table, hosts) == classes).all()
    beside = np.setdiff1d(hosts[::10] + np.uint32(1), hosts)
    assert not lookup(table, beside).any()
    assert table.blocks.nbytes < 32 << 20


@VERSIONS
def test_intervals_that_overlap_or_are_out_of_order_are_refused(version: int) -> None:
    for wrong in ([(5, 9), (9, 10)], [(20, 30), (1, 2)], [(3, 2)]):
        with pytest.raises(ValueError, match="ascending"):
            compiled(version, [Interval(*pair, 1) for pair in wrong])
