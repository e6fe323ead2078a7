"""Our program: loaded from the package, and found again in the kernel by nothing but its id.

The kernel is the only database: program -> map ids -> maps, and the layout of their values from the
program's own BTF. A program is ours when type, name, BTF and the maps' shapes say so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import reduce

from xdpctl.datapath.counters import Counters, RowNames
from xdpctl.datapath.generation import Generation, configure, fill
from xdpctl.errors import BadInstallation
from xdpctl.pylibbpf import (
    Btf,
    BtfError,
    Codec,
    Map,
    MapType,
    Object,
    ObjectProgram,
    Program,
    load_btf,
)
from xdpctl.pylibbpf.btf import Kind
from xdpctl.pylibbpf.fd import Owner

BPF_OBJECT = os.path.join(os.path.dirname(__file__), os.pardir, "data", "xdpctl.bpf.o")

SCHEMA_VERSION = 1
"""The META_SCHEMA_VERSION of bpf/types.h that this code understands."""

_NAME = "xdpctl"
_PROGRAM_TYPE_XDP = 6
# Maps of one element; its value is the struct of the same name.
_MAP_TYPES = {"counters": MapType.PERCPU_ARRAY, "meta": MapType.ARRAY}


class NotOursError(Exception):
    """The program was not loaded by xdpctl, or by a version that this one does not understand."""


@contextmanager
def loaded_program(
    offload_to: int | None = None, generation: Generation | None = None
) -> Iterator[ObjectProgram]:
    """Our program in the kernel, with its `meta` bound to it, attached to nothing yet. Unless it
    gets attached it is gone at the end, and so it is when we are killed.

    Args:
        offload_to: the index of the interface whose hardware is to run it.
        generation: the rules; without any it counts and passes everything.

    Raises:
        BadInstallation: the BPF object is not there.
        PylibbpfError: libbpf or the kernel refuses.
    """
    try:
        obj = Object.open(BPF_OBJECT, name=_NAME)
    except FileNotFoundError:
        raise BadInstallation(
            f"the BPF object is missing: {BPF_OBJECT}", hint="in a checkout: make build"
        ) from None
    with obj:
        program = obj.programs[_NAME]
        if offload_to is not None:
            program.set_ifindex(offload_to)
            for map_ in obj.maps:
                map_.set_ifindex(offload_to)
        configure(obj, generation)
        obj.load()
        if obj.btf is None or not program.info.btf_id:
            # Nobody could find out later whose it is, and what its maps hold.
            raise BadInstallation(
                "the program has no BTF, either in its object or in this kernel",
                hint="compile it with `clang -g`, and keep .BTF when stripping",
            )
        obj.maps.meta[0] = {
            "magic": obj.btf.enum("meta_format")["META_MAGIC"],
            "schema_version": SCHEMA_VERSION,
            "attached_at_ns": time.time_ns(),
        }
        program.bind_map(obj.maps.meta.fd)
        if generation is not None:
            fill(obj, generation)
        yield program


class RunningProgram(Owner):
    """Our program found by its id; a context manager.

    Attributes:
        program_id: the kernel's id of it.
        attached_at_ns: when it was attached, on CLOCK_REALTIME.
        names: what the rows of its counters stand for.
    """

    def __init__(self, program_id: int) -> None:
        """
        Raises:
            NotOursError: it is somebody else's.
            BpfError: ENOENT when it is gone, EPERM without CAP_SYS_ADMIN.
        """
        with ExitStack() as stack:
            self._program = stack.enter_context(Program.from_id(program_id))
            info = self._program.info
            if info.type != _PROGRAM_TYPE_XDP or info.name != _NAME or not info.btf_id:
                raise NotOursError(f"program {info.name} is not ours")
            try:
                btf = load_btf(info.btf_id)
                self.names = RowNames.from_btf(btf)
                maps = _our_maps(info.map_ids, btf, stack)
                meta = maps["meta"][0]
                if (
                    meta.magic != btf.enum("meta_format").get("META_MAGIC")
                    or meta.schema_version != SCHEMA_VERSION
                ):
                    raise NotOursError("another version of xdpctl loaded the program")
                self.attached_at_ns: int = meta.attached_at_ns
            except (BtfError, AttributeError) as error:
                raise NotOursError(
                    f"program {info.name} is not laid out as ours: {error}"
                ) from None
            self._counters = maps["counters"]
            self.program_id = program_id
            self._stack = stack.pop_all()

    @property
    def fd(self) -> int:
        """The program's descriptor; owned by this object."""
        return self._program.fd

    def read(self) -> tuple[Counters, ...]:
        """What each possible CPU has counted, all in one system call. Raises BpfError."""
        return tuple(Counters.from_record(record) for record in self._counters[0])

    def read_sum(self) -> Counters:
        """The counts of all CPUs together. Raises BpfError."""
        return reduce(Counters.plus, self.read())

    def close(self) -> None:
        self._stack.close()


def _our_maps(map_ids: tuple[int, ...], btf: Btf, stack: ExitStack) -> dict[str, Map]:
    """Our maps out of those of a program, entered into `stack`. Raises NotOursError."""
    found: dict[str, Map] = {}
    for map_id in map_ids:
        map_ = stack.enter_context(Map.from_id(map_id, btf))
        info = map_.info
        struct = btf.find(Kind.STRUCT, info.name)
        if (
            struct is not None
            and info.type == _MAP_TYPES.get(info.name)
            and info.key_size == 4  # noqa: PLR2004 - an array's index
            and info.max_entries == 1
            and info.value_size == Codec(btf, struct).size
        ):
            found[info.name] = map_
    if found.keys() != _MAP_TYPES.keys():
        raise NotOursError("the program has no maps of ours")
    return found
