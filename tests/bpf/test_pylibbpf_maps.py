"""Maps of every kind, as the program, the kernel and other processes see them."""

from __future__ import annotations

import errno
import ipaddress
import json
import mmap
import struct
import subprocess
import sys

import pytest

from tests.bpf.conftest import Open, errno_of
from xdpctl.pylibbpf import BpfError, BtfError, Map, MapType, Object, possible_cpus
from xdpctl.pylibbpf.maps import EXIST, F_MMAPABLE, F_NO_PREALLOC, NOEXIST

pytestmark = pytest.mark.usefixtures("nothing_leaks")

PACKET = bytes(64)


@pytest.fixture
def obj(loaded: Open) -> Object:
    return loaded("maps")


def run(obj: Object, times: int = 1) -> int:
    return obj.programs.t_maps.test_run(PACKET, repeat=times).retval


def test_a_hash_map_is_a_mapping_that_the_program_shares(obj: Object) -> None:
    counts = obj.maps.hash
    assert 1 not in counts
    assert counts.get(1) is None
    assert list(counts) == list(counts.items()) == []
    with pytest.raises(KeyError):
        counts[1]
    with pytest.raises(KeyError):
        del counts[1]

    run(obj, 3)
    assert counts[1] == counts.get(1) == 3
    counts[1] = 2**64 - 2
    run(obj)
    assert counts[1] == 2**64 - 1
    assert 1 in counts
    del counts[1]
    run(obj, 2)
    assert list(counts.items()) == [(1, 2)]


def test_an_update_obeys_its_flags(obj: Object) -> None:
    counts = obj.maps.hash

    assert errno_of(counts.update, 1, 5, EXIST) == errno.ENOENT
    counts.update(1, 5, NOEXIST)
    assert errno_of(counts.update, 1, 6, NOEXIST) == errno.EEXIST
    counts.update(1, 7, EXIST)
    assert counts[1] == 7
    assert errno_of(counts.update, 1, 8, 1 << 60) == errno.EINVAL


def test_a_full_map_takes_no_new_key(obj: Object) -> None:
    counts = obj.maps.hash
    for key in range(4):
        counts[key] = key

    assert errno_of(counts.update, 4, 0) == errno.E2BIG
    assert errno_of(counts.update_batch, {9: 0}) == errno.E2BIG
    counts[3] = 33
    assert dict(counts.items()) == {0: 0, 1: 1, 2: 2, 3: 33}


@pytest.mark.parametrize(("key", "value"), [(-1, 0), (1 << 32, 0), (0, -1), (0, 1 << 64),
                                            ("1", 0), (0, "1"), (None, 0), (0, None)])  # fmt: skip
def test_what_does_not_fit_never_reaches_the_kernel(
    obj: Object, key: object, value: object
) -> None:
    with pytest.raises(BtfError):
        obj.maps.hash[key] = value
    with pytest.raises(BtfError):
        obj.maps.hash.update_batch({key: value})
    assert list(obj.maps.hash) == []


def test_an_array_has_all_its_elements_always(obj: Object) -> None:
    array = obj.maps.array
    run(obj, 5)
    array[4] = 7

    assert list(array.items()) == [(0, 0), (1, 5), (2, 0), (3, 0), (4, 7)]
    assert list(array.lookup_batch(2)) == list(array.items())
    assert 5 not in array
    with pytest.raises(KeyError):
        array[5]
    assert errno_of(array.update, 5, 0) == errno.E2BIG
    assert errno_of(array.__delitem__, 0) == errno.EINVAL


def odd(runs: int = 0, halves: tuple[int, ...] = (0, 0, 0), last: int = 0) -> dict[str, object]:
    return {"runs": runs, "halves": halves, "last": last}


@pytest.mark.parametrize("name", ["cpu_hash", "cpu_array"])
def test_a_value_of_each_possible_cpu_is_kept_apart(obj: Object, name: str) -> None:
    """The value has 11 bytes, the stride of a CPU's value 16."""
    values = obj.maps[name]
    written = tuple(odd(1000 + cpu, (cpu, 2, 0xFFFF), cpu) for cpu in range(possible_cpus()))
    values[2] = written

    raw = dict(values.lookup_batch(raw=True))[2]
    assert isinstance(raw, bytes)
    for read in (
        values[2],
        dict(values.lookup_batch())[2],
        dict(values.items())[2],
        values.decode(raw),
    ):
        assert [vars(value) for value in read] == list(written)
    assert values.info.value_size == 11


