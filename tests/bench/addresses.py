"""`python -m tests.bench.addresses`: what looking up an address costs, next to the kernel's own
LPM_TRIE and HASH of the same content. They run in turn, many rounds; what the program does besides
looking up, which is measured as well, is taken off."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.bench.__main__ import in_turn
from tests.bench.prefixes import (
    Prefixes,
    hosts_ipv4,
    hosts_ipv6,
    mixed_ipv4,
    mixed_ipv6,
)
from xdpctl.pylibbpf import Object, ObjectMap
from xdpctl.pylibbpf.clang import compile_file
from xdpctl.rules.addresses import Table, compile_ipv4, compile_ipv6
from xdpctl.rules.classes import classify_ipv4, classify_ipv6

SOURCE = Path(__file__).with_name("addresses.bpf.c")
PROBES = 1 << 20
PACKET = bytes(64)
MB = 1_000_000


class Workload(NamedTuple):
    title: str
    prefixes: Prefixes
    with_hash: bool = False


def workloads(count: int) -> Iterator[Workload]:
    """Made when asked for: a million prefixes in three maps are several hundred megabytes."""
    yield Workload(f"IPv4, {count:,} prefixes of mixed lengths", mixed_ipv4(count))
    yield Workload(f"IPv4, {count:,} scattered /32", hosts_ipv4(count), with_hash=True)
    six = mixed_ipv6(160_147)
    yield Workload(f"IPv6, {len(six.lengths):,} prefixes of mixed lengths", six)
    six = mixed_ipv6(150_000, lone=60_000)
    yield Workload(f"IPv6, {len(six.lengths):,} prefixes, 2 of 5 lone /64 or /128", six)
    six = hosts_ipv6(150_000)
    yield Workload(f"IPv6, {len(six.lengths):,} scattered /128", six, with_hash=True)


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
        obj.maps[f"table_map_{version}"].set_max_entries(len(table.blocks))
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


def measure(obj: Object, ways: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Nanoseconds of one lookup. Raises AssertionError where the ways disagree on what is found."""
    found: dict[str, int] = {}

    def run(name: str) -> float:
        obj.bss.next = obj.bss.found = 0
        duration_ns = obj.programs[name].test_run(PACKET, repeat=PROBES).duration_ns
        found[name] = obj.bss.found
        return float(duration_ns)

    taken = in_turn({name: partial(run, name) for name in ways}, rounds)
    assert len({found[name] for name in ways[1:]}) == 1, found
    base = taken[ways[0]]
    return {
        name: {kind: max(1.0, taken[name][kind] - base[kind]) for kind in base} for name in ways[1:]
    }


def memory_mb(map_: ObjectMap) -> float:
    """What `bpftool map` calls memlock."""
    lines = Path(f"/proc/self/fdinfo/{map_.fd}").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("memlock")) / MB


def report(path: Path, workload: Workload, rounds: int) -> None:
    start = time.perf_counter()
    table = compiled(workload.prefixes)
    seconds = time.perf_counter() - start
    version = workload.prefixes.version
    ways = ["table", "trie", *(["hash"] if workload.with_hash else [])]
    with loaded(path, workload, table) as obj:
        sizes = {way: memory_mb(obj.maps[f"{way}_map_{version}"]) for way in ways}
        print(f"\n{workload.title}: compiled in {seconds:.2f} s, {table.depth} nodes deep, MB: "
              + ", ".join(f"{way} {size:.1f}" for way, size in sizes.items()))  # fmt: skip
        print(f"{'address, ns a lookup':24}{'min':>9}{'median':>9}   ratio to table: min, median")
        programs = [f"{way}_{version}" for way in ("nothing", *ways)]
        for kind, addresses in streams(workload.prefixes).items():
            give(obj, addresses)
            costs = measure(obj, programs, rounds)
            ours = costs[programs[1]]
            for way, cost in costs.items():
                ratios = [cost[each] / ours[each] for each in ("min", "median")]
                print(
                    f"{kind + ', ' + way[:-2]:24}{cost['min']:9.0f}{cost['median']:9.0f}"
                    f"{ratios[0]:15.1f}{ratios[1]:8.1f}"
                )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.addresses", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--prefixes", type=int, default=1_000_000, help="of IPv4")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "addresses.bpf.o")
        compile_file(SOURCE, path)
        for workload in workloads(options.prefixes):
            report(path, workload, options.rounds)


if __name__ == "__main__":
    main()
