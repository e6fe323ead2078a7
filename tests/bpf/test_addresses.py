"""Address tables in the kernel, next to a bisection of what they are compiled from."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import pytest

from tests.address_tables import classes_of, in_kernel, kernel_classes, set_root
from tests.bpf.conftest import errno_of
from tests.compilers import ADDRESSES, built_by, installed_compilers
from tests.intervals import BITS, SHAPES, Interval, class_of, compiled, cut, edges, scattered
from xdpctl.pylibbpf import BpfError, Object

pytestmark = pytest.mark.usefixtures("nothing_leaks")

VERSIONS = pytest.mark.parametrize("version", [4, 6])


@pytest.fixture(scope="module", params=installed_compilers())
def built(request: pytest.FixtureRequest) -> Path:
    """The test object by each compiler of this machine."""
    return built_by(request.param, ADDRESSES)


@cache
def sample(
    version: int, shape: Callable[[int, int, Random], list[int]], count: int
) -> tuple[list[Interval], list[int]]:
    random = Random(f"{version} {shape.__name__} {count}")
    intervals = cut(version, shape(BITS[version], count, random), random)
    return intervals, edges(version, intervals) + scattered(BITS[version], 1000, random)


@VERSIONS
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [2, 20, 200, 8000])
def test_the_kernel_finds_what_bisection_finds(
    built: Path, version: int, shape: Callable[[int, int, Random], list[int]], count: int
) -> None:
    intervals, probes = sample(version, shape, count)

    found = kernel_classes(built, version, intervals, probes)

    expected = [class_of(intervals, probe) for probe in probes]
    assert found == expected
    assert len(set(expected)) > 1


@VERSIONS
def test_a_table_without_any_prefix_covers_nothing(built: Path, version: int) -> None:
    probes = edges(version, [])
    assert kernel_classes(built, version, [], probes) == [0] * len(probes)


@VERSIONS
def test_a_map_that_was_never_written_covers_nothing(built: Path, version: int) -> None:
    with Object.open(built) as obj:
        obj.load()
        assert classes_of(obj, version, edges(version, [])) == [0] * len(edges(version, []))


@VERSIONS
def test_a_frozen_table_serves_the_next_program_unchanged(built: Path, version: int) -> None:
    intervals, probes = sample(version, SHAPES[2], 200)
    made = compiled(version, intervals)
    with in_kernel(built, made) as obj, Object.open(built) as following:
        set_root(following, made)
        table = obj.maps[f"ipv{version}_table"]
        following.maps[f"ipv{version}_table"].reuse_fd(table.fd)
        following.load()
        assert errno_of(table.update, 0, bytes(made.blocks.nbytes)) == errno.EPERM
        with pytest.raises(BpfError) as refused:
            table.mmap(writable=True)
        assert refused.value.errno == errno.EPERM
        expected = [class_of(intervals, probe) for probe in probes]
        assert classes_of(following, version, probes) == expected