def test_possible_cpus_are_those_that_the_kernel_lists() -> None:
    with open("/sys/devices/system/cpu/possible", encoding="ascii") as file:
        ranges = [part.split("-") for part in file.read().split(",")]

    assert possible_cpus() == sum(int(part[-1]) - int(part[0]) + 1 for part in ranges)


def test_per_cpu_values_are_written_by_the_cpu_that_runs_the_program(obj: Object) -> None:
    cpus = possible_cpus()
    obj.maps.cpu_hash[7] = (odd(),) * cpus
    run(obj, 6)

    array, hashed = obj.maps.cpu_array[1], obj.maps.cpu_hash[7]
    assert sum(value.runs for value in array) == 6
    assert sum(value.halves[2] for value in hashed) == 6
    assert {value.last for value in array if value.runs} == {0xAA}
    assert len(array) == len(hashed) == cpus


@pytest.mark.parametrize("count", [0, 1, 100])
def test_per_cpu_values_of_another_number_of_cpus_are_refused(obj: Object, count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} values"):
        obj.maps.cpu_array[0] = (odd(),) * count


def test_the_longest_prefix_wins(obj: Object) -> None:
    routes = obj.maps.routes
    for prefix, value in (("0.0.0.0/0", 1), ("192.0.2.0/24", 2), ("192.0.2.77/32", 3)):
        network = ipaddress.ip_network(prefix)
        key = {"prefix_length": network.prefixlen, "address": network.network_address.packed}
        routes[key] = value

    assert run(obj) == 3
    del routes[{"prefix_length": 32, "address": bytes([192, 0, 2, 77])}]
    assert run(obj) == routes[{"prefix_length": 32, "address": bytes([192, 0, 2, 1])}] == 2
    assert routes[{"prefix_length": 32, "address": b"\x01\x02\x03\x04"}] == 1
    found = {(key.prefix_length, key.address): value for key, value in routes.items()}
    assert found == {(0, bytes(4)): 1, (24, bytes([192, 0, 2, 0])): 2}


def test_a_trie_of_many_prefixes_is_read_in_batches(obj: Object) -> None:
    wanted = {(32, bytes([10, 0, n >> 8, n & 0xFF])): n for n in range(300)}
    for (length, address), value in wanted.items():
        obj.maps.routes[{"prefix_length": length, "address": address}] = value

    found = [((key.prefix_length, key.address), value)
             for key, value in obj.maps.routes.lookup_batch(7)]  # fmt: skip
    assert len(found) == 300
    assert dict(found) == wanted


def test_members_of_keys_are_packed_and_read_by_rows(obj: Object) -> None:
    key = obj.maps.routes.key_row("prefix_length", "address").pack(32, bytes([10, 0, 0, 1]))

    assert obj.maps.routes.update_batch({key: 7}) == 1
    assert obj.maps.routes[{"prefix_length": 32, "address": bytes([10, 0, 0, 1])}] == 7
    with pytest.raises(BtfError):  # whose value is a number
        list(obj.maps.routes.lookup_rows(("prefix_length",), ("value",)))


def test_members_of_a_few_values_are_read_by_their_keys(obj: Object) -> None:
    shared = obj.maps.shared
    shared.update_batch({key: odd(key * 10, last=key) for key in range(9)})
    keys = [key.to_bytes(4, sys.byteorder) for key in (7, 1000, 3)]

    assert list(shared.lookup_some(keys, ("runs", "last"))) == [(70, 7), None, (30, 3)]
    assert list(shared.lookup_some([], ("runs",))) == []
    with pytest.raises(ValueError, match="a key of 3 bytes, and not 4"):
        list(shared.lookup_some([b"abc"], ("runs",)))
    for name in ("cpu_array", "hash"):  # many values for a key, and no members
        with pytest.raises(BtfError):
            list(obj.maps[name].lookup_some(keys, ("runs",)))


@pytest.mark.parametrize("name", ["cpu_hash", "cpu_array"])
def test_per_cpu_values_are_written_in_batches(obj: Object, name: str) -> None:
    values = obj.maps[name]
    rows = {key: tuple(odd(key * 10 + cpu, last=cpu) for cpu in range(possible_cpus()))
            for key in range(3)}  # fmt: skip

    assert values.update_batch(rows) == 3
    read = {key: [vars(each) for each in row] for key, row in values.lookup_batch(1)}
    assert read == {key: list(row) for key, row in rows.items()}


