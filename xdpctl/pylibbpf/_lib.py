"""libbpf.so.1 bound as data: one table of signatures, each with its error policy, and a loader.

The library is loaded at the first call, so that importing this package needs no libbpf. Calls
declared here that an older libbpf 1.x lacks are refused one by one (`lib.has(name)` asks).
"""

from __future__ import annotations

import ctypes as ct
import threading
from collections.abc import Callable
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple

from xdpctl.pylibbpf.callbacks import Callback
from xdpctl.pylibbpf.errors import LibraryError, from_failed_call

SONAME = "libbpf.so.1"
_INSTALL_HINT = "install libbpf 1.0 or newer: apt install libbpf1 (Fedora, Arch: libbpf)"
_MESSAGES_MAX = 100
_LEVEL_DEBUG = 2


class Fails(Enum):
    """How a C function reports failure (libbpf 1.0 and newer: errno is set as well)."""

    NEVER = "never"
    NEGATIVE = "a negative errno"
    NULL = "a NULL pointer"


class Signature(NamedTuple):
    """A C function.

    Attributes:
        prints: it has messages for us even where it succeeds: a signal may come as we take one.
        undo: the C function that frees what it returns.
    """

    name: str
    restype: Any
    argtypes: tuple[Any, ...]
    fails: Fails
    prints: bool = False
    undo: str = ""


_p, _s, _i, _u, _z, _b = ct.c_void_p, ct.c_char_p, ct.c_int, ct.c_uint32, ct.c_size_t, ct.c_bool
_u64, _up, _zp = ct.c_uint64, ct.POINTER(ct.c_uint32), ct.POINTER(ct.c_size_t)

RING_BUFFER_SAMPLE_FN = ct.CFUNCTYPE(_i, _p, _p, _z)
_PRINT_FN = ct.CFUNCTYPE(_i, _i, _s, _p)

_SIGNATURES = (
    Signature("libbpf_major_version", _u, (), Fails.NEVER),
    Signature("libbpf_minor_version", _u, (), Fails.NEVER),
    Signature("libbpf_set_print", _p, (_PRINT_FN,), Fails.NEVER),
    Signature("libbpf_strerror", _i, (_i, _p, _z), Fails.NEVER),
    Signature("libbpf_num_possible_cpus", _i, (), Fails.NEGATIVE),
    # objects
    Signature("bpf_object__open_mem", _p, (_p, _z, _p), Fails.NULL, True, "bpf_object__close"),
    Signature("bpf_object__load", _i, (_p,), Fails.NEGATIVE, True),
    Signature("bpf_object__close", None, (_p,), Fails.NEVER),
    Signature("bpf_object__btf", _p, (_p,), Fails.NEVER),
    Signature("btf__raw_data", _p, (_p, _up), Fails.NULL),
    Signature("bpf_object__next_map", _p, (_p, _p), Fails.NEVER),
    Signature("bpf_object__next_program", _p, (_p, _p), Fails.NEVER),
    # maps of an object
    Signature("bpf_map__name", _s, (_p,), Fails.NEVER),
    Signature("bpf_map__fd", _i, (_p,), Fails.NEVER),
    Signature("bpf_map__type", _i, (_p,), Fails.NEVER),
    Signature("bpf_map__key_size", _u, (_p,), Fails.NEVER),
    Signature("bpf_map__value_size", _u, (_p,), Fails.NEVER),
    Signature("bpf_map__max_entries", _u, (_p,), Fails.NEVER),
    Signature("bpf_map__map_flags", _u, (_p,), Fails.NEVER),
    Signature("bpf_map__btf_key_type_id", _u, (_p,), Fails.NEVER),
    Signature("bpf_map__btf_value_type_id", _u, (_p,), Fails.NEVER),
    Signature("bpf_map__set_max_entries", _i, (_p, _u), Fails.NEGATIVE),
    Signature("bpf_map__set_value_size", _i, (_p, _u), Fails.NEGATIVE),
    Signature("bpf_map__set_autocreate", _i, (_p, _b), Fails.NEGATIVE),
    Signature("bpf_map__set_ifindex", _i, (_p, _u), Fails.NEGATIVE),
    Signature("bpf_map__reuse_fd", _i, (_p, _i), Fails.NEGATIVE),
    Signature("bpf_map__initial_value", _p, (_p, _zp), Fails.NULL),
    # programs of an object
    Signature("bpf_program__name", _s, (_p,), Fails.NEVER),
    Signature("bpf_program__section_name", _s, (_p,), Fails.NEVER),
    Signature("bpf_program__fd", _i, (_p,), Fails.NEVER),
    Signature("bpf_program__set_autoload", _i, (_p, _b), Fails.NEGATIVE),
    Signature("bpf_program__set_ifindex", None, (_p, _u), Fails.NEVER),
    Signature("bpf_program__attach", _p, (_p,), Fails.NULL),
    Signature("bpf_program__attach_xdp", _p, (_p, _i), Fails.NULL),
    Signature("bpf_link__fd", _i, (_p,), Fails.NEGATIVE),
    Signature("bpf_link__destroy", _i, (_p,), Fails.NEGATIVE),
    # the bpf() system call
    Signature("bpf_map_create", _i, (_i, _s, _u, _u, _u, _p), Fails.NEGATIVE),
    Signature("bpf_map_lookup_elem", _i, (_i, _p, _p), Fails.NEGATIVE),
    Signature("bpf_map_update_elem", _i, (_i, _p, _p, _u64), Fails.NEGATIVE),
    Signature("bpf_map_delete_elem", _i, (_i, _p), Fails.NEGATIVE),
    Signature("bpf_map_get_next_key", _i, (_i, _p, _p), Fails.NEGATIVE),
    Signature("bpf_map_lookup_batch", _i, (_i, _p, _p, _p, _p, _up, _p), Fails.NEGATIVE),
    Signature("bpf_map_update_batch", _i, (_i, _p, _p, _up, _p), Fails.NEGATIVE),
    Signature("bpf_map_delete_batch", _i, (_i, _p, _up, _p), Fails.NEGATIVE),
    Signature("bpf_map_freeze", _i, (_i,), Fails.NEGATIVE),
    Signature("bpf_obj_get_info_by_fd", _i, (_i, _p, _up), Fails.NEGATIVE),
    Signature("bpf_prog_bind_map", _i, (_i, _i, _p), Fails.NEGATIVE),
    Signature("bpf_prog_test_run_opts", _i, (_i, _p), Fails.NEGATIVE),
    Signature("bpf_prog_get_fd_by_id", _i, (_u,), Fails.NEGATIVE),
    Signature("bpf_map_get_fd_by_id", _i, (_u,), Fails.NEGATIVE),
    Signature("bpf_btf_get_fd_by_id", _i, (_u,), Fails.NEGATIVE),
    Signature("bpf_link_get_fd_by_id", _i, (_u,), Fails.NEGATIVE),
    Signature("bpf_prog_get_next_id", _i, (_u, _up), Fails.NEGATIVE),
    Signature("bpf_map_get_next_id", _i, (_u, _up), Fails.NEGATIVE),
    Signature("bpf_link_get_next_id", _i, (_u, _up), Fails.NEGATIVE),
    # XDP through netlink
    Signature("bpf_xdp_attach", _i, (_i, _i, _u, _p), Fails.NEGATIVE),
    Signature("bpf_xdp_query", _i, (_i, _i, _p), Fails.NEGATIVE),
    # ring buffers
    Signature("ring_buffer__new", _p, (_i, RING_BUFFER_SAMPLE_FN, _p, _p), Fails.NULL),
    Signature("ring_buffer__free", None, (_p,), Fails.NEVER),
    Signature("ring_buffer__poll", _i, (_p, _i), Fails.NEGATIVE),
    Signature("ring_buffer__consume", _i, (_p,), Fails.NEGATIVE),
)

