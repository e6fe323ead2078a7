"""Address tables on every kernel: that they load proves nothing, so classes are compared."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.address_tables import compile_with, installed_compilers, kernel_classes
from tests.intervals import BITS, SHAPES, class_of, cut, edges
from tests.unit.test_classes import assert_as_expected


@pytest.mark.parametrize("version", [4, 6])
def test_many_lists_have_the_classes_that_they_are_to_have(version: int) -> None:
    """The processor is another here too: qemu's, whose vector instructions are not all sound."""
    random = Random(version)
    starts = random.sample(range(10_000), 300)
    assert_as_expected(version, [[(start, start + random.randrange(40))] for start in starts])


@pytest.mark.parametrize("compiler", installed_compilers())
def test_the_kernel_finds_what_bisection_finds(compiler: str, tmp_path: Path) -> None:
    built = compile_with(compiler, tmp_path)
    for version in (4, 6):
        for shape in SHAPES:
            random = Random(f"{version} {shape.__name__}")
            intervals = cut(version, shape(BITS[version], 300, random), random)
            probes = edges(version, intervals)
            expected = [class_of(intervals, probe) for probe in probes]
            assert kernel_classes(built, version, intervals, probes) == expected, shape
