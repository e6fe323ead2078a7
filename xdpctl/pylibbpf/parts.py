"""The maps and programs of an object, which libbpf frees together with it."""

from __future__ import annotations

import errno
from collections.abc import Callable

from xdpctl.pylibbpf._lib import lib
from xdpctl.pylibbpf.btf import Btf
from xdpctl.pylibbpf.errors import BpfError
from xdpctl.pylibbpf.info import MapInfo, map_info
from xdpctl.pylibbpf.links import Link
from xdpctl.pylibbpf.maps import MapAccess, codecs_of
from xdpctl.pylibbpf.programs import ProgramAccess


class Life:
    """How far an object has come: its parts, which are of no use once it is closed, ask."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.loaded = False
        self.closed = False

    def check(self) -> None:
        if self.closed:
            raise ValueError(f"object {self.name} is closed")


class _Part:
    """A map or a program: libbpf frees it together with its object."""

    def __init__(self, address: int, life: Life) -> None:
        self._address = address
        self._life = life

    @property
    def _pointer(self) -> int:
        self._life.check()
        return self._address


def _checked(fd: int, call: str, subject: str) -> int:
    """What is negative is an errno in one call and just -1 in the other; both mean the same."""
    if fd < 0:
        raise BpfError(errno.EBADF, call, subject)
    return fd


class ObjectProgram(_Part, ProgramAccess):
    """A program of an object. It has a descriptor once the object is loaded."""

    def __init__(self, pointer: int, life: Life) -> None:
        _Part.__init__(self, pointer, life)
        self.name: str = lib.bpf_program__name(pointer).decode(errors="replace")
        self.section: str = lib.bpf_program__section_name(pointer).decode(errors="replace")
        ProgramAccess.__init__(self, self.name)

    @property
    def fd(self) -> int:
        """Owned by the object. Raises BpfError (EBADF) before load and where `autoload` is off,
        ValueError after close."""
        return _checked(lib.bpf_program__fd(self._pointer), "bpf_program__fd", self._subject)

    def set_autoload(self, autoload: bool) -> None:
        """Whether `load` loads this program. Before load. Raises BpfError."""
        lib.bpf_program__set_autoload(self._pointer, autoload, subject=self._subject)

    def attach(self) -> Link:
        """Attach where the section's name says, such as `tracepoint/sched/sched_process_exec`.
        Raises BpfError."""
        return Link(lib.bpf_program__attach(self._pointer, subject=self._subject))

    def attach_xdp(self, ifindex: int) -> Link:
        """Attach an XDP program for as long as the link is open; what is to outlive the process
        goes through `xdp.attach`. Raises BpfError."""
        return Link(lib.bpf_program__attach_xdp(self._pointer, ifindex, subject=self._subject))

    def set_ifindex(self, ifindex: int) -> None:
        """Load the program into that interface's hardware. Before load."""
        lib.bpf_program__set_ifindex(self._pointer, ifindex)


class ObjectMap(_Part, MapAccess):
    """A map of an object: its size may be changed before load, its contents are there after."""

    def __init__(self, pointer: int, btf: Btf | None, life: Life) -> None:
        _Part.__init__(self, pointer, life)
        self._btf = btf
        self.name: str = lib.bpf_map__name(pointer).decode(errors="replace")
        self._describe_declared()

    def _declared(self) -> MapInfo:
        pointer = self._pointer
        return MapInfo(
            id=0,
            type=lib.bpf_map__type(pointer),
            name=self.name,
            key_size=lib.bpf_map__key_size(pointer),
            value_size=lib.bpf_map__value_size(pointer),
            max_entries=lib.bpf_map__max_entries(pointer),
            flags=lib.bpf_map__map_flags(pointer),
            btf_id=0,
            btf_key_type_id=lib.bpf_map__btf_key_type_id(pointer),
            btf_value_type_id=lib.bpf_map__btf_value_type_id(pointer),
        )

    def _describe_declared(self) -> None:
        declared = self._declared()
        self._codecs = codecs_of(declared, self._btf)
        MapAccess.__init__(self, declared, *self._codecs)

    @property
    def fd(self) -> int:
        """Owned by the object. Raises BpfError (EBADF) before load and where `autocreate` is off,
        ValueError after close."""
        return _checked(lib.bpf_map__fd(self._pointer), "bpf_map__fd", self._subject)

    def _adjust(self, call: Callable[..., int], value: int) -> None:
        call(self._pointer, value, subject=self._subject)
        self._describe_declared()

    def set_max_entries(self, entries: int) -> None:
        """Before load. Raises BpfError (EBUSY afterwards)."""
        self._adjust(lib.bpf_map__set_max_entries, entries)

    def set_value_size(self, size: int) -> None:
        """Bytes; before load. A size that the BTF does not tell makes values plain bytes."""
        self._adjust(lib.bpf_map__set_value_size, size)

    def set_autocreate(self, autocreate: bool) -> None:
        """Whether `load` creates this map; a program that uses it then fails. Before load."""
        self._adjust(lib.bpf_map__set_autocreate, autocreate)

    def set_ifindex(self, ifindex: int) -> None:
        """Create the map in that interface's hardware. Before load. Raises BpfError."""
        self._adjust(lib.bpf_map__set_ifindex, ifindex)

    def reuse_fd(self, fd: int) -> None:
        """Use a map that exists instead of a new one, in its shape; the descriptor is duplicated.
        Before load. Raises BpfError."""
        map_info(fd)  # libbpf takes any descriptor for a map of an old kernel's
        self._adjust(lib.bpf_map__reuse_fd, fd)

    def _loaded(self) -> None:
        try:
            fd = self.fd
        except BpfError:
            return  # autocreate is off
        # The kernel's numbers count now, but the types are those of the object's own BTF.
        MapAccess.__init__(self, map_info(fd), *self._codecs)
