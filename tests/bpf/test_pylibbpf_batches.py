"""Large maps, many entries at a system call or one after another, and maps without types."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

import pytest

from tests.bpf.conftest import errno_of
from xdpctl.pylibbpf import BtfError, Map, MapType, possible_cpus

pytestmark = pytest.mark.usefixtures("nothing_leaks")


@pytest.fixture
def hash_map() -> Iterator[Map]:
    """A hash map of 10,000 entries, full, without BTF: the value of a key is its square."""
    with Map.create(MapType.HASH, "squares", key_size=4, value_size=8, max_entries=10_000) as made:
        pairs = ((n.to_bytes(4, "big"), n * n) for n in range(10_000))
        assert made.update_batch(pairs) == 10_000
        yield made


@pytest.mark.parametrize("batch", [1, 64, 4096, 10_000, 1 << 40])
def test_a_batch_lookup_gives_each_entry_once(hash_map: Map, batch: int) -> None:
    found = list(hash_map.lookup_batch(batch))

    assert len(found) == 10_000
    assert {int.from_bytes(key, "big"): struct.unpack("=Q", value)[0] for key, value in found} == {
        n: n * n for n in range(10_000)
    }


def test_iteration_gives_each_key_once(hash_map: Map) -> None:
    found = list(hash_map)

    assert len(found) == 10_000
    assert {int.from_bytes(key, "big") for key in found} == set(range(10_000))


def test_items_deleted_under_way_are_left_out(hash_map: Map) -> None:
    walk = hash_map.items()
    first, _ = next(walk)
    deleted = {key for key in hash_map if key != first}
    hash_map.delete_batch(deleted)

    assert not {key for key, _ in walk} & deleted


def test_a_batch_is_deleted_up_to_the_first_missing_key(hash_map: Map) -> None:
    keys = [n.to_bytes(4, "big") for n in range(10_000)]

    assert hash_map.delete_batch(keys[:4000]) == 4000
    assert errno_of(hash_map.delete_batch, [keys[5000], keys[0], keys[6000]]) == errno.ENOENT
    assert keys[5000] not in hash_map
    assert keys[6000] in hash_map
    assert hash_map.delete_batch([]) == hash_map.update_batch({}) == 0
    assert len(list(hash_map.lookup_batch())) == 5999


def test_a_map_without_btf_holds_bytes(hash_map: Map) -> None:
    info = hash_map.info

    assert (info.name, info.type, info.btf_id) == ("squares", MapType.HASH, 0)
    assert hash_map[(3).to_bytes(4, "big")] == struct.pack("=Q", 9)
    with pytest.raises(BtfError, match="3 bytes"):
        hash_map[b"abc"]


def test_a_closed_map_touches_no_descriptor(hash_map: Map) -> None:
    key = bytes(4)
    walk, batches = iter(hash_map), hash_map.lookup_batch(16)
    next(walk), next(batches)
    hash_map.close()
    hash_map.close()
    assert hash_map.closed

    # A map that gets the number of the closed one.
    with Map.create(MapType.HASH, "bystander", key_size=4, value_size=8, max_entries=9) as other:
        for use in (
            lambda: hash_map.fd,
            hash_map.fileno,
            lambda: hash_map[key],
            lambda: hash_map.get(key),
            lambda: hash_map.update(key, 1),
            lambda: hash_map.update_batch({key: 1}),
            lambda: hash_map.delete_batch([key]),
            lambda: list(walk),
            lambda: list(batches),
            hash_map.freeze,
            hash_map.mmap,
        ):
            with pytest.raises(ValueError, match="closed"):
                use()
        assert list(other) == []


def test_values_of_an_array_are_those_of_each_index() -> None:
    with Map.create(
        MapType.PERCPU_ARRAY, "cubes", key_size=4, value_size=8, max_entries=9000
    ) as cubes:
        cpus = possible_cpus()
        cubes.update_batch(
            (struct.pack("=I", n), [struct.pack("=Q", n**3 + cpu) for cpu in range(cpus)])
            for n in range(9000)
        )
        values = cubes.array_values()
    assert len(values) == 9000
    for n in (0, 1, 4095, 4096, 8999, -1):
        cube = (n % 9000) ** 3
        assert [*values[n]] == [struct.pack("=Q", cube + cpu) for cpu in range(cpus)]
    with pytest.raises(IndexError):
        values[9000]


def test_of_a_batch_those_are_discarded_that_there_are(hash_map: Map) -> None:
    keys = [n.to_bytes(4, "big") for n in (7, 20_000, 8, 7, 30_000, 40_000, 9)]

    assert hash_map.discard_batch(keys) == [True, False, True, False, False, False, True]
    assert hash_map.discard_batch(keys) == [False] * 7
    assert hash_map.discard_batch([]) == []
    assert len(list(hash_map.lookup_batch())) == 9997
