"""BPF objects in the manner of a libbpf skeleton: open, adjust, load, use, tear down.

with Object.open("counter.bpf.o") as obj:
    obj.rodata.mode = 1
    obj.maps.hosts.set_max_entries(1000)
    obj.load()
    xdp.attach(ifindex, obj.programs.counter.fd, xdp.Mode.DRIVER)
    print(obj.maps.packets[6])
"""

from __future__ import annotations

import ctypes as ct
import errno
import mmap
import os
import warnings
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from xdpctl.pylibbpf._lib import lib
from xdpctl.pylibbpf.btf import Btf, Kind
from xdpctl.pylibbpf.codec import Codec
from xdpctl.pylibbpf.errors import BpfError, ObjectFormatError
from xdpctl.pylibbpf.info import MapInfo, map_info
from xdpctl.pylibbpf.links import Link
from xdpctl.pylibbpf.maps import F_MMAPABLE, F_RDONLY_PROG, MapAccess, codecs_of
from xdpctl.pylibbpf.programs import ProgramAccess

_OBJECT_BYTES_MAX = 64 << 20
_ELF_MAGIC = b"\x7fELF"


class _OpenOptions(ct.Structure):
    """The head of struct bpf_object_open_opts."""

    _fields_ = (("sz", ct.c_size_t), ("object_name", ct.c_char_p))


class _Life:
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

    def __init__(self, address: int, life: _Life) -> None:
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

    def __init__(self, pointer: int, life: _Life) -> None:
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

    def __init__(self, pointer: int, btf: Btf | None, life: _Life) -> None:
        _Part.__init__(self, pointer, life)
        self._btf = btf
        self.name: str = lib.bpf_map__name(pointer).decode(errors="replace")
        self._describe(self._declared())

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

    def _describe(self, info: MapInfo) -> None:
        # After load the kernel's numbers count, but the types are those of the object's own BTF.
        declared = self._declared()
        MapAccess.__init__(self, info, *codecs_of(declared, self._btf))

    @property
    def fd(self) -> int:
        """Owned by the object. Raises BpfError (EBADF) before load and where `autocreate` is off,
        ValueError after close."""
        return _checked(lib.bpf_map__fd(self._pointer), "bpf_map__fd", self._subject)

    def _adjust(self, call: Callable[..., int], value: int) -> None:
        call(self._pointer, value, subject=self._subject)
        self._describe(self._declared())

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
        self._describe(map_info(fd))


class Section:
    """The global variables of a data section as attributes.

    `.rodata` can be written until load and is fixed from then on: the verifier takes its values for
    constants and drops the code that they make unreachable. `.bss` and `.data` stay writable and
    are then the kernel's own memory, except where all variables are static: libbpf does not share
    those. What is read is a copy.
    """

    _map: ObjectMap
    _life: _Life
    _memory: mmap.mmap | None

    def __init__(self, map_: ObjectMap, btf: Btf, name: str, life: _Life) -> None:
        section = btf[btf.find(Kind.DATASEC, name) or 0]
        variables = {}
        for member in section.members:
            variable = btf[member.type_id]
            variables[variable.name] = (member.offset_bits // 8, variable.type_id)
        self.__dict__.update(
            _map=map_, _btf=btf, _name=name, _variables=variables, _life=life, _memory=None
        )

    def __dir__(self) -> list[str]:
        return sorted(self._variables)

    def _variable(self, name: str) -> tuple[int, Codec]:
        """The offset and the codec of a variable."""
        if name not in self._variables:
            raise AttributeError(f"{self._name} has no variable {name}")
        self._life.check()
        offset, type_id = self._variables[name]
        return offset, Codec(self._btf, type_id)

    def _initial(self, offset: int, size: int) -> int:
        """The address of a variable in what will be, or was, copied into the map at load."""
        length = ct.c_size_t()
        start: int = lib.bpf_map__initial_value(
            self._map._pointer, ct.byref(length), subject=self._name
        )
        if offset + size > length.value:
            raise AttributeError(f"{self._name} ends before its variable")
        return start + offset

    def _shared(self) -> mmap.mmap | None:
        """The map's own memory, once it is loaded. Not every libbpf 1.x puts it where the initial
        value was."""
        info = self._map.info
        if not self._life.loaded or not info.flags & F_MMAPABLE:
            return None
        if self._memory is None:
            self.__dict__["_memory"] = self._map.mmap(writable=not info.flags & F_RDONLY_PROG)
        return self._memory

    def __getattr__(self, name: str) -> Any:
        offset, codec = self._variable(name)
        memory = self._shared()
        if memory is not None:
            return codec.decode(memory[offset : offset + codec.size])
        if self._life.loaded:
            return codec.decode(self._map[0], offset)
        return codec.decode(ct.string_at(self._initial(offset, codec.size), codec.size))

    def __setattr__(self, name: str, value: Any) -> None:
        offset, codec = self._variable(name)
        data = codec.encode(value)
        if not self._life.loaded:
            ct.memmove(self._initial(offset, codec.size), data, len(data))
            return
        memory = self._shared()
        if memory is None or self._map.info.flags & F_RDONLY_PROG:
            raise AttributeError(f"{self._name}.{name} is fixed since the object was loaded")
        memory[offset : offset + len(data)] = data

    def _close(self) -> None:
        memory, self.__dict__["_memory"] = self._memory, None
        if memory is not None:
            memory.close()


Item = TypeVar("Item", bound=ObjectMap | ObjectProgram)


class Named(Generic[Item]):
    """The maps or programs of an object, as attributes, by name, or one after another."""

    def __init__(self, kind: str, items: dict[str, Item]) -> None:
        self._kind = kind
        self._items = items

    def __getitem__(self, name: str) -> Item:
        try:
            return self._items[name]
        except KeyError:
            raise KeyError(f"the object has no {self._kind} {name}") from None

    def __getattr__(self, name: str) -> Item:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items.values())

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __len__(self) -> int:
        return len(self._items)

    def __dir__(self) -> list[str]:
        return sorted(self._items)


