"""Our program, loaded from the package: a counter, or one with a ruleset."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from xdpctl.datapath.counters import Tally
from xdpctl.datapath.generation import Generation, configure, fill, write_once
from xdpctl.datapath.limits import copy_cells
from xdpctl.datapath.program import (
    BAN_INDEX,
    PROGRAM_NAME,
    SAMPLING,
    SCHEMA_VERSION,
    STORED_BLOCK_BYTES,
    RunningProgram,
)
from xdpctl.errors import BadInstallation
from xdpctl.pylibbpf import BpfError, Map, Object, ObjectProgram

_DATA = os.path.join(os.path.dirname(__file__), os.pardir, "data")
BPF_OBJECT = os.path.join(_DATA, "xdpctl.bpf.o")
UNTYPED_BPF_OBJECT = os.path.join(_DATA, "xdpctl_untyped.bpf.o")
"""For kernels without KERNEL_TYPES, or whose JIT cannot use them (bpf/frame.h), and hardware."""

KERNEL_TYPES = "/sys/kernel/btf/vmlinux"
_ENOTSUPP = 524  # of the kernel's own, and not errno's

MAX_BANS = 16_777_216
"""The largest table of bans."""

_BANS = ("bans", "ban_hits")
_SAMPLING = (SAMPLING, "sample_readers", "sample_state", "sample_rings")
_HANDED_ON = ("counters", "rule_counts", BAN_INDEX, *_BANS, *_SAMPLING)


class Content(NamedTuple):
    """What makes the program more than a counter.

    Attributes:
        generation: the ruleset's tables.
        text, ranges: what is kept of the ruleset (xdpctl.rules.stored).
        default_baseline: what the default's slot had counted before: packets, bytes.
    """

    generation: Generation
    text: bytes
    ranges: bytes
    default_baseline: Tally


@contextmanager
def loaded_program(
    offload_to: int | None = None,
    content: Content | None = None,
    successor_of: RunningProgram | None = None,
    max_bans: int | None = None,
    *,
    replaying: bool = False,
) -> Iterator[ObjectProgram]:
    """Our program in the kernel, with its `meta` bound to it, attached to nothing yet. Unless it
    gets attached it is gone at the end, and so it is when we are killed.

    Args:
        offload_to: the index of the interface whose hardware is to run it.
        content: the rules; without any it counts and passes everything.
        successor_of: the program whose place it is to take: it goes on counting where that is, and
            keeps that one's ruleset as the previous one, and its bans.
        max_bans: how many there can be, where it is nobody's successor.
        replaying: it goes by an injected clock, and records what it judges (bpf/replay.h).

    Raises:
        BadInstallation: the BPF object is not there.
        PylibbpfError: libbpf or the kernel refuses.
    """

    def prepare(obj: Object) -> None:
        if offload_to is not None:
            obj.programs[PROGRAM_NAME].set_ifindex(offload_to)
            for each in obj.maps:
                each.set_ifindex(offload_to)
        _size_maps(obj, content, max_bans, replaying=replaying)
        if successor_of is not None:
            kept_tables = content.generation.compiled.kept_tables if content else ()
            kept_cells = ("cells",) if content and content.generation.kept.all else ()
            for name in (*_HANDED_ON, *kept_tables, *kept_cells):
                obj.maps[name].reuse_fd(successor_of.map(name).fd)

    with _loaded(prepare, plain=offload_to is not None) as obj:
        program = obj.programs[PROGRAM_NAME]
        if obj.btf is None or not program.info.btf_id:
            # Nobody could find out later whose it is, and what its maps hold.
            raise BadInstallation(
                "the program has no BTF, either in its object or in this kernel",
                hint="compile it with `clang -g`, and keep .BTF when stripping",
            )
        meta: dict[str, Any] = {
            "magic": obj.btf.enum("meta_format")["META_MAGIC"],
            "schema_version": SCHEMA_VERSION,
            "attached_at_ns": successor_of.attached_at_ns if successor_of else time.time_ns(),
        }
        if content is not None:
            fill(obj, content.generation)
            meta["default_baseline"] = content.default_baseline._asdict()
            meta["ruleset"] = _store(obj, program, content) | {
                "generation": content.generation.number
            }
        if successor_of is not None and (kept := successor_of.kept()) is not None:
            meta["previous"] = kept
            for map_id in (kept["text"], kept["ranges"], kept["rules"]):
                with Map.from_id(map_id) as map_:
                    program.bind_map(map_.fd)
        obj.maps.meta[0] = meta
        program.bind_map(obj.maps.meta.fd)
        _copy_cells(obj, content, successor_of)
        yield program


def _loaded(prepare: Callable[[Object], None], *, plain: bool) -> Object:
    """The object that suits the kernel, or the `plain` one, loaded after `prepare`. Raises as
    `loaded_program`."""
    if not plain and os.path.exists(KERNEL_TYPES):
        try:
            return _loaded_from(BPF_OBJECT, prepare)
        except BpfError as error:
            if error.errno != _ENOTSUPP:  # a JIT that knows no functions of the kernel, or none
                raise
    return _loaded_from(UNTYPED_BPF_OBJECT, prepare)


def _loaded_from(path: str, prepare: Callable[[Object], None]) -> Object:
    with ExitStack() as stack:
        obj = stack.enter_context(open_object(path, PROGRAM_NAME))
        prepare(obj)
        obj.load()
        stack.pop_all()
        return obj


def open_object(path: str, name: str) -> Object:
    """A BPF object of the package, to be loaded. Raises BadInstallation, PylibbpfError."""
    try:
        return Object.open(path, name=name)
    except FileNotFoundError:
        raise BadInstallation(
            f"the BPF object is missing: {path}", hint="in a checkout: make build"
        ) from None


def _copy_cells(obj: Object, content: Content | None, before: RunningProgram | None) -> None:
    """As late as can be: what limits let through from now to the swap is not known to the new
    program."""
    if content is None or before is None:
        return
    kept = content.generation.kept
    if kept.by_name and not kept.all:
        copy_cells(obj, content.generation.limits, kept, before.map("cells"))


def _size_maps(
    obj: Object, content: Content | None, max_bans: int | None, *, replaying: bool
) -> None:
    configure(obj, content.generation if content else None, replaying=replaying)
    if content is None:
        obj.maps.text.set_autocreate(False)
        obj.maps.ranges.set_autocreate(False)
    else:
        obj.maps.text.set_max_entries(_blocks(len(content.text)))
        obj.maps.ranges.set_max_entries(_blocks(len(content.ranges)))
    if max_bans is not None:
        for name in _BANS:
            obj.maps[name].set_max_entries(max_bans)


def _store(obj: Object, program: ObjectProgram, content: Content) -> dict[str, int]:
    """struct stored, once the maps are written and bound."""
    for map_, data in ((obj.maps.text, content.text), (obj.maps.ranges, content.ranges)):
        write_once(map_, data)
        program.bind_map(map_.fd)
    ids = {name: obj.maps[name].info.id for name in ("text", "ranges", "rules")}
    return ids | {"text_bytes": len(content.text)}


def _blocks(size: int) -> int:
    return max(1, -(-size // STORED_BLOCK_BYTES))
