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
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from xdpctl.pylibbpf._lib import lib
from xdpctl.pylibbpf.btf import Btf, Kind
from xdpctl.pylibbpf.codec import Codec
from xdpctl.pylibbpf.errors import LIBBPF_ERRNO_START, BpfError, ObjectFormatError
from xdpctl.pylibbpf.info import MapInfo, map_info
from xdpctl.pylibbpf.maps import MapAccess, codecs_of
from xdpctl.pylibbpf.programs import ProgramAccess

_OBJECT_BYTES_MAX = 64 << 20
_ELF_MAGIC = b"\x7fELF"


class _OpenOptions(ct.Structure):
    """The head of struct bpf_object_open_opts."""

    _fields_ = (("sz", ct.c_size_t), ("object_name", ct.c_char_p))


class ObjectProgram(ProgramAccess):
    """A program of an object. It has a descriptor once the object is loaded."""

    def __init__(self, pointer: int) -> None:
        self._pointer = pointer
        self.name: str = lib.bpf_program__name(pointer).decode()
        self.section: str = lib.bpf_program__section_name(pointer).decode()
        super().__init__(-1, self.name)

    @property
    def fd(self) -> int:
        """Owned by the object. Raises BpfError before load."""
        return int(lib.bpf_program__fd(self._pointer, subject=self._subject))

    def set_autoload(self, autoload: bool) -> None:
        """Whether `load` loads this program. Before load. Raises BpfError."""
        lib.bpf_program__set_autoload(self._pointer, autoload, subject=self._subject)

    def set_ifindex(self, ifindex: int) -> None:
        """Load the program into that interface's hardware. Before load."""
        lib.bpf_program__set_ifindex(self._pointer, ifindex)

    def _loaded(self) -> None:
        self._program_fd = self.fd


class ObjectMap(MapAccess):
    """A map of an object: its size may be changed before load, its contents are there after."""

    def __init__(self, pointer: int, btf: Btf | None) -> None:
        self._pointer = pointer
        self._btf = btf
        self.name: str = lib.bpf_map__name(pointer).decode()
        self._describe(-1, self._declared())

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

    def _describe(self, fd: int, info: MapInfo) -> None:
        # After load the kernel's numbers count, but the types are those of the object's own BTF.
        declared = self._declared()
        MapAccess.__init__(self, fd, info, *codecs_of(declared, self._btf))

    @property
    def fd(self) -> int:
        """Owned by the object. Raises BpfError before load."""
        return int(lib.bpf_map__fd(self._pointer, subject=self._subject))

    def _adjust(self, call: Callable[..., int], value: int) -> None:
        call(self._pointer, value, subject=self._subject)
        self._describe(-1, self._declared())

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
        """Use a map that exists instead of a new one; the descriptor is duplicated. Before load.
        Raises BpfError, also at load when the maps' shapes differ."""
        self._adjust(lib.bpf_map__reuse_fd, fd)

    def _loaded(self) -> None:
        try:
            fd = self.fd
        except BpfError:
            return  # autocreate is off
        self._describe(fd, map_info(fd))