class Object:
    """One BPF object. A context manager: leaving it closes every descriptor that it owns; programs
    attached through netlink and maps that they use live on in the kernel.

    Attributes:
        maps, programs: what the object defines, by name.
        rodata, data, bss: its global variables (a Section each, if it has any).
        btf: its types, None where it was compiled without `-g`.
        loaded: whether `load` has succeeded.
    """

    def __init__(self, pointer: int, name: str) -> None:
        self._pointer = pointer
        self.name = name
        life = _Life(name)
        self.btf = btf = self._own_btf()
        maps = [ObjectMap(each, btf, life) for each in self._each("map")]
        self.maps: Named[ObjectMap] = Named("map", {map_.name: map_ for map_ in maps})
        self._sections: dict[str, Section] = {}
        for type_ in btf.types if btf else ():
            for map_ in maps:  # such as OBJECT.rodata
                if btf and type_.kind is Kind.DATASEC and map_.name.endswith(type_.name):
                    self._sections[type_.name[1:]] = Section(map_, btf, type_.name, life)
        programs = [ObjectProgram(each, life) for each in self._each("program")]
        self.programs: Named[ObjectProgram] = Named(
            "program", {program.name: program for program in programs}
        )
        self._life = life  # from here on this object's to end

    @property
    def loaded(self) -> bool:
        return self._life.loaded

    @classmethod
    def open(cls, source: str | os.PathLike[str] | bytes, *, name: str | None = None) -> Self:
        """Parse an object; nothing of it is in the kernel yet.

        Args:
            source: a path, or the bytes of the object.
            name: the object's name; the first 8 characters go into the names of `.rodata` and the
                like. The file's name where it is not given.

        Raises:
            ObjectFormatError: not a BPF object, or cut short.
            BtfError: its types cannot be decoded.
            OSError: the file cannot be read.
            LibraryError: libbpf is missing or too old.
        """
        if isinstance(source, bytes):
            data, name = source, name or "object"
        else:
            data, name = _read(source), name or os.path.basename(source).partition(".")[0]
        if not data.startswith(_ELF_MAGIC):
            raise ObjectFormatError(f"{name}: not an ELF file")
        options = _OpenOptions(sz=ct.sizeof(_OpenOptions), object_name=name.encode())
        subject = f"object {name}"
        try:
            pointer = lib.bpf_object__open_mem(data, len(data), ct.byref(options), subject=subject)
        except BpfError as error:
            if error.errno == errno.ENOMEM:
                raise
            why = error.messages[-1] if error.messages else error.strerror
            raise ObjectFormatError(f"{name}: not a sound BPF object: {why}") from None
        try:
            return cls(pointer, name)
        except BaseException:
            lib.bpf_object__close(pointer)
            raise

    def load(self) -> None:
        """Create the maps and load the programs.

        Raises:
            VerifierError: the verifier refused a program.
            BpfError: EPERM, ENOMEM, E2BIG, ...
        """
        self._life.check()
        lib.bpf_object__load(self._pointer, subject=f"object {self.name}")
        for map_ in self.maps:
            map_._loaded()
        self._life.loaded = True

    def close(self) -> None:
        """Give everything back. Closing twice is harmless; its maps and programs are closed too."""
        if not self._life.closed:
            self._life.closed = True
            for section in self._sections.values():
                section._close()
            lib.bpf_object__close(self._pointer)

    def __getattr__(self, name: str) -> Section:
        section: Section | None = self.__dict__.get("_sections", {}).get(name)
        if section is None:
            raise AttributeError(f"{type(self).__name__} has no {name}")
        return section

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        life = self.__dict__.get("_life")
        if life and not life.closed:
            warnings.warn(f"unclosed object {self.name}", ResourceWarning, 2, source=self)
            self.close()

    def _own_btf(self) -> Btf | None:
        pointer = lib.bpf_object__btf(self._pointer)
        if not pointer:
            return None
        size = ct.c_uint32()
        raw = lib.btf__raw_data(pointer, ct.byref(size), subject=f"object {self.name}")
        return Btf(ct.string_at(raw, size.value))

    def _each(self, kind: str) -> Iterator[int]:
        following = getattr(lib, f"bpf_object__next_{kind}")
        pointer = following(self._pointer, None)
        while pointer:
            yield pointer
            pointer = following(self._pointer, pointer)


def _read(path: str | os.PathLike[str]) -> bytes:
    with open(path, "rb") as file:
        data = file.read(_OBJECT_BYTES_MAX + 1)
    if len(data) > _OBJECT_BYTES_MAX:
        raise ObjectFormatError(f"{path}: larger than {_OBJECT_BYTES_MAX} bytes")
    return data
