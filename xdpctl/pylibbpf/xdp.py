"""The XDP hook of an interface, through netlink: what is attached outlives the process.

All calls act in the calling thread's network namespace (see `netns`). Attaching, replacing and
detaching are compare-and-swaps: the caller says what it believes to be there, and the kernel
refuses when it is not so.
"""

from __future__ import annotations

import ctypes as ct
import errno
import socket
from enum import Enum
from typing import NamedTuple

from xdpctl.pylibbpf._lib import lib
from xdpctl.pylibbpf.errors import BpfError

_FLAG_UPDATE_IF_NOEXIST = 1 << 0
_FLAG_REPLACE = 1 << 4
_NO_PROGRAM = -1


class Mode(Enum):
    """Where a program runs. The value is the XDP_FLAGS_*_MODE bit of linux/if_link.h."""

    SKB = 1 << 1
    DRIVER = 1 << 2
    HW = 1 << 3


class _AttachOptions(ct.Structure):
    _fields_ = (("sz", ct.c_size_t), ("old_prog_fd", ct.c_int), ("padding", ct.c_int))


class _QueryOptions(ct.Structure):
    _fields_ = (
        ("sz", ct.c_size_t),
        ("prog_id", ct.c_uint32),
        ("drv_prog_id", ct.c_uint32),
        ("hw_prog_id", ct.c_uint32),
        ("skb_prog_id", ct.c_uint32),
        ("attach_mode", ct.c_uint8),
    )


class Attached(NamedTuple):
    """A program on a hook."""

    mode: Mode
    program_id: int


def query(ifindex: int) -> tuple[Attached, ...]:
    """The programs on an interface: none, one, or (driver and hardware) two.

    Raises:
        BpfError: ENODEV when there is no such interface.
    """
    subject = f"interface {ifindex}"
    try:
        socket.if_indextoname(ifindex)  # libbpf asks for all and would not notice
    except (OSError, OverflowError):
        raise BpfError(errno.ENODEV, "bpf_xdp_query", subject) from None
    options = _QueryOptions(sz=ct.sizeof(_QueryOptions))
    lib.bpf_xdp_query(ifindex, 0, ct.byref(options), subject=subject)
    slots = (
        (Mode.DRIVER, options.drv_prog_id),
        (Mode.SKB, options.skb_prog_id),
        (Mode.HW, options.hw_prog_id),
    )
    return tuple(Attached(mode, program_id) for mode, program_id in slots if program_id)


def attach(ifindex: int, program_fd: int, mode: Mode) -> None:
    """Attach a program to a hook where none is.

    Raises:
        BpfError: EBUSY or EEXIST when one is there, EOPNOTSUPP and others by the driver; its
            `kernel_reason` holds the driver's explanation, if it gave one.
    """
    options = _AttachOptions(sz=ct.sizeof(_AttachOptions))
    _set(ifindex, program_fd, mode.value | _FLAG_UPDATE_IF_NOEXIST, options)


def replace(ifindex: int, program_fd: int, mode: Mode, *, expected_fd: int) -> None:
    """Swap the program `expected_fd` for another; no packet passes in between.

    Raises:
        BpfError: EEXIST when something else is attached, EBUSY when a bpf_link owns the hook.
    """
    options = _AttachOptions(sz=ct.sizeof(_AttachOptions), old_prog_fd=expected_fd)
    _set(ifindex, program_fd, mode.value | _FLAG_REPLACE, options)


def detach(ifindex: int, mode: Mode, *, expected_fd: int) -> None:
    """Take the program `expected_fd` away.

    Raises:
        BpfError: EEXIST when something else, or nothing, is attached; EBUSY as in `replace`.
    """
    replace(ifindex, _NO_PROGRAM, mode, expected_fd=expected_fd)


def _set(ifindex: int, program_fd: int, flags: int, options: _AttachOptions) -> None:
    lib.bpf_xdp_attach(
        ifindex, program_fd, flags, ct.byref(options), subject=f"interface {ifindex}"
    )