class Section:
    """The global variables of a data section as attributes.

    `.rodata` can be written until load and is fixed from then on: the verifier takes its values for
    constants and drops the code that they make unreachable. `.bss` and `.data` stay writable and
    are then the kernel's own memory. What is read is a copy.
    """

    _is_loaded: Callable[[], bool]

    def __init__(self, pointer: int, btf: Btf, name: str, is_loaded: Callable[[], bool]) -> None:
        section = btf[btf.find(Kind.DATASEC, name) or 0]
        variables = {}
        for member in section.members:
            variable = btf[member.type_id]
            variables[variable.name] = (member.offset_bits // 8, variable.type_id)
        self.__dict__.update(
            _pointer=pointer, _btf=btf, _name=name, _variables=variables, _is_loaded=is_loaded
        )

    def __dir__(self) -> list[str]:
        return sorted(self._variables)

    def _variable(self, name: str) -> tuple[int, Codec]:
        """The address and the codec of a variable."""
        if name not in self._variables:
            raise AttributeError(f"{self._name} has no variable {name}")
        offset, type_id = self._variables[name]
        codec = Codec(self._btf, type_id)
        size = ct.c_size_t()
        # Asked anew each time: load() moves the values into the map's memory.
        start = lib.bpf_map__initial_value(self._pointer, ct.byref(size), subject=self._name)
        if offset + codec.size > size.value:
            raise AttributeError(f"{self._name}.{name} lies behind the section's end")
        return start + offset, codec

    def __getattr__(self, name: str) -> Any:
        address, codec = self._variable(name)
        return codec.decode(ct.string_at(address, codec.size))

    def __setattr__(self, name: str, value: Any) -> None:
        address, codec = self._variable(name)
        if self._name == ".rodata" and self._is_loaded():
            raise AttributeError(f".rodata.{name} is fixed since the object was loaded")
        data = codec.encode(value)
        ct.memmove(address, data, len(data))


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
        self.loaded = False
        self.btf = self._own_btf()
        pointers = {lib.bpf_map__name(each).decode(): each for each in self._each("map")}
        self._section_pointers = {
            map_name[map_name.index(".") :]: each
            for map_name, each in pointers.items()
            if "." in map_name
        }
        self.maps: Named[ObjectMap] = Named(
            "map",
            {map_name: ObjectMap(each, self.btf) for map_name, each in pointers.items()},
        )
        programs = [ObjectProgram(each) for each in self._each("program")]
        self.programs: Named[ObjectProgram] = Named(
            "program", {program.name: program for program in programs}
        )

    @classmethod
    def open(cls, source: str | os.PathLike[str] | bytes, *, name: str | None = None) -> Self:
        """Parse an object; nothing of it is in the kernel yet.

        Args:
            source: a path, or the bytes of the object.
            name: the object's name; the first 8 characters go into the names of `.rodata` and the
                like. The file's name where it is not given.

        Raises:
            ObjectFormatError: not a BPF object, or cut short.
            OSError: the file cannot be read.
            LibraryError: libbpf is missing or too old.
        """
        if isinstance(source, bytes):
            data, name = source, name or "object"
        else:
            data, name = _read(Path(source)), name or Path(source).name.partition(".")[0]
        if not data.startswith(_ELF_MAGIC):
            raise ObjectFormatError(f"{name}: not an ELF file")
        options = _OpenOptions(sz=ct.sizeof(_OpenOptions), object_name=name.encode())
        subject = f"object {name}"
        try:
            pointer = lib.bpf_object__open_mem(data, len(data), ct.byref(options), subject=subject)
        except BpfError as error:
            if (error.errno or 0) >= LIBBPF_ERRNO_START or error.errno in (
                errno.EINVAL,
                errno.ENOENT,
            ):
                why = error.messages[-1] if error.messages else error.strerror
                raise ObjectFormatError(f"{name}: not a sound BPF object: {why}") from None
            raise
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
        lib.bpf_object__load(self._pointer, subject=f"object {self.name}")
        self.loaded = True
        for map_ in self.maps:
            map_._loaded()
        for program in self.programs:
            program._loaded()

    def close(self) -> None:
        """Give everything back. Closing twice is harmless."""
        pointer, self._pointer = self._pointer, 0
        if pointer:
            lib.bpf_object__close(pointer)

    def __getattr__(self, name: str) -> Section:
        pointer = self.__dict__.get("_section_pointers", {}).get(f".{name}")
        if pointer is None or self.btf is None:
            raise AttributeError(f"{type(self).__name__} has no {name}")
        return Section(pointer, self.btf, f".{name}", lambda: self.loaded)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_OBJECT_BYTES_MAX + 1)
    if len(data) > _OBJECT_BYTES_MAX:
        raise ObjectFormatError(f"{path}: larger than {_OBJECT_BYTES_MAX} bytes")
    return data
