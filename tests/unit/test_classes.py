"""Classes of addresses, next to asking every list about every stretch of addresses."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.intervals import BITS, as_array
from xdpctl.errors import WrongUsage
from xdpctl.rules.classes import Classes, TooManyClasses, classify_ipv4, classify_ipv6

Pairs = list[tuple[int, int]]


def classified(version: int, lists: list[Pairs]) -> Classes:
    bounds = [
        tuple(as_array(version, (p[side] for p in each)) for side in (0, 1)) for each in lists
    ]
    return (classify_ipv4 if version == 4 else classify_ipv6)(bounds)


def as_ints(column: NDArray[Any]) -> list[int]:
    if column.ndim == 1:
        return [int(each) for each in column]
    return [int(high) << 64 | int(low) for high, low in column]


def expected(version: int, lists: list[Pairs]) -> list[tuple[int, int, tuple[int, ...]]]:
    """First, last and the lists, of each stretch that some list holds."""
    top = (1 << BITS[version]) - 1
    cuts = {0} | {end for each in lists for a, b in each for end in (a, b + 1) if end <= top}
    firsts = sorted(cuts)
    stretches = [
        (first, following - 1, tuple(k for k, each in enumerate(lists)
                                     if any(a <= first <= b for a, b in each)))
        for first, following in zip(firsts, [*firsts[1:], top + 1], strict=True)
    ]  # fmt: skip
    found = []
    for held, run in groupby(stretches, key=lambda stretch: stretch[2]):
        joined = list(run)
        if held:
            found.append((joined[0][0], joined[-1][1], held))
    return found


def assert_as_expected(version: int, lists: list[Pairs]) -> Classes:
    wanted = expected(version, lists)
    found = classified(version, lists)
    assert list(zip(as_ints(found.starts), as_ints(found.ends), strict=True)) == [
        (first, last) for first, last, _ in wanted
    ]
    numbers: dict[tuple[int, ...], int] = {}
    for _, _, held in wanted:
        numbers.setdefault(held, len(numbers) + 1)
    assert found.classes.tolist() == [numbers[held] for _, _, held in wanted]
    assert found.members.shape == (len(numbers) + 1, -(-len(lists) // 64))
    assert {tuple(found.lists_of(n)): n for n in range(len(found.members))} == {(): 0, **numbers}
    return found


def lists_of(version: int) -> st.SearchStrategy[list[Pairs]]:
    top = (1 << BITS[version]) - 1
    near = st.integers(0, 30) | st.integers(top - 30, top)
    address = near | st.integers(0, top) | st.integers(2**64 - 3, 2**64 + 3).map(lambda a: a & top)
    pairs = st.sets(address, max_size=8).map(
        lambda cuts: list(zip(sorted(cuts)[::2], sorted(cuts)[1::2], strict=False))
    )
    return st.lists(pairs | st.just([(0, top)]) | st.just([(top, top)]), max_size=9)


@pytest.mark.parametrize("version", [4, 6])
@settings(deadline=None)
@given(data=st.data())
def test_addresses_of_a_class_are_in_the_same_lists(version: int, data: st.DataObject) -> None:
    assert_as_expected(version, data.draw(lists_of(version)))


@pytest.mark.parametrize("version", [4, 6])
def test_many_lists_and_their_order_of_numbers(version: int) -> None:
    """As many as NumPy has vectorized code for, which is only as right as the processor."""
    lists = [[(10 * k, 10 * k + 14)] for k in range(130)]
    found = assert_as_expected(version, lists)
    assert found.lists_of(1) == [0]
    assert found.lists_of(2) == [0, 1]
    assert found.lists_of(3) == [1]


def test_intervals_that_touch_within_a_list_are_one() -> None:
    found = classified(4, [[(1, 4), (5, 9)], [(20, 20), (21, 21)]])
    assert (found.starts.tolist(), found.ends.tolist()) == ([1, 20], [9, 21])


@pytest.mark.parametrize("version", [4, 6])
def test_intervals_that_touch_in_the_only_list_are_one(version: int) -> None:
    top = (1 << BITS[version]) - 1
    assert_as_expected(version, [[(0, 4), (5, 9), (11, 12), (top - 3, top - 1), (top, top)]])


def test_results_are_the_same_every_time() -> None:
    lists = [[(k, 1000 - k)] for k in range(200)] + [[(0, 2**32 - 1)]]
    one, other = classified(4, lists), classified(4, lists)
    for column in ("starts", "ends", "classes", "members"):
        assert (getattr(one, column) == getattr(other, column)).all()


def test_more_classes_than_there_are_numbers_is_one_clear_error() -> None:
    """17 lists, each of the numbers that have one of 17 bits set: every number another class."""

    def with_bit(bit: int) -> tuple[np.ndarray, np.ndarray]:
        starts = np.arange(1 << bit, 1 << 17, 2 << bit, dtype=np.uint32)
        return starts, starts + np.uint32((1 << bit) - 1)

    assert len(classify_ipv4([with_bit(bit) for bit in range(1, 17)]).members) == 65_536
    with pytest.raises(
        TooManyClasses, match="apart in 131,071 ways: there can be 65,535"
    ) as refused:
        classify_ipv4([with_bit(bit) for bit in range(17)])
    assert isinstance(refused.value, WrongUsage)
    assert refused.value.hint
