"""What the kernel tells about a BPF object behind a descriptor (BPF_OBJ_GET_INFO_BY_FD), and the
ids by which it lists them. Looking an object up by id needs CAP_SYS_ADMIN.

Source: struct bpf_prog_info, bpf_map_info, bpf_btf_info, bpf_link_info in linux/bpf.h.
"""

from __future__ import annotations

import ctypes as ct
import errno
from collections.abc import Iterator
from typing import NamedTuple

from xdpctl.pylibbpf._lib import lib
from xdpctl.pylibbpf.btf import Btf
from xdpctl.pylibbpf.errors import BpfError
from xdpctl.pylibbpf.fd import Fd

_MAPS_OF_A_PROGRAM_MAX = 64  # MAX_USED_MAPS; bound maps may add to it
_NAME = ct.c_char * 16
_u32, _u64 = ct.c_uint32, ct.c_uint64


class _ProgramInfo(ct.Structure):
    _fields_ = (
        ("type", _u32),
        ("id", _u32),
        ("tag", ct.c_uint8 * 8),
        ("jited_prog_len", _u32),
        ("xlated_prog_len", _u32),
        ("jited_prog_insns", _u64),
        ("xlated_prog_insns", _u64),
        ("load_time", _u64),
        ("created_by_uid", _u32),
        ("nr_map_ids", _u32),
        ("map_ids", _u64),
        ("name", _NAME),
        ("ifindex", _u32),
        ("flags", _u32),
        ("netns_dev", _u64),
        ("netns_ino", _u64),
        ("nr_jited_ksyms", _u32),
        ("nr_jited_func_lens", _u32),
        ("jited_ksyms", _u64),
        ("jited_func_lens", _u64),
        ("btf_id", _u32),
        ("func_info_rec_size", _u32),
        ("func_info", _u64),
        ("nr_func_info", _u32),
        ("nr_line_info", _u32),
        ("line_info", _u64),
        ("jited_line_info", _u64),
        ("nr_jited_line_info", _u32),
        ("line_info_rec_size", _u32),
        ("jited_line_info_rec_size", _u32),
        ("nr_prog_tags", _u32),
        ("prog_tags", _u64),
        ("run_time_ns", _u64),
        ("run_cnt", _u64),
        ("recursion_misses", _u64),
        ("verified_insns", _u32),
        ("reserved", _u32),
    )


class _MapInfo(ct.Structure):
    _fields_ = (
        ("type", _u32),
        ("id", _u32),
        ("key_size", _u32),
        ("value_size", _u32),
        ("max_entries", _u32),
        ("map_flags", _u32),
        ("name", _NAME),
        ("ifindex", _u32),
        ("btf_vmlinux_value_type_id", _u32),
        ("netns_dev", _u64),
        ("netns_ino", _u64),
        ("btf_id", _u32),
        ("btf_key_type_id", _u32),
        ("btf_value_type_id", _u32),
        ("reserved", _u32),
        ("map_extra", _u64),
    )


class _BtfInfo(ct.Structure):
    _fields_ = (("btf", _u64), ("btf_size", _u32), ("id", _u32))


class _LinkInfo(ct.Structure):
    """The head, and as much of the union as an XDP link uses."""

    _fields_ = (
        ("type", _u32),
        ("id", _u32),
        ("prog_id", _u32),
        ("reserved", _u32),
        ("xdp_ifindex", _u32),
        ("rest", ct.c_uint8 * 64),
    )


class ProgramInfo(NamedTuple):
    """A loaded program. `type` is an `enum bpf_prog_type` (XDP: 6), `name` at most 15 characters,
    `tag` the SHA-1-based tag of its instructions, `loaded_at_ns` counts on CLOCK_BOOTTIME."""

    id: int
    type: int
    name: str
    tag: str
    loaded_at_ns: int
    created_by_uid: int
    map_ids: tuple[int, ...]
    btf_id: int
    jited_length: int
    verified_instructions: int
    run_time_ns: int
    run_count: int


