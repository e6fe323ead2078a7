"""Loaded programs: what they are, which maps they hold, and running them on test data."""

from __future__ import annotations

import ctypes as ct
import struct
from abc import ABC, abstractmethod
from typing import NamedTuple, Self

from xdpctl.pylibbpf._lib import lib
from xdpctl.pylibbpf.fd import Fd
from xdpctl.pylibbpf.info import ProgramInfo, program_info

TEST_XDP_LIVE_FRAMES = 1 << 1
_DATA_OUT_BYTES = 128 << 10


class _TestRunOptions(ct.Structure):
    _fields_ = (
        ("sz", ct.c_size_t),
        ("data_in", ct.c_void_p),
        ("data_out", ct.c_void_p),
        ("data_size_in", ct.c_uint32),
        ("data_size_out", ct.c_uint32),
        ("ctx_in", ct.c_void_p),
        ("ctx_out", ct.c_void_p),
        ("ctx_size_in", ct.c_uint32),
        ("ctx_size_out", ct.c_uint32),
        ("retval", ct.c_uint32),
        ("repeat", ct.c_int),
        ("duration", ct.c_uint32),
        ("flags", ct.c_uint32),
        ("cpu", ct.c_uint32),
        ("batch_size", ct.c_uint32),
    )


class RunResult(NamedTuple):
    """The outcome of a test run.

    Attributes:
        retval: what the program returned; for XDP an `enum xdp_action`.
        duration_ns: the mean of the repetitions.
        data: the packet as the program left it; empty unless asked for.
    """

    retval: int
    duration_ns: int
    data: bytes


def xdp_context(
    data: int, data_end: int, *, ingress_ifindex: int = 0, rx_queue_index: int = 0
) -> bytes:
    """A struct xdp_md for a test run. Offsets in bytes: metadata lies before `data`, and where
    `data_end` is less than the packet's length the rest goes to fragments (kernel 5.18)."""
    return struct.pack("=6I", data, data_end, 0, ingress_ifindex, rx_queue_index, 0)


class ProgramAccess(ABC):
    """What can be done with any loaded program whose descriptor is known."""

    def __init__(self, name: str) -> None:
        self._subject = f"program {name}"

    @property
    @abstractmethod
    def fd(self) -> int:
        """Asked for at each call: a number kept longer than its file might be another file's."""

    @property
    def info(self) -> ProgramInfo:
        """Asked anew each time: run counts change. Raises BpfError."""
        return program_info(self.fd)

    def bind_map(self, map_fd: int) -> None:
        """Let a map live for as long as the program, though its code does not use it, and be
        found from it (BPF_PROG_BIND_MAP, kernel 5.10). Raises BpfError."""
        lib.bpf_prog_bind_map(self.fd, map_fd, None, subject=self._subject)

    def test_run(
        self,
        data: bytes,
        *,
        repeat: int = 1,
        context: bytes | None = None,
        live_frames: bool = False,
        batch_size: int = 0,
        want_data: bool = False,
    ) -> RunResult:
        """Run the program on a packet (BPF_PROG_TEST_RUN).

        Args:
            data: the packet, 14 to 73,152 bytes; what is over some 3,500 goes to fragments.
            repeat: how often; with `live_frames` how many packets.
            context: of the program's type, such as `xdp_context()`.
            live_frames: let the packets go where the verdict says (kernel 5.18).
            batch_size: packets at a time with `live_frames`; 0 for the kernel's choice of 64.
            want_data: return the packet as the program left it.

        Raises:
            BpfError: EINVAL for a packet that the kernel does not take, EPERM, ...
        """
        options = _TestRunOptions(
            sz=ct.sizeof(_TestRunOptions), data_size_in=len(data), repeat=repeat,
            flags=TEST_XDP_LIVE_FRAMES if live_frames else 0, batch_size=batch_size,
            data_in=ct.cast(ct.c_char_p(data), ct.c_void_p).value,
        )  # fmt: skip
        if context is not None:
            options.ctx_in = ct.cast(ct.c_char_p(context), ct.c_void_p).value
            options.ctx_size_in = len(context)
        out = ct.create_string_buffer(_DATA_OUT_BYTES if want_data else 0)
        if want_data:
            options.data_out = ct.addressof(out)
            options.data_size_out = len(out)
        lib.bpf_prog_test_run_opts(self.fd, ct.byref(options), subject=self._subject)
        return RunResult(options.retval, options.duration, out.raw[: options.data_size_out])


class Program(Fd, ProgramAccess):
    """A loaded program that this object holds a descriptor of, and closes."""

    def __init__(self, fd: int, name: str) -> None:
        Fd.__init__(self, fd)
        ProgramAccess.__init__(self, name)

    @classmethod
    def from_id(cls, program_id: int) -> Self:
        """Open a program by its id. Raises BpfError (ENOENT: none; EPERM: CAP_SYS_ADMIN)."""
        fd = lib.bpf_prog_get_fd_by_id(program_id, subject=f"program {program_id}")
        return cls(fd, str(program_id))