def test_mapped_memory_is_the_programs_own(obj: Object) -> None:
    """Elements of 11 bytes lie 16 apart: 1000 of them in four pages."""
    shared = obj.maps.shared
    with shared.mmap(writable=True) as memory, shared.mmap() as view:
        assert len(memory) == len(view) == 4 * mmap.PAGESIZE
        memory[16 + 10] = 25
        run(obj, 4)
        assert struct.unpack_from("=I", view, 16) == (100,)
        assert vars(shared[1]) == odd(100, last=25)
        shared[999] = odd(7)
        assert struct.unpack_from("=I", memory, 999 * 16) == (7,)
        with pytest.raises(TypeError):
            view[0] = 1


def test_maps_that_are_not_mmapable_are_not_mapped(obj: Object) -> None:
    for name in ("hash", "array", "cpu_array"):
        with pytest.raises(OSError):
            obj.maps[name].mmap()


def test_a_frozen_map_is_read_only_for_user_space_alone(obj: Object) -> None:
    run(obj)
    obj.maps.array.freeze()

    assert errno_of(obj.maps.array.update, 1, 0) == errno.EPERM
    assert errno_of(obj.maps.array.update_batch, {1: 0}) == errno.EPERM
    run(obj)
    assert obj.maps.array[1] == 2
    assert errno_of(obj.maps.array.freeze) in (errno.EBUSY, errno.EPERM)  # by kernel


def test_a_map_that_is_mapped_writable_cannot_be_frozen(obj: Object) -> None:
    with obj.maps.shared.mmap(writable=True):
        assert errno_of(obj.maps.shared.freeze) == errno.EBUSY
    obj.maps.shared.freeze()
    with pytest.raises(OSError):
        obj.maps.shared.mmap(writable=True)


def test_another_process_finds_a_map_by_its_id_and_decodes_it_alone(obj: Object) -> None:
    obj.maps.shared[3] = odd(5, (1, 2, 3), 255)
    script = (
        "import json, sys; from xdpctl.pylibbpf import Map\n"
        "with Map.from_id(int(sys.argv[1])) as m:\n"
        "    print(json.dumps(vars(m[3]))); m[4] = m[3]\n"
    )
    arguments = [sys.executable, "-c", script, str(obj.maps.shared.info.id)]
    printed = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout

    assert json.loads(printed) == {"runs": 5, "halves": [1, 2, 3], "last": 255}
    assert obj.maps.shared[4] == obj.maps.shared[3]


def test_bpftool_sees_what_was_written(obj: Object) -> None:
    obj.maps.shared[3] = odd(0x01020304, (1, 2, 0xFFFF), 255)
    key = ["hex", "03", "00", "00", "00"]
    command = ["bpftool", "-j", "map", "lookup", "id", str(obj.maps.shared.info.id), "key", *key]

    dumped = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    assert dumped["formatted"]["value"] == {"runs": 0x01020304, "halves": [1, 2, 65535],
                                            "last": 255}  # fmt: skip


def test_maps_are_made_with_flags_and_refused_without() -> None:
    shape = {"key_size": 8, "value_size": 4, "max_entries": 4}
    with Map.create(MapType.LPM_TRIE, "trie", **shape, flags=F_NO_PREALLOC) as trie:
        trie[struct.pack("=I4s", 8, b"\x0a\0\0\0")] = 1
        assert trie[struct.pack("=I4s", 32, b"\x0a\1\2\3")] == struct.pack("=I", 1)
    assert errno_of(lambda: Map.create(MapType.LPM_TRIE, "trie", **shape)) == errno.EINVAL
    array = {"key_size": 4, "value_size": 4, "max_entries": 1}
    with Map.create(MapType.ARRAY, "a" * 99, **array, flags=F_MMAPABLE) as made:
        assert made.info.name == "a" * 15


def test_a_ring_buffer_has_no_entries_to_look_up(loaded: Open) -> None:
    samples = loaded("ring").maps.samples

    assert samples.info.type == MapType.RINGBUF
    for use in (lambda: samples[b""], lambda: list(samples), lambda: list(samples.lookup_batch())):
        with pytest.raises(BpfError):
            use()
