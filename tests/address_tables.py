"""Address tables in the kernel: written, frozen and asked through a test object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.intervals import Interval, as_array, compiled
from xdpctl.pylibbpf import Object, ObjectMap
from xdpctl.rules.addresses import Table

PROBES = 65_536
PACKET = bytes(64)


def write(map_: ObjectMap, table: Table) -> None:
    with map_.mmap(writable=True) as memory:
        memory[: table.blocks.nbytes] = table.blocks.tobytes()
    map_.freeze()


def set_root(obj: Object, table: Table) -> None:
    setattr(obj.rodata, f"ipv{table.version}_table_root", table.root()._asdict())


@contextmanager
def in_kernel(path: Path, table: Table) -> Iterator[Object]:
    with Object.open(path) as obj:
        map_ = obj.maps[f"ipv{table.version}_table"]
        map_.set_value_size(table.blocks.nbytes)
        set_root(obj, table)
        obj.load()
        write(map_, table)
        yield obj


def classes_of(obj: Object, version: int, addresses: list[int]) -> list[int]:
    """What the program in the kernel says."""
    found: list[int] = []
    for start in range(0, len(addresses), PROBES):
        part = addresses[start : start + PROBES]
        with obj.maps.probes.mmap(writable=True) as memory:
            probes = np.zeros((len(part), 3), np.uint64)
            probes[:, 1 if version == 4 else 0 : 2] = as_array(version, part).reshape(len(part), -1)
            probes[:, 2] = 0xDEAD0000
            memory[: probes.nbytes] = probes.tobytes()
            obj.bss.next = 0
            obj.programs[f"look_up_{version}"].test_run(PACKET, repeat=len(part))
            found += np.frombuffer(memory[: probes.nbytes], np.uint64)[2::3].tolist()
    return found


def kernel_classes(
    path: Path, version: int, intervals: list[Interval], addresses: list[int]
) -> list[int]:
    with in_kernel(path, compiled(version, intervals)) as obj:
        return classes_of(obj, version, addresses)
