"""What looking up an address costs, next to the kernel's own LPM_TRIE and HASH of the same content.

They run in turn, many rounds; what the program does besides looking up, which is measured as well,
is taken off.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.bench.prefixes import (
    Prefixes,
    hosts_ipv4,
    hosts_ipv6,
    mixed_ipv4,
    mixed_ipv6,
)
from tests.bench.programs import compile_object, map_mb
from tests.bench.timing import Costs, Figures, in_turn
from xdpctl.pylibbpf import Object, ObjectMap
from xdpctl.rules.addresses import Table, compile_ipv4, compile_ipv6
from xdpctl.rules.classes import classify_ipv4, classify_ipv6

PROBES = 1 << 20
PACKET = bytes(64)


class Workload(NamedTuple):
    title: str
    prefixes: Prefixes
    with_hash: bool = False


class Lookups(NamedTuple):
    """Of a workload.

    Attributes:
        compile_s: how long it takes to make our table.
        memory_mb: by table, trie and hash.
        lookup_ns: by `ADDRESSES, WAY`.
    """

    compile_s: float
    memory_mb: dict[str, float]
    lookup_ns: Costs


def workloads(count: int) -> Iterator[Workload]:
    """Made when asked for: a million prefixes in three maps are several hundred megabytes."""
    yield Workload(f"{count:,} IPv4 prefixes of mixed lengths", mixed_ipv4(count))
    yield Workload(f"{count:,} scattered IPv4 hosts", hosts_ipv4(count), with_hash=True)
    six = count * 15 // 100
    yield Workload(f"{six:,} IPv6 prefixes of mixed lengths", mixed_ipv6(six))
    lone = mixed_ipv6(six, lone=six * 2 // 5)
    yield Workload(f"{six:,} IPv6 prefixes, 2 of 5 a lone /64 or /128", lone)
    yield Workload(f"{six:,} scattered IPv6 hosts", hosts_ipv6(six), with_hash=True)


def compiled(prefixes: Prefixes) -> Table:
    """A class for each way in which prefixes are nested."""
    if prefixes.version == 4:
        found = classify_ipv4(prefixes.by_length())
        return compile_ipv4(found.starts, found.ends, found.classes)
    found = classify_ipv6(prefixes.by_length())
    return compile_ipv6(found.starts, found.ends, found.classes)


@contextmanager
def loaded(path: Path, workload: Workload, table: Table) -> Iterator[Object]:
    version, prefixes = workload.prefixes.version, workload.prefixes
    keys = wire(prefixes.first)
    lengths = prefixes.lengths.astype(np.uint32)[:, None].view(np.uint8)
    with Object.open(path) as obj:
        obj.maps[f"table_map_{version}"].set_value_size(table.blocks.nbytes)
        setattr(obj.rodata, f"table_map_{version}_root", table.root()._asdict())
        obj.maps[f"trie_map_{version}"].set_max_entries(len(keys))
        obj.maps[f"hash_map_{version}"].set_max_entries(len(keys) if workload.with_hash else 1)
        obj.load()
        with obj.maps[f"table_map_{version}"].mmap(writable=True) as memory:
            memory[: table.blocks.nbytes] = table.blocks.tobytes()
        fill(obj.maps[f"trie_map_{version}"], np.concatenate((lengths, keys), axis=1))
        if workload.with_hash:
            fill(obj.maps[f"hash_map_{version}"], keys)
        yield obj


def wire(addresses: NDArray[Any]) -> NDArray[np.uint8]:
    """Bytes in network order: uint8[n, 4] or uint8[n, 16]."""
    return addresses.byteswap().view(np.uint8).reshape(len(addresses), -1)


def fill(map_: ObjectMap, keys: NDArray[np.uint8]) -> None:
    one = (1).to_bytes(4, "little")
    random = np.random.default_rng(7)  # the order of a sorted list would be kind to a trie's caches
    shuffled = random.permutation(keys)
    for start in range(0, len(keys), 1 << 16):
        map_.update_batch((key.tobytes(), one) for key in shuffled[start : start + (1 << 16)])


def give(obj: Object, addresses: NDArray[Any]) -> None:
    """What is looked up next."""
    probes = np.zeros((PROBES, 2), np.uint64)
    probes[:, 1 if addresses.ndim == 1 else 0 : 2] = addresses.reshape(PROBES, -1)
    with obj.maps.probes.mmap(writable=True) as memory:
        memory[: probes.nbytes] = probes.tobytes()


def streams(prefixes: Prefixes) -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(8)
    listed = prefixes.addresses(PROBES, random)
    if prefixes.version == 4:
        somewhere: NDArray[Any] = random.integers(0, 1 << 32, PROBES).astype(np.uint32)
    else:  # in 2a00::/12, where much is
        somewhere = random.integers(0, (1 << 64) - 1, (PROBES, 2), np.uint64, endpoint=True)
        somewhere[:, 0] = somewhere[:, 0] >> np.uint64(12) | np.uint64(0x2A0 << 52)
    same = np.broadcast_to(somewhere[:1], somewhere.shape)
    return {"listed": listed, "random": somewhere, "the same": same}


def measure(obj: Object, version: int, ways: list[str], rounds: int) -> Costs:
    """Nanoseconds of one lookup. Raises AssertionError where the ways disagree on what is found."""
    found: dict[str, int] = {}

    def run(way: str) -> float:
        obj.bss.next = obj.bss.found = 0
        done = obj.programs[f"{way}_{version}"].test_run(PACKET, repeat=PROBES)
        found[way] = obj.bss.found
        return float(done.duration_ns)

    taken = in_turn({way: partial(run, way) for way in ("nothing", *ways)}, rounds)
    assert len({found[way] for way in ways}) == 1, found
    base = taken["nothing"]
    return {
        way: Figures(*(max(1.0, own - none) for own, none in zip(taken[way], base, strict=True)))
        for way in ways
    }


def lookups_of(path: Path, workload: Workload, rounds: int) -> Lookups:
    start = time.perf_counter()
    table = compiled(workload.prefixes)
    seconds = time.perf_counter() - start
    version = workload.prefixes.version
    ways = ["table", "trie", *(["hash"] if workload.with_hash else [])]
    costs: Costs = {}
    with loaded(path, workload, table) as obj:
        sizes = {way: map_mb(obj.maps[f"{way}_map_{version}"].fd) for way in ways}
        for kind, addresses in streams(workload.prefixes).items():
            give(obj, addresses)
            found = measure(obj, version, ways, rounds)
            costs |= {f"{kind}, {way}": figures for way, figures in found.items()}
    return Lookups(seconds, sizes, costs)


def lookups(folder: Path, rounds: int, prefixes: int) -> dict[str, Lookups]:
    """Of all workloads, by their titles."""
    path = compile_object(folder, "addresses")
    return {workload.title: lookups_of(path, workload, rounds) for workload in workloads(prefixes)}
