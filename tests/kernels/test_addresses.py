"""Address tables on every kernel: that they load proves nothing, so classes are compared."""

from __future__ import annotations

from random import Random

import pytest

from tests.address_tables import kernel_classes
from tests.compilers import ADDRESSES, built_by, installed_compilers
from tests.intervals import BITS, SHAPES, class_of, cut, edges
from tests.unit.test_classes import assert_as_expected


@pytest.mark.parametrize("version", [4, 6])
def test_many_lists_have_the_classes_that_they_are_to_have(version: int) -> None:
    """The processor is another here too: qemu's, whose vector instructions are not all sound."""
    random = Random(version)
    starts = random.sample(range(10_000), 300)
    assert_as_expected(version, [[(start, start + random.randrange(40))] for start in starts])


@pytest.mark.parametrize("compiler", installed_compilers())
def test_the_kernel_finds_what_bisection_finds(compiler: str) -> None:
    path = built_by(compiler, ADDRESSES)
    for version in (4, 6):
        for shape in SHAPES:
            random = Random(f"{version} {shape.__name__}")
            intervals = cut(version, shape(BITS[version], 300, random), random)
            probes = edges(version, intervals)
            expected = [class_of(intervals, probe) for probe in probes]
            assert kernel_classes(path, version, intervals, probes) == expected, shape