class MapInfo(NamedTuple):
    """A map. `type` is an `enum bpf_map_type`; sizes in bytes; BTF ids are 0 if there is none."""

    id: int
    type: int
    name: str
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    btf_id: int
    btf_key_type_id: int
    btf_value_type_id: int


class LinkInfo(NamedTuple):
    """A bpf_link. `type` is an `enum bpf_link_type` (XDP: 6); `ifindex` is None for other types."""

    id: int
    type: int
    program_id: int
    ifindex: int | None


LINK_TYPE_XDP = 6


def _fill(fd: int, info: ct.Structure, subject: str) -> None:
    length = _u32(ct.sizeof(info))
    lib.bpf_obj_get_info_by_fd(fd, ct.byref(info), ct.byref(length), subject=subject)


def _text(name: bytes) -> str:
    return name.decode(errors="replace")


def program_info(fd: int) -> ProgramInfo:
    """Raises BpfError."""
    map_ids = (_u32 * _MAPS_OF_A_PROGRAM_MAX)()
    info = _ProgramInfo(nr_map_ids=len(map_ids), map_ids=ct.addressof(map_ids))
    _fill(fd, info, "program")
    return ProgramInfo(
        id=info.id,
        type=info.type,
        name=_text(info.name),
        tag=bytes(info.tag).hex(),
        loaded_at_ns=info.load_time,
        created_by_uid=info.created_by_uid,
        map_ids=tuple(map_ids[: min(info.nr_map_ids, len(map_ids))]),
        btf_id=info.btf_id,
        jited_length=info.jited_prog_len,
        verified_instructions=info.verified_insns,
        run_time_ns=info.run_time_ns,
        run_count=info.run_cnt,
    )


def map_info(fd: int) -> MapInfo:
    """Raises BpfError."""
    info = _MapInfo()
    _fill(fd, info, "map")
    return MapInfo(
        id=info.id,
        type=info.type,
        name=_text(info.name),
        key_size=info.key_size,
        value_size=info.value_size,
        max_entries=info.max_entries,
        flags=info.map_flags,
        btf_id=info.btf_id,
        btf_key_type_id=info.btf_key_type_id,
        btf_value_type_id=info.btf_value_type_id,
    )


def link_info(link_id: int) -> LinkInfo:
    """Raises BpfError (ENOENT: there is no such link any more)."""
    with Fd(lib.bpf_link_get_fd_by_id(link_id, subject=f"link {link_id}")) as link:
        info = _LinkInfo()
        _fill(link.fd, info, f"link {link_id}")
    ifindex = info.xdp_ifindex if info.type == LINK_TYPE_XDP else None
    return LinkInfo(info.id, info.type, info.prog_id, ifindex)


def load_btf(btf_id: int) -> Btf:
    """The BTF that the kernel keeps under an id. Raises BpfError, BtfError."""
    subject = f"BTF {btf_id}"
    with Fd(lib.bpf_btf_get_fd_by_id(btf_id, subject=subject)) as btf:
        info = _BtfInfo()
        _fill(btf.fd, info, subject)
        raw = ct.create_string_buffer(info.btf_size)
        info = _BtfInfo(btf=ct.addressof(raw), btf_size=len(raw))
        _fill(btf.fd, info, subject)
    return Btf(raw.raw)


def _ids(call: str) -> Iterator[int]:
    following = _u32(0)
    while True:
        try:
            getattr(lib, call)(following.value, ct.byref(following))
        except BpfError as error:
            if error.errno == errno.ENOENT:
                return
            raise
        yield following.value


def program_ids() -> Iterator[int]:
    """The ids of all loaded programs, ascending. Raises BpfError."""
    return _ids("bpf_prog_get_next_id")


def map_ids() -> Iterator[int]:
    """The ids of all maps, ascending. Raises BpfError."""
    return _ids("bpf_map_get_next_id")


def link_ids() -> Iterator[int]:
    """The ids of all bpf_links, ascending. Raises BpfError."""
    return _ids("bpf_link_get_next_id")