Function = Callable[..., Any]


class _Messages(threading.local):
    """What libbpf wants printed, kept for the exception of the call that it belongs to."""

    def __init__(self) -> None:
        self.lines: list[str] = []


class Library:
    """The calls of libbpf, one attribute each; every one takes `subject=` for its error."""

    def __init__(self) -> None:
        self._signatures = {signature.name: signature for signature in _SIGNATURES}
        self._messages = _Messages()

    def has(self, name: str) -> bool:
        """Whether the libbpf of this machine has the call."""
        return name in self._signatures and hasattr(self._cdll, name)

    @cached_property
    def _cdll(self) -> ct.CDLL:
        try:
            cdll = ct.CDLL(SONAME, use_errno=True)
        except OSError as error:
            try:
                ct.CDLL("libbpf.so.0")
            except OSError:
                raise LibraryError(f"{SONAME} cannot be loaded: {error}", _INSTALL_HINT) from None
            raise LibraryError("the libbpf of this machine is 0.x", _INSTALL_HINT) from None
        self._capture_messages(cdll)
        return cdll

    def _capture_messages(self, cdll: ct.CDLL) -> None:
        libc = ct.CDLL(None)
        libc.vasprintf.argtypes = (ct.POINTER(_p), _s, _p)
        libc.free.argtypes = (_p,)

        # On every Linux ABI a va_list reaches the callee as one pointer.
        def keep(level: int, template: bytes, arguments: int) -> int:
            text = _p()
            if level < _LEVEL_DEBUG and libc.vasprintf(ct.byref(text), template, arguments) >= 0:
                if text.value and len(self._messages.lines) < _MESSAGES_MAX:
                    line = ct.string_at(text.value).decode(errors="replace")
                    self._messages.lines.append(line.removeprefix("libbpf: ").rstrip("\n"))
                libc.free(text)
            return 0

        self._keep = Callback(_PRINT_FN, keep)  # libbpf holds it for as long as the process lives
        cdll.libbpf_set_print.argtypes = (_PRINT_FN,)
        cdll.libbpf_set_print.restype = _p
        cdll.libbpf_set_print(self._keep.pointer)

    def __getattr__(self, name: str) -> Function:
        signature = self._signatures.get(name)
        if signature is None:
            raise AttributeError(name)
        try:
            c_function = getattr(self._cdll, name)
        except AttributeError:
            raise LibraryError(f"this libbpf has no {name}()", _INSTALL_HINT) from None
        c_function.restype = signature.restype
        c_function.argtypes = signature.argtypes
        if signature.prints:
            c_function = self._raising(c_function, signature)
        function = self._checked(c_function, signature)
        setattr(self, name, function)
        return function

    def _raising(self, c_function: Function, signature: Signature) -> Function:
        def call(*arguments: Any) -> Any:
            result = None
            try:
                with self._keep.raising():
                    result = c_function(*arguments)
            except BaseException:
                if result and signature.undo:
                    getattr(self, signature.undo)(result)
                raise
            return result

        return call

    def _checked(self, c_function: Function, signature: Signature) -> Function:
        if signature.fails is Fails.NEVER:
            return c_function
        returns_pointer = signature.fails is Fails.NULL
        lines = self._messages

        def call(*arguments: Any, subject: str = "") -> Any:
            lines.lines = []
            result = c_function(*arguments)
            if not result if returns_pointer else result < 0:
                errno = ct.get_errno() if returns_pointer else -result
                raise from_failed_call(errno, signature.name, subject, tuple(lines.lines))
            return result

        return call


lib = Library()
